//! What came of items, as the bridge tells it.

use serde::{Deserialize, Serialize};

use crate::{chat::Service, id::Id, outbox::OutboxItem, time::Timestamp};

/// What came of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The item.
    pub id: Id<OutboxItem>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What the driver knows of an item when it has finished with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Messages has it.
    Sent {
        /// Its identity there.
        guid: String,
        /// When it was sent.
        sent_at: Timestamp,
        /// What it ran over.
        service: Service,
        /// When it was on the other party's phone, if that is known already. Later it is an
        /// [`Inbound::Update`](super::Inbound::Update).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivered_at: Option<Timestamp>,
    },
    /// Messages has taken what is no message: a reaction, a typing indicator, a receipt.
    Done {
        /// When.
        at: Timestamp,
    },
    /// Messages refused it: certainly not sent.
    Failed {
        /// Why, for the owner of the line.
        error: String,
    },
    /// Nobody knows whether it was sent. It is never sent again by itself.
    Unknown,
    /// It was not begun, and never will be by this claim: the line went away first.
    Released,
}

/// The answer for one reconciled item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// The item.
    pub id: Id<OutboxItem>,
    /// What the bridge knows of it.
    pub state: ReconciledState,
}

/// What a bridge knows of an item that it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ReconciledState {
    /// The driver has it now; a report will follow.
    Running,
    /// It never reached the driver: certainly not sent.
    NeverStarted,
    /// It is finished.
    Finished {
        /// What came of it.
        #[serde(flatten)]
        outcome: Outcome,
    },
}
