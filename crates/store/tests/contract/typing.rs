use std::sync::Arc;

use switchboard_model::{
    EventKind, Timestamp,
    chat::Recipient,
    id::Id,
    line::Capability,
    link::{Inbound, InboundTyping},
    typing::{EXPIRES_AFTER_MS, TypingEvent},
};
use switchboard_store::{Committed, NewContent, Refusal, Store};

use crate::world::{
    ANN, BOB, NOW, World, chat_with, contact, data, handle, kinds, later, refusal, sent, text_from,
};

const STARTED: EventKind = EventKind::TypingStarted;
const STOPPED: EventKind = EventKind::TypingStopped;
const LINE: &str = "+15550100001";

fn typing(who: &str, is_typing: bool, at: Timestamp) -> Inbound {
    Inbound::Typing(InboundTyping { chat: chat_with(who), handle: handle(who), is_typing, at })
}

fn after(millis: i64) -> Timestamp {
    later(i64::try_from(EXPIRES_AFTER_MS).unwrap() + millis)
}

/// Takes it at the time at which it happened.
async fn happens(world: &World, who: &str, is_typing: bool, at: Timestamp) -> Committed {
    world.receive_at(typing(who, is_typing, at), at).await.committed
}

async fn shown(world: &World, now: Timestamp) -> Vec<(String, bool, Timestamp)> {
    let typing = world.store.typing(world.account, world.line, contact(ANN), now).await.unwrap();
    typing.into_iter().map(|one| (one.handle, one.is_typing, one.updated_at)).collect()
}

fn row(handle: &str, is_typing: bool, at: Timestamp) -> (String, bool, Timestamp) {
    (handle.into(), is_typing, at)
}

pub(crate) async fn only_a_change_is_told(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let chat = world.receive_one(text_from(ANN, "g1")).await.chat_id;
    assert!(kinds(&happens(&world, ANN, false, later(0)).await).is_empty());
    assert!(shown(&world, NOW).await.is_empty());
    let started = happens(&world, ANN, true, later(1)).await;
    assert_eq!(kinds(&started), [STARTED]);
    let told: TypingEvent = data(&started.events[0]);
    assert_eq!((Some(told.typing.chat_id), told.line_handle.as_str()), (chat, LINE));
    assert_eq!(started.events[0].chat_id, chat);
    // A renewal is no change, and yet holds it on.
    assert!(kinds(&happens(&world, ANN, true, later(500)).await).is_empty());
    assert_eq!(shown(&world, after(499)).await, [row(ANN, true, later(500))]);
    let stopped = happens(&world, ANN, false, later(900)).await;
    assert_eq!(kinds(&stopped), [STOPPED]);
    let again: TypingEvent = data(&stopped.events[0]);
    assert_eq!((again.typing.id, again.typing.is_typing), (told.typing.id, false));
    assert!(kinds(&happens(&world, ANN, false, later(901)).await).is_empty());
    assert_eq!(shown(&world, NOW).await, [row(ANN, false, later(900))]);
    assert_eq!(kinds(&happens(&world, ANN, true, later(950)).await), [STARTED]);
}

pub(crate) async fn it_goes_off_by_itself(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive(vec![text_from(ANN, "g1"), text_from(BOB, "g2")]).await;
    happens(&world, ANN, true, later(0)).await;
    happens(&world, BOB, true, later(1)).await;
    assert_eq!(shown(&world, after(-1)).await, [row(ANN, true, later(0))]);
    // Seen as off though nobody has swept yet.
    assert_eq!(shown(&world, after(0)).await, [row(ANN, false, after(0))]);
    assert!(store.expire_typing(after(-1), 10).await.unwrap().events.is_empty());
    let over = store.expire_typing(after(1), 1).await.unwrap();
    assert_eq!(kinds(&over), [STOPPED]);
    let told: TypingEvent = data(&over.events[0]);
    assert_eq!((told.typing.handle.as_str(), told.typing.updated_at), (ANN, after(0)));
    assert_eq!(kinds(&store.expire_typing(after(1), 10).await.unwrap()), [STOPPED]);
    assert!(store.expire_typing(after(1), 10).await.unwrap().events.is_empty());
    assert_eq!(shown(&world, after(2)).await, [row(ANN, false, after(0))]);
}

