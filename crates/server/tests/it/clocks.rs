//! The wall clock is set back or forward, while the server runs or is down: whatever is due, leased or kept for some
//! time goes on as if nothing had happened.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use switchboard_client::{CreateKey, CreateReplay, CreateWebhook, Deliveries};
use switchboard_model::{
    Account, Code, EventKind, Timestamp,
    id::Id,
    link::ReconciledState,
    outbox::{EXPIRED, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
    time::Clock,
};
use switchboard_store::EventPosition;
use switchboard_testkit::{
    LINE, Receiver, Setup, TestClock, TestServer, eventually,
    receiver::{Behaviour, Reply},
};

use crate::{
    attempts::hook,
    bridge::Mac,
    call::{Call, query},
    files::signed,
    fixtures::{Sample, types},
    live::Live,
    world::{CONTACT, MAC, SOON, STRANGER, THEIRS, settled},
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longer than any job pauses.
const ALL_JOBS: Duration = Duration::from_secs(11 * 60);

/// How the wall clock is set.
#[derive(Debug, Clone, Copy)]
enum Set {
    Back(Duration),
    Forward(Duration),
}

impl Set {
    fn set(self, clock: &TestClock) {
        match self {
            Self::Back(by) => clock.set_back(by),
            Self::Forward(by) => clock.set_forward(by),
        }
    }
}

async fn has_events(server: &TestServer, account: Id<Account>) -> usize {
    let kinds = vec![EventKind::MessageReceived];
    let after = server.store.events_after(account, EventPosition::START, None, kinds, 1000);
    after.await.unwrap().events.len()
}

/// Each thing that is due, leased or kept, over a clock that is set so.
async fn all_goes_on(set: Set, restart: bool) {
    let clock = TestClock::now();
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let setup = setup.config(|config| {
        config.event_retention = 1;
        config.file_url_ttl = 3600;
    });
    let mut server = setup.start().await;
    let tenant = server.tenant(LINE).await;

    // A day before, less some minutes: the first of each that is to go soon.
    server.text(LINE, CONTACT, "old").await;
    let old_file = Sample::png().uploaded(&server, &tenant.key).await;
    let send = |text: &str, key: &str| {
        let body = json!({ "from": LINE, "to": CONTACT, "text": text });
        Call::post("/v1/messages", &body).key(&tenant.key).header("idempotency-key", key)
    };
    let old_answer = send("old", "old").send(&server.url).await;
    assert_eq!(old_answer.status, 201, "{old_answer:?}");
    // As the job does again and again; here it must be after these and before the next. Each at a moment of its own:
    // the server marked its start, and of two marks at one moment the first stands.
    clock.advance(Duration::from_millis(1));
    server.store.mark(clock.steady(), Timestamp(0)).await.unwrap();
    clock.advance(DAY - ALL_JOBS / 2);
    server.store.mark(clock.steady(), Timestamp(0)).await.unwrap();

    // What an endpoint refuses, and what another one asks to be left alone with.
    let (fails, busy, works) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    fails.next([Behaviour::status(500)]);
    busy.next([Behaviour::Answer(Reply::new(503).header("retry-after", "240"))]);
    for endpoint in [&fails, &busy] {
        hook(&tenant, endpoint).await;
    }
    let (webhook, old_secret) = hook(&tenant, &works).await;
    tenant.client.rotate_webhook_secret(webhook.id).await.unwrap();
    server.text(LINE, CONTACT, "new").await;
    eventually("both are to be tried again", async || {
        let all = tenant.client.deliveries(&Deliveries::default()).all(10).await.unwrap();
        (all.iter().filter(|one| one.error.is_some()).count() == 2).then_some(())
    })
    .await;
    let replay = CreateReplay::since(webhook.id, clock.now() - Duration::from_millis(1));
    let replay = tenant.client.create_replay(&replay).await.unwrap().value.id;
    eventually("the replay is done", async || {
        let replay = tenant.client.replay(replay).await.unwrap().value;
        replay.finished_at.map(|_| ())
    })
    .await;
    // What a bridge has taken and says nothing of, and what waits for it.
    let mac = Mac::make(&server, &tenant, MAC).await;
    let other = Mac::make(&server, &tenant, THEIRS).await;
    let item = async |from: &str| {
        let made = switchboard_client::SendMessage::text(from, STRANGER, "x");
        tenant.client.send_message(&made).await.unwrap().value.id
    };
    let claimed = item(MAC).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    link.items().await;
    let waits = item(THEIRS).await;
    let file = Sample::png().uploaded(&server, &tenant.key).await;
    let url = signed(&server, &tenant, &file).await;
    let answer = send("new", "new").send(&server.url).await;
    types(&server, LINE, CONTACT, "on").await;
    let mut limited = CreateKey::new(tenant.account, "limited");
    limited.rate_limit = Some(1);
    let limited = server.admin().create_key(&limited).await.unwrap().value;
    let mut ending = CreateKey::new(tenant.account, "ending");
    ending.expires_at = Some(clock.now() + 2 * HOUR);
    let ending = server.admin().create_key(&ending).await.unwrap().value;
    let lines = |key: &str| Call::get("/v1/lines").key(key);
    assert_eq!(lines(limited.secret.reveal()).send(&server.url).await.status, 200);
    let mut live = Live::open(&server, &tenant.key, "?event=message.received").await;
    drop(link);
    eventually("the claim is left alone", async || {
        let item = tenant.client.outbox(claimed).await.unwrap().value;
        (item.status == OutboxStatus::Claimed).then_some(())
    })
    .await;

    let set_at = clock.steady();
    let events = has_events(&server, tenant.account).await;
    if restart {
        server = server
            .restart_with(|setup| {
                set.set(&clock);
                setup
            })
            .await;
        live = Live::open(&server, &tenant.key, "?event=message.received").await;
    } else {
        set.set(&clock);
    }

    // At once.
    let again = send("new", "new").send(&server.url).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"), "{again:?}");
    assert_eq!(again.bytes, answer.bytes);
    let again = lines(limited.secret.reveal()).send(&server.url).await;
    assert_eq!(again.status, 429, "the hour of the limit is not over: {again:?}");
    let reset: u64 = again.header("retry-after").unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&reset), "{reset}");
    let download = async |url: &str| reqwest::get(url).await.unwrap().status().as_u16();
    assert_eq!(download(&url).await, 200, "the URL has not expired");
    let ends = lines(ending.secret.reveal()).send(&server.url).await.status;
    let wanted = if matches!(set, Set::Forward(_)) { 401 } else { 200 };
    assert_eq!(ends, wanted, "a key expires by the wall clock");
    server.text(LINE, CONTACT, "newer").await;
    assert_eq!(live.next().await.2["text"], "newer", "no reader was slow");
    let came = works.wait_for(2, SOON).await.unwrap().remove(1);
    let judge = standardwebhooks::Webhook::new(old_secret.reveal()).unwrap();
    let signed_at = came.header("webhook-timestamp").unwrap().parse().unwrap();
    assert_eq!(signed_at, clock.now().seconds(), "a signature is made by the wall clock");
    let old = judge.sign(came.header("webhook-id").unwrap(), signed_at, &came.body).unwrap();
    let signatures = came.header("webhook-signature").unwrap();
    assert!(signatures.split(' ').any(|one| one == old), "the old secret is still good");

    // Soon: what is due in seconds or minutes, and what was to be forgotten by now.
    fails.wait_for_count(2, SOON).await.unwrap();
    // What a restart forgets of a pause by design, it forgets here too.
    if restart {
        busy.wait_for_count(2, SOON).await.unwrap();
    } else {
        assert_eq!(busy.count(), 1, "it asked for a pause");
    }
    clock.advance(ALL_JOBS);
    fails.wait_for_count(3, SOON).await.unwrap();
    busy.wait_for_count(3, SOON).await.unwrap();
    for one in tenant.client.deliveries(&Deliveries::default()).all(100).await.unwrap() {
        for attempt in one.attempts.iter().filter(|attempt| attempt.number > 1) {
            assert_eq!(attempt.started_at, clock.now(), "not before its time: {one:?}");
        }
    }
    let lost = settled(&tenant, claimed, OutboxStatus::Failed).await;
    assert_eq!(lost.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    assert_eq!(lost.completed_at, Some(clock.now()), "the lease was not over before");
    eventually("nobody types", async || {
        let typing = tenant.client.typing(LINE, CONTACT).await.unwrap().value;
        (!typing.data[0].is_typing).then_some(())
    })
    .await;
    let location = async |file: &str| {
        let call = Call::get(query("/v1/files", &[("id", file)])).key(&tenant.key);
        call.send(&server.url).await.status
    };
    eventually("the old ones are gone", async || {
        // What a job missed by a moment it finds the next time.
        let gone = location(&old_file).await == 404
            && has_events(&server, tenant.account).await == events
            && send("old", "old").send(&server.url).await.header("idempotent-replayed").is_none();
        gone.then_some(())
    })
    .await;
    assert_eq!(location(&file).await, 302, "the newer upload is kept");
    assert_eq!(
        has_events(&server, tenant.account).await,
        events,
        "one is gone, one is new, the others are kept"
    );
    assert_eq!(tenant.client.replay(replay).await.unwrap().value.id, replay);
    let waiting = tenant.client.outbox(waits).await.unwrap().value;
    assert_eq!(waiting.status, OutboxStatus::Pending, "{waiting:?}");
    assert_eq!(tenant.client.webhooks("").await.unwrap().value.data.len(), 3);

    // In an hour, and in a day.
    clock.advance(HOUR);
    assert_eq!(download(&url).await, 404, "the URL has expired");
    assert_eq!(lines(limited.secret.reveal()).send(&server.url).await.status, 200);
    clock.advance(DAY - clock.steady().since(set_at));
    let expired = eventually("what waited a day has expired", async || {
        clock.advance(ALL_JOBS);
        let item = tenant.client.outbox(waits).await.unwrap().value;
        (item.status == OutboxStatus::Failed).then_some(item)
    })
    .await;
    assert_eq!(expired.error.as_deref(), Some(EXPIRED));
    eventually("all of that day is gone", async || {
        clock.advance(ALL_JOBS);
        let gone = location(&file).await == 404
            && tenant.client.replay(replay).await.is_err()
            && has_events(&server, tenant.account).await == 0;
        gone.then_some(())
    })
    .await;
    server.text(LINE, CONTACT, "last").await;
    let last = works.wait_for(3, SOON).await.unwrap().remove(2);
    let at = last.header("webhook-timestamp").unwrap().parse().unwrap();
    let old = judge.sign(last.header("webhook-id").unwrap(), at, &last.body).unwrap();
    assert!(last.header("webhook-signature").unwrap().split(' ').all(|one| one != old));
    drop(other);
    server.stop().await;
}

#[tokio::test]
async fn a_clock_set_back_by_an_hour_makes_nothing_late() {
    Box::pin(all_goes_on(Set::Back(HOUR), false)).await;
}

#[tokio::test]
async fn a_clock_set_back_by_a_day_makes_nothing_late() {
    Box::pin(all_goes_on(Set::Back(DAY), false)).await;
}

#[tokio::test]
async fn a_clock_set_forward_by_days_deletes_and_fails_nothing() {
    Box::pin(all_goes_on(Set::Forward(3 * DAY), false)).await;
}

#[tokio::test]
async fn a_clock_set_back_while_the_server_is_down_makes_nothing_late() {
    Box::pin(all_goes_on(Set::Back(DAY), true)).await;
}

#[tokio::test]
async fn a_clock_set_forward_while_the_server_is_down_deletes_and_fails_nothing() {
    Box::pin(all_goes_on(Set::Forward(3 * DAY), true)).await;
}

/// A server that was down for days is not one whose clock was set: it prunes and expires at once.
#[tokio::test]
async fn days_of_being_down_count() {
    let clock = TestClock::now();
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = setup.config(|config| config.event_retention = 7).start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    server.text(LINE, CONTACT, "old").await;
    let made = switchboard_client::SendMessage::text(mac.line.handle.to_string(), STRANGER, "x");
    let waits = tenant.client.send_message(&made).await.unwrap().value.id;
    let file = Sample::png().uploaded(&server, &tenant.key).await;
    let server = server
        .restart_with(|setup| {
            clock.advance(8 * DAY);
            setup
        })
        .await;
    eventually("what waited has expired", async || {
        // Far less than it has to wait.
        clock.advance(Duration::from_secs(2));
        let item = tenant.client.outbox(waits).await.unwrap().value;
        (item.status == OutboxStatus::Failed).then_some(())
    })
    .await;
    let call = Call::get(query("/v1/files", &[("id", &file)])).key(&tenant.key);
    eventually("all that is old is gone", async || {
        clock.advance(ALL_JOBS);
        let gone = has_events(&server, tenant.account).await == 0
            && call.send(&server.url).await.status == 404;
        gone.then_some(())
    })
    .await;
    server.stop().await;
}

/// Who has been failing for two days is not disabled because three more are said to have passed.
#[tokio::test]
async fn days_that_nobody_lived_through_disable_no_webhook() {
    let clock = TestClock::now();
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.set(Behaviour::status(500));
    let webhook = CreateWebhook::new("", receiver.url(), [EventKind::MessageReceived]);
    tenant.client.create_webhook(&webhook).await.unwrap();
    for day in 1..=4_u64 {
        server.text(LINE, CONTACT, &day.to_string()).await;
        receiver.wait_for_count(day, SOON).await.unwrap();
        eventually("it is settled", async || {
            let all = tenant.client.deliveries(&Deliveries::default()).all(10).await.unwrap();
            (all.iter().filter(|one| one.error.is_some()).count() as u64 == day).then_some(())
        })
        .await;
        clock.set_forward(2 * DAY);
    }
    let webhooks = tenant.client.webhooks("").await.unwrap().value.data;
    assert!(webhooks[0].is_active, "{webhooks:?}");
    assert!(webhooks[0].failing_since.is_some_and(|since| since > Timestamp(0)));
    server.stop().await;
}

#[tokio::test]
async fn a_key_that_expires_ends_its_stream_by_the_wall_clock() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let mut key = CreateKey::new(tenant.account, "ending");
    key.expires_at = Some(clock.now() + HOUR);
    let key = server.admin().create_key(&key).await.unwrap().value;
    let mut live = Live::open(&server, key.secret.reveal(), "").await;
    clock.set_forward(2 * HOUR);
    assert_eq!(live.closed(SOON).await, (Vec::new(), "key_expired".to_owned()));
    let again = Call::get("/v1/events").key(key.secret.reveal()).send(&server.url).await;
    crate::call::assert_refused("again", &again, Code::InvalidApiKey, None);
    server.stop().await;
}
