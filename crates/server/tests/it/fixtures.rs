//! What contacts do on their phones, and what their phones show: by `/simulator/v1`.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use switchboard_model::simulator::Phone;
use switchboard_testkit::{TestServer, eventually};

use crate::call::{Call, query};

/// A file as a contact or a program has it.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) mime_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Sample {
    pub(crate) fn png() -> Self {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend((0..5000_u32).map(|n| n.to_le_bytes()[0]));
        Self { name: "photo.png", mime_type: "image/png", bytes }
    }

    pub(crate) fn memo() -> Self {
        let mut bytes = b"\0\0\0\x1cftypM4A \0\0\0\0M4A mp42isom\0\0\0\0".to_vec();
        bytes.extend([7; 2000]);
        Self { name: "memo.m4a", mime_type: "audio/mp4", bytes }
    }

    pub(crate) fn card() -> Self {
        let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann Lee\r\nTEL:+15550100002\r\nEND:VCARD\r\n";
        Self { name: "ann.vcf", mime_type: "text/vcard", bytes: card.into() }
    }

    pub(crate) fn sha256(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// As POST /v1/files takes it.
    pub(crate) fn upload(&self, key: &str) -> Call {
        Call::new(http::Method::POST, "/v1/files")
            .raw(self.bytes.clone())
            .header("content-type", self.mime_type)
            .header("x-filename", self.name)
            .key(key)
    }

    /// Uploads it: `file_…`.
    pub(crate) async fn uploaded(&self, server: &TestServer, key: &str) -> String {
        let answer = self.upload(key).send(&server.url).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// As a contact's message carries it.
    pub(crate) fn attached(&self) -> Value {
        json!({
            "data": BASE64_STANDARD.encode(&self.bytes),
            "mime_type": self.mime_type,
            "filename": self.name,
        })
    }
}

/// Says something to `/simulator/v1`, which takes it.
async fn say(server: &TestServer, path: &str, body: &Value) -> Value {
    let call = Call::post(path, body).key(server.operator_token());
    let answer = call.send(&server.url).await;
    assert!(answer.status < 300, "{path} {body}: {answer:?}");
    answer.body
}

/// A contact's message with these fields; answers what became of it.
pub(crate) async fn texts(server: &TestServer, body: &Value) -> Value {
    say(server, "/simulator/v1/messages", body).await
}

/// A contact reacts to a message, or takes the reaction back.
pub(crate) async fn reacts(
    server: &TestServer,
    line: &str,
    from: &str,
    (guid, kind): (&str, &str),
    remove: bool,
) -> Value {
    let body = json!({
        "line": line, "from": from, "message_guid": guid, "type": kind, "remove": remove,
    });
    say(server, "/simulator/v1/reactions", &body).await
}

/// A contact begins or stops typing.
pub(crate) async fn types(server: &TestServer, line: &str, from: &str, state: &str) {
    let body = json!({ "line": line, "from": from, "state": state });
    say(server, "/simulator/v1/typing", &body).await;
}

/// A contact reads all that the line wrote.
pub(crate) async fn reads(server: &TestServer, line: &str, from: &str) {
    let body = json!({ "line": line, "from": from });
    say(server, "/simulator/v1/receipts", &body).await;
}

/// Gives a line the advanced features or takes them away, and waits until the server knows.
pub(crate) async fn set_advanced(server: &TestServer, line: &str, advanced: bool) {
    let body = json!({ "line": line, "advanced_features": advanced });
    let path = "/simulator/v1/lines/capabilities";
    say(server, path, &body).await;
    eventually("the server knows what the line can do", async || {
        let lines = server.admin().lines().await.unwrap().value.data;
        let line = lines.into_iter().find(|one| one.line.handle.as_str() == line)?;
        (line.line.advanced_features == advanced).then_some(())
    })
    .await;
}

/// What a contact's phone shows.
pub(crate) async fn phone(server: &TestServer, handle: &str) -> Phone {
    let call = Call::get(query("/simulator/v1/phones", &[("handle", handle)]));
    let answer = call.key(server.operator_token()).send(&server.url).await;
    serde_json::from_value(answer.body).unwrap()
}
