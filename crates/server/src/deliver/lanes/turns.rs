//! Turns: accounts take turns, and of each account its webhooks do, so that nobody gets more by having more webhooks.

use std::collections::{HashMap, VecDeque};

use switchboard_model::{Account, Webhook, id::Id};

/// The webhooks of one kind that have something to send. Each stands here at most once.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Those that have a webhook here, each once.
    accounts: VecDeque<Id<Account>>,
    /// None of them is empty.
    webhooks: HashMap<Id<Account>, VecDeque<Id<Webhook>>>,
}

impl Turns {
    /// This webhook is the last of its account, and an account that is new here the last of all.
    pub(super) fn stand(&mut self, account: Id<Account>, webhook: Id<Webhook>) {
        let webhooks = self.webhooks.entry(account).or_insert_with(|| {
            self.accounts.push_back(account);
            VecDeque::new()
        });
        webhooks.push_back(webhook);
    }

    /// Takes out whose turn it is, of the accounts that may have one.
    pub(super) fn next(&mut self, may: impl Fn(Id<Account>) -> bool) -> Option<Id<Webhook>> {
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
    pub(super) fn leave(&mut self, account: Id<Account>, webhook: Id<Webhook>) {
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

    fn drain(turns: &mut Turns, may: impl Fn(Id<Account>) -> bool) -> Vec<Id<Webhook>> {
        std::iter::from_fn(|| turns.next(&may)).collect()
    }

    #[test]
    fn accounts_take_turns_and_so_do_their_webhooks() {
        let (many, one) = (Id::generate(), Id::generate());
        let webhooks: Vec<_> = (0..4).map(|_| Id::generate()).collect();
        let mut turns = Turns::default();
        for webhook in &webhooks[..3] {
            turns.stand(many, *webhook);
        }
        turns.stand(one, webhooks[3]);
        let wanted = [0, 3, 1, 2].map(|place| webhooks[place]);
        assert_eq!(drain(&mut turns, |_| true), wanted);
        assert!(turns.accounts.is_empty() && turns.webhooks.is_empty());
    }

    #[test]
    fn who_may_not_have_a_turn_waits_and_holds_nobody_back() {
        let (held, free) = (Id::generate(), Id::generate());
        let (waits, goes) = (Id::generate(), Id::generate());
        let mut turns = Turns::default();
        turns.stand(held, waits);
        turns.stand(free, goes);
        assert_eq!(drain(&mut turns, |account| account != held), [goes]);
        assert_eq!(drain(&mut turns, |_| true), [waits]);
    }

    #[test]
    fn who_leaves_leaves_nothing_behind() {
        let account = Id::generate();
        let (gone, stays) = (Id::generate(), Id::generate());
        let mut turns = Turns::default();
        turns.stand(account, gone);
        turns.stand(account, stays);
        turns.leave(account, gone);
        assert_eq!(turns.len(), 1);
        turns.leave(account, stays);
        turns.leave(account, stays);
        assert!(turns.accounts.is_empty() && turns.webhooks.is_empty());
        turns.stand(account, stays);
        assert_eq!(drain(&mut turns, |_| true), [stays]);
    }
}
