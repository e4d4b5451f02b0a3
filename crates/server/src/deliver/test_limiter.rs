//! Room for tests by hand: each holds a connection for as long as its endpoint takes, so one account may not have
//! all of it.

use switchboard_model::{Account, id::Id};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::quota::each::{Each, Share};

/// Tests at once, of all accounts.
const MOST: usize = 64;
/// Tests at once of one account.
const MOST_EACH: u32 = 4;

#[derive(Debug)]
pub(super) struct TestLimiter {
    all: Semaphore,
    of: Each<Id<Account>>,
}

/// One that is under way; over when dropped.
#[derive(Debug)]
pub(super) struct Test<'a> {
    _of_all: SemaphorePermit<'a>,
    _of_account: Share<Id<Account>>,
}

impl Default for TestLimiter {
    fn default() -> Self {
        Self { all: Semaphore::new(MOST), of: Each::default() }
    }
}

impl TestLimiter {
    /// One more, if there is room for it.
    pub(super) fn begin(&self, account: Id<Account>) -> Option<Test<'_>> {
        let of_account = self.of.take(account, MOST_EACH)?;
        let of_all = self.all.try_acquire().ok()?;
        Some(Test { _of_all: of_all, _of_account: of_account })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_account_has_all_the_room() {
        let limiter = TestLimiter::default();
        let account = Id::generate();
        let mut own: Vec<_> = std::iter::from_fn(|| limiter.begin(account)).collect();
        assert_eq!(own.len(), MOST_EACH as usize);
        let others: Vec<_> = std::iter::from_fn(|| limiter.begin(Id::generate())).collect();
        assert_eq!(others.len(), MOST - MOST_EACH as usize);
        own.pop();
        assert!(limiter.begin(account).is_some());
        drop((own, others));
        assert_eq!(limiter.all.available_permits(), MOST);
    }
}
