use std::sync::Arc;

use switchboard_model::{
    EventKind, Timestamp,
    chat::Recipient,
    id::Id,
    line::Capability,
    link::{Inbound, InboundRead},
    receipt::ReceiptEvent,
};
use switchboard_store::{NewContent, Refusal, Store};

use crate::world::{
    ANN, BOB, NOW, World, chat_with, contact, data, group, handle, kinds, later, refusal,
    text_from, text_in,
};

const READ: EventKind = EventKind::ReceiptRead;
const LINE: &str = "+15550100001";

fn read(who: &str, at: Timestamp) -> Inbound {
    Inbound::Read(InboundRead { chat: chat_with(who), handle: handle(who), at })
}

async fn shown(world: &World, chat: Recipient) -> Vec<(String, Timestamp)> {
    let receipts = world.store.receipts(world.account, world.line, chat).await.unwrap();
    receipts.into_iter().map(|one| (one.handle, one.last_read_at)).collect()
}

pub(crate) async fn a_receipt_never_goes_back(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let chat = world.receive_one(text_from(ANN, "g1")).await.chat_id;
    let first = world.receive_at(read(ANN, later(5)), later(6)).await.committed;
    let told: ReceiptEvent = data(&first.events[0]);
    assert_eq!((kinds(&first), Some(told.receipt.chat_id)), (vec![READ], chat));
    assert_eq!((told.receipt.last_read_at, told.receipt.synced_at), (later(5), later(6)));
    for at in [later(5), later(4)] {
        assert!(kinds(&world.receive_at(read(ANN, at), later(7)).await.committed).is_empty());
    }
    let next = world.receive_at(read(ANN, later(8)), later(8)).await.committed;
    let again: ReceiptEvent = data(&next.events[0]);
    assert_eq!(again.receipt.id, told.receipt.id);
    // A clock that is ahead does not hold up later ones.
    world.receive_at(read(ANN, later(1_000_000)), later(9)).await;
    assert_eq!(shown(&world, contact(ANN)).await, [(ANN.into(), later(9))]);
}

pub(crate) async fn in_an_unknown_chat_it_is_nothing(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let received = world.receive(vec![read(ANN, NOW)]).await;
    assert_eq!((received.results[0].chat_id, received.results[0].message_id), (None, None));
    assert!(received.committed.events.is_empty());
    world.receive(vec![text_from(ANN, "g1"), read(ANN, NOW)]).await;
    for (account, line, chat) in [
        (world.other_account, world.line, contact(ANN)),
        (world.account, world.other_line, contact(ANN)),
        (world.account, world.line, contact(BOB)),
        (world.account, world.line, Recipient::Chat(Id::generate())),
    ] {
        assert_eq!(refusal(store.receipts(account, line, chat).await), Refusal::ChatNotFound);
    }
}

pub(crate) async fn in_a_group_each_has_one(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let friends = || group("g", &[ANN, BOB]);
    let chat = world.receive_one(text_in(friends(), ANN, "g1")).await.chat_id.unwrap();
    world.receive_one(text_from(ANN, "g2")).await;
    let by = |who| Inbound::Read(InboundRead { chat: friends(), handle: handle(who), at: NOW });
    world.receive(vec![by(BOB), by(ANN)]).await;
    let both = [(BOB.to_owned(), NOW), (ANN.to_owned(), NOW)];
    assert_eq!(shown(&world, Recipient::Chat(chat)).await, both);
    assert!(shown(&world, contact(ANN)).await.is_empty());
}

pub(crate) async fn the_line_reads_where_it_can(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let written = || NewContent::Read;
    assert_eq!(refusal(world.try_write(ANN, written()).await), Refusal::ChatNotFound);
    world.receive_one(text_from(ANN, "g1")).await;
    let plain = world.try_write(ANN, written()).await;
    assert_eq!(
        refusal(plain),
        Refusal::AdvancedFeaturesRequired { missing: Capability::ReadReceipts }
    );
    world.advance().await;
    assert_eq!(kinds(&world.do_now(ANN, written(), later(1)).await), [READ]);
    assert_eq!(shown(&world, contact(ANN)).await, [(LINE.to_owned(), later(1))]);
}
