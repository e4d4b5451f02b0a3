//! Deliveries: tried again with pauses that grow, signed afresh each time, over restarts, and
//! never to where they must not go.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use switchboard_client::{ContactText, CreateWebhook};
use switchboard_model::{
    EventKind, Timestamp, retry::SCHEDULE, time::Clock, webhook::WebhookSecret,
};
use switchboard_testkit::{
    LINE, Receiver, Setup, Tenant, TestClock, TestServer, eventually,
    receiver::{Behaviour, Cut, Delivery as Received, Reply},
};

use crate::world::{CONTACT, SOON, THEIRS};

pub(crate) async fn hook(tenant: &Tenant, url: &str) -> WebhookSecret {
    let webhook = CreateWebhook::new("", url, [EventKind::MessageReceived]);
    tenant.client.create_webhook(&webhook).await.unwrap().value.secret.unwrap()
}

/// Waits until an attempt has failed and the next is planned after about this pause; says when.
pub(crate) async fn planned(server: &TestServer, clock: &TestClock, pause: Duration) -> Timestamp {
    eventually("the next attempt is planned", async || {
        let at = next_retry(server).await?;
        let wait = at.since(clock.now());
        (pause.mul_f64(0.79)..=pause.mul_f64(1.21)).contains(&wait).then_some(at)
    })
    .await
}

/// Nothing is due, and nothing will be.
pub(crate) async fn nothing_is_due(server: &TestServer) -> bool {
    server.store.waiting_webhooks(None).await.unwrap().0.is_empty()
}

/// When the first retry is due, of whatever webhook.
pub(crate) async fn next_retry(server: &TestServer) -> Option<Timestamp> {
    let (waiting, _) = server.store.waiting_webhooks(None).await.unwrap();
    waiting.iter().filter_map(|webhook| webhook.retry_at).min()
}

#[tokio::test]
async fn a_delivery_is_tried_nine_times_each_signed_afresh() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.set(Behaviour::status(500));
    let secret = hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "hello").await;

    let mut signatures = Vec::new();
    for attempt in 1..=SCHEDULE.len() + 1 {
        let deliveries = receiver.wait_for(attempt, SOON).await.unwrap();
        let delivery = deliveries.last().unwrap();
        // Both signatures verify now; an old one would be over the five minutes.
        delivery.verify_at(&secret, clock.now()).unwrap();
        assert_eq!(delivery.timestamp(), Some(clock.now()), "attempt {attempt}");
        assert_eq!(delivery.json()["timestamp"], clock.now().millis());
        assert_eq!(delivery.delivery_id(), deliveries[0].delivery_id());
        assert_eq!(delivery.header("webhook-id"), delivery.delivery_id());
        assert_eq!(delivery.json()["data"], deliveries[0].json()["data"]);
        let signature = delivery.header("x-webhook-signature").unwrap().to_owned();
        assert!(!signatures.contains(&signature), "attempt {attempt} is signed afresh");
        signatures.push(signature);
        if let Some(pause) = SCHEDULE.get(attempt - 1) {
            let at = planned(&server, &clock, *pause).await;
            clock.advance(at.since(clock.now()));
        }
    }
    eventually("it is given up", async || nothing_is_due(&server).await.then_some(())).await;
    server.stop().await;
    assert_eq!(receiver.count(), 9);
}

#[tokio::test]
async fn what_is_no_2xx_is_tried_again_until_one_comes() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let redirect = Reply::new(302).header("location", &elsewhere.url());
    receiver.next([
        Behaviour::Answer(redirect),
        Behaviour::Cut(Cut::BeforeAnswer),
        Behaviour::status(404),
    ]);
    hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "hello").await;
    for (attempt, pause) in [1, 2, 3].into_iter().zip(SCHEDULE) {
        receiver.wait_for(attempt, SOON).await.unwrap();
        let at = planned(&server, &clock, pause).await;
        // Not a moment earlier.
        clock.advance(at.since(clock.now()) - Duration::from_millis(1));
        assert_eq!(receiver.count(), attempt as u64);
        clock.advance(Duration::from_millis(1));
    }
    receiver.wait_for(4, SOON).await.unwrap();
    eventually("it is delivered", async || nothing_is_due(&server).await.then_some(())).await;
    server.stop().await;
    assert_eq!(elsewhere.count(), 0, "a redirect is a failure and is not followed");
}

#[tokio::test]
async fn a_restart_forgets_no_delivery() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.next([Behaviour::status(503)]);
    let secret = hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "hello").await;
    receiver.wait_for(1, SOON).await.unwrap();
    let at = planned(&server, &clock, SCHEDULE[0]).await;

    let server = server.restart().await;
    assert_eq!(next_retry(&server).await, Some(at), "the plan stands");
    clock.advance(at.since(clock.now()));
    let deliveries = receiver.wait_for(2, SOON).await.unwrap();
    assert_eq!(deliveries[0].delivery_id(), deliveries[1].delivery_id());
    deliveries[1].verify_at(&secret, clock.now()).unwrap();
    server.stop().await;
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn a_planned_attempt_goes_with_its_webhook() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.set(Behaviour::status(500));
    hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "hello").await;
    planned(&server, &clock, SCHEDULE[0]).await;
    let webhook = tenant.client.webhooks(LINE).await.unwrap().value.data[0].id;
    tenant.client.delete_webhook(webhook).await.unwrap();
    assert!(nothing_is_due(&server).await);
    clock.advance(SCHEDULE[0] * 2);
    // A later webhook is served, the deleted one is not.
    let later = Receiver::start().await;
    hook(&tenant, &later.url()).await;
    server.text(LINE, CONTACT, "again").await;
    later.wait_for(1, SOON).await.unwrap();
    server.stop().await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn a_first_attempt_that_a_stop_cut_off_is_made_again() {
    let server = Setup::new().config(|config| config.webhook_timeout = 30).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.next([Behaviour::Stall]);
    let secret = hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "one").await;
    server.text(LINE, CONTACT, "two").await;
    receiver.wait_for(1, SOON).await.unwrap();
    let server = server.restart().await;
    let deliveries = receiver.wait_for(3, SOON).await.unwrap();
    for delivery in &deliveries {
        delivery.verify(&secret).unwrap();
    }
    assert_eq!(deliveries[0].delivery_id(), deliveries[1].delivery_id());
    assert_eq!(deliveries[2].json()["data"]["text"], "two");
    server.stop().await;
}

