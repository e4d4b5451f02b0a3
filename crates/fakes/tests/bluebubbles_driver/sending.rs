//! What goes out, in each mode.

use switchboard_fakes::bluebubbles::Incoming;
use switchboard_model::{
    link::{Content, Inbound, Outcome},
    reaction::ReactionType,
};

use crate::rig::{ANN, BOB, Rig, text_of};

#[tokio::test]
async fn a_text_is_shown_once_and_its_echo_is_no_message() {
    for mut rig in [Rig::new().await, Rig::scripts().await] {
        rig.server.direct_chat(ANN);
        let guid = rig.sent(ANN, "hello").await;
        assert_eq!(rig.shown(ANN, "hello"), 1);
        assert_eq!(rig.server.received_by(ANN)[0].guid, guid);
        rig.server.delivered(&guid);
        rig.changes(&guid, |update| update.delivered_at.is_some()).await;
        rig.server.read_by_contact(&guid);
        rig.changes(&guid, |update| update.read_at.is_some()).await;
        rig.quiet().await;
        assert!(rig.own().is_empty(), "{:?}", rig.own());
    }
}

#[tokio::test]
async fn what_is_sent_one_after_another_is_each_sent_once() {
    for mut rig in [Rig::new().await, Rig::scripts().await] {
        rig.server.direct_chat(ANN);
        let mut guids = Vec::new();
        // The same text, and texts in which the server finds no letters to tell them apart by.
        for text in ["yes", "yes", "да", "нет", "🎉", "🙈"] {
            guids.push(rig.sent(ANN, text).await);
        }
        let shown: Vec<String> =
            rig.server.received_by(ANN).into_iter().map(|one| one.guid).collect();
        assert_eq!(shown, guids);
        rig.quiet().await;
        assert!(rig.own().is_empty());
    }
}

#[tokio::test]
async fn the_first_message_to_somebody_makes_the_chat() {
    for mut rig in [Rig::new().await, Rig::scripts().await] {
        rig.sent(ANN, "nice to meet you").await;
        assert_eq!(rig.shown(ANN, "nice to meet you"), 1);
        rig.sent(ANN, "again").await;
        assert_eq!(rig.server.received_by(ANN).len(), 2);
    }
}

#[tokio::test]
async fn of_two_chats_with_one_contact_the_one_in_use_is_taken_and_never_a_masked_twin() {
    let mut rig = Rig::new().await;
    rig.server.filtered_twin(ANN);
    let written = rig.server.contact_writes(ANN, "hi");
    rig.sent(ANN, "hello").await;
    assert_eq!(rig.server.received_by(ANN)[0].chat, written.chat);
}

#[tokio::test]
async fn a_chat_that_gets_another_guid_with_the_system_is_still_written_to() {
    let mut rig = Rig::new().await;
    let group = rig.server.group(&[ANN, BOB], Some("Team"));
    rig.server.receive(ANN, Incoming::text("hi all").chat(&group));
    rig.hears("hi all").await;
    rig.sent(ANN, "before").await;
    rig.server.upgrade_to_26();
    rig.sent(ANN, "after").await;
    rig.sent(&group, "to all").await;
    assert_eq!((rig.shown(ANN, "after"), rig.shown(BOB, "to all")), (1, 1));
    let told = rig.told.len();
    rig.server
        .receive(BOB, Incoming::text("still here").chat(&group.replacen("iMessage", "any", 1)));
    rig.hears("still here").await;
    let chats = rig.told[told..].iter().filter_map(|one| match one {
        Inbound::Message(message) => Some(&message.chat),
        _ => None,
    });
    for chat in chats {
        let switchboard_model::link::InboundChat::Group { identifier, .. } = chat else {
            panic!("a chat with one")
        };
        assert_eq!(*identifier, group, "the server knows it by its first name");
    }
}

#[tokio::test]
async fn replies_reactions_typing_and_receipts_go_by_the_helper() {
    let mut rig = Rig::new().await;
    let hi = rig.server.contact_writes(ANN, "hi");
    rig.hears("hi").await;
    let content = Content::Message {
        text: Some("yes?".to_owned()),
        attachments: Vec::new(),
        is_audio_message: false,
        reply_to_guid: Some(hi.guid.clone()),
    };
    assert!(matches!(rig.send(ANN, content).await, Outcome::Sent { .. }));
    assert_eq!(rig.server.received_by(ANN)[0].reply_to.as_ref(), Some(&hi.guid));
    let typing = rig.send(ANN, Content::Typing { on: true }).await;
    assert!(matches!(typing, Outcome::Done { .. }) && rig.server.shows_typing(ANN));
    assert!(matches!(rig.send(ANN, Content::Read).await, Outcome::Done { .. }));
    assert!(rig.server.shown_as_read(&hi.chat) > 0);
    // The server's way to end it begins it.
    let off = rig.send(ANN, Content::Typing { on: false }).await;
    assert!(matches!(off, Outcome::Failed { .. }));
    let reaction = |reaction_type, remove| Content::Reaction {
        message_guid: hi.guid.clone(),
        reaction_type,
        remove,
    };
    for remove in [false, true] {
        let outcome = rig.send(ANN, reaction(ReactionType::Laugh, remove)).await;
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    }
    let emoji = rig.send(ANN, reaction(ReactionType::Emoji("🔥".to_owned()), false)).await;
    assert!(matches!(emoji, Outcome::Failed { .. }));
    let reactions = rig.server.carried_out();
    let reactions: Vec<_> = reactions.iter().filter(|one| one.kind == "reaction").collect();
    assert_eq!(reactions.len(), 2);
    rig.quiet().await;
    assert!(!rig.told.iter().any(|one| matches!(one, Inbound::Reaction(_))), "an echo");
}

#[tokio::test]
async fn without_the_helper_what_needs_it_fails_and_is_not_tried() {
    let mut rig = Rig::scripts().await;
    let hi = rig.server.contact_writes(ANN, "hi");
    for content in [
        Content::Typing { on: true },
        Content::Read,
        Content::Reaction {
            message_guid: hi.guid.clone(),
            reaction_type: ReactionType::Love,
            remove: false,
        },
    ] {
        let outcome = rig.send(ANN, content).await;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    }
    assert!(rig.server.carried_out().is_empty() && rig.server.received_by(ANN).is_empty());
    // A reply that can't point at its message is still said.
    let reply = Content::Message {
        text: Some("yes?".to_owned()),
        attachments: Vec::new(),
        is_audio_message: false,
        reply_to_guid: Some(hi.guid),
    };
    let outcome = rig.send(ANN, reply).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    let shown = rig.server.received_by(ANN);
    assert_eq!((shown.len(), &shown[0].reply_to), (1, &None));
}

#[tokio::test]
async fn a_group_that_is_not_known_is_not_written_to() {
    let mut rig = Rig::new().await;
    rig.server.direct_chat(ANN);
    let outcome = rig.text("iMessage;+;chat830000000000009999", "hello").await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    let mut item = rig.item(ANN, text_of("hello"));
    item.is_group = true;
    let outcome = rig.hand_over(item).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    assert!(rig.server.received_by(ANN).is_empty());
}