pub(crate) async fn a_new_start_after_the_end_is_told_as_both(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    happens(&world, ANN, true, later(0)).await;
    assert_eq!(kinds(&happens(&world, ANN, true, after(5)).await), [STOPPED, STARTED]);
    assert_eq!(shown(&world, after(6)).await, [row(ANN, true, after(5))]);
}

pub(crate) async fn who_writes_types_no_more(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    happens(&world, ANN, true, later(0)).await;
    let wrote = world.receive(vec![text_from(ANN, "g2"), text_from(ANN, "g3")]).await.committed;
    let received = EventKind::MessageReceived;
    assert_eq!(kinds(&wrote), [STOPPED, received, received]);
    assert_eq!(shown(&world, NOW).await, [row(ANN, false, NOW)]);
}

pub(crate) async fn clocks_can_not_hold_it_on(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    // A history that comes late.
    let late = world.receive_at(typing(ANN, true, later(0)), after(0)).await;
    assert!(late.committed.events.is_empty() && late.results[0].chat_id.is_some());
    // A driver whose clock is ahead.
    world.receive_at(typing(ANN, true, later(1_000_000)), NOW).await;
    assert_eq!(shown(&world, NOW).await, [row(ANN, true, NOW)]);
}

pub(crate) async fn in_an_unknown_chat_it_is_nothing(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let received = world.receive(vec![typing(ANN, true, NOW)]).await;
    assert_eq!((received.results[0].chat_id, received.results[0].message_id), (None, None));
    assert!(received.committed.events.is_empty());
    world.receive_one(text_from(ANN, "g1")).await;
    for (account, line, chat) in [
        (world.other_account, world.line, contact(ANN)),
        (world.account, world.other_line, contact(ANN)),
        (world.account, world.line, contact(BOB)),
        (world.account, world.line, Recipient::Chat(Id::generate())),
    ] {
        assert_eq!(refusal(store.typing(account, line, chat, NOW).await), Refusal::ChatNotFound);
    }
}

pub(crate) async fn the_line_types_where_it_can(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let on = || NewContent::Typing { on: true };
    assert_eq!(refusal(world.try_write(ANN, on()).await), Refusal::ChatNotFound);
    world.receive_one(text_from(ANN, "g1")).await;
    assert_eq!(
        refusal(world.try_write(ANN, on()).await),
        Refusal::AdvancedFeaturesRequired { missing: Capability::Typing }
    );
    world.advance().await;
    assert_eq!(kinds(&world.do_now(ANN, on(), later(1)).await), [STARTED]);
    assert!(kinds(&world.do_now(ANN, on(), later(2)).await).is_empty());
    assert_eq!(shown(&world, later(2)).await, [row(LINE, true, later(2))]);
    let off = NewContent::Typing { on: false };
    assert_eq!(kinds(&world.do_now(ANN, off, later(3)).await), [STOPPED]);
}

pub(crate) async fn the_line_that_writes_types_no_more(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive(vec![text_from(ANN, "g1"), text_from(BOB, "g2")]).await;
    world.advance().await;
    let sends = async |to: &str, guid: &str| {
        let id = world.claimed(to, guid).await;
        kinds(&world.settle(id, sent(guid)).await)
    };
    let message = EventKind::MessageSent;
    assert_eq!(sends(ANN, "s1").await, [message]);
    world.do_now(ANN, NewContent::Typing { on: true }, later(1)).await;
    // The contact types on, and so does the line where it did not write.
    happens(&world, ANN, true, later(1)).await;
    assert_eq!(sends(BOB, "s2").await, [message]);
    assert_eq!(sends(ANN, "s3").await, [STOPPED, message]);
    assert_eq!(
        shown(&world, later(1000)).await,
        [row(LINE, false, later(1000)), row(ANN, true, later(1))]
    );
    assert_eq!(sends(ANN, "s4").await, [message]);
    // A message that is only called done was written all the same.
    world.do_now(ANN, NewContent::Typing { on: true }, later(1)).await;
    let text = NewContent::Message { text: Some("x".into()), attachment: None, reply_to: None };
    assert_eq!(kinds(&world.do_now(ANN, text, later(2)).await), [STOPPED]);
}
