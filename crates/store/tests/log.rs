//! How the log of a webhook is read and written on PostgreSQL while others write to the same database.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use switchboard_model::{
    Account, EventKind, Handle, Line, Replay, Timestamp, Webhook,
    chat::Service,
    delivery::DueDelivery,
    id::Id,
    line::{DriverKind, LineService},
    link::{Inbound, InboundChat, InboundMessage},
    replay::ReplayStatus,
    secret::SecretHash,
    webhook::WebhookSecret,
};
use switchboard_store::{
    Accounts as _, Bridges as _, Deliveries as _, DueDeliveries, DueQuery, EventPosition,
    Events as _, Grant, Idempotent, Inbox as _, Lines as _, Link, NewLine, NewReplay, NewWebhook,
    Owned, Replays as _, Store as _, Webhooks as _,
    postgres::{PostgresOptions, PostgresStore},
};
use switchboard_testpg::Database;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

struct World {
    store: Arc<PostgresStore>,
    link: Link,
    account: Id<Account>,
    line: Id<Line>,
    directory: tempfile::TempDir,
    database: Database,
}

impl World {
    async fn new() -> Self {
        let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
        let (key_file, options) = (directory.path().join("key"), PostgresOptions::default());
        let store = PostgresStore::connect(&database.url(), &key_file, options).await.unwrap();
        let bridge = store.ensure_simulator_bridge(SecretHash([1; 32]), NOW).await.unwrap().id;
        let account = store.create_account("ours".into(), NOW).await.unwrap().id;
        let line = NewLine {
            account_id: account,
            handle: Handle::received("+15550100001"),
            label: None,
            service: LineService::Auto,
            driver: DriverKind::Simulator,
            bridge_id: None,
            standby_bridge_id: None,
            contact_first: false,
            loop_limit: None,
            is_sandbox: false,
        };
        let line = store.create_line(line).await.unwrap().line.id;
        let link = Link { bridge, epoch: 0 };
        Self { store: Arc::new(store), link, account, line, directory, database }
    }

    async fn receive(&self, guid: &str) -> Vec<DueDelivery> {
        let handle = Handle::received("+15550111111");
        let text = Inbound::Message(InboundMessage {
            guid: guid.into(),
            chat: InboundChat::Contact { handle: handle.clone() },
            sender: handle,
            text: Some("in".into()),
            sent_at: NOW,
            service: Service::IMessage,
            reply_to_guid: None,
            attachments: Vec::new(),
            is_audio_message: false,
        });
        let received = self.store.receive(self.link, self.line, "1".into(), vec![text], NOW).await;
        received.unwrap().committed.deliveries
    }

    async fn webhook(&self) -> Id<Webhook> {
        let new = NewWebhook {
            id: Id::generate(),
            account_id: self.account,
            line_ids: None,
            url: "https://example.com/hook".into(),
            events: vec![EventKind::MessageReceived],
            secret: WebhookSecret::from_random([7; 32]),
            created_by: None,
        };
        let id = new.id;
        self.store.create_webhook(new, None, NOW).await.unwrap();
        id
    }

    async fn replay(&self, webhook_id: Id<Webhook>) -> Id<Replay> {
        let new = NewReplay {
            id: Id::generate(),
            webhook_id,
            since: NOW,
            until: Timestamp(NOW.0 + 1),
            include_delivered: false,
            most_of_account: 10,
        };
        let made = self.store.create_replay(Grant::whole(self.account), new, None, NOW).await;
        let Idempotent::Fresh(made) = made.unwrap() else { panic!("it is new") };
        made.id
    }

    async fn read(&self, webhook_id: Id<Webhook>, from: i64) -> DueDeliveries {
        let query = DueQuery { webhook_id, from, untried: 100, retries: 0 };
        self.store.due_deliveries(vec![query], NOW).await.unwrap().remove(0)
    }

