//! What becomes of items when something is away, refuses, or says nothing.

use switchboard_client::SendMessage;
use switchboard_model::{
    OutboxItem,
    id::Id,
    outbox::{MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};
use switchboard_testkit::eventually;

use super::{Desk, Mode};
use crate::rig::{ANN, LINE};

impl Desk {
    async fn waits(&self, id: Id<OutboxItem>) {
        let item = self.client().outbox(id).await.unwrap().value;
        assert_eq!((item.status, item.attempts), (OutboxStatus::Pending, 0));
        assert_eq!((item.error, item.message_id, item.completed_at), (None, None, None));
    }

    async fn is_offline(&self) {
        eventually("the line is away", async || {
            let lines = self.client().lines().await.unwrap().value.data;
            (!lines[0].status.online).then_some(())
        })
        .await;
        self.told("line.status", |data| data["status"]["online"] == false).await;
    }

    /// All that waited on either side has come, once.
    async fn nothing_was_lost(&self, id: Id<OutboxItem>) {
        self.done(id).await;
        assert_eq!(self.shown(ANN, "while you were away").await.len(), 1);
        self.rig.message(ANN, "while I was away").await;
        self.rig.online().await;
        let came = self.all_told("message.received");
        let came = came.iter().filter(|data| data["text"] == "while I was away").count();
        assert!(came <= 1);
        self.told("message.received", |data| data["text"] == "while I was away").await;
        assert_eq!(self.rig.messages(ANN).await.len(), 3);
    }
}

pub(super) async fn what_is_sent_while_the_line_is_away_waits_for_it(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    desk.phones.away(true).await;
    // Who does not push is asked; whichever is first, the item stays.
    let id = if let Mode::Imsg | Mode::ImsgMacos26 | Mode::ImsgWithoutHelper = mode {
        let id = desk.rig.send(ANN, "while you were away").await;
        desk.is_offline().await;
        id
    } else {
        desk.is_offline().await;
        desk.rig.send(ANN, "while you were away").await
    };
    eventually("the item waits", async || {
        let item = desk.client().outbox(id).await.unwrap().value;
        (item.status == OutboxStatus::Pending).then_some(())
    })
    .await;
    desk.phones.writes(ANN, "while I was away").await;
    desk.phones.away(false).await;
    desk.nothing_was_lost(id).await;
    desk.close().await;
}

pub(super) async fn what_is_sent_while_the_bridge_is_away_waits_for_it(mode: Mode) {
    let mut desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    desk.rig.stop().await;
    desk.is_offline().await;
    let id = desk.rig.send(ANN, "while you were away").await;
    desk.waits(id).await;
    desk.phones.writes(ANN, "while I was away").await;
    assert_eq!(desk.rig.messages(ANN).await.len(), 1);
    desk.rig.start().await;
    desk.nothing_was_lost(id).await;
    assert_eq!(desk.done(id).await.attempts, 1);
    desk.close().await;
}

pub(super) async fn what_does_not_go_out_fails_with_its_reason(mode: Mode) {
    let desk = Desk::open(mode).await;
    let hello = desk.hears(ANN, "hello").await;
    desk.phones.refuse_next(ANN).await;
    // A reply, for which there is one way only.
    let reply = SendMessage::text(LINE, ANN, "into the void").reply_to(&hello.guid);
    let item = desk.client().send_message(&reply).await.unwrap().value.id;
    let item = desk.rig.ended(item).await;
    let error = item.error.expect("it says why");
    assert_eq!((item.status, item.message_id), (OutboxStatus::Failed, None));
    assert_ne!(error, MAY_HAVE_BEEN_HANDED_OVER, "it certainly was not sent");
    let told = desk.told("message.failed", |data| data["id"] == item.id.to_string()).await;
    assert_eq!(told["error"], error);
    assert!(desk.phones.shown(ANN).await.is_empty());
    assert_eq!(desk.rig.messages(ANN).await.len(), 1);
    assert!(desk.all_told("message.sent").is_empty());
    desk.close().await;
}

pub(super) async fn what_nobody_knows_is_unknown_and_is_not_sent_again(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    let turns_up = desk.phones.lose_next().await;
    let item = desk.rig.sent(ANN, "did it go out?").await;
    // The truth may be there before anybody looks.
    if item.status == OutboxStatus::Failed {
        assert_eq!(item.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
        desk.told("message.failed", |data| data["id"] == item.id.to_string()).await;
    } else {
        assert!(turns_up);
    }
    if turns_up {
        let sent = eventually("the truth turns up", async || {
            let item = desk.client().outbox(item.id).await.unwrap().value;
            (item.status == OutboxStatus::Sent).then_some(item)
        })
        .await;
        let message = desk.rig.message(ANN, "did it go out?").await;
        assert_eq!((sent.message_id, message.outbox_id), (Some(message.id), Some(item.id)));
        desk.told("message.sent", |data| data["outbox_id"] == item.id.to_string()).await;
    }
    desk.sends(ANN, "and on").await;
    assert_eq!(desk.shown(ANN, "did it go out?").await.len(), 1);
    assert_eq!(desk.shown(ANN, "and on").await.len(), 1);
    desk.close().await;
}
