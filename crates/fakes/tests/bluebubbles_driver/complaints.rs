//! Faults of the server that nothing else stands for: what it announces again, what it never begins to watch, and replies
//! that never arrive.

use switchboard_fakes::{
    bluebubbles::{Incoming, SendFault},
    wire::Trouble,
};
use switchboard_model::{
    line::{Capability, OfflineReason},
    link::{Content, Inbound, Outcome},
};

use crate::rig::{ANN, LINE, Rig, text_of, texts};

async fn with_webhook() -> Rig {
    let mut rig = Rig::idle(|_| ()).await;
    rig.with_webhook = true;
    rig.start().await;
    rig.online().await;
    rig
}

fn reply(text: &str, to: &str) -> Content {
    let Content::Message { text, attachments, is_audio_message, .. } = text_of(text) else {
        panic!("a text is a message")
    };
    Content::Message { text, attachments, is_audio_message, reply_to_guid: Some(to.to_owned()) }
}

#[tokio::test]
async fn what_the_webhook_announces_again_is_told_once() {
    let mut rig = with_webhook().await;
    let old = rig.server.contact_writes(ANN, "old");
    rig.server
        .receive(ANN, Incoming::text("look").with_file("a.png", "image/png", &b"\x89PNG"[..]));
    rig.hears("look").await;
    // Its caches forget; then an old message that changes is new to it, and at times all of them are.
    rig.server.an_hour_passes();
    rig.server.edit(&old.guid, "old, edited");
    let edited = rig.changes(&old.guid, |update| update.edit.is_some()).await;
    assert_eq!(edited.edit.unwrap().text.as_deref(), Some("old, edited"));
    rig.server.replay_webhooks();
    rig.quiet().await;
    assert_eq!(texts(&rig.told), ["old", "look"]);
    let edits = |one: &&Inbound| matches!(one, Inbound::Update(update) if update.edit.is_some());
    assert_eq!(rig.told.iter().filter(edits).count(), 1);
}

#[tokio::test]
async fn a_server_that_never_begins_to_watch_is_found_out_and_misses_nothing() {
    let mut rig = with_webhook().await;
    rig.server.contact_writes(ANN, "before");
    rig.hears("before").await;
    rig.server.faults(|faults| faults.no_wal_at_start = true);
    rig.server.stop().await;
    rig.server.contact_writes(ANN, "while it was down");
    rig.server.start_again().await.unwrap();
    rig.hears("while it was down").await;
    rig.server.contact_writes(ANN, "and after");
    rig.hears("and after").await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    rig.server.contact_writes(ANN, "untold");
    rig.hears("untold").await;
    rig.reason(true, Some(OfflineReason::SilentWatch)).await;
    assert_eq!(texts(&rig.told), ["before", "while it was down", "and after", "untold"]);
}

#[tokio::test]
async fn a_reply_that_stalls_is_never_said_to_be_delivered_and_is_not_sent_again() {
    // Messages shows it as any other: that it does not arrive is all that there is to see.
    let mut rig = Rig::new().await;
    let hi = rig.server.contact_writes(ANN, "hi");
    rig.server.faults(|faults| faults.replies_stall = true);
    let outcome = rig.send(ANN, reply("yes?", &hi.guid)).await;
    let guid = match outcome {
        Outcome::Sent { guid, delivered_at: None, .. } => Some(guid),
        Outcome::Unknown => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(rig.shown(ANN, "yes?"), 0);
    let arrives = rig.sent(ANN, "plainly").await;
    rig.server.delivered(&arrives);
    rig.changes(&arrives, |update| update.delivered_at.is_some()).await;
    rig.quiet().await;
    let of_it = |one: &Inbound| matches!(one, Inbound::Update(update) if Some(&update.message_guid) == guid.as_ref());
    assert!(!rig.told.iter().any(of_it));
    assert_eq!(rig.server.received_by(ANN).len(), 1);
}

#[tokio::test]
async fn where_replies_are_known_to_stall_they_are_said_plainly() {
    let mut rig = Rig::on(|mac| mac.os_version = "26.5.0".to_owned()).await;
    let hi = rig.server.contact_writes(ANN, "hi");
    rig.server.faults(|faults| faults.replies_stall = true);
    let can_reply = |capabilities: &[Capability]| capabilities.contains(&Capability::Replies);
    rig.status(|status| status.online && !can_reply(&status.capabilities)).await;
    let outcome = rig.send(ANN, reply("yes?", &hi.guid)).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    let shown = rig.server.received_by(ANN);
    assert_eq!((shown.len(), &shown[0].reply_to), (1, &None));
}

#[tokio::test]
async fn the_words_of_a_script_that_fails_go_no_further() {
    // The whole script stands in the server's answer, with the text and the number.
    for code in [-1728, -1700, -1743, -1712] {
        let mut rig = Rig::scripts().await;
        rig.server.direct_chat(ANN);
        rig.server.fail_send(SendFault::Osascript { code, sent: false });
        let Outcome::Failed { error } = rig.text(ANN, "secret text").await else {
            panic!("nothing was sent")
        };
        assert!(!error.contains("secret text") && !error.contains(ANN), "{error}");
    }
}

#[tokio::test]
async fn a_voice_memo_goes_by_the_helper_or_not_at_all() {
    let mut rig = Rig::scripts().await;
    rig.server.direct_chat(ANN);
    let memo = rig.file("memo.caf", "audio/x-caf", b"caff");
    let content = Content::Message {
        text: None,
        attachments: vec![memo],
        is_audio_message: true,
        reply_to_guid: None,
    };
    let outcome = rig.send(ANN, content).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    assert!(rig.server.received_by(ANN).is_empty());
}

#[tokio::test]
async fn what_is_written_to_the_own_number_is_the_owners_and_never_received() {
    let mut rig = Rig::new().await;
    let chat = rig.server.direct_chat(LINE);
    rig.server.owner_writes(&chat, "a note to myself");
    rig.server.contact_writes(LINE, "a note to myself");
    rig.told_until(|told| !told.is_empty()).await;
    rig.quiet().await;
    assert_eq!(rig.own(), ["a note to myself"]);
    assert!(texts(&rig.told).is_empty());
}

#[tokio::test]
async fn a_question_that_the_server_forgets_to_answer_is_asked_again() {
    // Then its framework says 404, and nothing of JSON.
    let mut rig = Rig::new().await;
    rig.server.contact_writes(ANN, "before");
    rig.hears("before").await;
    rig.server.trouble("/message/query", 5, Trouble::TunnelBefore(404));
    rig.server.contact_writes(ANN, "after");
    rig.hears("after").await;
    assert_eq!(texts(&rig.told), ["before", "after"]);
}
