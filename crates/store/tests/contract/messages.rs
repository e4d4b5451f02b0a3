use std::sync::Arc;

use switchboard_model::{chat::Recipient, id::Id, message::MessageRef};
use switchboard_store::{Refusal, Store};

use crate::world::{ANN, BOB, NOW, World, contact, limit, new_line, refusal, text_from};

pub(crate) async fn newest_comes_first_and_pages_meet(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut chat = None;
    for number in 0..7 {
        chat = world.receive_one(text_from(ANN, &format!("a{number}"))).await.chat_id;
        world.receive_one(text_from(BOB, &format!("b{number}"))).await;
    }
    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let to = Recipient::Chat(chat.unwrap());
        let page = store.messages(world.account, world.line, to, after, limit(3)).await.unwrap();
        walked.extend(page.rows.into_iter().map(|message| message.guid));
        // What arrives meanwhile is newer than all that is left.
        world.receive_one(text_from(ANN, &format!("new{}", walked.len()))).await;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(walked, ["a6", "a5", "a4", "a3", "a2", "a1", "a0"]);
}

pub(crate) async fn an_unknown_chat_is_refused(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let chat = Recipient::Chat(world.receive_one(text_from(ANN, "1")).await.chat_id.unwrap());
    for (account, line, chat) in [
        (world.other_account, world.line, chat.clone()),
        (world.other_account, world.line, contact(ANN)),
        (world.account, world.other_line, chat),
        (world.account, Id::generate(), contact(ANN)),
        (world.account, world.line, contact(BOB)),
        (world.account, world.line, Recipient::Chat(Id::generate())),
    ] {
        let asked = store.messages(account, line, chat, None, limit(10)).await;
        assert_eq!(refusal(asked), Refusal::ChatNotFound);
    }
}

pub(crate) async fn a_message_is_found_by_id_or_guid(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let here = world.receive_one(text_from(ANN, "g1")).await.message_id.unwrap();
    let second = store.create_line(new_line(world.account, "+15550100003")).await.unwrap().line.id;
    let mut there = Vec::new();
    for line in [second, world.other_line] {
        let told = vec![text_from(ANN, "g1")];
        let received = store.receive(world.link, line, "1".into(), told, NOW).await;
        there.push(received.unwrap().results[0].message_id.unwrap());
    }
    let found = async |account, message| store.find_messages(account, message).await.unwrap();
    let guid = || MessageRef::Guid("g1".into());
    assert_eq!(found(world.account, guid()).await, [(world.line, here), (second, there[0])]);
    assert_eq!(found(world.other_account, guid()).await, [(world.other_line, there[1])]);
    assert_eq!(found(world.account, MessageRef::Id(here)).await, [(world.line, here)]);
    for unknown in
        [MessageRef::Id(there[1]), MessageRef::Id(Id::generate()), MessageRef::Guid("g2".into())]
    {
        assert!(found(world.account, unknown).await.is_empty());
    }
}
