//! A batch is what its entries are, one after the other.

use std::sync::Arc;

use serde_json::Value;
use switchboard_model::{
    Line, ReactionType,
    chat::{Recipient, Service},
    id::Id,
    link::{
        Edit, Inbound, InboundChat, InboundReaction, InboundRead, InboundTyping, InboundUpdate,
        OwnMessage, ReceivedEntry,
    },
};
use switchboard_store::{Received, Store};

use crate::{
    sandbox::{CODE, Shared, text},
    world::{
        ANN, BOB, NOW, World, chat_with, contact, group, handle, later, limit, new_line, take,
        text_from, text_in,
    },
};

/// Of everything something, and each after what it is about.
fn told() -> Vec<Inbound> {
    let own = |guid: &str, to: &str| {
        Inbound::Own(OwnMessage {
            guid: guid.into(),
            chat: chat_with(to),
            text: Some("by myself".into()),
            sent_at: later(-500),
            service: Service::Sms,
            reply_to_guid: Some("g1".into()),
            attachments: Vec::new(),
            is_audio_message: false,
        })
    };
    let types = |is_typing| {
        let (chat, handle) = (chat_with(ANN), handle(ANN));
        Inbound::Typing(InboundTyping { chat, handle, is_typing, at: NOW })
    };
    let reads = || {
        let (chat, handle) = (chat_with(ANN), handle(ANN));
        Inbound::Read(InboundRead { chat, handle, at: NOW })
    };
    let edit = |text: &str, at| {
        let edit = Edit { text: Some(text.into()), edited_at: later(at) };
        Inbound::Update(InboundUpdate {
            edit: Some(edit),
            ..InboundUpdate::of(chat_with(ANN), "g1")
        })
    };
    let love = |guid: &str, of: &str| {
        Inbound::Reaction(InboundReaction {
            guid: guid.into(),
            chat: chat_with(ANN),
            message_guid: of.into(),
            sender: handle(ANN),
            reaction_type: ReactionType::Love,
            added: true,
            sent_at: NOW,
        })
    };
    let named = |name: &str, participants: &[&str]| InboundChat::Group {
        identifier: "g".into(),
        name: Some(name.into()),
        participants: participants.iter().map(|one| handle(one)).collect(),
    };
    vec![
        // Of a chat and a message that are not there yet.
        types(true),
        reads(),
        edit("too early", 1),
        love("r0", "g1"),
        own("o1", BOB),
        own("o2", ANN),
        text_from(ANN, "g1"),
        types(true),
        own("o3", ANN),
        text_from(ANN, "g2"),
        text_from(ANN, "g1"),
        edit("edited", 2),
        love("r1", "g2"),
        text_in(group("g", &[ANN]), ANN, "g3"),
        text_in(named("Family", &[ANN, BOB]), BOB, "g4"),
        text_in(named("Clan", &[]), BOB, "g5"),
        Inbound::Unreadable,
        text_in(named("Clan", &[]), BOB, "g5"),
        reads(),
        edit("edited again", 3),
        Inbound::Group { chat: named("Band", &[BOB]) },
        text_in(named("Crew", &[]), ANN, "g6"),
        types(true),
        types(false),
        own("o4", ANN),
        text_from(BOB, "g7"),
        own("o5", BOB),
    ]
}

/// What came of it, without the ids.
async fn shown(world: &World, line: Id<Line>, received: &[Received]) -> Vec<String> {
    let mut shown = Vec::new();
    let results: Vec<ReceivedEntry> =
        received.iter().flat_map(|received| received.results.clone()).collect();
    for result in &results {
        let chat = results.iter().position(|one| one.chat_id == result.chat_id);
        let message = results.iter().position(|one| one.message_id == result.message_id);
        let is_known = (result.chat_id.is_some(), result.message_id.is_some());
        shown.push(format!("{chat:?} {message:?} {is_known:?}"));
    }
    for event in received.iter().flat_map(|received| &received.committed.events) {
        let data: Value = serde_json::from_str(event.data.get()).unwrap();
        let message = &data["message"];
        shown.push(format!(
            "{:?} {} {} {}",
            event.kind,
            message["guid"],
            message["text"],
            message["chat_id"].is_string()
        ));
    }
    let chats = world.store.chats(world.account, line, None, limit(9)).await.unwrap().rows;
    for mut chat in chats {
        let messages =
            world.store.messages(world.account, line, Recipient::Chat(chat.id), None, limit(99));
        for message in messages.await.unwrap().rows {
            shown.push(format!("{} {:?} {:?}", message.guid, message.text, message.service));
        }
        (chat.id, chat.line_id) = (Id::from_bits(0), Id::from_bits(0));
        shown.push(format!("{chat:?}"));
    }
    let health = world.store.line_health(world.account, NOW).await.unwrap();
    shown.push(format!("{:?}", health[&line]));
    shown
}

pub(crate) async fn a_batch_is_as_its_entries_one_by_one(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = store.create_line(new_line(world.account, "+15550100003")).await.unwrap().line.id;
    let receive = async |line, entries| {
        store.receive(world.link, line, "1".into(), entries, NOW).await.unwrap()
    };
    let together = [receive(world.line, told()).await];
    let mut singly = Vec::new();
    for entry in told() {
        singly.push(receive(other, vec![entry]).await);
    }
    let expected = shown(&world, other, &singly).await;
    assert_eq!(shown(&world, world.line, &together).await, expected);
    // Once is enough.
    let again = receive(world.line, told()).await;
    let messages = again.committed.events.iter().filter(|event| {
        serde_json::from_str::<Value>(event.data.get()).unwrap()["message"].is_object()
    });
    assert_eq!((messages.count(), again.results.len()), (0, told().len()));
}

pub(crate) async fn a_code_pairs_from_its_place_on(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let account = shared.world.account;
    store.ensure_sandbox(account, CODE.into(), None, NOW).await.unwrap();
    let told = vec![
        text_from(ANN, "before"),
        text_from(BOB, "another"),
        text(ANN, "code", CODE),
        text_from(ANN, "after"),
        text(BOB, "used up", CODE),
    ];
    let received = shared.world.receive(told).await;
    let whose: Vec<_> =
        received.committed.events.iter().map(|event| event.account_id == account).collect();
    assert_eq!(whose, [false, false, true, true, false]);
    assert_eq!(shared.sees(account).await, ["code", "after"]);
    let mut owners = shared.sees(shared.owner).await;
    owners.sort_unstable();
    assert_eq!(owners, ["another", "before", "used up"]);
}

pub(crate) async fn who_writes_while_they_are_written_to_has_one_chat(store: Arc<dyn Store>) {
    const CONTACTS: usize = 30;
    let world = World::new(Arc::clone(&store)).await;
    for number in 0..CONTACTS {
        let to = format!("+1555013{number:04}");
        let (accepted, received) = tokio::join!(
            store.accept(world.draft(contact(&to), "hello"), None, NOW),
            store.receive(
                world.link,
                world.line,
                "1".into(),
                vec![text_from(&to, &format!("g{number}")), text_from(&to, &format!("h{number}"))],
                NOW
            ),
        );
        take(accepted).unwrap();
        let results = received.unwrap().results;
        assert_eq!(results[0].chat_id, results[1].chat_id);
    }
    let chats = store.chats(world.account, world.line, None, limit(100)).await.unwrap().rows;
    assert_eq!(chats.len(), CONTACTS);
    assert!(chats.iter().all(|chat| chat.has_received_inbound));
}
