//! Accounts: whom everything belongs to.

use serde::{Deserialize, Serialize};

use crate::{
    id::{Id, Kind},
    time::Timestamp,
};

/// The owner of lines, keys, chats and webhooks. Nothing of one account is visible to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `acc_…`
    pub id: Id<Account>,
    /// What the operator calls it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Kind for Account {
    const PREFIX: &'static str = "acc_";
}
