//! A bridge that says too much, or what is not its to say: it is cut or left out, what comes with it is taken, and the
//! link goes on.

use serde_json::{Value, json};
use switchboard_client::{Client, SendMessage};
use switchboard_model::{
    File, Line, OutboxItem,
    id::Id,
    link::{MAX_POSITION_BYTES, ReceivedEntry, ReconciledState, ServerFrame},
    outbox::{IDENTITY_OF_ANOTHER, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};
use switchboard_testkit::{LINE, TestServer};

use crate::{
    bridge::{Link, Mac},
    world::{CONTACT, MAC, STRANGER, THEIRS, settled},
};

pub(crate) fn text(guid: &str, text: &str) -> Value {
    json!({
        "kind": "message", "guid": guid, "sender": CONTACT, "text": text, "sent_at": 1_700_000_000_000_i64,
        "chat": { "chat": "contact", "handle": CONTACT }, "service": "iMessage", "reply_to_guid": null,
    })
}

pub(crate) async fn tell(link: &mut Link, line: &Line, position: &str, entries: &[Value]) {
    let frame = json!({
        "type": "inbound", "line_id": line.id, "position": position, "entries": entries,
    });
    link.say_text(&frame.to_string()).await;
}

/// Waits until the server has taken a batch.
pub(crate) async fn taken(link: &mut Link) -> Vec<ReceivedEntry> {
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
async fn what_is_too_long_or_unreadable_costs_only_itself() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    // What no release of today can read, in the middle of what it can; and a sender that is far too long.
    let mut bad = text("bad", "bad");
    bad["sender"] = "x".repeat(300).into();
    bad["chat"]["handle"] = bad["sender"].clone();
    let entries =
        [text("1", "one"), bad, json!({ "kind": "hologram" }), text("2", "two"), json!(null)];
    tell(&mut link, &mac.line, "1", &entries).await;
    let results = taken(&mut link).await;
    let known: Vec<_> = results.iter().map(|one| one.message_id.is_some()).collect();
    assert_eq!(known, [true, true, false, true, false], "an answer for each entry, in order");
    // Too long: the text up to its bound, the rest of the message as it is.
    let long = text("3", &"é".repeat(700_000));
    let mut group = text("4", "four");
    group["chat"] = json!({
        "chat": "group", "identifier": "g".repeat(10_000), "name": "n".repeat(10_000),
        "participants": vec![CONTACT; 5000],
    });
    let mut card = text("5", "five");
    card["attachments"] = json!([{
        "file_id": Id::<File>::generate(), "filename": "f".repeat(10_000),
        "mime_type": "m".repeat(10_000), "size": 1, "transcription": "t".repeat(400_000),
    }]);
    tell(&mut link, &mac.line, "2", &[long, group, card]).await;
    let results = taken(&mut link).await;
    assert!(results.iter().all(|one| one.message_id.is_some()), "{results:?}");
    let all = shown(&tenant.client, MAC).await;
    let lengths: Vec<_> = all.iter().map(String::len).collect();
    assert_eq!(lengths, [3, 3, 1024 * 1024, 4]);
    let chat = results[1].chat_id.unwrap().to_string();
    let chats = tenant.client.chats(MAC).all(10).await.unwrap();
    let group = chats.iter().find(|one| one.id.to_string() == chat).unwrap();
    assert_eq!(group.name.as_ref().map(String::len), Some(1024));
    assert!(group.participants.as_ref().is_some_and(|all| all.len() <= 1024));
    let messages = tenant.client.messages(MAC, CONTACT).all(10).await.unwrap();
    let card = &messages[0].attachments[0];
    assert_eq!(card.filename.as_ref().map(String::len), Some(255));
    assert_eq!(card.mime_type.as_deref(), Some("application/octet-stream"));
    assert_eq!(card.transcription.as_ref().map(String::len), Some(256 * 1024));
    // A place that is too long is not kept, but what comes with it is.
    tell(&mut link, &mac.line, &"p".repeat(MAX_POSITION_BYTES + 1), &[text("6", "six")]).await;
    assert!(taken(&mut link).await[0].message_id.is_some());
    drop(link);
    let link = mac.dial(&server).await;
    assert_eq!(link.lines[0].position.as_deref(), Some("2"));
    drop(link);
    server.stop().await;
}

#[tokio::test]
async fn what_is_said_of_others_lines_is_nothing() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let theirs = Mac::make(&server, &tenant, THEIRS).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    let mut nobody = mac.line.clone();
    nobody.id = Id::generate();
    for line in [&theirs.line, &nobody] {
        let online = json!({
            "type": "line", "line_id": line.id, "online": true, "capabilities": ["typing", "teleport"],
        });
        link.say_text(&online.to_string()).await;
        tell(&mut link, line, "9", &[text("theirs", "theirs")]).await;
    }
    tell(&mut link, &mac.line, "1", &[text("ours", "ours")]).await;
    assert!(taken(&mut link).await[0].message_id.is_some(), "the link goes on");
    assert_eq!(shown(&tenant.client, MAC).await, ["ours"]);
    assert!(shown(&tenant.client, THEIRS).await.is_empty());
    let lines = server.admin().lines().await.unwrap().value.data;
    let other = lines.iter().find(|one| one.line.id == theirs.line.id).unwrap();
    assert!(other.line.capabilities.is_empty(), "{other:?}");
    drop(link);
    let link = theirs.dial(&server).await;
    assert_eq!(link.lines[0].position, None);
    drop(link);
    server.stop().await;
}

#[tokio::test]
async fn a_report_makes_no_message_of_another_and_is_heard_once() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
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
    // An error may be long, and hold what a terminal would do something with.
    let id = send(STRANGER).await;
    link.items().await;
    let error = format!("\u{1b}[31mno{}", "!".repeat(100_000));
    link.say_text(&report(id, &json!({ "outcome": "failed", "error": error }))).await;
    let failed = settled(&tenant, id, OutboxStatus::Failed).await;
    let error = failed.error.unwrap();
    assert!(error.starts_with("[31mno!!") && error.len() <= 2000, "{}", error.len());
    assert_eq!(shown(&tenant.client, MAC).await, ["from a contact"]);
    drop(link);
    server.stop().await;
}
