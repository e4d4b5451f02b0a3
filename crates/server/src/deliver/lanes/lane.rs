//! One webhook's lane: what waits for it, and in which order it may go out.

use std::collections::{HashMap, VecDeque};

use switchboard_model::{Account, Chat, Timestamp, delivery::DueDelivery, id::Id};

use super::{Trust, ordered_chat};

#[derive(Debug)]
pub(super) struct Lane {
    /// Whose webhook it is.
    pub(super) account: Id<Account>,
    pub(super) in_flight: usize,
    /// What the slots of those in flight count as.
    pub(super) trust: Trust,
    /// How many are in `ready` and `behind`.
    pub(super) waiting: usize,
    /// Whether the webhook stands in the turn of its trust.
    pub(super) in_turn: bool,
    /// May go out now.
    pub(super) ready: VecDeque<Waiting>,
    /// A first attempt is ready or in flight for these chats; what follows waits here.
    pub(super) behind: HashMap<Id<Chat>, VecDeque<Waiting>>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) delivery: DueDelivery,
    pub(super) leased_until: Timestamp,
    /// Since when it is due.
    pub(super) since: Timestamp,
}

impl Lane {
    pub(super) fn new(account: Id<Account>, trust: Trust) -> Self {
        Self {
            account,
            in_flight: 0,
            trust,
            waiting: 0,
            in_turn: false,
            ready: VecDeque::new(),
            behind: HashMap::new(),
        }
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.waiting += 1;
        let ordered = ordered_chat(&waiting.delivery);
        match ordered.and_then(|chat| self.behind.get_mut(&chat)) {
            Some(behind) => behind.push_back(waiting),
            None => {
                if let Some(chat) = ordered {
                    self.behind.insert(chat, VecDeque::new());
                }
                self.ready.push_back(waiting);
            }
        }
    }

    /// The first attempt of this chat is over. Whether the next may go out.
    pub(super) fn go_on(&mut self, chat: Id<Chat>) -> bool {
        let next = self.behind.get_mut(&chat).and_then(VecDeque::pop_front);
        let goes_on = next.is_some();
        match next {
            Some(next) => self.ready.push_back(next),
            None => drop(self.behind.remove(&chat)),
        }
        goes_on
    }
}