    /// A transaction that has begun to write, and that others must wait for who read in order.
    async fn older_transaction(&self) -> Client {
        let (client, connection) =
            tokio_postgres::connect(&self.database.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("begin; select pg_current_xact_id()").await.unwrap();
        client
    }
}

#[tokio::test]
async fn what_is_committed_late_is_not_passed_by() {
    let world = World::new().await;
    let webhook = world.webhook().await;
    let older = world.older_transaction().await;
    let made = world.receive("1").await.remove(0);
    let early = world.read(webhook, 0).await;
    let from = early.more_from.unwrap();
    assert!(early.untried.is_empty() && from <= made.seq, "it is there, and not in its turn yet");
    // A replay of what is there is not done before that could be read.
    let missed = world.webhook().await;
    let replay = world.replay(missed).await;
    let advance =
        async || world.store.advance_replay(replay, 10, NOW.into()).await.unwrap().unwrap();
    let waits = advance().await;
    assert_eq!((waits.status, waits.queued), (ReplayStatus::Running, 0));
    let another = "insert into deliveries (seq, id, webhook_id, account_id, event_seq, status, due_at, created_at)
        select first_place(), gen_random_uuid(), webhook_id, account_id, event_seq, status, due_at, created_at
        from deliveries; commit";
    older.batch_execute(another).await.unwrap();
    // Other tests write to the same server.
    let mut found = world.read(webhook, from).await;
    while found.more_from.is_some() {
        found = world.read(webhook, from).await;
    }
    let seqs: Vec<_> = found.untried.iter().map(|one| one.seq).collect();
    assert!(seqs.len() == 2 && seqs[0] < made.seq && seqs[1] == made.seq, "{seqs:?}");
    let mut done = advance().await;
    while done.status == ReplayStatus::Running {
        done = advance().await;
    }
    assert_eq!(done.queued, 1);
}

#[tokio::test]
async fn of_one_event_a_webhook_has_one_delivery() {
    let world = World::new().await;
    for number in 0..30 {
        world.receive(&number.to_string()).await;
    }
    let webhook = world.webhook().await;
    let replays = [world.replay(webhook).await, world.replay(webhook).await];
    let mut leading = JoinSet::new();
    for replay in [replays, replays].concat() {
        let store = Arc::clone(&world.store);
        leading.spawn(async move {
            loop {
                let replay = store.advance_replay(replay, 4, NOW.into()).await.unwrap().unwrap();
                if replay.status == ReplayStatus::Done {
                    return;
                }
            }
        });
    }
    leading.join_all().await;
    let mut queued = 0;
    for replay in replays {
        let replay = world.store.replay(Grant::whole(world.account), replay).await.unwrap();
        queued += replay.unwrap().queued;
    }
    let mut found = world.read(webhook, 0).await;
    while found.more_from.is_some() {
        found = world.read(webhook, 0).await;
    }
    assert_eq!((queued, found.untried.len()), (30, 30));
}

#[tokio::test]
async fn processes_share_the_webhooks() {
    let world = World::new().await;
    // Each has a number, and what they share is in the database: one connection serves for both.
    let (one, two) = (&*world.store, &*world.store);
    let at = |seconds: i64| Timestamp(NOW.0 + 1000 * seconds);
    // Each comes back every second, and is trusted to for five.
    let own = async |store: &PostgresStore, node, in_use: &[u8], now| {
        let owned = store.own_webhooks(node, in_use.to_vec(), at(now), at(now + 5)).await.unwrap();
        let Owned::Partitions(parts) = owned else { panic!("it is not alone") };
        parts
    };
    let all = own(one, 1, &[], 0).await;
    assert_eq!(all.len(), 256);
    assert!(own(two, 2, &[], 0).await.is_empty(), "nothing is taken from who holds it");
    // What is more than its share is no more its own, but nobody else's before it says that it does not use it.
    let first = own(one, 1, &all, 1).await;
    assert_eq!(first, all[..128]);
    assert!(own(two, 2, &[], 1).await.is_empty());
    let still_used = [&first[..], &[200]].concat();
    assert_eq!(own(one, 1, &still_used, 2).await, first);
    let second = own(two, 2, &[], 2).await;
    assert!(second.len() == 127 && !second.contains(&200));
    assert_eq!(own(one, 1, &first, 3).await, first);
    let second = own(two, 2, &second, 3).await;
    assert_eq!(second, all[128..]);
    // The first does not come back: what was its own is the other's after its time, and not before.
    assert_eq!(own(two, 2, &second, 7).await, second);
    assert_eq!(own(two, 2, &second, 8).await, all);
    // It comes again, and the other says that it goes.
    assert!(own(one, 1, &[], 9).await.is_empty());
    two.disown_webhooks(2).await.unwrap();
    assert_eq!(own(one, 1, &[], 9).await, all);
}

#[tokio::test]
async fn places_go_on_behind_those_of_the_server_that_a_database_came_from() {
    let world = World::new().await;
    world.receive("first").await;
    world.store.close().await;
    // As if that server had counted a thousand million transactions more.
    world.database.run("update events set seq = seq + (1000000000::bigint << 20)").await;
    let key_file = world.directory.path().join("key");
    let (url, options) = (world.database.url(), PostgresOptions::default());
    let store = PostgresStore::connect(&url, &key_file, options).await.unwrap();
    let world = World { store: Arc::new(store), ..world };
    world.receive("second").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let texts = loop {
        let (all, kinds) = (EventPosition::START, EventKind::ALL.to_vec());
        let found = world.store.events_after(world.account, all, None, kinds, 10).await.unwrap();
        if found.events.len() == 2 {
            break found.events.into_iter().map(|event| event.data.get().to_owned());
        }
        assert!(Instant::now() < deadline, "both can be read");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let guids = ["first", "second"];
    assert!(texts.zip(guids).all(|(text, guid)| text.contains(&format!("\"{guid}\""))));
}
