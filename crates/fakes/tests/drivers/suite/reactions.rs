//! Reactions, both ways.

use serde_json::{Value, json};
use switchboard_client::SendReaction;
use switchboard_model::{Reaction, line::Capability};
use switchboard_testkit::eventually;

use super::{Desk, Mode, Seen};
use crate::rig::{ANN, LINE};

impl Desk {
    /// Waits until this reaction to a message is so.
    async fn reaction(&self, message: &str, by: &str, kind: &str, added: bool) -> Reaction {
        eventually(&format!("{kind} of {by}, added: {added}"), async || {
            let list = self.client().reactions(message).await.unwrap().value.data;
            let is_it = |one: &Reaction| {
                one.sender == by && one.reaction_type.to_string() == kind && one.added == added
            };
            list.into_iter().find(is_it)
        })
        .await
    }

    async fn reacts(&self, guid: &str, kind: &str) {
        let reaction = SendReaction::new(LINE, ANN, guid, kind);
        let id = self.client().send_reaction(&reaction).await.unwrap().value.id;
        self.done(id).await;
        assert_eq!(self.phones.reactions_on(ANN, guid).await, [kind]);
        let known = self.reaction(guid, LINE, kind, true).await;
        assert!(known.is_from_me);
        let of_it = |data: &Value| data["type"] == kind && data["is_from_me"] == true;
        self.told("reaction.added", of_it).await;

        let id = self.client().send_reaction(&reaction.remove()).await.unwrap().value.id;
        self.done(id).await;
        assert!(self.phones.reactions_on(ANN, guid).await.is_empty());
        self.reaction(guid, LINE, kind, false).await;
        self.told("reaction.removed", of_it).await;
    }
}

pub(super) async fn a_reaction_is_given_and_taken_back(mode: Mode) {
    let desk = Desk::open(mode).await;
    let hello = desk.hears(ANN, "hello").await;
    if desk.can.does(Capability::Reactions) {
        desk.reacts(&hello.guid, "love").await;
        // Its echo is no second one.
        desk.hears(ANN, "thanks").await;
        assert_eq!(desk.client().reactions(&hello.guid).await.unwrap().value.data.len(), 1);
        assert_eq!(desk.all_told("reaction.added").len(), 1);
    } else {
        for remove in [false, true] {
            let body = json!({
                "from": LINE, "to": ANN, "message_id": hello.guid, "type": "love", "remove": remove,
            });
            desk.is_refused("/v1/reactions", body, Capability::Reactions).await;
        }
        assert!(desk.client().reactions(&hello.guid).await.unwrap().value.data.is_empty());
    }
    desk.close().await;
}

pub(super) async fn an_emoji_is_given_as_a_reaction(mode: Mode) {
    let desk = Desk::open(mode).await;
    let hello = desk.hears(ANN, "hello").await;
    let body = json!({ "from": LINE, "to": ANN, "message_id": hello.guid, "type": "🔥" });
    match (desk.can.does(Capability::Reactions), desk.can.does(Capability::EmojiReactions)) {
        (_, true) => desk.reacts(&hello.guid, "🔥").await,
        (true, false) => {
            desk.is_refused("/v1/reactions", body, Capability::EmojiReactions).await;
        }
        (false, false) => desk.is_refused("/v1/reactions", body, Capability::Reactions).await,
    }
    desk.close().await;
}

pub(super) async fn reactions_of_a_contact_are_told(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    let sent = desk.sends(ANN, "party 🎉").await;
    let is_there = desk.phones.reacts(ANN, &sent.guid, "love", true).await;
    assert_eq!(is_there, desk.can.sees(Seen::Reactions));
    if !is_there {
        assert!(desk.client().reactions(&sent.guid).await.unwrap().value.data.is_empty());
        return desk.close().await;
    }
    let love = desk.reaction(&sent.guid, ANN, "love", true).await;
    assert_eq!((love.message_id, love.is_from_me), (sent.id, false));
    let is = |kind: &'static str| move |data: &Value| data["type"] == kind;
    let added = desk.told("reaction.added", is("love")).await;
    assert_eq!(added["line_handle"], LINE);
    desk.phones.reacts(ANN, &sent.guid, "love", false).await;
    desk.reaction(&sent.guid, ANN, "love", false).await;
    let removed = desk.told("reaction.removed", is("love")).await;
    assert_ne!(added["id"], removed["id"], "each occurrence has an id of its own");
    desk.phones.reacts(ANN, &sent.guid, "🔥", true).await;
    desk.reaction(&sent.guid, ANN, "🔥", true).await;
    desk.told("reaction.added", is("🔥")).await;
    desk.close().await;
}
