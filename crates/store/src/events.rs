//! Events: what webhooks and live streams tell, in the order of the commits.

use std::{fmt, sync::Arc};

use serde_json::value::RawValue;
use switchboard_model::{
    Account, Chat, EventKind, Line, Timestamp, delivery::DueDelivery, event::Event, id::Id,
};

use crate::{Changed, Result, base::line_usage::Tally};

#[cfg(doc)]
use crate::{Clocks, Store};

/// What a transaction has made known, for those who wait: copies only, the truth is in the store.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    /// Events, in their order.
    pub events: Vec<CommittedEvent>,
    /// Deliveries of them; none if [`Store::observe`] says who is told.
    pub deliveries: Vec<DueDelivery>,
    /// Lines that have items to claim again.
    pub released: Vec<Id<Line>>,
    /// What is to be read anew.
    pub changed: Option<Changed>,
    /// The messages that are kept, until they are counted.
    pub(crate) tally: Tally,
}

/// Where an event stands in the order of all events. What it is made of is the store's business: others keep it,
/// compare it, and give it to clients as a text that they give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPosition(pub(crate) i64);

impl EventPosition {
    /// Before all events.
    pub const START: Self = Self(0);

    /// The position that [`fmt::Display`] wrote; none if it can't have.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number >= 0).map(Self)
    }
}

impl fmt::Display for EventPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One event that was committed.
#[derive(Debug, Clone)]
pub struct CommittedEvent {
    /// Where it stands.
    pub position: EventPosition,
    /// Its id.
    pub id: Id<Event>,
    /// Whose it is.
    pub account_id: Id<Account>,
    /// On which line.
    pub line_id: Id<Line>,
    /// In which chat.
    pub chat_id: Option<Id<Chat>>,
    /// What happened.
    pub kind: EventKind,
    /// To what.
    pub data: Arc<RawValue>,
    /// When.
    pub created_at: Timestamp,
}

/// Events after a position.
#[derive(Debug, Clone)]
pub struct EventsAfter {
    /// Those that were asked for, in order.
    pub events: Vec<CommittedEvent>,
    /// Up to where all was looked at: from there on the next look begins.
    pub position: EventPosition,
    /// Whether there may be more behind that position already.
    pub has_more: bool,
}

/// What became of the events that were looked at to forget the old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// How many were forgotten.
    pub gone: usize,
    /// The position to go on from; none once no old event is left behind it.
    pub next: Option<EventPosition>,
}

/// A moment of the past, by both clocks. What is from before it may be deleted: where the two disagree, only what is
/// certainly older by the steady clock, or looks older by the wall clock and may be so by the steady one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoff {
    /// By the wall clock, which rows are stamped with.
    pub wall: Timestamp,
    /// By the steady clock, which [`Clocks::mark`] notes places by.
    pub steady: Timestamp,
}

impl From<Timestamp> for Cutoff {
    fn from(at: Timestamp) -> Self {
        Self { wall: at, steady: at }
    }
}

/// Events: what webhooks and live streams tell, in the order of the commits.
#[async_trait::async_trait]
pub trait Events: Send + Sync {
    /// The events of this account after a position, in order, at most `limit`: of these lines only, if
    /// any are named, and of these kinds. Only so many are looked at in one call, whatever fits of them:
    /// [`EventsAfter::position`] is where the next call goes on.
    async fn events_after(
        &self,
        account: Id<Account>,
        after: EventPosition,
        lines: Option<Vec<Id<Line>>>,
        kinds: Vec<EventKind>,
        limit: usize,
    ) -> Result<EventsAfter>;

    /// The same for whoever has read almost up to the newest event, of all lines and kinds: before
    /// those who still read what is old.
    async fn new_events(
        &self,
        account: Id<Account>,
        after: EventPosition,
        limit: usize,
    ) -> Result<EventsAfter>;

    /// The position before the first event at or after `since`; the latest if there is none, or no `since`.
    /// Positions are those of all accounts: this account only asks.
    async fn event_position(
        &self,
        account: Id<Account>,
        since: Option<Timestamp>,
    ) -> Result<EventPosition>;

    /// About how many events lie between two positions, whosever they are; none where positions don't say that.
    fn events_between(&self, earlier: EventPosition, later: EventPosition) -> Option<u64>;

    /// Looks at the events behind the position `after`, at most `limit` and not past the first that is not from before
    /// `before`, and forgets them with their deliveries. Those whose deliveries are still tried stay.
    async fn prune_events(
        &self,
        before: Cutoff,
        after: EventPosition,
        limit: usize,
    ) -> Result<Pruned>;
}
