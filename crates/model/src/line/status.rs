//! Whether a line is there, and why it is not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{lenient, schema, time::Timestamp};

/// Whether a line takes items now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LineStatus {
    /// Whether items are handed out to its bridge now.
    #[schemars(example = true)]
    pub online: bool,
    /// Why they are not; beside `online`, what is not as it should be. Null if its bridge has not said.
    #[serde(default, deserialize_with = "lenient::name")]
    #[schemars(schema_with = "schema::offline_reason")]
    pub reason: Option<OfflineReason>,
    /// Since when; null if it was never there.
    pub since: Option<Timestamp>,
}

/// Why a line takes no items now; beside one that does, what is not as it should be. Not all there are: a newer bridge
/// may have more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfflineReason {
    /// Its bridge or what it drives is just starting.
    Starting,
    /// What carries it can't be reached: the bridge, or the program or server that the bridge drives.
    Unreachable,
    /// What the bridge drives refuses the bridge's password or token.
    Unauthorized,
    /// The system refuses something that the bridge needs: full disk access, automation.
    Permission,
    /// The injected helper is not there, and nothing goes out without it.
    HelperMissing,
    /// The program that the bridge drives is not there.
    ProgramMissing,
    /// The program that the bridge drives is too old.
    ProgramOutdated,
    /// Nobody is signed in to Messages.
    SignedOut,
    /// Messages is signed in with another account than the line's.
    WrongAccount,
    /// The database of Messages is locked by another program.
    DatabaseLocked,
    /// The database of Messages is not there.
    DatabaseMissing,
    /// An earlier item blocks all that is sent after it, until what the bridge drives is started anew.
    Poisoned,
    /// Messages has moved on and nothing was told of it: the bridge has to look by itself.
    SilentWatch,
    /// The bridge can't write down what it does, and does nothing until it can: its disk is full, for example.
    StorageUnavailable,
    /// Something that this release has no name for.
    #[serde(other)]
    Other,
}

impl OfflineReason {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::Starting,
        Self::Unreachable,
        Self::Unauthorized,
        Self::Permission,
        Self::HelperMissing,
        Self::ProgramMissing,
        Self::ProgramOutdated,
        Self::SignedOut,
        Self::WrongAccount,
        Self::DatabaseLocked,
        Self::DatabaseMissing,
        Self::Poisoned,
        Self::SilentWatch,
        Self::StorageUnavailable,
        Self::Other,
    ];

    /// The name in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Unreachable => "unreachable",
            Self::Unauthorized => "unauthorized",
            Self::Permission => "permission",
            Self::HelperMissing => "helper_missing",
            Self::ProgramMissing => "program_missing",
            Self::ProgramOutdated => "program_outdated",
            Self::SignedOut => "signed_out",
            Self::WrongAccount => "wrong_account",
            Self::DatabaseLocked => "database_locked",
            Self::DatabaseMissing => "database_missing",
            Self::Poisoned => "poisoned",
            Self::SilentWatch => "silent_watch",
            Self::StorageUnavailable => "storage_unavailable",
            Self::Other => "other",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_json_agree() {
        for reason in OfflineReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert_eq!(OfflineReason::from_name(reason.as_str()), Some(reason));
        }
    }
}
