//! A clock that is moved by hand.

use std::time::Duration;

use switchboard_model::{
    Timestamp,
    time::{Clock, Now},
};
use tokio::sync::watch;

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct TestClock(watch::Sender<Now>);

impl TestClock {
    /// A clock that shows this.
    pub fn at(now: Timestamp) -> Self {
        Self(watch::Sender::new(now.into()))
    }

    /// A clock that shows what the machine's shows now.
    pub fn now() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self::at(switchboard_server::SystemClock.now()))
    }

    /// Lets time pass; whoever sleeps until a time that has come is woken.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| {
            *now = Now { wall: now.wall + by, steady: now.steady + by };
        });
    }

    /// Sets the wall clock forward; no time passes.
    pub fn set_forward(&self, by: Duration) {
        self.0.send_modify(|now| now.wall = now.wall + by);
    }

    /// Sets the wall clock back; no time passes.
    pub fn set_back(&self, by: Duration) {
        self.0.send_modify(|now| now.wall = now.wall - by);
    }

    /// How many sleep until a time that has not come.
    pub fn sleepers(&self) -> usize {
        self.0.receiver_count()
    }
}

#[async_trait::async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.0.borrow().wall
    }

    fn steady(&self) -> Timestamp {
        self.0.borrow().steady
    }

    fn boot(&self) -> Option<String> {
        Some("test".to_owned())
    }

    async fn sleep(&self, pause: Duration) {
        let mut changes = self.0.subscribe();
        let until = self.steady() + pause;
        // The sender lives in `self`, so it can't be gone while somebody sleeps.
        let _ = changes.wait_for(|now| now.steady >= until).await;
    }

    async fn sleep_until(&self, until: Timestamp) {
        let mut changes = self.0.subscribe();
        let Now { wall, steady } = *changes.borrow();
        let latest = steady + until.since(wall);
        let _ = changes.wait_for(|now| now.wall >= until || now.steady >= latest).await;
    }
}
