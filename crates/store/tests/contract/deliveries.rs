use std::sync::{Arc, Mutex};

use switchboard_model::{
    EventKind, Timestamp, Webhook,
    delivery::{AttemptResult, Delivery, DeliveryStatus, DueDelivery},
    event::MessageEvent,
    id::Id,
};
use switchboard_store::{
    Backlog, Changed, DeliveryFilter, DueDeliveries, DueQuery, EventPosition, Grant, NewWebhook,
    News, Observer, Store, WaitingWebhook, WebhookBacklog, WebhookChanges,
};
use tokio::{sync::Notify, task::JoinSet};

use crate::world::{ANN, NOW, World, attempted, data, later, limit, text_from};

const EVENTS: [EventKind; 1] = [EventKind::MessageReceived];

fn ids(deliveries: &[DueDelivery]) -> Vec<Id<Delivery>> {
    deliveries.iter().map(|one| one.id).collect()
}

async fn made(world: &World, guid: &str) -> Vec<DueDelivery> {
    world.receive(vec![text_from(ANN, guid)]).await.committed.deliveries
}

async fn read(world: &World, query: DueQuery, now: Timestamp) -> DueDeliveries {
    world.store.due_deliveries(vec![query], now).await.unwrap().remove(0)
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
    let made = made(&world, "1").await;
    assert_eq!(made.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [wants]);
    assert_eq!((&*made[0].url, made[0].attempts), ("https://example.com/hook", 0));
}

pub(crate) async fn what_is_read_is_what_was_made(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    assert!(world.waiting().await.is_empty());
    let webhook_id = world.webhook(&EVENTS).await;
    let made = made(&world, "1").await;
    let waits = WaitingWebhook { webhook_id, has_untried: true, retry_at: None };
    assert_eq!(world.waiting().await, [waits]);
    let read = world.due(NOW).await;
    assert_eq!(ids(&read), ids(&made));
    assert_eq!((read[0].seq, read[0].attempts, read[0].since), (made[0].seq, 0, NOW));
    assert_eq!(read[0].data.get(), made[0].data.get());
    assert_eq!((&*read[0].url, &read[0].secrets), (&*made[0].url, &made[0].secrets));
    assert_eq!((read[0].event, read[0].chat_id), (made[0].event, made[0].chat_id));
    assert_eq!(read[0].account_id, world.account);
    // Whoever reads again, reads the same: it is over when it is settled.
    assert_eq!(ids(&world.due(NOW).await), ids(&made));
    store.settle_deliveries(vec![attempted(&made[0], None, None)]).await.unwrap();
    assert!(world.waiting().await.is_empty());
}

/// Notes what it is told, and wakes who reads.
#[derive(Default)]
struct Told {
    places: Mutex<Vec<i64>>,
    is_news: Notify,
}

impl Observer for Told {
    fn deliveries(&self, made: Vec<DueDelivery>) {
        self.places.lock().unwrap().extend(made.iter().map(|one| one.seq));
        self.is_news.notify_one();
    }

    fn changed(&self, _: Changed) {}

    fn news(&self, news: News) {
        if !news.deliveries.is_empty() {
            self.is_news.notify_one();
        }
    }

    fn foreign_commit(&self) {
        unreachable!("nobody else has the database");
    }
}

impl Told {
    /// Waits for so many new ones: told, or read each time that there is news, on from the last that was read.
    async fn read(&self, store: &dyn Store, webhook_id: Id<Webhook>, wanted: usize) -> Vec<i64> {
        let (mut from, mut read) = (0, Vec::new());
        loop {
            self.is_news.notified().await;
            let told = self.places.lock().unwrap().clone();
            if !told.is_empty() {
                read = told;
            } else {
                let query = DueQuery { webhook_id, from, untried: 1000, retries: 0 };
                let found = store.due_deliveries(vec![query], NOW).await.unwrap().remove(0);
                read.extend(found.untried.iter().map(|one| one.seq));
                from = read.last().map_or(0, |last| last + 1);
            }
            if read.len() >= wanted {
                return read;
            }
        }
    }
}

