//! How lines are used, beside what is borne (§4).

use std::sync::Arc;

use switchboard_model::{
    Timestamp,
    chat::Service,
    line::{Guidance, LineHealth},
    link::Outcome,
};
use switchboard_store::{SettleReport, Store};

use crate::{
    own::own_in,
    world::{ANN, BOB, NOW, World, chat_with, contact, group, take, text_from, text_in},
};

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// The first midnight after the world's beginning.
fn at(millis: i64) -> Timestamp {
    Timestamp((NOW.0 / DAY + 1) * DAY + millis)
}

async fn health(world: &World, now: Timestamp) -> LineHealth {
    let mut own = world.store.line_health(world.account, now).await.unwrap();
    assert_eq!(own.len(), 1, "its own lines only");
    let own = own.remove(&world.line).unwrap();
    let all = world.store.operator_line_health(now).await.unwrap();
    assert_eq!((all.len(), &all[&world.line]), (2, &own));
    let others = world.store.line_health(world.other_account, now).await.unwrap();
    let nothing = LineHealth { since: own.since, ..LineHealth::default() };
    assert_eq!(others.into_iter().collect::<Vec<_>>(), [(world.other_line, nothing)]);
    own
}

/// Sends a text, which is sent at this time.
async fn sends(world: &World, to: &str, now: Timestamp) {
    let draft = world.draft(contact(to), "hello");
    let id = take(world.store.accept(draft, None, now).await).unwrap().id;
    assert_eq!(world.claim(1).await, [id]);
    let outcome = Outcome::Sent {
        guid: format!("s {id}"),
        sent_at: now,
        service: Service::IMessage,
        delivered_at: None,
    };
    let report = SettleReport { id, outcome, counts_as_attempt: true };
    world.store.settle(world.link, vec![report], now).await.unwrap();
}

pub(crate) async fn what_a_line_sends_and_gets_is_counted_by_the_day(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let quiet = health(&world, at(0)).await;
    assert_eq!(quiet, LineHealth { since: at(0), ..LineHealth::default() });
    // A stranger, and one who has just written.
    sends(&world, BOB, at(SECOND)).await;
    world.receive_at(text_from(ANN, "g1"), at(2 * SECOND)).await;
    sends(&world, ANN, at(3 * SECOND)).await;
    // What the owner writes elsewhere goes out too; what is told twice counts once.
    for _ in 0..2 {
        world.receive_at(own_in(chat_with(ANN), "o1"), at(61 * SECOND)).await;
        world.receive_at(text_from(ANN, "g1"), at(61 * SECOND)).await;
    }
    world.receive_at(text_in(group("g", &[ANN, BOB]), BOB, "g2"), at(62 * SECOND)).await;
    let today = health(&world, at(DAY - 1)).await;
    let expected = LineHealth {
        since: at(0),
        sent: 3,
        received: 2,
        busiest_minute: 2,
        to_silent: 1,
        new_contacts: 1,
        unanswered_contacts: 0,
        over: vec![],
    };
    assert_eq!(today, expected);
    // After midnight it begins anew. A day after she wrote, Ann is silent; until then she is not.
    sends(&world, ANN, at(DAY + 2 * SECOND)).await;
    sends(&world, ANN, at(DAY + 3 * SECOND)).await;
    let next = health(&world, at(DAY + HOUR)).await;
    assert_eq!((next.since, next.sent, next.received), (at(DAY), 2, 0));
    assert_eq!((next.to_silent, next.new_contacts), (1, 0));
    // What is old is forgotten, and nothing else.
    store.forget_line_days(at(31 * DAY)).await.unwrap();
    assert_eq!(health(&world, at(HOUR)).await, expected);
    store.forget_line_days(at(32 * DAY)).await.unwrap();
    assert_eq!(health(&world, at(HOUR)).await.sent, 0);
    assert_eq!(health(&world, at(DAY + HOUR)).await.sent, 2);
}

pub(crate) async fn what_is_over_what_is_borne_is_named(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_at(text_from(ANN, "g1"), at(0)).await;
    for sent in 1..=6 {
        sends(&world, ANN, at(sent * 61 * SECOND)).await;
        let over = if sent > 5 { vec![Guidance::Unanswered] } else { vec![] };
        assert_eq!(health(&world, at(HOUR)).await.over, over, "{sent}");
    }
    assert_eq!(health(&world, at(5 * DAY)).await.unanswered_contacts, 1, "however long ago");
    world.receive_at(text_from(ANN, "g2"), at(HOUR)).await;
    assert_eq!(health(&world, at(HOUR)).await.over, []);
    // To a group it is no contact that does not answer; and 61 in one minute are too many, as is 10 : 1.
    let mut entries = Vec::new();
    for number in 0..61 {
        entries.push(own_in(group("g", &[ANN, BOB]), &format!("o{number}")));
    }
    let now = at(2 * HOUR);
    store.receive(world.link, world.line, "2".into(), entries, now).await.unwrap();
    let health = health(&world, now).await;
    assert_eq!((health.sent, health.received, health.busiest_minute), (67, 2, 61));
    assert_eq!(health.over, [Guidance::Throughput, Guidance::Ratio]);
    assert_eq!(health.to_silent, 61, "nobody in it has ever written");
}
