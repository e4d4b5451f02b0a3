//! What can be made to go wrong with a request. Each fault is used up by the next request of its method.

use std::time::Duration;

/// What happens to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The answer comes this much later; others may overtake it, unless it holds the lane of mutations.
    Late(Duration),
    /// Carried out, and never answered.
    Swallowed,
    /// -32603 with a text and nothing done: the helper or SQLite said no.
    Refused(String),
    /// The child dies before anything was dispatched.
    DiesBefore,
    /// The child dies after it was carried out and before the answer.
    DiesAfter,
    /// `not_started`: certainly not dispatched (-32603 with `retry_safe:true`).
    NotStarted,
    /// `may_have_completed` (-32001). It has, or it has not.
    MayHaveCompleted {
        /// Whether it was carried out.
        done: bool,
    },
    /// `still_in_flight` (-32001) after the limit; this child's lane of mutations is poisoned.
    StillInFlight {
        /// When it is carried out after all, counted from the dispatch; none is never.
        done_after: Option<Duration>,
    },
    /// Messages writes an empty outgoing row that belongs to no chat, and sends nothing (send.md, "Tahoe ghost-row
    /// protection"); -32001.
    GhostRow,
    /// Messages says yes and sends nothing: an answer of the helper names a guid that no row ever has; what is looked
    /// for after the send (AppleScript, multipart, captioned files) is -32001, unless a recent row has the same text.
    Vanishes,
    /// Sent, and the answer names no guid: Messages had only queued it.
    NoGuid,
    /// Sent under another guid than the tracked send asked for: -32001.
    OtherGuid,
    /// Sent, and the row shows this error soon after.
    FailsLater(i64),
    /// Sent as SMS (`was_downgraded`).
    Downgraded,
}

/// Where mutations are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Taken from the lane, nothing dispatched. A child that is killed here has done nothing and never will.
    Started,
    /// The helper has claimed it, or the Apple Event is under way. It is carried out on release, whatever became of the
    /// child.
    Dispatched,
    /// Carried out, not answered.
    Done,
}
