use std::sync::Arc;

use switchboard_model::{
    EventKind, Timestamp,
    delivery::{AttemptResult, Delivery, DueDelivery},
    id::Id,
};
use switchboard_store::{Backlog, Due, Grant, NewWebhook, Store, WebhookBacklog};
use tokio::{sync::mpsc, task::JoinSet};

use crate::world::{ANN, LEASE, NOW, World, attempted, later, text_from};

const EVENTS: [EventKind; 1] = [EventKind::MessageReceived];

fn ids(deliveries: &[DueDelivery]) -> Vec<Id<Delivery>> {
    deliveries.iter().map(|one| one.id).collect()
}

async fn leased(world: &World, guid: &str) -> Vec<DueDelivery> {
    world.receive(vec![text_from(ANN, guid)]).await.committed.deliveries
}

async fn claim(world: &World, now: Timestamp) -> Vec<Id<Delivery>> {
    let until = Timestamp(now.0 + 1000);
    let due = world.store.due_deliveries(now).await.unwrap().webhooks;
    let of = due.into_iter().map(|webhook| (webhook, 10)).collect();
    ids(&world.store.claim_deliveries(now.into(), until, of).await.unwrap())
}

pub(crate) async fn each_webhook_gets_what_it_names(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let wants = world.webhook(&EVENTS).await;
    world.webhook(&[EventKind::MessageSent, EventKind::MessageFailed]).await;
    let elsewhere = NewWebhook {
        account_id: world.other_account,
        url: "https://example.org".into(),
        ..world.new_webhook(&EVENTS)
    };
    store.create_webhook(elsewhere, None, NOW).await.unwrap();
    let made = leased(&world, "1").await;
    assert_eq!(made.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [wants]);
    assert_eq!((&*made[0].url, made[0].attempts), ("https://example.com/hook", 0));
}

pub(crate) async fn a_lease_ends(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    assert_eq!(store.due_deliveries(NOW).await.unwrap(), Due::default());
    let webhook = world.webhook(&EVENTS).await;
    let made = leased(&world, "1").await;
    let due = Due { webhooks: Vec::new(), next_at: Some(LEASE) };
    assert_eq!(store.due_deliveries(NOW).await.unwrap(), due);
    let due = Due { webhooks: vec![webhook], next_at: None };
    assert_eq!(store.due_deliveries(LEASE).await.unwrap(), due);
    assert!(claim(&world, Timestamp(LEASE.0 - 1)).await.is_empty());
    let until = Timestamp(LEASE.0 + 5);
    let again = store.claim_deliveries(LEASE.into(), until, vec![(webhook, 10)]).await.unwrap();
    assert_eq!(ids(&again), ids(&made));
    assert_eq!(again[0].data.get(), made[0].data.get());
    assert_eq!((&*again[0].url, &again[0].secrets), (&*made[0].url, &made[0].secrets));
    assert_eq!((again[0].event, again[0].chat_id), (made[0].event, made[0].chat_id));
    assert!(claim(&world, LEASE).await.is_empty());
    assert_eq!(claim(&world, until).await, ids(&made));
}

pub(crate) async fn new_ones_are_handed_over_in_order(store: Arc<dyn Store>) {
    const TEXTS: usize = 300;
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    let (receiver, mut new) = mpsc::unbounded_channel();
    store.hand_over_to(receiver);
    let mut callers = JoinSet::new();
    for number in 0..TEXTS {
        let (store, bridge, line) = (Arc::clone(&store), world.bridge, world.line);
        callers.spawn(async move {
            let text = vec![text_from(ANN, &number.to_string())];
            let receive = store.receive(bridge, line, "1".into(), text, NOW, LEASE);
            if number % 3 == 0 {
                // Asks, and does not wait for the answer.
                tokio::select! {
                    biased;
                    _ = receive => {}
                    () = async {} => {}
                }
            } else {
                assert!(receive.await.unwrap().committed.deliveries.is_empty());
            }
        });
    }
    callers.join_all().await;
    let mut places = Vec::new();
    while places.len() < TEXTS {
        places.extend(new.recv().await.unwrap().iter().map(|one| one.seq));
    }
    assert!(places.is_sorted(), "{places:?}");
}

