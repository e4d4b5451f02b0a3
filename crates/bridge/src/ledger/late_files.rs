//! Messages that were told without all of their files, which may be had later.
//!
//! Each is looked for again and again, more rarely as time goes by, for three days. What turns up is an observation like any
//! other.

use std::time::Duration;

use rusqlite::{Transaction, params};
use switchboard_model::{
    Line, Timestamp,
    id::Id,
    link::{Inbound, InboundChat, InboundUpdate},
};

use super::{Ledger, Observation, ObservedFile, Result, first, observations::observe, run};

/// When it is looked again, after the look before; then with the last pause until it is too late.
const LOOKS: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
];
/// How long it is looked for.
pub(super) const LOOKED_FOR: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// A message that was told without all of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LateFiles {
    pub(crate) line: Id<Line>,
    /// The message.
    pub(crate) guid: String,
    /// The chat it stands in.
    pub(crate) chat: InboundChat,
    /// All of its files.
    pub(crate) files: Vec<ObservedFile>,
    /// How many of them were told.
    pub(crate) had: usize,
}

/// What was told of the files of a message that was told without all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FilesTold {
    /// How many were.
    pub(crate) had: usize,
    /// How many it has.
    pub(crate) all: usize,
    /// The number of the observation that told so many.
    by: Option<u64>,
}

impl FilesTold {
    /// Whether so many files, told by this observation, are no news. The same one may be told once more: its link died before the
    /// server had it.
    pub(crate) fn has(self, files: usize, by: u64) -> bool {
        files < self.had || (files == self.had && self.by != Some(by))
    }
}

impl Ledger {
    /// A message is told without all of its files, by this observation: they are looked for from now on, if they are not already.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub(crate) async fn expect_files(
        &self,
        late: LateFiles,
        by: u64,
        now: Timestamp,
    ) -> Result<()> {
        self.transact(move |tx| {
            // One that was observed before more files had come says nothing of those.
            let sql =
                "insert into late_files (line, guid, chat, files, had, since, look_at, told_by)
                values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                on conflict (line, guid) do update
                set files = iif(json_array_length(excluded.files) < json_array_length(files),
                                files, excluded.files),
                    told_by = iif(excluded.had > had, excluded.told_by, told_by),
                    had = max(had, excluded.had), is_waiting = 0";
            let LateFiles { line, guid, chat, files, had } = late;
            let (chat, files) = (serde_json::to_string(&chat)?, serde_json::to_string(&files)?);
            let (line, look_at) = (line.to_string(), (now + LOOKS[0]).0);
            run(tx, sql, params![line, guid, chat, files, had as i64, now.0, look_at, by as i64])?;
            Ok(())
        })
        .await
    }

    /// What was told of the files of a message, if it was told without all of them.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub(crate) async fn files_told(
        &self,
        line: Id<Line>,
        guid: String,
    ) -> Result<Option<FilesTold>> {
        self.transact(move |tx| {
            let sql = "select had, json_array_length(files), told_by from late_files
                where line = ?1 and guid = ?2";
            first(tx, sql, params![line.to_string(), guid], |row| {
                let count = |count: i64| usize::try_from(count).unwrap_or(0);
                Ok(FilesTold {
                    had: count(row.get(0)?),
                    all: count(row.get(1)?),
                    by: row.get::<_, Option<i64>>(2)?.map(i64::unsigned_abs),
                })
            })
        })
        .await
    }

    /// So many files of a message are told, by this observation, and it is looked for no more. It stays known for a while: what
    /// was observed with fewer may wait still.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub(crate) async fn files_are_told(
        &self,
        line: Id<Line>,
        guid: String,
        had: usize,
        by: u64,
    ) -> Result<()> {
        self.transact(move |tx| {
            let sql = "update late_files set is_waiting = 1,
                    told_by = iif(?3 > had, ?4, told_by), had = max(had, ?3)
                where line = ?1 and guid = ?2";
            run(tx, sql, params![line.to_string(), guid, had as i64, by as i64])?;
            Ok(())
        })
        .await
    }

    /// Nothing more is to come of a message's files.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub(crate) async fn files_are_over(&self, line: Id<Line>, guid: String) -> Result<()> {
        self.transact(move |tx| {
            let sql = "update late_files set is_waiting = 1 where line = ?1 and guid = ?2";
            run(tx, sql, params![line.to_string(), guid])?;
            Ok(())
        })
        .await
    }

    /// A message of a line whose files are to be looked for now.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub(crate) async fn files_to_look_for(
        &self,
        line: Id<Line>,
        now: Timestamp,
    ) -> Result<Option<LateFiles>> {
        self.transact(move |tx| {
            let sql = "select guid, chat, files, had from late_files
                where line = ?1 and look_at <= ?2 and is_waiting = 0 order by look_at limit 1";
            let found = first(tx, sql, params![line.to_string(), now.0], |row| {
                Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get(3)?))
            })?;
            let Some((guid, chat, files, had)) = found else { return Ok(None) };
            let had: i64 = had;
            Ok(Some(LateFiles {
                line,
                guid,
                chat: serde_json::from_str(&chat)?,
                files: serde_json::from_str(&files)?,
                had: usize::try_from(had).unwrap_or(0),
            }))
        })
        .await
    }

    /// It was looked for the files of a message. If more of them can be had now, they are told anew, all of them.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub(crate) async fn looked_for_files(
        &self,
        late: LateFiles,
        can_be_had: bool,
        now: Timestamp,
    ) -> Result<()> {
        let LateFiles { line, guid, chat, .. } = late;
        self.transact(move |tx| {
            // More of them may have come since it was looked.
            let sql = "update late_files set looks = looks + 1, is_waiting = ?4,
                look_at = ?3 + case looks + 1 when 1 then ?5 when 2 then ?6 when 3 then ?7
                    when 4 then ?8 else ?9 end
                where line = ?1 and guid = ?2 returning since, looks, files";
            let [_, a, b, c, d, e] = LOOKS.map(|pause| pause.as_millis() as i64);
            let params = params![line.to_string(), guid, now.0, can_be_had, a, b, c, d, e];
            let read = |row: &rusqlite::Row<'_>| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
            };
            let Some((since, looks, files)) = first(tx, sql, params, read)? else { return Ok(()) };
            if can_be_had {
                let files = serde_json::from_str(&files)?;
                let update = InboundUpdate::of(chat, &*guid);
                let update = InboundUpdate { attachments: Some(Vec::new()), ..update };
                let key = format!("late:{guid}:{since}:{looks}");
                observe(tx, line, &Observation { key, what: Inbound::Update(update), files })?;
            }
            Ok(())
        })
        .await?;
        if can_be_had {
            self.wake_line(line);
        }
        Ok(())
    }
}

/// Gives up what was looked for long enough. Answers how many.
pub(super) fn prune(tx: &Transaction<'_>, now: Timestamp) -> Result<usize> {
    let before = (now - LOOKED_FOR).0;
    let given_up = run(tx, "delete from late_files where since < ?1 and is_waiting = 0", [before])?;
    run(tx, "delete from late_files where since < ?1", [before])?;
    Ok(given_up)
}
