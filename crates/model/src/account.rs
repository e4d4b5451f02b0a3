//! Accounts: whom everything belongs to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{Id, Kind},
    time::Timestamp,
};

/// The owner of lines, keys, chats and webhooks. Nothing of one is visible to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// The account's id.
    pub id: Id<Account>,
    /// What the operator calls it.
    #[schemars(example = &"Acme")]
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Kind for Account {
    const PREFIX: &'static str = "acc_";
}
