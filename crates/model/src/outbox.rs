//! The outbox: what was accepted and is on its way (§8).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{Id, Kind},
    line::Line,
    message::Message,
    schema::{self, AnyObject},
    time::Timestamp,
};

/// How often an item may be taken by a bridge before it fails (§8).
pub const MAX_ATTEMPTS: u32 = 3;

/// How long an item may wait to be handed over before it fails as expired, in milliseconds: 24 h (§8).
pub const EXPIRY_MS: u64 = 24 * 3_600_000;

/// The error of an item of which nobody can say whether Messages has it. Never sent again by itself (§8). By these words
/// it is known that the truth may still turn up: older items have them.
pub const MAY_HAVE_BEEN_HANDED_OVER: &str = "The item may have been handed over to Messages, \
     but no result came back. It was not sent again; check the conversation before you send it again.";

/// The error of an item that was reported as sent under an identity that is another message's.
pub const IDENTITY_OF_ANOTHER: &str = "The line's bridge says that Messages has the item, but names \
     another message as it. It was not sent again; check the conversation before you send it again.";

/// The error of an item that waited too long (§8).
pub const EXPIRED: &str =
    "The item expired: it could not be handed over to Messages within 24 hours. It was not sent.";

/// The error of an item whose bridge was lost too often, each time before anything was handed over.
pub const ATTEMPTS_USED_UP: &str = "The line's bridge was lost before each of 3 attempts. \
     Nothing was handed over to Messages; the item was not sent.";

/// The error of an item for a phone whose pairing with the sandbox ended first (§11).
pub const NO_LONGER_PAIRED: &str =
    "The phone is no longer paired with this account in the sandbox. The item was not sent.";

/// Where a write is on its way: `pending` → `claimed` → `sent` or `failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutboxItem {
    /// The item's id.
    pub id: Id<OutboxItem>,
    /// Where it is on its way.
    #[schemars(example = &"sent")]
    pub status: OutboxStatus,
    /// Why it failed.
    #[schemars(example = ())]
    pub error: Option<String>,
    /// When it was accepted.
    // 0 where another server does not say: the contract lets it.
    #[serde(default)]
    #[schemars(skip_serializing_if = "schema::may_be_absent")]
    pub created_at: Timestamp,
    /// When it was sent or failed.
    pub completed_at: Option<Timestamp>,
    /// The line it goes out by.
    pub line_id: Id<Line>,
    /// The original request.
    #[schemars(with = "AnyObject", example = schema::request())]
    pub payload: serde_json::Value,
    /// How often a bridge has taken it.
    #[schemars(example = 1)]
    pub attempts: u32,
    /// How often one may.
    #[schemars(example = 3)]
    pub max_attempts: u32,
    /// The message it became.
    pub message_id: Option<Id<Message>>,
}

impl Kind for OutboxItem {
    const PREFIX: &'static str = "obx_";
}

/// Where an item is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutboxStatus {
    /// Accepted, waits for the line's bridge.
    Pending,
    /// Taken by the line's bridge, under a lease.
    Claimed,
    /// In Messages. Final.
    Sent,
    /// Given up, with a reason. Final.
    Failed,
}

impl OutboxStatus {
    /// The name in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Claimed => "claimed",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Claimed, Self::Sent, Self::Failed]
            .into_iter()
            .find(|one| one.as_str() == name)
    }

    /// Where `step` leads from here. The only place that decides it, but for what turns out later ([`OutboxStatus::resolve`]).
    ///
    /// # Errors
    /// [`IllegalStep`] for a step that must not happen, above all any step out of a final status.
    pub fn after(self, step: OutboxStep) -> Result<Self, IllegalStep> {
        match (self, step) {
            (Self::Pending, OutboxStep::Claim) => Ok(Self::Claimed),
            (Self::Claimed, OutboxStep::Release) => Ok(Self::Pending),
            (Self::Claimed, OutboxStep::Send) => Ok(Self::Sent),
            // A pending item fails only when it expires or its phone is paired no longer; a claimed one
            // for any reason.
            (Self::Pending | Self::Claimed, OutboxStep::Fail) => Ok(Self::Failed),
            (from, step) => Err(IllegalStep { from, step }),
        }
    }

    /// Where later truth leads an item that has failed with this error: the only way out of a final status. Open only to
    /// one that failed because nobody knew whether it was sent, and so it is gone once. None leads back to
    /// `pending`: nothing is sent again.
    ///
    /// # Errors
    /// [`IllegalStep`] for an item whose fate is known.
    pub fn resolve(self, error: Option<&str>, was_sent: bool) -> Result<Self, IllegalStep> {
        match (self, error) {
            (Self::Failed, Some(MAY_HAVE_BEEN_HANDED_OVER)) if was_sent => Ok(Self::Sent),
            (Self::Failed, Some(MAY_HAVE_BEEN_HANDED_OVER)) => Ok(Self::Failed),
            (from, _) => Err(IllegalStep { from, step: OutboxStep::Resolve }),
        }
    }
}

/// What can happen to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxStep {
    /// The line's bridge takes it.
    Claim,
    /// The bridge gives it back: nothing was handed over, for certain.
    Release,
    /// Messages has it.
    Send,
    /// It is given up.
    Fail,
    /// It turns out what came of it: see [`OutboxStatus::resolve`].
    Resolve,
}

/// A step that must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an outbox item that is {} can't take the step {step:?}", .from.as_str())]
pub struct IllegalStep {
    /// Where the item is.
    pub from: OutboxStatus,
    /// What was to happen.
    pub step: OutboxStep,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_a_final_status() {
        for from in [OutboxStatus::Sent, OutboxStatus::Failed] {
            for step in [
                OutboxStep::Claim,
                OutboxStep::Release,
                OutboxStep::Send,
                OutboxStep::Fail,
                OutboxStep::Resolve,
            ] {
                assert_eq!(from.after(step), Err(IllegalStep { from, step }));
            }
        }
    }

    #[test]
    fn only_what_nobody_knew_can_turn_out() {
        use OutboxStatus::{Claimed, Failed, Pending, Sent};
        let unknown = Some(MAY_HAVE_BEEN_HANDED_OVER);
        assert_eq!(Failed.resolve(unknown, true), Ok(Sent));
        assert_eq!(Failed.resolve(unknown, false), Ok(Failed));
        for (from, error) in [
            (Failed, Some(IDENTITY_OF_ANOTHER)),
            (Failed, Some(EXPIRED)),
            (Failed, Some(ATTEMPTS_USED_UP)),
            (Failed, Some("no such number")),
            (Failed, None),
            (Sent, None),
            (Sent, unknown),
            (Claimed, unknown),
            (Pending, unknown),
        ] {
            for was_sent in [true, false] {
                let step = OutboxStep::Resolve;
                assert_eq!(from.resolve(error, was_sent), Err(IllegalStep { from, step }));
            }
        }
    }

    #[test]
    fn only_what_is_claimed_can_be_sent_or_given_back() {
        assert!(OutboxStatus::Pending.after(OutboxStep::Send).is_err());
        assert!(OutboxStatus::Pending.after(OutboxStep::Release).is_err());
        assert!(OutboxStatus::Claimed.after(OutboxStep::Claim).is_err());
    }
}
