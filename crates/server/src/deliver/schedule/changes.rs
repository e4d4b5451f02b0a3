//! What others change: which webhooks are this process's own, what a webhook is, and what has come to its store.

use switchboard_model::{Timestamp, Webhook, id::Id};
use switchboard_store::{Owned, partition};

use super::Schedule;
use crate::deliver::queue::Queue;

impl Schedule {
    /// The webhooks that are this process's.
    pub(in crate::deliver) fn owned(&self) -> &Owned {
        &self.owned
    }

    /// Whether an attempt for a webhook of this part is in flight.
    pub(in crate::deliver) fn is_under_way(&self, part: u8) -> bool {
        self.queues
            .iter()
            .any(|(webhook, queue)| partition(*webhook) == part && queue.in_flight() > 0)
    }

    /// From now on these are its own, until then. Whether they are others than before: then the store is to be looked at.
    pub(in crate::deliver) fn own(
        &mut self,
        owned: Owned,
        until: Timestamp,
        now: Timestamp,
    ) -> bool {
        self.owned_until = until;
        if self.owned == owned {
            return false;
        }
        self.owned = owned;
        self.is_complete = false;
        self.generation += 1;
        let all: Vec<_> = self.queues.keys().copied().collect();
        for webhook in all {
            // Of one that was another's meanwhile, that one may have left something in the store.
            let is_own = self.owned.has(webhook);
            self.change(
                webhook,
                now,
                || None,
                |queue, _| match is_own {
                    true => queue.empty(),
                    false => queue.forget(),
                },
            );
        }
        true
    }

    /// The webhooks and what they have in the store may be others than is known here.
    pub(in crate::deliver) fn reread_all(&mut self, now: Timestamp) {
        self.is_complete = false;
        self.generation += 1;
        let all: Vec<_> = self.queues.keys().copied().collect();
        for webhook in all {
            self.change(webhook, now, || None, |queue, _| queue.empty());
        }
    }

    /// To be told with what is found from now on.
    pub(in crate::deliver) fn generation(&self) -> u64 {
        self.generation
    }

    /// The webhook is not what it was: what waits for it is read anew, and its endpoint is a new one.
    /// Whether it is known here.
    pub(in crate::deliver) fn reset(&mut self, webhook: Id<Webhook>, now: Timestamp) -> bool {
        self.change(webhook, now, || None, |queue, _| queue.renew()).is_some()
    }

    /// Something has come to the store of this webhook. Whether it is known here.
    pub(in crate::deliver) fn look_again(&mut self, webhook: Id<Webhook>, now: Timestamp) -> bool {
        let look = |queue: &mut Queue, _: &mut _| {
            queue.look_again();
            queue.retry(now);
        };
        self.change(webhook, now, || None, look).is_some()
    }

    /// The webhook is gone. What is in flight ends by itself.
    pub(in crate::deliver) fn forget(&mut self, webhook: Id<Webhook>, now: Timestamp) {
        self.change(webhook, now, || None, |queue, _| queue.forget());
    }

    /// Lets the breaker's next probe go out now, if there is one to wait for.
    pub(in crate::deliver) fn probe(&mut self, webhook: Id<Webhook>, now: Timestamp) {
        self.change(webhook, now, || None, |queue, _| queue.endpoint.breaker.cut_short(now));
    }
}
