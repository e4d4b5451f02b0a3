use std::{collections::HashMap, sync::Arc};

use switchboard_model::{
    EventKind, Replay, Timestamp, Webhook,
    delivery::{Delivery, DeliveryStatus, DueDelivery},
    id::Id,
    replay::{MAX_RUNNING, ReplayStatus},
};
use switchboard_store::{
    DeliveryFilter, Grant, NewReplay, NewWebhook, Owned, Refusal, Store, WebhookChanges,
};

use crate::world::{
    ANN, BOB, LEASE, NOW, World, attempted, later, limit, new_line, refusal, take, text_from,
};

const EVENTS: [EventKind; 1] = [EventKind::MessageReceived];

async fn receive(world: &World, from: &str, guid: &str, at: Timestamp) -> Vec<DueDelivery> {
    world.receive_at(text_from(from, guid), at).await.committed.deliveries
}

fn new(webhook: Id<Webhook>) -> NewReplay {
    NewReplay {
        id: Id::generate(),
        webhook_id: webhook,
        since: NOW,
        until: later(1000),
        include_delivered: false,
        most_of_account: 100,
    }
}

async fn begun(world: &World, replay: NewReplay) -> Id<Replay> {
    let grant = Grant::whole(world.account);
    take(world.store.create_replay(grant, replay, None, later(2000)).await).unwrap().id
}

/// Leads it to its end; says how many deliveries it made due.
async fn run(world: &World, id: Id<Replay>, step: usize) -> u64 {
    loop {
        let replay =
            world.store.advance_replay(id, step, later(3000).into()).await.unwrap().unwrap();
        if replay.status == ReplayStatus::Done {
            assert_eq!((replay.progress, replay.finished_at), (100, Some(later(3000))));
            return replay.queued;
        }
        assert!(replay.progress < 100 && replay.finished_at.is_none());
    }
}

/// The texts of what a webhook gets now, in their order.
async fn due(world: &World, webhook: Id<Webhook>) -> Vec<String> {
    let mut due = world.due(later(3000)).await;
    due.retain(|one| one.webhook_id == webhook);
    let text = |one: &DueDelivery| {
        let data: serde_json::Value = serde_json::from_str(one.data.get()).unwrap();
        data["guid"].as_str().unwrap().to_owned()
    };
    due.iter().map(text).collect()
}

async fn switch(world: &World, webhook: Id<Webhook>, is_active: bool) {
    let changes = WebhookChanges { is_active: Some(is_active), ..WebhookChanges::default() };
    world
        .store
        .update_webhook(Grant::whole(world.account), webhook, changes, None, NOW)
        .await
        .unwrap();
}

pub(crate) async fn what_was_missed_goes_out_in_event_order(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&EVENTS).await;
    // Before; then given up, missed, given up, missed, delivered, due; then after.
    receive(&world, ANN, "before", later(-1)).await;
    let failed = receive(&world, ANN, "1", later(10)).await.remove(0);
    switch(&world, webhook, false).await;
    assert!(receive(&world, BOB, "2", later(20)).await.is_empty());
    switch(&world, webhook, true).await;
    let again = receive(&world, ANN, "3", later(30)).await.remove(0);
    switch(&world, webhook, false).await;
    receive(&world, ANN, "4", later(40)).await;
    switch(&world, webhook, true).await;
    let delivered = receive(&world, ANN, "5", later(50)).await.remove(0);
    let waits = receive(&world, ANN, "6", later(60)).await.remove(0);
    receive(&world, ANN, "after", later(1000)).await;
    let settled = vec![
        attempted(&failed, Some("no"), None),
        attempted(&again, Some("no"), None),
        attempted(&delivered, None, None),
    ];
    store.settle_deliveries(settled).await.unwrap();

    let id = begun(&world, new(webhook)).await;
    let running = store.replay(Grant::whole(world.account), id).await.unwrap().unwrap();
    assert_eq!((running.status, running.progress), (ReplayStatus::Running, 0));
    assert_eq!(store.running_replays(None, 10).await.unwrap(), [id]);
    assert_eq!(run(&world, id, 2).await, 4);
    assert!(store.running_replays(None, 10).await.unwrap().is_empty());
    // Behind what waits already.
    let waiting = ["before", "6", "after", "1", "2", "3", "4"];
    assert_eq!(due(&world, webhook).await, waiting);
    let done = store.replay(Grant::whole(world.account), id).await.unwrap().unwrap();
    assert_eq!((done.status, done.queued), (ReplayStatus::Done, 4));
    // Done is done, and what is due now is left alone by the next.
    assert_eq!(store.advance_replay(id, 10, LEASE.into()).await.unwrap().unwrap(), done);
    let whole = NewReplay { include_delivered: true, ..new(webhook) };
    let second = begun(&world, whole).await;
    assert_eq!(run(&world, second, 100).await, 1);
    assert_eq!(due(&world, webhook).await, [&waiting[..], &["5"]].concat());
    let filter = DeliveryFilter { id: Some(waits.id), ..DeliveryFilter::default() };
    let due = store.deliveries(world.account, filter, None, limit(1), NOW.into()).await.unwrap();
    assert_eq!(due.rows[0].status, DeliveryStatus::Due);
}

