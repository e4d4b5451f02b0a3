//! What a contact changes, and what the owner does elsewhere.

use serde_json::Value;
use switchboard_testkit::eventually;

use super::{Desk, Mode, Seen};
use crate::rig::ANN;

pub(super) async fn what_a_contact_edits_and_takes_back_is_told(mode: Mode) {
    let desk = Desk::open(mode).await;
    let typo = desk.hears(ANN, "helo").await;
    let secret = desk.hears(ANN, "a secret").await;
    let is_there = desk.phones.edits(&typo.guid, "hello").await;
    assert_eq!(is_there, desk.can.sees(Seen::Edits));
    assert_eq!(desk.phones.unsends(&secret.guid).await, desk.can.sees(Seen::Unsends));
    if is_there {
        let edited = desk.rig.message(ANN, "hello").await;
        assert_eq!(edited.id, typo.id);
        assert!(edited.edited_at.is_some());
        let of = |guid: String| move |data: &Value| data["guid"] == guid;
        let told = desk.told("message.updated", of(typo.guid)).await;
        assert_eq!(told["text"], "hello");
        eventually("it is taken back", async || {
            let messages = desk.rig.messages(ANN).await;
            let message = messages.into_iter().find(|one| one.id == secret.id)?;
            message.unsent_at.is_some().then(|| assert_eq!(message.text, None))
        })
        .await;
        let told = desk.told("message.updated", of(secret.guid)).await;
        assert_eq!(told["text"], Value::Null);
    }
    assert_eq!(desk.rig.messages(ANN).await.len(), 2);
    assert_eq!(desk.all_told("message.received").len(), 2);
    desk.close().await;
}

pub(super) async fn what_the_owner_writes_elsewhere_is_the_lines_own(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    let is_there = desk.phones.owner_writes(ANN, "from my telephone").await;
    assert_eq!(is_there, desk.can.sees(Seen::Own));
    if is_there {
        let own = desk.rig.message(ANN, "from my telephone").await;
        assert_eq!((own.is_from_me, own.outbox_id), (true, None));
        let told = desk.told("message.sent", |data| data["guid"] == own.guid).await;
        assert_eq!(told["outbox_id"], Value::Null);
    }
    desk.sends(ANN, "from here").await;
    desk.hears(ANN, "thanks").await;
    let received = desk.all_told("message.received");
    assert_eq!(received.len(), 2, "an agent would answer itself: {received:?}");
    assert_eq!(desk.rig.messages(ANN).await.len(), 3 + usize::from(is_there));
    desk.close().await;
}
