//! What every command asks for and what hardly ever changes: lines, who listens to an account, and
//! whether anybody types at all.
//!
//! Only the writer thread has it, and drops it when it finds, within a transaction, that anybody else has written: so
//! it is never stale. A command that changes a line or a webhook says which, and the writer forgets that then, and
//! once more when the command is rolled back; everything when a whole batch is. Whether anybody types is forgotten
//! with every command that is rolled back, because that costs next to nothing to ask again.

use std::sync::Arc;

use quick_cache::unsync::Cache;
use rusqlite::{Connection, params};
use switchboard_model::{Account, Line, Webhook, delivery::Secrets, id::Id};

use super::{
    columns::{Bits, Json, Name, Shown, StoredHandle, bits, sealed},
    statement,
};
use crate::{
    Result,
    base::{
        context::{CachedLine, Subscriber},
        seal::{Seal, Sealed},
    },
};

/// The most lines, the most accounts and the most webhooks that are known at a time: beyond that, one goes for each that comes.
const MAX_KNOWN: usize = 4096;

/// The memory of the writer thread.
#[derive(Debug)]
pub(in crate::sqlite) struct WriterCache {
    lines: Cache<Id<Line>, Arc<CachedLine>>,
    subscribers: Cache<Id<Account>, Arc<[Subscriber]>>,
    /// Decrypted secrets of webhooks, each with what it was decrypted from: one that has changed since is found out.
    secrets: Cache<Id<Webhook>, (Sealed, Arc<Secrets>)>,
    /// Whether any indicator stands on, anywhere; none if that has to be asked.
    anybody_types: Option<bool>,
    /// What the command has changed.
    changed: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
enum Entry {
    Line(Id<Line>),
    Webhooks(Id<Account>),
}

impl Default for WriterCache {
    fn default() -> Self {
        Self {
            lines: Cache::new(MAX_KNOWN),
            subscribers: Cache::new(MAX_KNOWN),
            secrets: Cache::new(MAX_KNOWN),
            anybody_types: None,
            changed: Vec::new(),
        }
    }
}

impl WriterCache {
    /// A command begins.
    pub(in crate::sqlite) fn begin(&mut self) {
        self.changed.clear();
    }

    /// The command has changed this line.
    pub(in crate::sqlite) fn forget_line(&mut self, id: Id<Line>) {
        self.changed(Entry::Line(id));
    }

    /// The command has changed the webhooks of this account.
    pub(in crate::sqlite) fn forget_webhooks(&mut self, account: Id<Account>) {
        self.changed(Entry::Webhooks(account));
    }

    fn changed(&mut self, entry: Entry) {
        self.forget(entry);
        self.changed.push(entry);
    }

    fn forget(&mut self, entry: Entry) {
        match entry {
            Entry::Line(id) => drop(self.lines.remove(&id)),
            Entry::Webhooks(account) => drop(self.subscribers.remove(&account)),
        }
    }

    /// Anything may have changed.
    pub(in crate::sqlite) fn forget_all(&mut self) {
        self.lines.clear();
        self.subscribers.clear();
        self.anybody_types = None;
    }

    /// The command was rolled back: what was read after its change never was.
    pub(in crate::sqlite) fn rolled_back(&mut self) {
        self.anybody_types = None;
        for entry in std::mem::take(&mut self.changed) {
            self.forget(entry);
        }
    }

    /// An indicator went on or off.
    pub(in crate::sqlite) fn typing_changed(&mut self) {
        self.anybody_types = None;
    }

    /// Whether any indicator stands on, in whatever chat. Asked with every message.
    pub(in crate::sqlite) fn anybody_types(&mut self, sql: &Connection) -> Result<bool> {
        if let Some(known) = self.anybody_types {
            return Ok(known);
        }
        let any = statement::first(
            sql,
            "select 1 from typing indexed by typing_on where is_typing = 1 limit 1",
            [],
            |_| Ok(()),
        )?
        .is_some();
        self.anybody_types = Some(any);
        Ok(any)
    }