pub(crate) async fn ids_stay_and_none_is_made_twice(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&EVENTS).await;
    let failed = receive(&world, ANN, "1", later(10)).await.remove(0);
    store.settle_deliveries(vec![attempted(&failed, Some("no"), None)]).await.unwrap();
    switch(&world, webhook, false).await;
    for number in 2..10 {
        receive(&world, ANN, &number.to_string(), later(10 * number)).await;
    }
    switch(&world, webhook, true).await;
    let id = begun(&world, new(webhook)).await;
    // Step by step, as a server that is killed after each.
    assert_eq!(run(&world, id, 1).await, 9);
    let again = begun(&world, new(webhook)).await;
    assert_eq!(run(&world, again, 3).await, 0, "all of it is due already");
    let page =
        store.deliveries(world.account, DeliveryFilter::default(), None, limit(100), NOW.into());
    let rows: Vec<Delivery> = page.await.unwrap().rows;
    let mut of_event = HashMap::new();
    for row in &rows {
        *of_event.entry(row.event_id).or_insert(0) += 1;
    }
    assert!(rows.len() == 9 && of_event.values().all(|count| *count == 1));
    let first = rows.last().unwrap();
    assert_eq!((first.id, first.attempts.len()), (failed.id, 1));
}

pub(crate) async fn a_replay_sends_what_the_webhook_wants_now(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let elsewhere = NewWebhook {
        line_ids: Some(vec![world.line]),
        ..world.new_webhook(&[EventKind::LineStatus])
    };
    receive(&world, ANN, "1", later(10)).await;
    store.line_status(world.link, world.line, true, None, later(20)).await.unwrap();
    let webhook = take(store.create_webhook(elsewhere, None, NOW).await).unwrap().id;
    let id = begun(&world, new(webhook)).await;
    assert_eq!(run(&world, id, 100).await, 1);
    let changes = WebhookChanges { events: Some(EVENTS.to_vec()), ..WebhookChanges::default() };
    store.update_webhook(Grant::whole(world.account), webhook, changes, None, NOW).await.unwrap();
    let id = begun(&world, new(webhook)).await;
    assert_eq!(run(&world, id, 100).await, 1);
    // It is of the first line only.
    let line = store.create_line(new_line(world.account, "+15550100003")).await.unwrap().line.id;
    let world = World { line, ..world };
    receive(&world, ANN, "2", later(30)).await;
    let id = begun(&world, new(webhook)).await;
    assert_eq!(run(&world, id, 100).await, 0);
}

pub(crate) async fn it_ends_with_its_webhook(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&EVENTS).await;
    receive(&world, ANN, "1", later(10)).await;
    let id = begun(&world, new(webhook)).await;
    store.delete_webhook(Grant::whole(world.account), webhook).await.unwrap();
    assert_eq!(store.running_replays(None, 10).await.unwrap(), [id], "it is to be ended");
    assert_eq!(run(&world, id, 1).await, 0);
    assert!(store.replay(Grant::whole(world.account), id).await.unwrap().is_some());
    assert_eq!(store.advance_replay(Id::generate(), 1, NOW.into()).await.unwrap(), None);
}

