//! The directory: keys and lines that were just looked up, so that a request need not ask the store.
//!
//! Whoever changes a key or a line has that entry forgotten after the commit ([`crate::to_the_end`]); a look-up that
//! was under way at that moment is used once and not kept.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use switchboard_model::{Account, Key, Line, id::Id, key::KeyUsage, secret::SecretHash};
use switchboard_store::{Store, StoreError};

/// The most keys, and the most accounts' lines, that are held; past that all are dropped.
const MAX_ENTRIES: usize = 50_000;

#[derive(Debug)]
pub(crate) struct Directory {
    store: Arc<dyn Store>,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    generation: u64,
    keys: HashMap<SecretHash, Arc<Key>>,
    lines: HashMap<Id<Account>, Arc<Vec<Line>>>,
    /// The sandbox line, once it was asked for.
    sandbox: Option<Option<Line>>,
}

impl Directory {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: RwLock::default() }
    }

    /// The key with this hash; with its kept use of the hour when it was not known here.
    pub(crate) async fn key(
        &self,
        hash: SecretHash,
    ) -> Result<Option<(Arc<Key>, Option<KeyUsage>)>, StoreError> {
        let generation = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(key) = known.keys.get(&hash) {
                return Ok(Some((Arc::clone(key), None)));
            }
            known.generation
        };
        let Some((key, usage)) = self.store.find_key(hash).await? else { return Ok(None) };
        let key = Arc::new(key);
        self.remember(generation, |known| {
            if known.keys.len() >= MAX_ENTRIES {
                known.keys.clear();
            }
            known.keys.insert(hash, Arc::clone(&key));
        });
        Ok(Some((key, usage)))
    }

    /// The lines of an account.
    pub(crate) async fn lines(&self, account: Id<Account>) -> Result<Arc<Vec<Line>>, StoreError> {
        let generation = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(lines) = known.lines.get(&account) {
                return Ok(Arc::clone(lines));
            }
            known.generation
        };
        let lines = Arc::new(self.store.lines(account).await?);
        self.remember(generation, |known| {
            if known.lines.len() >= MAX_ENTRIES {
                known.lines.clear();
            }
            known.lines.insert(account, Arc::clone(&lines));
        });
        Ok(lines)
    }

    /// The sandbox line, if there is one.
    pub(crate) async fn sandbox_line(&self) -> Result<Option<Line>, StoreError> {
        let generation = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(sandbox) = &known.sandbox {
                return Ok(sandbox.clone());
            }
            known.generation
        };
        let sandbox = self.store.sandbox_line().await?;
        self.remember(generation, |known| known.sandbox = Some(sandbox.clone()));
        Ok(sandbox)
    }

    /// A key has changed.
    pub(crate) fn forget_key(&self, id: Id<Key>) {
        self.change(|known| known.keys.retain(|_, key| key.id != id));
    }

    /// An account has a line more.
    pub(crate) fn forget_lines(&self, account: Id<Account>) {
        self.change(|known| {
            known.lines.remove(&account);
        });
    }

    /// A line has changed: the lists that it is in are read anew, which are all of them for the sandbox line.
    pub(crate) fn forget_line(&self, id: Id<Line>) {
        self.change(|known| {
            known.lines.retain(|_, lines| lines.iter().all(|line| line.id != id));
            if let Some(Some(sandbox)) = &known.sandbox
                && sandbox.id == id
            {
                known.sandbox = None;
            }
        });
    }

    /// Any entry may have changed.
    pub(crate) fn forget_all(&self) {
        self.change(|known| *known = Known { generation: known.generation, ..Known::default() });
    }

    fn change(&self, forget: impl FnOnce(&mut Known)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.generation += 1;
        forget(&mut known);
    }

    fn remember(&self, generation: u64, insert: impl FnOnce(&mut Known)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.generation == generation {
            insert(&mut known);
        }
    }
}
