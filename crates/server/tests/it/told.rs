//! A bridge that says what is not its to say: it is left out, what comes with it is taken, and the link goes on.

use serde_json::{Value, json};
use switchboard_client::{Client, SendMessage};
use switchboard_model::{
    Line, OutboxItem,
    id::Id,
    link::{RecallState, ReceivedEntry, ServerFrame},
    outbox::{IDENTITY_OF_ANOTHER, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};
use switchboard_testkit::{LINE, TestServer};

use crate::{
    bridge::{Link, Mac},
    world::{CONTACT, MAC, STRANGER, settled},
};

fn text(guid: &str, text: &str) -> Value {
    json!({
        "kind": "message", "guid": guid, "sender": CONTACT, "text": text, "sent_at": 1_700_000_000_000_i64,
        "chat": { "chat": "contact", "handle": CONTACT }, "service": "iMessage", "reply_to_guid": null,
    })
}

async fn tell(link: &mut Link, line: &Line, position: &str, entries: &[Value]) {
    let frame = json!({
        "type": "inbound", "line_id": line.id, "position": position, "entries": entries,
    });
    link.say_text(&frame.to_string()).await;
}

/// Waits until the server has taken a batch.
async fn taken(link: &mut Link) -> Vec<ReceivedEntry> {
    loop {
        match link.next().await.expect("the link lives") {
            ServerFrame::Received { results, .. } => return results,
            ServerFrame::Bye { reason, .. } => panic!("the server ends the link: {reason}"),
            _ => {}
        }
    }
}

async fn shown(client: &Client, line: &str) -> Vec<String> {
    let messages = client.messages(line, CONTACT).all(1000).await.unwrap_or_default();
    messages.into_iter().rev().filter_map(|message| message.text).collect()
}

#[tokio::test]
async fn a_report_makes_no_message_of_another_and_is_heard_once() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &RecallState::NeverStarted).await;
    tell(&mut link, &mac.line, "1", &[text("theirs", "from a contact")]).await;
    taken(&mut link).await;
    let send = async |to: &str| {
        let send = SendMessage::text(MAC, to, "x");
        tenant.client.send_message(&send).await.unwrap().value.id
    };
    let report = |id: Id<OutboxItem>, outcome: &Value| {
        let mut report = outcome.clone();
        report["id"] = id.to_string().into();
        json!({ "type": "report", "reports": [report] }).to_string()
    };
    let sent = |guid: &str| json!({ "outcome": "sent", "guid": guid, "sent_at": 1_700_000_000_000_i64, "service": "iMessage" });
    for (outcome, error) in [
        (sent("theirs"), IDENTITY_OF_ANOTHER),
        (json!({ "outcome": "teleported" }), MAY_HAVE_BEEN_HANDED_OVER),
        (json!({ "outcome": "failed" }), MAY_HAVE_BEEN_HANDED_OVER),
    ] {
        for to in [CONTACT, STRANGER] {
            let id = send(to).await;
            link.items().await;
            link.say_text(&report(id, &outcome)).await;
            let failed = settled(&tenant, id, OutboxStatus::Failed).await;
            assert_eq!((failed.error.as_deref(), failed.message_id), (Some(error), None));
        }
    }
    assert_eq!(shown(&tenant.client, MAC).await, ["from a contact"]);
    drop(link);
    server.stop().await;
}
