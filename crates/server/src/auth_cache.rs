//! Keys and lines that were just looked up, so that a request need not ask the store.
//!
//! The store tells of each entry that a commit of this process has changed ([`Changed`]), before the commit is
//! answered. What another process changes is known here within [`MAX_AGE`](read_through), told or not.

mod read_through;

use std::sync::Arc;

use switchboard_model::{
    Account, Key, Line, id::Id, key::KeyUsage, secret::SecretHash, time::Clock,
};
use switchboard_store::{Changed, Store, StoreError};

use read_through::ReadThrough;

/// The most keys, and the most accounts' lines, that are held.
const MAX_ENTRIES: usize = 50_000;

#[derive(Debug)]
pub(crate) struct AuthCache {
    store: Arc<dyn Store>,
    keys: ReadThrough<SecretHash, Arc<Key>>,
    lines: ReadThrough<Id<Account>, Arc<Vec<Line>>>,
    /// An entry of its own, because every account's list has it.
    sandbox: ReadThrough<(), Option<Arc<Line>>>,
}

impl AuthCache {
    pub(crate) fn new(store: Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Self {
        Self {
            store,
            keys: ReadThrough::new(MAX_ENTRIES, Arc::clone(clock)),
            lines: ReadThrough::new(MAX_ENTRIES, Arc::clone(clock)),
            sandbox: ReadThrough::new(1, Arc::clone(clock)),
        }
    }

    /// The key with this hash, if it was just looked up.
    pub(crate) fn known_key(&self, hash: SecretHash) -> Option<Arc<Key>> {
        self.keys.peek(&hash)
    }

    /// The key with this hash; with its kept use of the hour when this has read it.
    pub(crate) async fn key(
        &self,
        hash: SecretHash,
    ) -> Result<Option<(Arc<Key>, Option<KeyUsage>)>, StoreError> {
        let mut usage = None;
        let read = async |last: Option<Arc<Key>>| {
            let found = self.store.find_key(hash, last.map(|key| key.id)).await?;
            Ok(found.map(|(key, used)| {
                usage = used;
                Arc::new(key)
            }))
        };
        let key = self.keys.get(&hash, read).await?;
        Ok(key.map(|key| (key, usage)))
    }

    /// The lines of an account.
    pub(crate) async fn lines(&self, account: Id<Account>) -> Result<AccountLines, StoreError> {
        let read = async |_| Ok(Some(Arc::new(self.store.lines(account).await?)));
        let listed = self.lines.get(&account, read).await?.unwrap_or_default();
        Ok(AccountLines { listed, sandbox: self.sandbox_line().await? })
    }

    /// The sandbox line, if there is one.
    pub(crate) async fn sandbox_line(&self) -> Result<Option<Arc<Line>>, StoreError> {
        let read = async |_| Ok(Some(self.store.sandbox_line().await?.map(Arc::new)));
        Ok(self.sandbox.get(&(), read).await?.flatten())
    }

    /// A commit has changed this.
    pub(crate) fn changed(&self, changed: Changed) {
        match changed {
            Changed::Key(hash) => self.keys.remove(&hash),
            Changed::Lines(account) => self.lines.remove(&account),
            Changed::SandboxLine => self.sandbox.remove(&()),
        }
    }
}

/// The lines of an account and the sandbox line, oldest first.
#[derive(Debug)]
pub(crate) struct AccountLines {
    /// As they were read. The sandbox line may have changed since, or have been made.
    listed: Arc<Vec<Line>>,
    sandbox: Option<Arc<Line>>,
}

impl AccountLines {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Line> {
        let sandbox = self.sandbox.as_deref();
        let listed = self.listed.iter().map(move |line| match sandbox {
            Some(sandbox) if line.is_sandbox => sandbox,
            _ => line,
        });
        let is_listed = self.listed.iter().any(|line| line.is_sandbox);
        // It was made after the list was read, so it is the newest.
        listed.chain(sandbox.filter(|_| !is_listed))
    }
}
