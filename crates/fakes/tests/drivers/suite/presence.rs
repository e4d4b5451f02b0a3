//! Who types, who has read, and what becomes of what was sent.

use serde_json::json;
use switchboard_model::line::Capability;
use switchboard_testkit::eventually;

use super::{Desk, Mode, Seen};
use crate::rig::{ANN, LINE};

pub(super) async fn typing_is_shown_and_ends(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    let body = |state: &str| json!({ "from": LINE, "to": ANN, "state": state });
    if !desk.can.does(Capability::Typing) {
        for state in ["on", "off"] {
            desk.is_refused("/v1/typing", body(state), Capability::Typing).await;
        }
        assert!(!desk.phones.sees_typing(ANN).await);
        return desk.close().await;
    }
    let id = desk.client().set_typing(LINE, ANN, true).await.unwrap().value.id;
    desk.done(id).await;
    assert!(desk.phones.sees_typing(ANN).await);
    if desk.can.does(Capability::TypingOff) {
        let id = desk.client().set_typing(LINE, ANN, false).await.unwrap().value.id;
        desk.done(id).await;
    } else {
        desk.is_refused("/v1/typing", body("off"), Capability::TypingOff).await;
        // What is sent ends it.
        desk.sends(ANN, "Yes.").await;
    }
    assert!(!desk.phones.sees_typing(ANN).await);
    desk.close().await;
}

pub(super) async fn a_contact_who_types_is_seen(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    if !desk.can.sees(Seen::Typing) {
        desk.phones.types(ANN, true).await;
        desk.hears(ANN, "that took long").await;
        assert!(desk.client().typing(LINE, ANN).await.unwrap().value.data.is_empty());
        assert!(desk.all_told("typing.started").is_empty());
        return desk.close().await;
    }
    for (on, event) in [(true, "typing.started"), (false, "typing.stopped")] {
        // Who has just begun to listen may not hear the first.
        let told = eventually(event, async || {
            assert!(desk.phones.types(ANN, on).await);
            let told = desk.all_told(event);
            told.into_iter().find(|data| data["handle"] == ANN)
        })
        .await;
        assert_eq!((&told["is_typing"], &told["line_handle"]), (&json!(on), &json!(LINE)));
        eventually("the list says the same", async || {
            let list = desk.client().typing(LINE, ANN).await.unwrap().value.data;
            list.into_iter().find(|one| one.handle == ANN && one.is_typing == on)
        })
        .await;
    }
    desk.close().await;
}

pub(super) async fn a_chat_is_marked_as_read(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    if desk.can.does(Capability::ReadReceipts) {
        let id = desk.client().mark_read(LINE, ANN).await.unwrap().value.id;
        desk.done(id).await;
        assert!(desk.phones.sees_read(ANN).await);
    } else {
        let body = json!({ "from": LINE, "to": ANN });
        desk.is_refused("/v1/receipts", body, Capability::ReadReceipts).await;
        assert!(!desk.phones.sees_read(ANN).await);
    }
    desk.close().await;
}

pub(super) async fn what_was_sent_is_delivered_and_read(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    let sent = desk.sends(ANN, "Did you get this?").await;
    assert_eq!(desk.phones.delivers(&sent.guid).await, desk.can.sees(Seen::Delivered));
    eventually("it is delivered", async || {
        desk.rig.message(ANN, "Did you get this?").await.delivered_at
    })
    .await;
    let is_there = desk.phones.reads(ANN, &sent.guid).await;
    assert_eq!(is_there, desk.can.sees(Seen::Read));
    if is_there {
        eventually("it is read", async || desk.rig.message(ANN, "Did you get this?").await.read_at)
            .await;
        desk.told("message.updated", |data| data["guid"] == sent.guid && data["read_at"].is_i64())
            .await;
    }
    if desk.can.sees(Seen::Receipts) {
        desk.told("receipt.read", |data| data["handle"] == ANN).await;
    }
    let receipts = desk.client().receipts(LINE, ANN).await.unwrap().value.data;
    let of_ann = receipts.iter().any(|one| one.handle == ANN);
    assert_eq!(of_ann, desk.can.sees(Seen::Receipts));
    desk.close().await;
}

pub(super) async fn what_was_sent_and_did_not_arrive_is_told(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    let is_there = desk.phones.next_fails_later().await;
    assert_eq!(is_there, desk.can.sees(Seen::FailedLater));
    let sent = desk.sends(ANN, "Did you get this?").await;
    if is_there {
        desk.phones.fails_later(&sent.guid).await;
        let told = desk
            .told("message.updated", |data| data["guid"] == sent.guid && data["error"].is_string())
            .await;
        let failed = desk.rig.message(ANN, "Did you get this?").await;
        assert!(failed.failed_at.is_some() && told["error"] == *failed.error.unwrap());
        // The item is as it was: it was sent.
        desk.done(sent.outbox_id.unwrap()).await;
    }
    desk.close().await;
}
