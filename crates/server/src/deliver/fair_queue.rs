//! Whose turn it is: accounts take turns, and of each account its webhooks do, so that nobody gets more by having more
//! webhooks.

use std::collections::{HashMap, VecDeque};

use switchboard_model::{Account, Webhook, id::Id};

/// The webhooks of one class that have something to send. Each is here at most once.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    /// Those that have a webhook here, each once.
    accounts: VecDeque<Id<Account>>,
    /// None of them is empty.
    webhooks: HashMap<Id<Account>, VecDeque<Id<Webhook>>>,
}

impl FairQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// This webhook is the last of its account, and an account that is new here the last of all.
    pub(super) fn enqueue(&mut self, account: Id<Account>, webhook: Id<Webhook>) {
        let webhooks = self.webhooks.entry(account).or_insert_with(|| {
            self.accounts.push_back(account);
            VecDeque::new()
        });
        webhooks.push_back(webhook);
    }

    /// Takes out whose turn it is, of the accounts that may have one.
    pub(super) fn pop(&mut self, may: impl Fn(Id<Account>) -> bool) -> Option<Id<Webhook>> {
        let place = self.accounts.iter().position(|account| may(*account))?;
        // Those that may not have had their turn.
        self.accounts.rotate_left(place);
        let account = self.accounts.pop_front()?;
        let webhooks = self.webhooks.get_mut(&account)?;
        let webhook = webhooks.pop_front();
        if webhooks.is_empty() {
            self.webhooks.remove(&account);
        } else {
            self.accounts.push_back(account);
        }
        webhook
    }

    /// This webhook has no turn any more.
    pub(super) fn remove(&mut self, account: Id<Account>, webhook: Id<Webhook>) {
        let Some(webhooks) = self.webhooks.get_mut(&account) else { return };
        webhooks.retain(|one| *one != webhook);
        if webhooks.is_empty() {
            self.webhooks.remove(&account);
            self.accounts.retain(|one| *one != account);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.webhooks.values().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut FairQueue, may: impl Fn(Id<Account>) -> bool) -> Vec<Id<Webhook>> {
        std::iter::from_fn(|| queue.pop(&may)).collect()
    }

    #[test]
    fn accounts_take_turns_and_so_do_their_webhooks() {
        let (many, one) = (Id::generate(), Id::generate());
        let webhooks: Vec<_> = (0..4).map(|_| Id::generate()).collect();
        let mut queue = FairQueue::default();
        for webhook in &webhooks[..3] {
            queue.enqueue(many, *webhook);
        }
        queue.enqueue(one, webhooks[3]);
        let wanted = [0, 3, 1, 2].map(|place| webhooks[place]);
        assert_eq!(drain(&mut queue, |_| true), wanted);
        assert!(queue.accounts.is_empty() && queue.webhooks.is_empty());
    }

    #[test]
    fn who_may_not_have_a_turn_waits_and_holds_nobody_back() {
        let (held, free) = (Id::generate(), Id::generate());
        let (waits, goes) = (Id::generate(), Id::generate());
        let mut queue = FairQueue::default();
        queue.enqueue(held, waits);
        queue.enqueue(free, goes);
        assert_eq!(drain(&mut queue, |account| account != held), [goes]);
        assert_eq!(drain(&mut queue, |_| true), [waits]);
    }

    #[test]
    fn who_is_removed_leaves_nothing_behind() {
        let account = Id::generate();
        let (gone, stays) = (Id::generate(), Id::generate());
        let mut queue = FairQueue::default();
        queue.enqueue(account, gone);
        queue.enqueue(account, stays);
        queue.remove(account, gone);
        assert_eq!(queue.len(), 1);
        queue.remove(account, stays);
        queue.remove(account, stays);
        assert!(queue.accounts.is_empty() && queue.webhooks.is_empty());
        queue.enqueue(account, stays);
        assert_eq!(drain(&mut queue, |_| true), [stays]);
    }
}
