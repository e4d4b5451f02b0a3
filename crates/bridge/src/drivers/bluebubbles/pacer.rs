//! Keeps the actions of the helper apart: it takes five a second, of all chats together, and what comes faster waits
//! in the server, where nobody can take it back.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Whose turn it is.
pub(super) struct Pacer {
    next: Mutex<Option<Instant>>,
    spacing: Duration,
}

impl Pacer {
    pub(super) fn new(spacing: Duration) -> Self {
        Self { next: Mutex::default(), spacing }
    }

    /// Waits for a turn. False, at once, if it would come later than that: what is of the moment is then of no use.
    pub(super) async fn turn(&self, within: Option<Duration>) -> bool {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.unwrap_or(now).max(now);
            if within.is_some_and(|within| turn > now + within) {
                return false;
            }
            *next = Some(turn + self.spacing);
            turn
        };
        sleep_until(turn).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn five_a_second_and_nothing_of_the_moment_waits_long() {
        let (pacer, begun) = (Pacer::new(Duration::from_millis(200)), Instant::now());
        for _ in 0..6 {
            assert!(pacer.turn(None).await);
        }
        assert_eq!(begun.elapsed().as_millis(), 1000);
        assert!(!pacer.turn(Some(Duration::from_millis(100))).await);
        assert!(pacer.turn(Some(Duration::from_millis(200))).await);
    }
}
