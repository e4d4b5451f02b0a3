//! What a line must be able to do for what is written to it (§3).

use std::sync::Arc;

use switchboard_model::{
    ReactionType,
    chat::Recipient,
    line::Capability::{self, *},
    message::MessageRef,
};
use switchboard_store::{Accepted, NewContent, Refusal, Result, Store};

use crate::{
    files::{uploaded, with},
    own::own_in,
    world::{
        ANN, BOB, NOW, World, chat_with, contact, group, limit, refusal, take, text_from, text_in,
    },
};

fn text() -> NewContent {
    NewContent::Message { text: Some("hello".into()), attachment: None, reply_to: None }
}

fn react(kind: &str) -> NewContent {
    let reaction_type = ReactionType::parse(kind).unwrap();
    NewContent::Reaction { message: MessageRef::Guid("g1".into()), reaction_type, remove: false }
}

async fn write(world: &World, to: Recipient, content: NewContent) -> Result<Accepted> {
    take(world.store.accept(world.write(to, content), None, NOW).await)
}

pub(crate) async fn each_write_needs_what_it_needs(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    let friends = world.receive_one(text_in(group("g", &[ANN, BOB]), BOB, "g2")).await;
    let friends = Recipient::Chat(friends.chat_id.unwrap());
    let image = uploaded(&world, world.account, "image/png").await;
    let memo = uploaded(&world, world.account, "audio/mp4").await;
    let audio = || NewContent::AudioMessage { file: memo, reply_to: None };
    let writes: [(&[Capability], Recipient, NewContent); 11] = [
        (&[], contact(ANN), text()),
        (&[NewChats], contact(BOB), text()),
        (&[Groups], friends.clone(), text()),
        (&[Attachments], contact(ANN), with(image)),
        (&[Groups, Attachments], friends.clone(), with(image)),
        (&[AudioMessages], contact(ANN), audio()),
        (&[Reactions], contact(ANN), react("love")),
        (&[Reactions, EmojiReactions], contact(ANN), react("\u{1f600}")),
        (&[Typing], contact(ANN), NewContent::Typing { on: true }),
        (&[Typing, TypingOff], contact(ANN), NewContent::Typing { on: false }),
        (&[Groups, ReadReceipts], friends, NewContent::Read),
    ];
    let can = async |what: Vec<Capability>| {
        store.set_capabilities(world.link, world.line, what).await.unwrap();
    };
    for (needed, to, content) in writes {
        for missing in needed {
            can(Capability::ALL.into_iter().filter(|one| one != missing).collect()).await;
            let refused = write(&world, to.clone(), content.clone()).await;
            assert_eq!(refusal(refused), Refusal::AdvancedFeaturesRequired { missing: *missing });
        }
        let chats = store.chats(world.account, world.line, None, limit(9)).await.unwrap().rows;
        assert_eq!(chats.len(), 2, "a write that is refused begins no chat: {needed:?}");
        if needed == [NewChats] {
            continue;
        }
        can(needed.iter().copied().chain([Replies]).collect()).await;
        write(&world, to, content).await.unwrap();
    }
}

pub(crate) async fn a_line_of_which_nothing_was_told_can_do_the_plain(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    let image = uploaded(&world, world.account, "image/png").await;
    write(&world, contact(BOB), text()).await.unwrap();
    write(&world, contact(ANN), with(image)).await.unwrap();
    let refused = write(&world, contact(ANN), react("love")).await;
    assert_eq!(refusal(refused), Refusal::AdvancedFeaturesRequired { missing: Reactions });
    // Told that it can do nothing, it can do nothing.
    store.set_capabilities(world.link, world.line, vec![]).await.unwrap();
    let refused = write(&world, contact(ANN), with(image)).await;
    assert_eq!(refusal(refused), Refusal::AdvancedFeaturesRequired { missing: Attachments });
    write(&world, contact(ANN), text()).await.unwrap();
    // In the chat that was begun there is no message yet; once one is known there, it is none that is begun.
    let refused = write(&world, contact(BOB), text()).await;
    assert_eq!(refusal(refused), Refusal::AdvancedFeaturesRequired { missing: NewChats });
    world.receive_one(own_in(chat_with(BOB), "o1")).await;
    write(&world, contact(BOB), text()).await.unwrap();
}
