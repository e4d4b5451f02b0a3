use std::sync::Arc;

use switchboard_model::{
    EventKind, Message, ReactionType,
    id::Id,
    line::Capability,
    link::{Inbound, InboundReaction},
    message::MessageRef,
    outbox::OutboxStatus,
    reaction::ReactionEvent,
};
use switchboard_store::{NewContent, NewLine, Refusal, Store};

use crate::world::{
    ANN, BOB, NOW, World, chat_with, data, kinds, later, new_line, refusal, sent, text_from,
};

fn reaction_from(
    sender: &str,
    guid: &str,
    message: &str,
    kind: ReactionType,
    added: bool,
) -> Inbound {
    Inbound::Reaction(InboundReaction {
        guid: guid.into(),
        chat: chat_with(sender),
        message_guid: message.into(),
        sender: crate::world::handle(sender),
        reaction_type: kind,
        added,
        sent_at: later(-500),
    })
}

fn love(message: MessageRef, remove: bool) -> NewContent {
    NewContent::Reaction { message, reaction_type: ReactionType::Love, remove }
}

async fn shown(world: &World, message: Id<Message>) -> Vec<(String, String, bool)> {
    let reactions = world.store.reactions(world.account, message).await.unwrap();
    reactions
        .into_iter()
        .map(|one| (one.sender, one.reaction_type.to_string(), one.added))
        .collect()
}

fn row(sender: &str, kind: &str, added: bool) -> (String, String, bool) {
    (sender.into(), kind.into(), added)
}

pub(crate) async fn the_latest_occurrence_is_shown(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let message = world.receive_one(text_from(ANN, "g1")).await;
    let id = message.message_id.unwrap();
    let steps = [
        ("r1", ReactionType::Love, true),
        ("r2", ReactionType::Like, true),
        ("r3", ReactionType::Love, false),
    ];
    let mut told = Vec::new();
    for (guid, kind, added) in steps {
        let received = world.receive(vec![reaction_from(ANN, guid, "g1", kind, added)]).await;
        assert_eq!(received.results, [message]);
        told.extend(received.committed.events);
    }
    let names: Vec<_> = told.iter().map(|event| event.kind).collect();
    assert_eq!(
        names,
        [EventKind::ReactionAdded, EventKind::ReactionAdded, EventKind::ReactionRemoved]
    );
    assert_eq!(shown(&world, id).await, [row(ANN, "like", true), row(ANN, "love", false)]);
    // Each occurrence is one of its own; the last is the one that is listed.
    let told: Vec<ReactionEvent> = told.iter().map(data).collect();
    assert_ne!(told[0].reaction.id, told[2].reaction.id);
    let kept = store.reactions(world.account, id).await.unwrap().remove(1);
    assert_eq!(kept, told[2].reaction);
    assert_eq!((kept.is_from_me, kept.sent_at, kept.synced_at), (false, later(-500), NOW));
    assert_eq!(
        (Some(told[2].chat_id), told[2].line_handle.as_str()),
        (message.chat_id, "+15550100001")
    );
}

pub(crate) async fn an_occurrence_counts_once_however_late_it_is_repeated(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.receive_one(text_from(ANN, "g1")).await.message_id.unwrap();
    let given = reaction_from(ANN, "r1", "g1", ReactionType::Love, true);
    let taken = reaction_from(ANN, "r2", "g1", ReactionType::Love, false);
    let received = world.receive(vec![given.clone(), given.clone(), taken]).await;
    assert_eq!(received.committed.events.len(), 2);
    let again = world.receive(vec![given]).await;
    assert!(again.committed.events.is_empty());
    assert_eq!(again.results[0].message_id, Some(id));
    assert_eq!(shown(&world, id).await, [row(ANN, "love", false)]);
}

pub(crate) async fn a_reaction_to_nothing_is_nothing(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let early = reaction_from(ANN, "r1", "g1", ReactionType::Love, true);
    let received = world.receive(vec![early.clone()]).await;
    assert_eq!((received.results[0].chat_id, received.results[0].message_id), (None, None));
    assert!(received.committed.events.is_empty());
    // Told again when its message is known, it counts.
    world.receive_one(text_from(ANN, "g1")).await;
    assert_eq!(kinds(&world.receive(vec![early]).await.committed), [EventKind::ReactionAdded]);
}

pub(crate) async fn the_line_reacts_and_takes_it_back(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.advance().await;
    let id = world.receive_one(text_from(ANN, "g1")).await.message_id.unwrap();
    let webhook = world.webhook(&[EventKind::ReactionAdded]).await;
    let given = world.do_now(ANN, love(MessageRef::Id(id), false), later(7)).await;
    assert_eq!(kinds(&given), [EventKind::ReactionAdded]);
    assert_eq!(given.deliveries.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [webhook]);
    let told: ReactionEvent = data(&given.events[0]);
    assert_eq!((told.reaction.is_from_me, told.reaction.sent_at), (true, later(7)));
    assert_eq!(shown(&world, id).await, [row("+15550100001", "love", true)]);
    let taken = world.do_now(ANN, love(MessageRef::Guid("g1".into()), true), later(8)).await;
    assert_eq!(kinds(&taken), [EventKind::ReactionRemoved]);
    assert!(taken.deliveries.is_empty());
    assert_eq!(shown(&world, id).await, [row("+15550100001", "love", false)]);
}

