//! A clock that is moved by hand.

use std::time::Duration;

use switchboard_model::{Timestamp, time::Clock};
use tokio::sync::watch;

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct TestClock(watch::Sender<Timestamp>);

impl TestClock {
    /// A clock that shows this.
    pub fn at(now: Timestamp) -> Self {
        Self(watch::Sender::new(now))
    }

    /// A clock that shows what the machine's shows now.
    pub fn now() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self::at(switchboard_server::SystemClock.now()))
    }

    /// Moves it on; whoever sleeps until a time that has come is woken.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = *now + by);
    }

    /// How many sleep until a time that has not come.
    pub fn sleepers(&self) -> usize {
        self.0.receiver_count()
    }
}

#[async_trait::async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn sleep_until(&self, until: Timestamp) {
        // The sender lives in `self`, so it can't be gone while somebody sleeps.
        let _ = self.0.subscribe().wait_for(|now| *now >= until).await;
    }
}