pub(crate) async fn new_ones_are_told_in_order(store: Arc<dyn Store>) {
    const CROWDS: usize = 10;
    const CROWD: usize = 30;
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&EVENTS).await;
    let told = Arc::new(Told::default());
    store.observe(Arc::clone(&told) as Arc<dyn Observer>);
    let receive_all = async || {
        for crowd in 0..CROWDS {
            let mut callers = JoinSet::new();
            for number in 0..CROWD {
                let (store, link, line) = (Arc::clone(&store), world.link, world.line);
                callers.spawn(async move {
                    let text = vec![text_from(ANN, &format!("{crowd} {number}"))];
                    let receive = store.receive(link, line, "1".into(), text, NOW);
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
        }
    };
    let ((), read) = tokio::join!(receive_all(), told.read(&*store, webhook, CROWDS * CROWD));
    // In the order of the events: each has one delivery.
    let (mut guids, mut after) = (Vec::new(), EventPosition::START);
    while guids.len() < CROWDS * CROWD {
        let next = store.events_after(world.account, after, None, EVENTS.into(), 1000);
        let next = next.await.unwrap();
        guids.extend(next.events.iter().map(|one| data::<MessageEvent>(one).message.guid));
        after = next.position;
    }
    let query = DueQuery { webhook_id: webhook, from: 0, untried: 1000, retries: 0 };
    let due = store.due_deliveries(vec![query], NOW).await.unwrap().remove(0).untried;
    let guid = |one: &DueDelivery| {
        serde_json::from_str::<MessageEvent>(one.data.get()).unwrap().message.guid
    };
    assert_eq!(due.iter().map(guid).collect::<Vec<_>>(), guids);
    assert_eq!(read, due.iter().map(|one| one.seq).collect::<Vec<_>>());
}

pub(crate) async fn the_log_is_read_on_from_any_place(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook_id = world.webhook(&EVENTS).await;
    let mut all = Vec::new();
    for number in 0..6 {
        all.extend(made(&world, &number.to_string()).await);
    }
    // One has worked, one is tried again later.
    store
        .settle_deliveries(vec![
            attempted(&all[0], None, None),
            attempted(&all[2], Some("no"), Some(later(500))),
        ])
        .await
        .unwrap();
    let left: Vec<_> = [1, 3, 4, 5].map(|place| all[place].clone()).into();
    let query = |from, untried| DueQuery { webhook_id, from, untried, retries: 0 };
    let first = read(&world, query(0, 2), NOW).await;
    assert_eq!((ids(&first.untried), first.more_from), (ids(&left[..2]), Some(left[1].seq + 1)));
    let second = read(&world, query(left[1].seq + 1, 3), NOW).await;
    assert_eq!((ids(&second.untried), second.more_from), (ids(&left[2..]), None));
    let none = read(&world, query(left[3].seq + 1, 3), NOW).await;
    assert!(none.untried.is_empty() && none.more_from.is_none());
    // Many webhooks at once are read like one after another.
    let other = world.webhook(&EVENTS).await;
    let queries = (0..40).map(|number| DueQuery {
        webhook_id: if number % 2 == 0 { webhook_id } else { other },
        ..query(0, 100)
    });
    let found = store.due_deliveries(queries.collect(), NOW).await.unwrap();
    let counts: Vec<_> = found.iter().map(|found| found.untried.len()).collect();
    assert_eq!(counts, [4, 0].repeat(20));
}

pub(crate) async fn retries_come_when_they_are_due(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook_id = world.webhook(&EVENTS).await;
    let mut all = Vec::new();
    for number in 0..4 {
        all.extend(made(&world, &number.to_string()).await);
    }
    let failed = [30, 10, 20].into_iter().zip(&all);
    let failed = failed.map(|(pause, one)| attempted(one, Some("no"), Some(later(pause))));
    store.settle_deliveries(failed.collect()).await.unwrap();
    let query = |retries| DueQuery { webhook_id, from: 0, untried: 0, retries };
    let none = read(&world, query(5), later(9)).await;
    assert!(none.retries.is_empty() && none.next_retry_at == Some(later(10)));
    let two = read(&world, query(5), later(29)).await;
    assert_eq!(ids(&two.retries), [all[1].id, all[2].id]);
    assert_eq!((two.next_retry_at, two.retries[0].attempts), (Some(later(30)), 1));
    let full = read(&world, query(1), later(29)).await;
    assert_eq!((full.retries.len(), full.next_retry_at), (1, Some(later(29))), "there may be more");
    let waiting = world.waiting().await[0];
    assert_eq!((waiting.has_untried, waiting.retry_at), (true, Some(later(10))));
    // None is later than the longest pause from now on.
    store.bring_retries_forward(later(15)).await.unwrap();
    let due = read(&world, query(5), later(15)).await;
    assert_eq!((due.retries.len(), due.next_retry_at), (3, None));
}

pub(crate) async fn results_count_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    let (good, bad) = (made(&world, "1").await.remove(0), made(&world, "2").await.remove(0));
    let over = vec![attempted(&good, None, None), attempted(&bad, Some("no"), None)];
    store.settle_deliveries(over).await.unwrap();
    // Whatever comes later, what is over stays over.
    let late =
        vec![attempted(&good, Some("no"), Some(NOW)), attempted(&bad, Some("no"), Some(NOW))];
    store.settle_deliveries(late).await.unwrap();
    let stranger = DueDelivery { id: Id::generate(), ..good };
    store.settle_deliveries(vec![attempted(&stranger, None, None)]).await.unwrap();
    assert!(world.waiting().await.is_empty());
    // The same attempt of one that goes on counts once too.
    let again = made(&world, "3").await.remove(0);
    for pause in [10, 20] {
        let failed = attempted(&again, Some("no"), Some(later(pause)));
        store.settle_deliveries(vec![failed]).await.unwrap();
    }
    assert_eq!(world.waiting().await[0].retry_at, Some(later(10)));
}

pub(crate) async fn a_deleted_webhook_gets_nothing_more(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let gone = world.webhook(&EVENTS).await;
    let stays = world.webhook(&EVENTS).await;
    let first = made(&world, "1").await;
    store.delete_webhook(Grant::whole(world.account), gone).await.unwrap();
    let lost = first.iter().find(|one| one.webhook_id == gone).unwrap();
    let kept = first.iter().find(|one| one.webhook_id == stays).unwrap().id;
    // An attempt that was under way comes back to nothing.
    store.settle_deliveries(vec![attempted(lost, Some("no"), Some(NOW))]).await.unwrap();
    assert_eq!(ids(&world.due(NOW).await), [kept]);
    let second = made(&world, "2").await;
    assert_eq!(second.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [stays]);
}

pub(crate) async fn what_is_no_longer_named_is_given_up(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook_id = world.webhook(&EVENTS).await;
    let one = made(&world, "1").await.remove(0);
    let name = async |event| {
        let changes = WebhookChanges { events: Some(vec![event]), ..WebhookChanges::default() };
        let grant = Grant::whole(world.account);
        store.update_webhook(grant, webhook_id, changes, None, NOW).await.unwrap();
    };
    let status = async || {
        let filter = DeliveryFilter { id: Some(one.id), ..DeliveryFilter::default() };
        let page = store.deliveries(world.account, filter, None, limit(1), NOW.into()).await;
        page.unwrap().rows.remove(0)
    };
    name(EventKind::MessageSent).await;
    let query = DueQuery { webhook_id, from: 0, untried: 1, retries: 5 };
    let found = read(&world, query, NOW).await;
    assert!(found.untried.is_empty() && found.unnamed == [one.seq]);
    assert_eq!(found.more_from, Some(one.seq + 1), "it is passed over");
    // Named again before it is given up, it is not.
    name(EventKind::MessageReceived).await;
    store.give_up_unnamed(webhook_id, found.unnamed.clone(), NOW.into()).await.unwrap();
    assert_eq!(status().await.status, DeliveryStatus::Due);
    name(EventKind::MessageSent).await;
    store.give_up_unnamed(Id::generate(), found.unnamed.clone(), NOW.into()).await.unwrap();
    assert_eq!(status().await.status, DeliveryStatus::Due, "another's webhook");
    store.give_up_unnamed(webhook_id, found.unnamed, NOW.into()).await.unwrap();
    let given_up = status().await;
    assert_eq!(given_up.status, DeliveryStatus::Failed);
    assert!(given_up.error.unwrap().contains("no longer names"));
}

pub(crate) async fn the_backlog_is_of_what_is_due(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    assert_eq!(store.deliveries_backlog(NOW.into()).await.unwrap(), Backlog::default());
    let webhook = world.webhook(&EVENTS).await;
    let gone = world.webhook(&EVENTS).await;
    let mut all = Vec::new();
    for guid in ["1", "2"] {
        all.extend(made(&world, guid).await);
    }
    let (gones, all): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.webhook_id == gone);
    store
        .settle_deliveries(gones.iter().map(|one| attempted(one, Some("no"), None)).collect())
        .await
        .unwrap();
    // One is tried again later, and one waits unattempted since it was made.
    let again = later(500);
    store.settle_deliveries(vec![attempted(&all[0], Some("no"), Some(again))]).await.unwrap();
    let backlog = |due, since| Backlog {
        webhooks: vec![WebhookBacklog { webhook_id: webhook, due, since }],
        disabled: 0,
    };
    let now = Timestamp(again.0 - 1);
    assert_eq!(store.deliveries_backlog(now.into()).await.unwrap(), backlog(1, all[1].since));
    assert_eq!(store.deliveries_backlog(again.into()).await.unwrap(), backlog(2, all[1].since));
    store.settle_deliveries(vec![attempted(&all[1], None, None)]).await.unwrap();
    assert_eq!(store.deliveries_backlog(again.into()).await.unwrap(), backlog(1, again));
    // Of a webhook that is disabled nothing is due.
    let more = made(&world, "3").await;
    let (gones, more): (Vec<_>, Vec<_>) = more.into_iter().partition(|one| one.webhook_id == gone);
    let is_gone = AttemptResult { status: Some(410), ..attempted(&gones[0], Some("gone"), None) };
    store.settle_deliveries(vec![is_gone, attempted(&more[0], None, None)]).await.unwrap();
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
        world.receive(entries).await;
    }
    let backlog = store.deliveries_backlog(NOW.into()).await.unwrap();
    let mut counted: Vec<_> =
        backlog.webhooks.iter().map(|one| (one.webhook_id, one.due)).collect();
    let mut wanted = webhooks.map(|webhook| (webhook, 6000)).to_vec();
    counted.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(counted, wanted);
}