    /// The line with this id. Whose it is, is the caller's to check.
    pub(in crate::sqlite) fn line(
        &mut self,
        sql: &Connection,
        id: Id<Line>,
    ) -> Result<Option<Arc<CachedLine>>> {
        if let Some(line) = self.lines.get(&id) {
            return Ok(Some(Arc::clone(line)));
        }
        let line = statement::first(
            sql,
            "select account_id, handle, service, is_active, contact_first, bridge_id,
                    is_sandbox, capabilities, capabilities_told, loop_limit, standby_bridge_id, taken_over
             from lines where id = ?1",
            params![bits(id)],
            |row| {
                Ok(Arc::new(CachedLine {
                    id,
                    account_id: row.get::<_, Bits<_>>(0)?.id(),
                    handle: row.get::<_, StoredHandle>(1)?.0,
                    service: row.get::<_, Name<_>>(2)?.0,
                    is_active: row.get(3)?,
                    contact_first: row.get(4)?,
                    bridge_id: row.get::<_, Option<Bits<_>>>(5)?.map(Bits::id),
                    is_sandbox: row.get(6)?,
                    capabilities: row.get::<_, Json<_>>(7)?.0,
                    capabilities_told: row.get(8)?,
                    loop_limit: row.get::<_, Option<Shown<_>>>(9)?.map(|limit| limit.0),
                    standby_bridge_id: row.get::<_, Option<Bits<_>>>(10)?.map(Bits::id),
                    was_taken_over: row.get(11)?,
                }))
            },
        )?;
        if let Some(line) = &line {
            self.lines.insert(id, Arc::clone(line));
        }
        Ok(line)
    }

    /// The active webhooks of this account, oldest first.
    pub(in crate::sqlite) fn subscribers(
        &mut self,
        sql: &Connection,
        seal: &Seal,
        account: Id<Account>,
    ) -> Result<Arc<[Subscriber]>> {
        if let Some(subscribers) = self.subscribers.get(&account) {
            return Ok(Arc::clone(subscribers));
        }
        let opened = &mut self.secrets;
        let subscribers: Arc<[Subscriber]> = statement::all(
            sql,
            "select id, url, secret, line_ids, events, previous_secret, previous_until from webhooks
             where account_id = ?1 and is_active = 1 order by seq",
            params![bits(account)],
            |row| {
                let webhook_id = row.get::<_, Bits<_>>(0)?.id();
                Ok(Subscriber {
                    webhook_id,
                    url: row.get(1)?,
                    secrets: open(opened, seal, webhook_id, sealed(row, [2, 5, 6])?)?,
                    line_ids: row.get::<_, Option<Json<_>>>(3)?.map(|ids| ids.0),
                    events: row.get::<_, Json<_>>(4)?.0,
                })
            },
        )?
        .into();
        self.subscribers.insert(account, Arc::clone(&subscribers));
        Ok(subscribers)
    }
}

fn open(
    opened: &mut Cache<Id<Webhook>, (Sealed, Arc<Secrets>)>,
    seal: &Seal,
    id: Id<Webhook>,
    sealed: Sealed,
) -> rusqlite::Result<Arc<Secrets>> {
    if let Some((from, secrets)) = opened.get(&id)
        && *from == sealed
    {
        return Ok(Arc::clone(secrets));
    }
    let secrets = Arc::new(seal.secrets(id, &sealed)?);
    opened.insert(id, (sealed, Arc::clone(&secrets)));
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use switchboard_model::line::LineService;

    use super::*;

    fn add(sql: &Connection) -> Id<Line> {
        let id = Id::generate();
        statement::run(
            sql,
            "insert into lines values (?1, ?2, '+15550100001', ?3, 1, 0, null, 0, '[]', 1, null, null, 0)",
            params![bits(id), bits(Id::<Account>::generate()), Name(LineService::default())],
        )
        .unwrap();
        id
    }

    #[test]
    fn a_change_and_its_rollback_forget_one_entry_and_so_does_one_too_many() {
        let sql = Connection::open_in_memory().unwrap();
        sql.execute_batch(
            "create table lines (id primary key, account_id, handle, service, is_active, contact_first, bridge_id,
               is_sandbox, capabilities, capabilities_told, loop_limit, standby_bridge_id, taken_over)",
        )
        .unwrap();
        let (changed, other) = (add(&sql), add(&sql));
        let mut cache = WriterCache::default();
        let line = |cache: &mut WriterCache, id| cache.line(&sql, id).unwrap().unwrap();
        let set_active = |is_active: bool| {
            let update = "update lines set is_active = ?2 where id = ?1";
            statement::run(&sql, update, params![bits(changed), is_active]).unwrap();
        };
        let kept = line(&mut cache, other);
        assert!(line(&mut cache, changed).is_active);

        cache.begin();
        set_active(false);
        cache.forget_line(changed);
        assert!(!line(&mut cache, changed).is_active);
        set_active(true);
        cache.rolled_back();
        assert!(line(&mut cache, changed).is_active);
        assert!(Arc::ptr_eq(&kept, &line(&mut cache, other)));

        for _ in 0..2 * MAX_KNOWN {
            let id = add(&sql);
            line(&mut cache, id);
        }
        assert_eq!(cache.lines.len(), MAX_KNOWN);
    }
}
