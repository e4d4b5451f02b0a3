//! Files: what is known of them. Their bytes are kept elsewhere.

use switchboard_model::{Account, Bridge, File, Line, Timestamp, file::StoredFile, id::Id};

use crate::{IdempotencyRecord, Idempotent, Result};

#[cfg(doc)]
use crate::Refusal;

/// Files: what is known of them. Their bytes are kept elsewhere.
#[async_trait::async_trait]
pub trait Files: Send + Sync {
    /// Writes down a file whose bytes are kept already. `lines` are those that the uploader's key is restricted to.
    /// [`Refusal::StorageFull`] if the account would have more than `most` bytes stored then.
    async fn create_file(
        &self,
        account: Id<Account>,
        lines: Option<Vec<Id<Line>>>,
        file: StoredFile,
        most: u64,
        remember: Option<IdempotencyRecord>,
    ) -> Result<Idempotent<StoredFile>>;

    /// Writes down a file that a bridge has uploaded for a line that it carries, and answers whose it is. However much
    /// that account has stored: what has come in is not lost for that. [`Refusal::LineNotFound`].
    async fn create_bridge_file(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        file: StoredFile,
    ) -> Result<(StoredFile, Id<Account>)>;

    /// How many bytes of files an account has stored.
    async fn stored_bytes(&self, account: Id<Account>) -> Result<u64>;

    /// A file of this account, if a key that is restricted to `lines` may have it: one that came in or was sent on
    /// one of them, or that a key uploaded which reaches no other line; and what an unrestricted key uploaded, until
    /// it is sent.
    async fn file(
        &self,
        account: Id<Account>,
        lines: Option<Vec<Id<Line>>>,
        id: Id<File>,
    ) -> Result<Option<StoredFile>>;

    /// A file, for whoever shows a signed URL: the signature is the permission.
    async fn signed_file(&self, id: Id<File>) -> Result<Option<StoredFile>>;

    /// A file that an item names which this bridge has claimed.
    async fn bridge_file(&self, bridge: Id<Bridge>, id: Id<File>) -> Result<Option<StoredFile>>;

    /// Forgets files from before `before`, by the steady clock, that no message and no item refers to, at most
    /// `limit`. Answers which: their bytes are the caller's to remove.
    async fn forget_files(&self, before: Timestamp, limit: usize) -> Result<Vec<Id<File>>>;

    /// Forgets files to which nothing refers any more since before `before`, by the steady clock, at most `limit`: their
    /// messages failed or were taken back. What became so since the last call counts from now on. Answers which, as above.
    async fn forget_left_files(
        &self,
        now: Timestamp,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Id<File>>>;

    /// Which of these files are written down, in no order. Bytes of any other are nobody's.
    async fn known_files(&self, ids: Vec<Id<File>>) -> Result<Vec<Id<File>>>;
}