pub(crate) async fn the_lines_new_reaction_takes_the_place_of_its_older_one(store: Arc<dyn Store>) {
    const LINE: &str = "+15550100001";
    let world = World::new(Arc::clone(&store)).await;
    world.advance().await;
    let message = world.receive_one(text_from(ANN, "g1")).await;
    let id = message.message_id.unwrap();
    world.receive(vec![reaction_from(ANN, "r1", "g1", ReactionType::Love, true)]).await;
    let gives = async |reaction_type, at| {
        let message = MessageRef::Id(id);
        let content = NewContent::Reaction { message, reaction_type, remove: false };
        world.do_now(ANN, content, later(at)).await
    };
    gives(ReactionType::Love, 1).await;
    // The same again is one more occurrence, and takes the place of nothing.
    assert_eq!(kinds(&gives(ReactionType::Love, 2).await), [EventKind::ReactionAdded]);
    let party = || ReactionType::Emoji("🎉".into());
    let given = gives(party(), 3).await;
    assert_eq!(kinds(&given), [EventKind::ReactionRemoved, EventKind::ReactionAdded]);
    let told: Vec<ReactionEvent> = given.events.iter().map(data).collect();
    let [removed, added] = &told[..] else { unreachable!() };
    assert_eq!(
        (&removed.reaction.reaction_type, removed.reaction.added, removed.reaction.sent_at),
        (&ReactionType::Love, false, later(3))
    );
    assert_ne!(removed.reaction.id, added.reaction.id);
    assert_eq!((Some(removed.chat_id), removed.reaction.is_from_me), (message.chat_id, true));
    // What the contact gave stays.
    let rows = [row(ANN, "love", true), row(LINE, "love", false), row(LINE, "🎉", true)];
    assert_eq!(shown(&world, id).await, rows);
    let taken =
        NewContent::Reaction { message: MessageRef::Id(id), reaction_type: party(), remove: true };
    let taken = world.do_now(ANN, taken, later(4)).await;
    assert_eq!(kinds(&taken), [EventKind::ReactionRemoved], "a removal takes no place");
}

pub(crate) async fn a_message_by_mistake_is_still_done(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.advance().await;
    world.receive_one(text_from(ANN, "g1")).await;
    let reaction = love(MessageRef::Guid("g1".into()), false);
    let id = world.try_write(ANN, reaction).await.unwrap().id;
    assert_eq!(world.claim(1).await, [id]);
    assert_eq!(kinds(&world.settle(id, sent("r1")).await), [EventKind::ReactionAdded]);
    assert_eq!(world.item(id).await.status, OutboxStatus::Sent);
    // And a message that is only called done is not lost, nor sent again.
    let text = NewContent::Message { text: Some("x".into()), attachment: None, reply_to: None };
    assert!(world.do_now(ANN, text, NOW).await.events.is_empty());
    assert!(world.claim(10).await.is_empty());
}

pub(crate) async fn refusals_come_in_order(store: Arc<dyn Store>) {
    let mut world = World::new(Arc::clone(&store)).await;
    let nothing = || love(MessageRef::Guid("nothing".into()), false);
    // Only a message begins a chat.
    assert_eq!(refusal(world.try_write(ANN, nothing()).await), Refusal::ChatNotFound);
    world.receive(vec![text_from(ANN, "g1"), text_from(BOB, "g2")]).await;
    assert_eq!(refusal(world.try_write(ANN, nothing()).await), Refusal::MessageNotFound);
    let elsewhere = love(MessageRef::Guid("g2".into()), false);
    assert_eq!(refusal(world.try_write(ANN, elsewhere).await), Refusal::MessageNotFound);
    let here = || love(MessageRef::Guid("g1".into()), false);
    let plain = world.try_write(ANN, here()).await;
    assert_eq!(
        refusal(plain),
        Refusal::AdvancedFeaturesRequired { missing: Capability::Reactions }
    );
    // The writer learns at once what the line can do.
    world.advance().await;
    world.try_write(ANN, here()).await.unwrap();
    let shy = NewLine { contact_first: true, ..new_line(world.account, "+15550100003") };
    world.line = store.create_line(shy).await.unwrap().line.id;
    assert_eq!(refusal(world.try_write(ANN, here()).await), Refusal::ContactHasNotMessaged);
}

pub(crate) async fn another_account_sees_nothing(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.receive_one(text_from(ANN, "g1")).await.message_id.unwrap();
    world.receive(vec![reaction_from(ANN, "r1", "g1", ReactionType::Love, true)]).await;
    assert!(store.reactions(world.other_account, id).await.unwrap().is_empty());
    assert!(store.reactions(world.account, Id::generate()).await.unwrap().is_empty());
    assert_eq!(store.reactions(world.account, id).await.unwrap().len(), 1);
}

pub(crate) async fn what_is_not_there_is_not_taken_back(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.receive_one(text_from(ANN, "g1")).await.message_id.unwrap();
    let take_back = |guid, kind| reaction_from(ANN, guid, "g1", kind, false);
    let received = world.receive(vec![take_back("r1", ReactionType::Love)]).await;
    assert!(received.committed.events.is_empty());
    assert!(shown(&world, id).await.is_empty());
    world.receive(vec![reaction_from(ANN, "r2", "g1", ReactionType::Love, true)]).await;
    let twice = vec![take_back("r3", ReactionType::Love), take_back("r4", ReactionType::Love)];
    assert_eq!(kinds(&world.receive(twice).await.committed), [EventKind::ReactionRemoved]);
}

pub(crate) async fn an_emoji_is_a_reaction(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.receive_one(text_from(ANN, "g1")).await.message_id.unwrap();
    let emoji = ReactionType::Emoji("🎉".into());
    world.receive(vec![reaction_from(ANN, "r1", "g1", emoji, true)]).await;
    assert_eq!(shown(&world, id).await, [row(ANN, "🎉", true)]);
}
