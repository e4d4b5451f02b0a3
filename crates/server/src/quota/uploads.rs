//! Room for uploads: what an account has stored and what is on its way to it, together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use switchboard_model::{Account, id::Id};
use switchboard_store::{Files, Refusal, Result, StoreError};

/// The uploads of each account that are under way. Who has none is not in it.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Arc<Mutex<HashMap<Id<Account>, UnderWay>>>);

#[derive(Debug, Default)]
struct UnderWay {
    uploads: u32,
    bytes: u64,
    /// How many have ended beside these: what is stored may have grown.
    ended: u64,
}

/// What one upload takes of its account's room; free when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    all: Arc<Mutex<HashMap<Id<Account>, UnderWay>>>,
    account: Id<Account>,
    /// The most that the account may have.
    most: u64,
    bytes: u64,
    /// What the account had stored when so many had ended.
    stored: Option<(u64, u64)>,
}

impl Uploads {
    /// Begins an upload of this account, which may have so many bytes stored.
    pub(crate) fn enter(&self, account: Id<Account>, most: u64) -> Room {
        let all = Arc::clone(&self.0);
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.entry(account).or_default().uploads += 1;
        Room { all, account, most, bytes: 0, stored: None }
    }
}

impl Room {
    /// Whether there is room for so many bytes more.
    pub(crate) async fn has(&mut self, store: &dyn Files, bytes: u64) -> Result<bool> {
        let (under_way, ended) = self.add(0);
        let stored = match self.stored {
            Some((stored, at)) if at == ended => stored,
            _ => store.stored_bytes(self.account).await?,
        };
        self.stored = Some((stored, ended));
        Ok(stored.saturating_add(under_way).saturating_add(bytes) <= self.most)
    }

    /// Takes room for so many bytes more, if there is any.
    pub(crate) async fn take(&mut self, store: &dyn Files, bytes: u64) -> Result<bool> {
        // Counted first: of two at once that have no room together, one at least is refused.
        self.add(bytes);
        self.has(store, 0).await
    }

    /// Counts so many bytes more. Answers what is under way and how many have ended.
    fn add(&mut self, bytes: u64) -> (u64, u64) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = all.entry(self.account).or_default();
        under_way.bytes = under_way.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        (under_way.bytes, under_way.ended)
    }

    /// Gives back what it took: its bytes are not kept.
    pub(crate) fn give_back(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = all.get_mut(&self.account) {
            under_way.bytes = under_way.bytes.saturating_sub(std::mem::take(&mut self.bytes));
        }
    }

    /// That there is none.
    pub(crate) fn full(&self) -> StoreError {
        let stored = self.stored.map_or(0, |(stored, _)| stored);
        Refusal::StorageFull { max: self.most, stored }.into()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.give_back();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = all.get_mut(&self.account) {
            under_way.uploads = under_way.uploads.saturating_sub(1);
            under_way.ended += 1;
            if under_way.uploads == 0 {
                all.remove(&self.account);
            }
        }
    }
}
