//! A panic in one part takes no other with it: the part is begun anew, or the server says that it has failed.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use switchboard_client::{CreateWebhook, SendMessage};
use switchboard_model::{EventKind, Timestamp, outbox::OutboxStatus, time::Clock};
use switchboard_server::Resolver;
use switchboard_testkit::{LINE, Receiver, Setup, TestClock, eventually};
use tokio::time::timeout;

use crate::{
    fixtures::types,
    world::{CONTACT, settled},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A clock that panics when it is asked to, or told to wake somebody.
#[derive(Debug)]
struct Trap {
    clock: Arc<TestClock>,
    in_sleep: AtomicBool,
    in_now: AtomicBool,
    sprung: AtomicUsize,
}

impl Trap {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: TestClock::now(),
            in_sleep: AtomicBool::new(false),
            in_now: AtomicBool::new(false),
            sprung: AtomicUsize::new(0),
        })
    }

    fn spring(&self, trap: &AtomicBool) {
        if trap.load(Ordering::Relaxed) {
            self.sprung.fetch_add(1, Ordering::Relaxed);
            panic!("as it must be in this test");
        }
    }
}

#[async_trait::async_trait]
impl Clock for Trap {
    fn now(&self) -> Timestamp {
        self.spring(&self.in_now);
        self.clock.now()
    }

    fn steady(&self) -> Timestamp {
        self.spring(&self.in_now);
        self.clock.steady()
    }

    fn boot(&self) -> Option<String> {
        self.clock.boot()
    }

    async fn sleep(&self, pause: Duration) {
        self.spring(&self.in_sleep);
        self.clock.sleep(pause).await;
    }

    async fn sleep_until(&self, until: Timestamp) {
        self.spring(&self.in_sleep);
        self.clock.sleep_until(until).await;
    }
}

#[tokio::test]
async fn jobs_and_links_that_panic_are_begun_anew() {
    let trap = Trap::new();
    let server = Setup::new().clock(Arc::clone(&trap) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let wanted = CreateWebhook::new(LINE, receiver.url(), [EventKind::TypingStopped]);
    tenant.client.create_webhook(&wanted).await.unwrap();
    server.text(LINE, CONTACT, "hello").await;
    types(&server, LINE, CONTACT, "on").await;

    // Long enough for most jobs and for the link to look, and to sleep again.
    trap.in_sleep.store(true, Ordering::Relaxed);
    trap.clock.advance(Duration::from_secs(41));
    eventually("the trap is sprung by many", async || {
        (trap.sprung.load(Ordering::Relaxed) >= 10).then_some(())
    })
    .await;
    trap.in_sleep.store(false, Ordering::Relaxed);

    // The job that turns off typing indicators works again, and the engine that tells of it.
    timeout(PATIENCE, async {
        while receiver.wait_for(1, Duration::from_millis(100)).await.is_err() {
            trap.clock.advance(Duration::from_secs(1));
        }
    })
    .await
    .expect("the indicator is turned off");
    // The bridge is let in again.
    let text = SendMessage::text(LINE, CONTACT, "hello yourself");
    let item = tenant.client.send_message(&text).await.unwrap().value.id;
    settled(&tenant, item, OutboxStatus::Sent).await;

    let errors = server.stop_with_errors().await;
    for part in ["a task panicked", "expire typing indicators", "a link panicked"] {
        assert!(errors.iter().any(|line| line.contains(part)), "{part}: {errors:#?}");
    }
}

#[tokio::test]
async fn a_server_whose_engine_panics_says_that_it_has_failed() {
    let trap = Trap::new();
    let server = Setup::new().clock(Arc::clone(&trap) as Arc<dyn Clock>).start().await;
    let failed = timeout(Duration::from_millis(10), server.failed()).await;
    assert!(failed.is_err(), "nothing has failed yet");
    trap.in_now.store(true, Ordering::Relaxed);
    let part = timeout(PATIENCE, server.failed()).await.expect("it says so");
    trap.in_now.store(false, Ordering::Relaxed);
    assert_eq!(part, "dispatch");
    let errors = server.stop_with_errors().await;
    assert!(errors.iter().any(|line| line.contains("can't do without")), "{errors:#?}");
}

/// Panics the first time.
#[derive(Debug, Default)]
struct Unwell(AtomicUsize);

#[async_trait::async_trait]
impl Resolver for Unwell {
    async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "as it must be in this test");
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

#[tokio::test]
async fn an_attempt_that_panics_has_failed_and_is_made_again() {
    let setup = Setup::new().resolver(Arc::<Unwell>::default()).config(|config| {
        config.webhook_retry_schedule = "10ms".parse().unwrap();
        // Were its slot lost, nothing could be sent any more.
        config.webhook_concurrency = 1;
    });
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let url = format!("http://hooks.example:{}/", receiver.address().port());
    let wanted = CreateWebhook::new(LINE, url, [EventKind::MessageReceived]);
    tenant.client.create_webhook(&wanted).await.unwrap();
    server.text(LINE, CONTACT, "hello").await;
    receiver.wait_for(1, PATIENCE).await.unwrap();
    let errors = server.stop_with_errors().await;
    assert!(errors.iter().any(|line| line.contains("an attempt panicked")), "{errors:#?}");
}
