//! How a store can say no.

use switchboard_model::{
    Scope, Timestamp,
    line::{Capability, LoopLimit},
};

use crate::base::secret_key::SecretKeyProblem;

/// Why a method did not do its work. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller asked for what can't be: its own fault, not the store's.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// More work waits than the store takes on. Trying again later may help.
    #[error("the store has too much to do")]
    Overloaded,
    /// The store is closed or closing.
    #[error("the store is closed")]
    Closed,
    /// A newer link of the same bridge has begun: what this one holds is the newer one's.
    #[error("a newer link of this bridge has begun")]
    Fenced,
    /// The database can't be written, or not even read, for a reason that may pass: nothing is wrong with
    /// the request or the program, and it works again by itself when the reason is gone.
    #[error("the database is unavailable: {outage}")]
    Unavailable {
        /// What keeps it.
        outage: Outage,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database failed: file damaged, a statement that should have worked.
    #[error("the database failed")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database holds something that this version can't read.
    #[error("the database holds what can't be read: {what}")]
    Unreadable {
        /// Which column and what was wrong with it.
        what: String,
    },
    /// The database could not be opened.
    #[error("the database {path} can't be opened")]
    Open {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A newer version of Switchboard has written this database.
    #[error(
        "the database {path} has schema version {found}; this switchboard knows versions up to {known}. Use the newer switchboard that wrote it"
    )]
    NewerSchema {
        /// Which file.
        path: String,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// The key that the database's secrets are encrypted with is missing, or is another.
    #[error("the secret key {path} can't be used")]
    SecretKey {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        problem: SecretKeyProblem,
    },
    /// Another process has this database open.
    #[error("the database {path} is in use by another switchboard; stop that one first")]
    InUse {
        /// Which file.
        path: String,
    },
}

/// What keeps a store from its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outage {
    /// The volume is full, or the quota used up.
    DiskFull,
    /// The volume or the file may only be read.
    ReadOnly,
    /// The disk, or the file system on it, answers with errors.
    Io,
    /// Another program has it locked.
    Locked,
    /// The machine has no memory left.
    OutOfMemory,
    /// The database's server can't be reached, or is not taking work: it starts, stops, or has moved.
    Unreachable,
    /// The connection to the database's server was lost while a transaction was committed: nobody knows whether it was
    /// kept. All others kept nothing.
    CommitUnknown,
}

impl Outage {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::DiskFull,
        Self::ReadOnly,
        Self::Io,
        Self::Locked,
        Self::OutOfMemory,
        Self::Unreachable,
        Self::CommitUnknown,
    ];

    /// What an error of the file system means for who wants to write.
    pub fn of_io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::DiskFull
            }
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Self::ReadOnly,
            ErrorKind::OutOfMemory => Self::OutOfMemory,
            _ => Self::Io,
        }
    }

    /// Its name in documents for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::ReadOnly => "read_only",
            Self::Io => "io_error",
            Self::Locked => "locked",
            Self::OutOfMemory => "out_of_memory",
            Self::Unreachable => "unreachable",
            Self::CommitUnknown => "commit_unknown",
        }
    }
}

impl std::fmt::Display for Outage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "the disk is full",
            Self::ReadOnly => "it may not be written",
            Self::Io => "the disk answers with errors",
            Self::Locked => "another program has it locked",
            Self::OutOfMemory => "the machine is out of memory",
            Self::Unreachable => "its server can't be reached",
            Self::CommitUnknown => {
                "the connection was lost while something was kept, and nobody knows whether it was"
            }
        })
    }
}

/// What a store refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such account.
    #[error("no such account")]
    AccountNotFound,
    /// No such key.
    #[error("no such key")]
    KeyNotFound,
    /// No such bridge.
    #[error("no such bridge")]
    BridgeNotFound,
    /// A bridge has this name.
    #[error("a bridge has this name")]
    BridgeExists,
    /// The bridge has another driver than the line.
    #[error("the bridge has another driver")]
    BridgeOfAnotherDriver,
    /// A standby is another bridge than the one that carries the line, and needs one.
    #[error("a standby is another bridge than the one that carries the line")]
    StandbyCarries,
    /// Another bridge carries the line.
    #[error("another bridge carries the line")]
    LineHasBridge,
    /// No such line for this owner.
    #[error("no such line")]
    LineNotFound,
    /// A line has this handle.
    #[error("a line has this handle")]
    LineExists,
    /// No such chat on this line.
    #[error("no such chat")]
    ChatNotFound,
    /// Nobody in this chat has messaged the line yet.
    #[error("nobody in this chat has messaged the line yet")]
    ContactHasNotMessaged,
    /// No such message in this chat.
    #[error("no such message")]
    MessageNotFound,
    /// No such file for this owner.
    #[error("no such file")]
    FileNotFound,
    /// The file is no voice memo.
    #[error("the file is not audio")]
    NotAudio,
    /// The line can't do this.
    #[error("the line can't do this: {missing:?}")]
    AdvancedFeaturesRequired {
        /// What it lacks.
        missing: Capability,
    },
    /// The line has answered in this chat as often as it may within the time; until then it must rest.
    #[error("the line must rest in this chat: {limit} answers and seconds")]
    LoopLimit {
        /// How often it may.
        limit: LoopLimit,
        /// When it may again.
        until: Timestamp,
    },
    /// The account's activation code has not been texted to the sandbox line yet.
    #[error("the sandbox is not activated")]
    SandboxNotActivated,
    /// On the sandbox line, the recipient is not the paired phone.
    #[error("the recipient is not the paired phone")]
    SandboxContactMismatch,
    /// The account's sandbox messages of this UTC day are used up.
    #[error("the sandbox messages of this day are used up")]
    SandboxQuotaExceeded,
    /// A sandbox line exists already.
    #[error("a sandbox line exists")]
    SandboxExists,
    /// The idempotency key was used with another body.
    #[error("the idempotency key was used with another body")]
    IdempotencyMismatch,
    /// No such webhook for this owner.
    #[error("no such webhook")]
    WebhookNotFound,
    /// The key is restricted to other lines.
    #[error("the key is restricted to other lines")]
    LineNotAccessible,
    /// The key is restricted to some lines, and the webhook is for all.
    #[error("the webhook is for every line, and the key is restricted to some")]
    WebhookForAllLines,
    /// The key lacks the read scope of an event.
    #[error("the key lacks the scope '{}'", scope.as_str())]
    InsufficientScope {
        /// Which.
        scope: Scope,
    },
    /// The webhook is disabled, or deleted.
    #[error("the webhook is disabled")]
    WebhookDisabled,
    /// No such delivery for this owner.
    #[error("no such delivery")]
    DeliveryNotFound,
    /// As many replays of this webhook run as may.
    #[error("{max} replays of this webhook are running, the most there may be")]
    TooManyReplays {
        /// The most.
        max: usize,
    },
    /// As many replays of the account run as may.
    #[error("{max} replays of the account are running, the most there may be")]
    TooManyReplaysOfAccount {
        /// The most.
        max: u32,
    },
    /// The account has as many bytes of files stored as it may.
    #[error("the account has {stored} bytes stored, and may have {max}")]
    StorageFull {
        /// The most.
        max: u64,
        /// What it has.
        stored: u64,
    },
    /// The account has as many webhooks as it may.
    #[error("the account has {max} webhooks, the most it may have")]
    TooManyWebhooks {
        /// The most.
        max: usize,
    },
}
