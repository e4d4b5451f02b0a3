//! The way between memory and store: what finds no place goes back, and what waits there is claimed in
//! such numbers that each webhook has work and none takes all.

use std::collections::HashSet;

use switchboard_model::{Timestamp, Webhook, delivery::DueDelivery, id::Id};

use super::{Lanes, Overflown, QUEUE, QUEUE_EACH, Trust, Waiting, attempt_of, ordered_chat};

/// The least that one webhook is given of a claim, unless nothing of it waits here: a claim is not for crumbs.
pub(super) const LEAST_CLAIMED: usize = 16;

/// The most of a failing webhook that a claim leaves in memory: they would wait there for long.
const CLAIMED_OF_FAILING: usize = 2 * LEAST_CLAIMED;

/// What to claim.
#[derive(Debug)]
pub(in crate::deliver) struct Shares {
    /// How much for whom.
    pub(in crate::deliver) of: Vec<(Id<Webhook>, usize)>,
    /// Whether there is room for more than that. If not, [`Lanes::done`] says when there is again.
    pub(in crate::deliver) leave_room: bool,
}

impl Lanes {
    pub(super) fn overflow(&mut self, delivery: &DueDelivery) {
        self.overflow.push((delivery.webhook_id, delivery.id));
        if delivery.attempts == 0 {
            self.stored.insert(delivery.webhook_id);
        }
    }

    /// Whether one more of this webhook may wait. When all places are taken, the webhook with the
    /// most of them gives them up.
    pub(super) fn make_place(&mut self, webhook: Id<Webhook>) -> bool {
        let own = self.waiting_of(webhook);
        if own >= QUEUE_EACH {
            return false;
        }
        if self.waiting < QUEUE {
            return true;
        }
        let longest = self.webhooks.iter().max_by_key(|(_, lane)| lane.waiting);
        match longest.map(|(id, lane)| (*id, lane.waiting)) {
            Some((longest, most)) if most > own => {
                self.cut(longest);
                true
            }
            _ => false,
        }
    }

    /// Lets all that waits for this webhook overflow: it comes again, in order.
    pub(in crate::deliver) fn cut(&mut self, webhook: Id<Webhook>) {
        self.cut.insert(webhook);
        self.is_urgent = true;
        let Some(lane) = self.webhooks.get_mut(&webhook) else { return };
        let mut all = Vec::with_capacity(lane.waiting);
        for waiting in std::mem::take(&mut lane.ready) {
            let chat = ordered_chat(&waiting.delivery);
            all.extend(chat.and_then(|chat| lane.behind.remove(&chat)).into_iter().flatten());
            all.push(waiting);
        }
        // Of these chats one is in flight. It is still waited for.
        all.extend(lane.behind.values_mut().flat_map(std::mem::take));
        self.waiting -= all.len();
        lane.waiting = 0;
        if lane.in_flight == 0 {
            self.drop_lane(webhook);
        }
        for Waiting { delivery, .. } in all {
            self.here.remove(&attempt_of(&delivery));
            self.overflow(&delivery);
        }
    }

    /// The webhook is not what it was: what waits for it overflows, and it is trusted as one that is new.
    pub(in crate::deliver) fn begin_anew(&mut self, webhook: Id<Webhook>) {
        self.cut(webhook);
        self.conduct.remove(&webhook);
        // Of one that was disabled, some may wait in the store that nobody has looked at here.
        self.stored.insert(webhook);
    }

    /// Whether something is to be given back now.
    pub(in crate::deliver) fn has_urgent_overflow(&self) -> bool {
        self.is_urgent && !self.overflow.is_empty()
    }

    /// What is to be given back before anything is claimed.
    pub(in crate::deliver) fn take_overflow(&mut self) -> Vec<Overflown> {
        self.cut.clear();
        self.is_urgent = false;
        std::mem::take(&mut self.overflow)
    }

    /// These could not be given back.
    pub(in crate::deliver) fn put_back(&mut self, back: Vec<Overflown>) {
        self.stored.extend(back.iter().map(|(webhook, _)| *webhook));
        self.overflow.extend(back);
        self.is_urgent = true;
    }

    /// How much to claim for whom, at most `most`, when these webhooks have something due in the
    /// store. That was asked after the last overflow was given back.
    pub(in crate::deliver) fn shares(
        &mut self,
        mut due: Vec<Id<Webhook>>,
        most: usize,
        now: Timestamp,
    ) -> Shares {
        due.sort_unstable();
        let overflowing: HashSet<_> = self.overflow.iter().map(|(webhook, _)| *webhook).collect();
        // Of what was cut since then, the store may have some that nobody was told of: it may have been enabled.
        self.stored.retain(|one| {
            overflowing.contains(one) || self.cut.contains(one) || due.binary_search(one).is_ok()
        });
        self.hungry = due.iter().copied().collect();
        // Who got the last is the last.
        let first = due.partition_point(|one| Some(*one) <= self.last_claimed);
        due.rotate_left(first);
        let is_crumb = |webhook, room| room < LEAST_CLAIMED && self.waiting_of(webhook) > 0;
        let rooms = due.into_iter().map(|one| (one, self.room(one, now)));
        let mut of: Vec<_> =
            rooms.filter(|&(one, room)| room > 0 && !is_crumb(one, room)).collect();
        let each = (most / of.len().max(1)).max(LEAST_CLAIMED);
        let leave_room = of.len() > most / each || of.iter().any(|(_, room)| *room > each);
        of.truncate(most / each);
        for (_, room) in &mut of {
            *room = each.min(*room);
        }
        if let Some((last, _)) = of.last() {
            self.last_claimed = Some(*last);
        }
        Shares { of, leave_room }
    }

    /// Lets the breaker's next probe go out now, if there is one to wait for.
    pub(in crate::deliver) fn probe(&mut self, webhook: Id<Webhook>, now: Timestamp) {
        if let Some(conduct) = self.conduct.get_mut(&webhook) {
            conduct.breaker.cut_short(now);
        }
    }

    /// When the next breaker lets its probe through.
    pub(in crate::deliver) fn next_probe(&self, now: Timestamp) -> Option<Timestamp> {
        let probes = self.conduct.values().filter_map(|conduct| conduct.breaker.probe_at());
        probes.filter(|at| *at > now).min()
    }

    /// How many more of this webhook a claim may bring.
    pub(super) fn room(&self, webhook: Id<Webhook>, now: Timestamp) -> usize {
        self.places(webhook, now).saturating_sub(self.waiting_of(webhook))
    }

    /// Whether half of what a claim may bring is gone: time to look for more.
    pub(super) fn runs_low(&self, webhook: Id<Webhook>, now: Timestamp) -> bool {
        let (own, places) = (self.waiting_of(webhook), self.places(webhook, now));
        own < places && own <= places / 2
    }

    /// How many of this webhook may wait here after a claim. Half of all places are left to what is handed over in
    /// memory.
    fn places(&self, webhook: Id<Webhook>, now: Timestamp) -> usize {
        let fair = (QUEUE / self.webhooks.len().max(1)).min(QUEUE_EACH).div_ceil(2);
        match self.conduct.get(&webhook) {
            Some(conduct) if !conduct.breaker.is_closed() => usize::from(self.admits(webhook, now)),
            Some(conduct) if conduct.trust(0) == Trust::Failing => fair.min(CLAIMED_OF_FAILING),
            _ => fair,
        }
    }
}
