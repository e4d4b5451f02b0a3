//! Room for tests by hand: each holds a connection for as long as its endpoint takes, so one account may not have
//! all of it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use switchboard_model::{Account, id::Id};

/// Tests at once, of all accounts.
const MOST: usize = 64;
/// Tests at once of one account.
const MOST_EACH: usize = 4;

/// How many are under way.
#[derive(Debug, Default)]
pub(super) struct TestLimiter(Mutex<HashMap<Id<Account>, usize>>);

/// One that is under way; over when dropped.
#[derive(Debug)]
pub(super) struct Test<'a> {
    limiter: &'a TestLimiter,
    account: Id<Account>,
}

impl TestLimiter {
    /// One more, if there is room for it.
    pub(super) fn begin(&self, account: Id<Account>) -> Option<Test<'_>> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = under_way.values().sum();
        let own = under_way.get(&account).copied().unwrap_or_default();
        if all >= MOST || own >= MOST_EACH {
            return None;
        }
        under_way.insert(account, own + 1);
        Some(Test { limiter: self, account })
    }
}

impl Drop for Test<'_> {
    fn drop(&mut self) {
        let mut under_way = self.limiter.0.lock().unwrap_or_else(PoisonError::into_inner);
        match under_way.get_mut(&self.account) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                under_way.remove(&self.account);
            }
        }
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
        assert_eq!(own.len(), MOST_EACH);
        let others: Vec<_> = std::iter::from_fn(|| limiter.begin(Id::generate())).collect();
        assert_eq!(others.len(), MOST - MOST_EACH);
        own.pop();
        assert!(limiter.begin(account).is_some());
        drop((own, others));
        assert!(limiter.0.lock().unwrap().is_empty());
    }
}
