//! Who watches: how all stands in memory, and which attempts take long.

use std::collections::{HashSet, VecDeque};

use switchboard_model::{Timestamp, Webhook, id::Id};

use super::{Lane, Lanes};
use crate::deliver::conduct::{Conduct, SLOW};

/// How deliveries stand in memory.
#[derive(Debug)]
pub(crate) struct InMemory {
    /// Attempts under way.
    pub(crate) in_flight: u64,
    /// Deliveries that wait for a slot, or to be given back.
    pub(crate) waiting: u64,
    /// Those of them that a breaker holds back.
    pub(crate) waiting_held: u64,
    /// Since when the oldest of them is due, but for those whose endpoint is to blame.
    pub(crate) oldest: Option<Timestamp>,
    /// The webhooks that a breaker holds back.
    pub(crate) held: HashSet<Id<Webhook>>,
    /// The webhooks whose endpoint fails or is slow: these, and others.
    pub(crate) to_blame: HashSet<Id<Webhook>>,
}

impl Lanes {
    /// How all stands.
    pub(in crate::deliver) fn in_memory(&self) -> InMemory {
        let those = |is: fn(&Conduct) -> bool| -> HashSet<_> {
            let some = self.conduct.iter().filter(|(_, conduct)| is(conduct));
            some.map(|(webhook, _)| *webhook).collect()
        };
        let held = those(|conduct| !conduct.breaker.is_closed());
        let to_blame = those(Conduct::is_to_blame);
        let lanes = self.webhooks.iter().filter(|(webhook, _)| !to_blame.contains(webhook));
        let first = |(_, lane): (_, &Lane)| {
            let behind = lane.behind.values().filter_map(VecDeque::front);
            lane.ready.iter().chain(behind).map(|waiting| waiting.since).min()
        };
        let oldest = lanes.filter_map(first).min();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let overflow = self.overflow.iter();
        InMemory {
            in_flight: count(self.slots.used()),
            waiting: count(self.waiting + self.overflow.len()),
            waiting_held: count(overflow.filter(|(webhook, _)| held.contains(webhook)).count()),
            oldest,
            held,
            to_blame,
        }
    }

    /// Looks for attempts that take long.
    pub(in crate::deliver) fn look_at_flights(&mut self, now: Timestamp) {
        let mut late = Vec::new();
        for flight in self.here.values_mut().flatten() {
            if !flight.is_overdue && now.since(flight.since) > SLOW {
                flight.is_overdue = true;
                late.push(flight.webhook);
            }
        }
        for webhook in late {
            if let Some(conduct) = self.conduct.get_mut(&webhook) {
                conduct.overdue();
            }
            self.regrade(webhook);
        }
    }
}
