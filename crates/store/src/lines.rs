//! Lines: the phone numbers and Apple IDs that are carried.

use std::{collections::HashMap, time::Duration};

use switchboard_model::{
    Account, Bridge, Handle, Line, Timestamp,
    id::Id,
    line::{
        Capability, DriverKind, LineHealth, LineService, LoopLimit, OfflineReason, OperatorLine,
    },
    link::CarriedLine,
    time::Now,
};

use crate::{Committed, Link, Result};

#[cfg(doc)]
use crate::Refusal;

/// A line to be made.
#[derive(Debug, Clone)]
pub struct NewLine {
    /// Whose.
    pub account_id: Id<Account>,
    /// Its handle.
    pub handle: Handle,
    /// What the owner calls it.
    pub label: Option<String>,
    /// What it sends by.
    pub service: LineService,
    /// How it is carried.
    pub driver: DriverKind,
    /// By which bridge; of a line of the simulator, left to the store.
    pub bridge_id: Option<Id<Bridge>>,
    /// By which other bridge, when that one is away.
    pub standby_bridge_id: Option<Id<Bridge>>,
    /// Whether contacts must write first.
    pub contact_first: bool,
    /// How often it may answer in one chat before it must rest; none is no limit.
    pub loop_limit: Option<LoopLimit>,
    /// Whether it is the shared sandbox line; there is at most one.
    pub is_sandbox: bool,
}

/// What is to change of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineChanges {
    /// The bridge that is to carry it.
    pub bridge_id: Option<Id<Bridge>>,
    /// How often it may answer in one chat before it must rest; none within is no limit.
    pub loop_limit: Option<Option<LoopLimit>>,
}

/// A line that changes from one bridge to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeOver {
    /// Which line.
    pub line: Id<Line>,
    /// The bridge that carries it; its standby afterwards.
    pub from: Id<Bridge>,
    /// Its standby; the bridge that carries it afterwards.
    pub to: Id<Bridge>,
}

/// Lines: the phone numbers and Apple IDs that are carried.
#[async_trait::async_trait]
pub trait Lines: Send + Sync {
    /// Makes a line. A handle is one line's only, on the whole server ([`Refusal::LineExists`]).
    /// There is at most one sandbox line ([`Refusal::SandboxExists`]).
    /// A line of the simulator goes to the simulator's bridge by itself; another may name a bridge
    /// of its driver ([`Refusal::BridgeNotFound`], [`Refusal::BridgeOfAnotherDriver`]), and another one as its standby
    /// ([`Refusal::StandbyCarries`]).
    async fn create_line(&self, line: NewLine) -> Result<OperatorLine>;

    /// Changes a line, all of it or nothing. [`Refusal::LineNotFound`]. A bridge, of the line's driver
    /// ([`Refusal::BridgeNotFound`], [`Refusal::BridgeOfAnotherDriver`]), may be given to a line that has none: of one that
    /// another carries it becomes the standby first, and takes over ([`Refusal::LineHasBridge`]).
    async fn update_line(&self, line: Id<Line>, changes: LineChanges) -> Result<OperatorLine>;

    /// Every line of every account, oldest first: for the operator. Whether a standby is ready is so at this steady instant;
    /// what the commands above answer is only what it has said last.
    async fn operator_lines(&self, steady: Timestamp) -> Result<Vec<OperatorLine>>;

    /// The lines of this account and the sandbox line, which is every account's; oldest first.
    async fn lines(&self, account: Id<Account>) -> Result<Vec<Line>>;

    /// The line that a bridge reports on: what it can do. Nothing for a line that is not this bridge's. Answers
    /// whether that has changed anything.
    async fn set_capabilities(
        &self,
        link: Link,
        line: Id<Line>,
        capabilities: Vec<Capability>,
    ) -> Result<bool>;

    /// Gives a line a standby, or takes it away. A bridge of the line's driver
    /// ([`Refusal::BridgeNotFound`], [`Refusal::BridgeOfAnotherDriver`]), and another one than the line's, which must
    /// have one ([`Refusal::StandbyCarries`]). [`Refusal::LineNotFound`].
    async fn set_standby(
        &self,
        line: Id<Line>,
        standby: Option<Id<Bridge>>,
    ) -> Result<OperatorLine>;

    /// Lets the two bridges of a line change places. None, and nothing is changed, if their places are not these
    /// any more.
    async fn take_over(&self, take_over: TakeOver, now: Timestamp) -> Result<Option<Committed>>;

    /// The lines that their standby should take over: it is alive and says that it could carry them, and for at least
    /// so long the bridge that carries them has said that they are away, or has said nothing at all. A bridge that was
    /// never linked is waited for.
    async fn to_take_over(&self, now: Now, after: Duration) -> Result<Vec<TakeOver>>;

    /// The active lines that a bridge carries or is the standby of, with the place of the last inbound entry of each.
    async fn carried_lines(&self, bridge: Id<Bridge>) -> Result<Vec<CarriedLine>>;

    /// Keeps whether a line is up or down and why, and makes it known: line.status, to the line's owner. Nothing
    /// for a line that is not this bridge's. Of the standby it is only kept whether it could carry the line.
    async fn line_status(
        &self,
        link: Link,
        line: Id<Line>,
        online: bool,
        reason: Option<OfflineReason>,
        now: Timestamp,
    ) -> Result<Committed>;

    /// How each of the account's own lines was used on the day of `now`, UTC. A few look-ups for each: it was counted as
    /// messages were kept.
    async fn line_health(
        &self,
        account: Id<Account>,
        now: Timestamp,
    ) -> Result<HashMap<Id<Line>, LineHealth>>;

    /// The same of the lines of all accounts, for the operator; of the oldest 10,000.
    async fn operator_line_health(&self, now: Timestamp) -> Result<HashMap<Id<Line>, LineHealth>>;

    /// Forgets how lines were used on days long ago.
    async fn forget_line_days(&self, now: Timestamp) -> Result<()>;

    /// Keeps that no line is up: the server that handed items out to them is gone, and no link has begun. Says so to nobody,
    /// because that server is the one that starts: of one process.
    async fn all_lines_away(&self, now: Timestamp) -> Result<()>;
}

/// What is written may come so much later than what was written after it: a phone had no network.
const COMES_LATE: Duration = Duration::from_secs(24 * 60 * 60);

/// From when on something may have come to a line that is not known here, of one that began then and of which the newest
/// that is known was written then.
pub(crate) fn unknown_since(began_at: Option<i64>, told_at: Option<i64>) -> Option<Timestamp> {
    match (began_at.map(Timestamp), told_at.map(Timestamp)) {
        // What came before it began is nobody's business.
        (Some(began), Some(told)) => Some((told - COMES_LATE).max(began.min(told))),
        (began, told) => told.or(began),
    }
}