pub(crate) async fn oldest_come_first(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&EVENTS).await;
    let mut made = Vec::new();
    for guid in ["1", "2", "3"] {
        made.extend(leased(&world, guid).await);
    }
    store.settle_deliveries(vec![attempted(&made[2], Some("no"), Some(later(20)))]).await.unwrap();
    let claimed = store.claim_deliveries(LEASE.into(), LEASE, vec![(webhook, 2)]).await.unwrap();
    assert_eq!(ids(&claimed), [made[2].id, made[0].id]);
    assert_eq!(claimed[0].attempts, 1);
}

pub(crate) async fn results_count_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    let (good, bad) = (leased(&world, "1").await.remove(0), leased(&world, "2").await.remove(0));
    let over = vec![attempted(&good, None, None), attempted(&bad, Some("no"), None)];
    store.settle_deliveries(over).await.unwrap();
    // Whatever comes later, what is over stays over.
    let late =
        vec![attempted(&good, Some("no"), Some(NOW)), attempted(&bad, Some("no"), Some(NOW))];
    store.settle_deliveries(late).await.unwrap();
    store
        .settle_deliveries(vec![attempted(&DueDelivery { id: Id::generate(), ..good }, None, None)])
        .await
        .unwrap();
    assert!(store.release_all_deliveries(NOW, LEASE).await.unwrap().is_empty());
    assert!(claim(&world, Timestamp(i64::MAX / 2)).await.is_empty());
    assert_eq!(store.due_deliveries(NOW).await.unwrap(), Due::default());
}

pub(crate) async fn what_is_given_back_is_due_at_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&EVENTS).await;
    let given = leased(&world, "1").await[0].id;
    let waits = leased(&world, "2").await.remove(0);
    store.settle_deliveries(vec![attempted(&waits, Some("no"), Some(later(500)))]).await.unwrap();
    // One that is not leased keeps its pause.
    store.release_deliveries(vec![given, waits.id], NOW).await.unwrap();
    let due = Due { webhooks: vec![webhook], next_at: Some(later(500)) };
    assert_eq!(store.due_deliveries(NOW).await.unwrap(), due);
    assert_eq!(claim(&world, NOW).await, [given]);
}

pub(crate) async fn a_deleted_webhook_gets_nothing_more(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let gone = world.webhook(&EVENTS).await;
    let stays = world.webhook(&EVENTS).await;
    let made = leased(&world, "1").await;
    store.delete_webhook(Grant::whole(world.account), gone).await.unwrap();
    let lost = made.iter().find(|one| one.webhook_id == gone).unwrap();
    let kept = made.iter().find(|one| one.webhook_id == stays).unwrap().id;
    // An attempt that was under way comes back to nothing.
    store.settle_deliveries(vec![attempted(lost, Some("no"), Some(NOW))]).await.unwrap();
    assert_eq!(claim(&world, LEASE).await, [kept]);
    let made = leased(&world, "2").await;
    assert_eq!(made.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [stays]);
}

pub(crate) async fn at_the_start_all_are_due(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&EVENTS).await;
    let made = leased(&world, "1").await[0].id;
    let waits = leased(&world, "2").await.remove(0);
    store.settle_deliveries(vec![attempted(&waits, Some("no"), Some(later(500)))]).await.unwrap();
    assert_eq!(store.release_all_deliveries(NOW, LEASE).await.unwrap(), [webhook]);
    assert_eq!(claim(&world, NOW).await, [made]);
    assert_eq!(claim(&world, later(500)).await, [waits.id]);
}

pub(crate) async fn what_was_not_attempted_comes_in_event_order(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&EVENTS).await;
    let mut made = Vec::new();
    for number in 0..8 {
        made.extend(leased(&world, &number.to_string()).await);
    }
    let tried = made.split_off(6);
    let failed = tried.iter().map(|one| attempted(one, Some("no"), Some(NOW))).collect();
    let (made, tried) = (ids(&made), ids(&tried));
    store.settle_deliveries(failed).await.unwrap();
    // Given back one by one and in another order, while the clock is set back.
    for (place, id) in made.iter().enumerate() {
        let earlier = Timestamp(NOW.0 - i64::try_from(place).unwrap());
        store.release_deliveries(vec![*id], earlier).await.unwrap();
    }
    let claim = async |most| {
        let claimed =
            store.claim_deliveries(NOW.into(), LEASE, vec![(webhook, most)]).await.unwrap();
        ids(&claimed)
    };
    // A quarter is for those that were attempted.
    assert_eq!(claim(4).await, [made[0], made[1], made[2], tried[0]]);
    assert_eq!(store.release_all_deliveries(NOW, LEASE).await.unwrap(), [webhook]);
    assert_eq!(claim(5).await, [&made[..4], &tried[..1]].concat());
    assert_eq!(claim(5).await, [&made[4..], &tried[1..]].concat());
}

