//! Who watches: how all stands in memory, and which attempts take long.

use std::collections::HashSet;

use switchboard_model::{Timestamp, Webhook, id::Id};

use super::Schedule;
use crate::deliver::{
    endpoint::{Endpoint, SLOW},
    queue::Queue,
};

/// How deliveries stand in memory.
#[derive(Debug)]
pub(crate) struct InMemory {
    /// Attempts under way.
    pub(crate) in_flight: u64,
    /// The webhooks that a breaker holds back.
    pub(crate) held: HashSet<Id<Webhook>>,
    /// The webhooks whose endpoint fails or is slow: these, and others.
    pub(crate) to_blame: HashSet<Id<Webhook>>,
}

impl Schedule {
    /// Looks for attempts that take long.
    pub(in crate::deliver) fn sweep_slow(&mut self, now: Timestamp) {
        let busy = self.queues.iter().filter(|(_, queue)| queue.in_flight() > 0);
        let busy: Vec<_> = busy.map(|(webhook, _)| *webhook).collect();
        for webhook in busy {
            self.change(webhook, now, || None, |queue, pools| queue.note_overdue(pools, now, SLOW));
        }
    }

    /// The places of the deliveries in flight.
    pub(in crate::deliver) fn under_way(&self) -> Vec<i64> {
        self.queues.values().flat_map(Queue::under_way).collect()
    }

    /// How all stands.
    pub(in crate::deliver) fn in_memory(&self) -> InMemory {
        let those = |is: fn(&Endpoint) -> bool| -> HashSet<_> {
            let some = self.queues.iter().filter(|(_, queue)| is(&queue.endpoint));
            some.map(|(webhook, _)| *webhook).collect()
        };
        InMemory {
            in_flight: u64::try_from(self.pools.used()).unwrap_or(u64::MAX),
            held: those(|endpoint| !endpoint.breaker.is_closed()),
            to_blame: those(Endpoint::is_to_blame),
        }
    }
}
