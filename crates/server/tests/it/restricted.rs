//! What a key that is restricted to some lines may have of the account's files (§2).

use serde_json::json;
use switchboard_model::{Code, Scope};
use switchboard_testkit::{LINE, Tenant, TestServer};

use crate::{
    call::{Call, assert_refused, query, without_request_id},
    fixtures::{Sample, texts},
    world::{CONTACT, add_line, key},
};

const SECOND: &str = "+15550100051";
const SANDBOX: &str = "+15550100052";

/// An account with two lines, and keys for one of them, for the other, and for both.
struct Lines {
    server: TestServer,
    tenant: Tenant,
    first: String,
    second: String,
    both: String,
}

impl Lines {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let tenant = server.tenant(LINE).await;
        let second = add_line(&server, tenant.account, SECOND).await.id.to_string();
        let first = tenant.line_id.to_string();
        let keys =
            [vec![first.as_str()], vec![second.as_str()], vec![first.as_str(), second.as_str()]];
        let mut made = Vec::new();
        for lines in keys {
            made.push(key(&server, tenant.account, &Scope::ALL, &lines).await);
        }
        let [first, second, both] = made.try_into().unwrap();
        for line in [LINE, SECOND] {
            server.text(line, CONTACT, "hello").await;
        }
        Self { server, tenant, first, second, both }
    }

    /// A file that a contact sends to this line.
    async fn comes_in(&self, line: &str, sample: &Sample) -> String {
        let body = json!({ "line": line, "from": CONTACT, "attachments": [sample.attached()] });
        texts(&self.server, &body).await;
        let newest = query("/v1/messages", &[("from", line), ("to", CONTACT), ("limit", "1")]);
        let newest = Call::get(newest).key(&self.tenant.key).send(&self.server.url).await;
        let url = newest.body["data"][0]["attachments"][0]["url"].as_str().unwrap();
        url.split(['?', '&']).find_map(|pair| pair.strip_prefix("id=")).unwrap().to_owned()
    }

    async fn has(&self, key: &str, file: &str) -> bool {
        let call = |id: &str| Call::get(query("/v1/files", &[("id", id)])).key(key);
        let answer = call(file).send(&self.server.url).await;
        if answer.status == 302 {
            return true;
        }
        assert_refused("another line's", &answer, Code::FileNotFound, Some("id"));
        let nothing = call("file_00000000000000000000000000").send(&self.server.url).await;
        assert_eq!(without_request_id(&answer), without_request_id(&nothing));
        false
    }

    /// Sends a file as an attachment and as a voice memo; answers whether it is taken.
    async fn sends(&self, key: &str, line: &str, file: &str) -> bool {
        let message = json!({ "from": line, "to": CONTACT, "attachments": [file] });
        let memo = json!({ "from": line, "to": CONTACT, "audio_message": file });
        let mut taken = Vec::new();
        for (path, body, param) in [
            ("/v1/messages", message, "attachments"),
            ("/v1/audio-messages", memo, "audio_message"),
        ] {
            let answer = Call::post(path, &body).key(key).send(&self.server.url).await;
            if answer.status != 201 {
                assert_refused(path, &answer, Code::FileNotFound, Some(param));
            }
            taken.push(answer.status == 201);
        }
        assert_eq!(taken[0], taken[1]);
        taken[0]
    }
}

#[tokio::test]
async fn what_came_in_on_another_line_is_nothing_to_a_restricted_key() {
    let lines = Lines::start().await;
    let Lines { tenant, first, second, both, .. } = &lines;
    let here = lines.comes_in(LINE, &Sample::memo()).await;
    let there = lines.comes_in(SECOND, &Sample::memo()).await;
    for (key, has_here, has_there) in
        [(first, true, false), (second, false, true), (both, true, true), (&tenant.key, true, true)]
    {
        assert_eq!(
            (lines.has(key, &here).await, lines.has(key, &there).await),
            (has_here, has_there)
        );
    }
    assert!(!lines.sends(first, LINE, &there).await);
    assert!(lines.sends(first, LINE, &here).await);
    // Whoever may have both lines can send it on, and then it is the other's too.
    assert!(lines.sends(both, LINE, &there).await);
    assert!(lines.has(first, &there).await && lines.has(second, &there).await);
    assert!(!lines.has(second, &here).await);
    lines.server.stop().await;
}

#[tokio::test]
async fn an_upload_is_for_keys_that_reach_what_its_uploader_reached() {
    let lines = Lines::start().await;
    let Lines { server, tenant, first, second, both } = &lines;
    let mine = Sample::memo().uploaded(server, first).await;
    let wide = Sample::memo().uploaded(server, both).await;
    let open = Sample::memo().uploaded(server, &tenant.key).await;
    let has = async |file: &str| {
        let mut has = Vec::new();
        for key in [first, second, both, &tenant.key] {
            has.push(lines.has(key, file).await);
        }
        has
    };
    assert_eq!(has(&mine).await, [true, false, true, true]);
    assert_eq!(has(&wide).await, [false, false, true, true]);
    assert_eq!(has(&open).await, [true, true, true, true]);
    assert!(!lines.sends(second, SECOND, &mine).await);
    // Once it is sent, it is a line's, and nobody else's who is restricted; the uploader keeps what it has.
    for file in [&mine, &open] {
        assert!(lines.sends(&tenant.key, SECOND, file).await);
    }
    assert_eq!(has(&open).await, [false, true, true, true]);
    assert_eq!(has(&mine).await, [true, true, true, true]);
    assert!(!lines.sends(first, LINE, &open).await);
    assert!(lines.sends(&tenant.key, LINE, &open).await);
    assert_eq!(has(&open).await, [true, true, true, true]);
    lines.server.stop().await;
}

/// Every key reaches the sandbox line (§2).
#[tokio::test]
async fn what_came_in_on_the_sandbox_line_is_for_every_key_of_its_account() {
    let lines = Lines::start().await;
    let Lines { server, tenant, first, .. } = &lines;
    server.sandbox_line(SANDBOX).await;
    let sandbox = Call::new(http::Method::POST, "/v1/sandbox").key(first).send(&server.url).await;
    let code = sandbox.body["activation_code"].as_str().unwrap().to_owned();
    server.text(SANDBOX, CONTACT, &code).await;
    let file = lines.comes_in(SANDBOX, &Sample::memo()).await;
    assert!(lines.has(first, &file).await && lines.has(&tenant.key, &file).await);
    assert!(lines.sends(first, SANDBOX, &file).await);
    assert!(lines.sends(first, LINE, &file).await);
    lines.server.stop().await;
}