pub(crate) async fn a_claim_is_of_whom_it_names(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut webhooks = Vec::new();
    for _ in 0..3 {
        webhooks.push(world.webhook(&EVENTS).await);
    }
    for guid in ["1", "2", "3"] {
        leased(&world, guid).await;
    }
    let mut behind = store.release_all_deliveries(NOW, LEASE).await.unwrap();
    behind.sort_unstable();
    assert_eq!(behind, webhooks);
    let gone = Id::generate();
    let of = vec![(webhooks[0], 2), (gone, 5), (webhooks[2], 4)];
    let claimed = store.claim_deliveries(NOW.into(), LEASE, of).await.unwrap();
    let count = |webhook| claimed.iter().filter(|one| one.webhook_id == webhook).count();
    assert_eq!([count(webhooks[0]), count(webhooks[1]), count(webhooks[2])], [2, 0, 3]);
    assert_eq!(store.due_deliveries(NOW).await.unwrap().webhooks, webhooks[..2]);
}

pub(crate) async fn the_backlog_is_of_what_is_due(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    assert_eq!(store.deliveries_backlog(NOW.into()).await.unwrap(), Backlog::default());
    let webhook = world.webhook(&EVENTS).await;
    let gone = world.webhook(&EVENTS).await;
    let mut made = Vec::new();
    for guid in ["1", "2", "3"] {
        made.extend(leased(&world, guid).await);
    }
    let (gones, made): (Vec<_>, Vec<_>) = made.into_iter().partition(|one| one.webhook_id == gone);
    // What is leased is no backlog.
    assert_eq!(store.deliveries_backlog(NOW.into()).await.unwrap(), Backlog::default());
    // One is tried again later, and one waits unattempted since it was made.
    let again = later(500);
    store.settle_deliveries(vec![attempted(&made[0], Some("no"), Some(again))]).await.unwrap();
    store.release_deliveries(vec![made[1].id], again).await.unwrap();
    let backlog = |due, since| Backlog {
        webhooks: vec![WebhookBacklog { webhook_id: webhook, due, since }],
        disabled: 0,
    };
    let now = Timestamp(again.0 - 1);
    assert_eq!(store.deliveries_backlog(now.into()).await.unwrap(), backlog(1, made[1].since));
    assert_eq!(store.deliveries_backlog(again.into()).await.unwrap(), backlog(2, made[1].since));
    let first = store.claim_deliveries(now.into(), LEASE, vec![(webhook, 1)]).await.unwrap();
    assert_eq!((ids(&first), first[0].since), (vec![made[1].id], made[1].since));
    assert_eq!(store.deliveries_backlog(again.into()).await.unwrap(), backlog(1, again));
    // Of a webhook that is disabled nothing is due.
    store.release_deliveries(ids(&gones), now).await.unwrap();
    let is_gone = AttemptResult { is_gone: true, ..attempted(&gones[0], Some("gone"), None) };
    store.settle_deliveries(vec![is_gone]).await.unwrap();
    let wanted = Backlog { disabled: 1, ..backlog(1, again) };
    assert_eq!(store.deliveries_backlog(again.into()).await.unwrap(), wanted);
}

pub(crate) async fn a_long_backlog_is_counted_whole(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhooks = [
        world.webhook(&[EventKind::MessageReceived]).await,
        world.webhook(&[EventKind::MessageReceived]).await,
    ];
    for batch in 0..12 {
        let entries = (0..500).map(|one| text_from(ANN, &format!("{batch} {one}"))).collect();
        let made = world.receive(entries).await.committed.deliveries;
        let ids = made.iter().map(|one| one.id).collect();
        store.release_deliveries(ids, NOW).await.unwrap();
    }
    let backlog = store.deliveries_backlog(NOW.into()).await.unwrap();
    let mut counted: Vec<_> =
        backlog.webhooks.iter().map(|one| (one.webhook_id, one.due)).collect();
    let mut wanted = webhooks.map(|webhook| (webhook, 6000)).to_vec();
    counted.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(counted, wanted);
}
