//! Keys and lines that were just looked up, so that a request need not ask the store.
//!
//! Of many who look for the same at the same time, one asks the store for all: after a change thousands may.
//!
//! Whoever changes a key or a line has that entry forgotten after the commit
//! ([`spawn_uncancelled`](crate::uncancelled::spawn_uncancelled)); a look-up that was under way at that moment is used once
//! and not kept.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use switchboard_model::{Account, Key, Line, id::Id, key::KeyUsage, secret::SecretHash};
use switchboard_store::{Store, StoreError};

/// The most keys, and the most accounts' lines, that are held; past that all are dropped.
const MAX_ENTRIES: usize = 50_000;

#[derive(Debug)]
pub(crate) struct AuthCache {
    store: Arc<dyn Store>,
    known: RwLock<Known>,
    keys: Lookups<SecretHash>,
    lines: Lookups<Id<Account>>,
    sandbox: Lookups<()>,
}

#[derive(Debug, Default)]
struct Known {
    generation: u64,
    keys: HashMap<SecretHash, Arc<Key>>,
    lines: HashMap<Id<Account>, Arc<Vec<Line>>>,
    /// The sandbox line, once it was asked for.
    sandbox: Option<Option<Arc<Line>>>,
}

impl AuthCache {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            known: RwLock::default(),
            keys: Lookups::default(),
            lines: Lookups::default(),
            sandbox: Lookups::default(),
        }
    }

    /// The key with this hash, if it was just looked up.
    pub(crate) fn known_key(&self, hash: SecretHash) -> Option<Arc<Key>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).keys.get(&hash).cloned()
    }

    /// The key with this hash; with its kept use of the hour when it was not known here.
    pub(crate) async fn key(
        &self,
        hash: SecretHash,
    ) -> Result<Option<(Arc<Key>, Option<KeyUsage>)>, StoreError> {
        if let Some(key) = self.known_key(hash) {
            return Ok(Some((key, None)));
        }
        let _turn = self.keys.turn(hash).await;
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
        let known = |known: &RwLock<Known>| {
            let known = known.read().unwrap_or_else(PoisonError::into_inner);
            known.lines.get(&account).cloned()
        };
        if let Some(lines) = known(&self.known) {
            return Ok(lines);
        }
        let _turn = self.lines.turn(account).await;
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
    pub(crate) async fn sandbox_line(&self) -> Result<Option<Arc<Line>>, StoreError> {
        if let Some(sandbox) = &self.known.read().unwrap_or_else(PoisonError::into_inner).sandbox {
            return Ok(sandbox.clone());
        }
        let _turn = self.sandbox.turn(()).await;
        let generation = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(sandbox) = &known.sandbox {
                return Ok(sandbox.clone());
            }
            known.generation
        };
        let sandbox = self.store.sandbox_line().await?.map(Arc::new);
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

/// Who looks for what.
#[derive(Debug)]
struct Lookups<K>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>);

impl<K> Default for Lookups<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// The turn of one who looks; the others who look for the same wait until it is dropped.
struct Turn<'a, K: Eq + Hash> {
    lookups: &'a Lookups<K>,
    what: K,
    gate: Option<Arc<tokio::sync::Mutex<()>>>,
    held: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl<K: Eq + Hash + Copy> Lookups<K> {
    async fn turn(&self, what: K) -> Turn<'_, K> {
        let gate = {
            let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(gates.entry(what).or_default())
        };
        // Made before the wait: whoever gives up waiting leaves nothing behind.
        let mut turn = Turn { lookups: self, what, gate: Some(Arc::clone(&gate)), held: None };
        turn.held = Some(gate.lock_owned().await);
        turn
    }
}

impl<K: Eq + Hash> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        let mut gates = self.lookups.0.lock().unwrap_or_else(PoisonError::into_inner);
        (self.held, self.gate) = (None, None);
        if gates.get(&self.what).is_some_and(|gate| Arc::strong_count(gate) == 1) {
            gates.remove(&self.what);
        }
    }
}