#[tokio::test]
async fn a_name_that_means_this_machine_is_not_dialled() {
    let clock = TestClock::now();
    // Names are judged by their addresses: of this one only ::1 may be dialled, and nobody
    // listens there. The receiver is on 127.0.0.1.
    let allow_v6_only = |setup: Setup| {
        setup.strict_webhooks().config(|config| {
            config.webhook_allow_http = true;
            config.webhook_allow_networks = vec!["::1/128".parse().unwrap()];
        })
    };
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = allow_v6_only(setup).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let port = receiver.address().port();
    hook(&tenant, &format!("http://localhost:{port}/hook")).await;
    server.text(LINE, CONTACT, "hello").await;
    let at = planned(&server, &clock, SCHEDULE[0]).await;

    // A policy that has become stricter holds for webhooks that were made before.
    let server = server.restart_with(Setup::strict_webhooks).await;
    clock.advance(at.since(clock.now()));
    planned(&server, &clock, SCHEDULE[1]).await;
    server.stop().await;
    assert_eq!(receiver.count(), 0);
}

/// Texts a line from several contacts, many at once.
async fn flood(server: &TestServer, line: &str, from: std::ops::Range<usize>) {
    const AT_ONCE: usize = 32;
    let mut texting = tokio::task::JoinSet::new();
    for first in from.clone().take(AT_ONCE) {
        let (phones, line, numbers) = (server.phones(), line.to_owned(), first..from.end);
        texting.spawn(async move {
            for number in numbers.step_by(AT_ONCE) {
                let text = ContactText {
                    line: line.clone(),
                    from: format!("+1555020000{}", number % CHATS),
                    text: Some(number.to_string()),
                    ..ContactText::default()
                };
                phones.text(&text).await.unwrap();
            }
        });
    }
    texting.join_all().await;
}

/// How many contacts [`flood`] texts from.
const CHATS: usize = 8;

/// Of each chat, the messages in the order in which they came first. Their ids are in the
/// order of the events.
fn by_chat(receiver: &Receiver) -> BTreeMap<String, Vec<String>> {
    let mut seen = HashSet::new();
    let mut chats = BTreeMap::<_, Vec<_>>::new();
    for delivery in receiver.received() {
        let text = |name: &str| delivery.json()["data"][name].as_str().unwrap().to_owned();
        if seen.insert(text("id")) {
            chats.entry(text("chat_id")).or_default().push(text("id"));
        }
    }
    chats
}

#[tokio::test]
async fn a_webhook_that_hangs_holds_back_no_other_and_keeps_its_order() {
    const MANY: usize = 9_500;
    const MORE: usize = 300;
    const PATIENCE: Duration = Duration::from_secs(60);
    let server = Setup::new().config(|config| config.webhook_timeout = 5).start().await;
    let (greedy, modest) = (server.tenant(LINE).await, server.tenant(THEIRS).await);
    let (hangs, works) = (Receiver::start().await, Receiver::start().await);
    hangs.set(Behaviour::Stall);
    hook(&greedy, &hangs.url()).await;
    hook(&modest, &works.url()).await;
    flood(&server, LINE, 0..MANY).await;

    for number in 1..=3 {
        server.text(THEIRS, CONTACT, &number.to_string()).await;
        works.wait_for(number, Duration::from_secs(3)).await.unwrap();
    }
    let texts: Vec<_> =
        works.received().iter().map(|one| one.json()["data"]["text"].clone()).collect();
    assert_eq!(texts, ["1", "2", "3"]);

    // It works again, and more comes while what has gathered goes out; then the server is stopped
    // in the middle of it.
    hangs.set(Behaviour::ok());
    flood(&server, LINE, MANY..MANY + MORE).await;
    let server = server.restart().await;
    flood(&server, LINE, MANY + MORE..MANY + 2 * MORE).await;
    // Some come twice: those that were under way when their time was over, or at the stop.
    let all = MANY + 2 * MORE;
    hangs.wait_for_count(all as u64, PATIENCE).await.unwrap();
    let came = |kept: &[Received]| {
        kept.iter().map(Received::delivery_id).collect::<HashSet<_>>().len() == all
    };
    hangs.wait_until(PATIENCE, came).await.unwrap();
    server.stop().await;
    let chats = by_chat(&hangs);
    assert_eq!(chats.len(), CHATS);
    for (chat, messages) in chats {
        assert!(messages.is_sorted(), "the first attempts of {chat} are out of order");
    }
}
