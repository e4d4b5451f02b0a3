//! What is the same of deliveries and replays in every store.

use switchboard_model::{
    EventKind, Line, Timestamp,
    delivery::{Delivery, DeliveryStatus},
    id::Id,
    replay::ReplayStatus,
};

use crate::{DeliveriesCursor, DeliveryFilter, DueQuery};

/// When a delivery is due that was not attempted in its round: always, and before any retry.
pub(crate) const UNTRIED: Timestamp = Timestamp(0);

/// Why a delivery is given up whose webhook gets nothing any more.
pub(crate) const DISABLED: &str = "the webhook was disabled";

/// Why a delivery is given up whose event its webhook names no longer: whoever narrows a webhook and then gives it
/// another URL must not get there what only others may read.
pub(crate) const NO_LONGER_NAMED: &str = "the webhook no longer names this event";

/// The attempts that a delivery keeps over a new round, however often it is retried by hand.
pub(crate) const KEPT_ATTEMPTS: u32 = 90;

/// Parts of all webhooks.
pub(crate) const PARTITIONS: usize = 256;

/// Deliveries of a webhook that are looked at to find the oldest event that it missed: by one index, so that nobody waits
/// longer than some milliseconds for it.
pub(crate) const LOOKED_AT_FOR_MISSED: usize = 100_000;

/// Deliveries that one read brings at most, of one webhook or of several.
const SLICE: usize = 512;

/// The same in parts, each of which is one read.
pub(crate) fn slices(of: Vec<DueQuery>) -> Vec<Vec<DueQuery>> {
    let (mut slices, mut room) = (Vec::<Vec<_>>::new(), 0);
    for query in of {
        let wanted = query.untried + query.retries;
        if wanted > room {
            slices.push(Vec::new());
            room = SLICE.max(wanted);
        }
        room -= wanted;
        slices.last_mut().expect("one was pushed: a query wants more than nothing").push(query);
    }
    slices
}

impl DeliveryFilter {
    /// Whether this delivery is wanted, as far as the statement that has found it has not asked already.
    pub(crate) fn fits(
        &self,
        id: Id<Delivery>,
        event: EventKind,
        line: Id<Line>,
        status: DeliveryStatus,
    ) -> bool {
        self.id.is_none_or(|wanted| wanted == id)
            && self.event.is_none_or(|wanted| wanted == event)
            && self.status.is_none_or(|wanted| wanted == status)
            && self.lines.as_ref().is_none_or(|lines| lines.contains(&line))
            && self.scopes.as_ref().is_none_or(|scopes| scopes.contains(event.scope()))
    }
}

/// The place behind this delivery of an event, or behind an event that has none.
pub(crate) fn cursor(event: i64, delivery: Option<Id<Delivery>>) -> DeliveriesCursor {
    let bits = delivery.map_or(0, Id::to_bits);
    DeliveriesCursor::new([event.unsigned_abs(), (bits >> 64) as u64, bits as u64])
}

/// The event and the delivery that a list goes on behind. Nothing is before the first row.
pub(crate) fn place(cursor: Option<DeliveriesCursor>) -> (i64, Id<Delivery>) {
    let Some(cursor) = cursor else { return (i64::MAX, Id::of_nothing()) };
    let [event, upper, lower] = cursor.place();
    let id = Id::from_bits(u128::from(upper) << 64 | u128::from(lower));
    (i64::try_from(event).unwrap_or(i64::MAX), id)
}

/// What a webhook wants.
pub(crate) struct Wants {
    pub(crate) is_active: bool,
    pub(crate) line_ids: Option<Vec<Id<Line>>>,
    pub(crate) events: Vec<EventKind>,
}

impl Wants {
    pub(crate) fn event(&self, event: &PastEvent) -> bool {
        self.events.contains(&event.kind)
            && self.line_ids.as_ref().is_none_or(|lines| lines.contains(&event.line))
    }
}

/// An event that has happened.
pub(crate) struct PastEvent {
    pub(crate) seq: i64,
    pub(crate) kind: EventKind,
    pub(crate) line: Id<Line>,
}

/// How far a replay has come between two places, in percent; 100 only at the end.
pub(crate) fn progress(status: ReplayStatus, first: i64, place: i64, last: i64) -> u8 {
    if status == ReplayStatus::Done {
        return 100;
    }
    let percent = (place - first).saturating_mul(100).checked_div(last - first).unwrap_or(0);
    u8::try_from(percent.clamp(0, 99)).unwrap_or(0)
}