pub(crate) async fn it_waits_while_its_webhook_is_disabled(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    for number in 1..=4 {
        receive(&world, ANN, &number.to_string(), later(10 * number)).await;
    }
    let webhook = world.webhook(&EVENTS).await;
    let id = begun(&world, new(webhook)).await;
    let before = store.advance_replay(id, 2, later(3000).into()).await.unwrap().unwrap();
    assert_eq!((before.status, before.queued), (ReplayStatus::Running, 2));
    switch(&world, webhook, false).await;
    assert!(store.running_replays(None, 10).await.unwrap().is_empty());
    assert_eq!(store.advance_replay(id, 2, later(3000).into()).await.unwrap().unwrap(), before);
    assert_eq!(
        store.give_up_deliveries(later(3000).into(), Owned::All, vec![], 10).await.unwrap(),
        2
    );
    switch(&world, webhook, true).await;
    assert_eq!(store.running_replays(None, 10).await.unwrap(), [id]);
    assert_eq!(run(&world, id, 2).await, 4);
    assert_eq!(due(&world, webhook).await, ["3", "4"]);
}

pub(crate) async fn all_have_their_turn(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    receive(&world, ANN, "1", later(10)).await;
    let webhook = world.webhook(&EVENTS).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(begun(&world, new(webhook)).await);
    }
    let turn = async |after, limit| store.running_replays(after, limit).await.unwrap();
    assert_eq!(turn(None, 2).await, ids[..2]);
    assert_eq!(turn(Some(ids[1]), 2).await, ids[2..4]);
    assert_eq!(turn(Some(ids[3]), 2).await, [ids[4], ids[0]]);
    // None comes twice in one turn, and one that is done meanwhile is no end.
    assert_eq!(turn(Some(ids[2]), 10).await, [&ids[3..], &ids[..3]].concat());
    run(&world, ids[2], 10).await;
    assert_eq!(turn(Some(ids[2]), 10).await, [&ids[3..], &ids[..2]].concat());
    assert_eq!(turn(Some(Id::generate()), 1).await, ids[..1]);
}

pub(crate) async fn what_can_not_be_replayed_is_refused(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&EVENTS).await;
    let create_with =
        async |grant, replay| refusal(store.create_replay(grant, replay, None, NOW).await);
    let create = async |replay| create_with(Grant::whole(world.account), replay).await;
    let theirs = create_with(Grant::whole(world.other_account), new(webhook)).await;
    assert_eq!(theirs, Refusal::WebhookNotFound);
    let id = begun(&world, new(webhook)).await;
    assert_eq!(store.replay(Grant::whole(world.other_account), id).await.unwrap(), None);
    let mut running = vec![id];
    for _ in 1..MAX_RUNNING {
        running.push(begun(&world, new(webhook)).await);
    }
    let too_many = Refusal::TooManyReplays { max: MAX_RUNNING };
    assert_eq!(create(new(webhook)).await, too_many);
    begun(&world, new(world.webhook(&EVENTS).await)).await;
    for id in running {
        run(&world, id, 1).await;
    }
    switch(&world, webhook, false).await;
    assert_eq!(create(new(webhook)).await, Refusal::WebhookDisabled);
    // What is done is forgotten in time, what runs is not.
    switch(&world, webhook, true).await;
    let runs = begun(&world, new(webhook)).await;
    assert_eq!(store.prune_replays(later(3000), 100).await.unwrap(), 0, "not before its time");
    assert_eq!(store.prune_replays(later(3001), 6).await.unwrap(), 6);
    assert_eq!(store.prune_replays(later(3001), 6).await.unwrap(), MAX_RUNNING - 6);
    assert_eq!(store.replay(Grant::whole(world.account), id).await.unwrap(), None);
    assert!(store.replay(Grant::whole(world.account), runs).await.unwrap().is_some());
}

pub(crate) async fn an_account_has_so_many_at_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut webhooks = Vec::new();
    for _ in 0..3 {
        webhooks.push(world.webhook(&[EventKind::MessageReceived]).await);
    }
    let two = |webhook| NewReplay { most_of_account: 2, ..new(webhook) };
    let first = begun(&world, two(webhooks[0])).await;
    begun(&world, two(webhooks[1])).await;
    let third = store.create_replay(Grant::whole(world.account), two(webhooks[2]), None, NOW).await;
    assert_eq!(refusal(third), Refusal::TooManyReplaysOfAccount { max: 2 });
    store.advance_replay(first, 10, NOW.into()).await.unwrap();
    begun(&world, two(webhooks[2])).await;
    // One that waits for its webhook to be enabled is not waited for.
    switch(&world, webhooks[1], false).await;
    begun(&world, two(webhooks[0])).await;
}
