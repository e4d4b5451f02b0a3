//! What was handed over, and what came of it.

use std::{collections::HashMap, time::Duration};

use rusqlite::{Transaction, params};
use switchboard_model::{
    Line, OutboxItem, Timestamp,
    id::Id,
    link::{Outcome, Report, SendItem},
};
use uuid::Uuid;

use super::{Ledger, LedgerError, Result, first, links, now, run};
use crate::driver::{Asked, KnownOutcome};

/// When an unknown outcome is looked into again, after the look before; then once an hour, for a day.
const LOOKS: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];
/// After so many looks it stays unknown.
const MAX_LOOKS: usize = 30;

/// An attempt that may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttempt {
    /// Names it in Messages, where the program takes such a name: a UUID, another one each time.
    pub token: Uuid,
    /// When it was begun.
    pub begun_at: Timestamp,
}

/// An attempt of which it is not known what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// The item as the server gave it.
    pub item: SendItem,
    /// As in [`NewAttempt`].
    pub token: Uuid,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// As [`Ledger::begin`] was given it.
    pub mark: Option<String>,
    /// Its identity in Messages, where that is known already.
    pub guid: Option<String>,
}

/// What the ledger says of an item that the server asks for.
#[derive(Debug)]
pub(crate) enum Known {
    Outcome(KnownOutcome),
    /// It was begun and never ended: only Messages knows.
    Begun(Box<Begun>),
}

impl Ledger {
    /// Writes down that an item is handed over now. `mark` is where the program's history stands, for
    /// whoever has to find out later what came of it.
    ///
    /// # Errors
    /// An `Err` within is what is known already: this item must not be handed over. [`LedgerError`] when nothing
    /// could be written.
    pub async fn begin(
        &self,
        item: SendItem,
        mark: Option<String>,
        now: Timestamp,
    ) -> Result<std::result::Result<NewAttempt, Outcome>> {
        self.transact(move |tx| {
            let known = first(
                tx,
                "select outcome, tries from attempts where item = ?1",
                [item.id.to_string()],
                |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?)),
            )?;
            let tries = match known {
                None => 1,
                Some((None, _)) => return Ok(Err(Outcome::Unknown)),
                Some((Some(outcome), tries)) => match serde_json::from_str(&outcome)? {
                    // Nothing had begun.
                    Outcome::Released => tries + 1,
                    outcome => return Ok(Err(outcome)),
                },
            };
            let token = Uuid::new_v4();
            run(
                tx,
                "insert into attempts (item, line, request, token, tries, begun_at, mark)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 on conflict (item) do update set request = excluded.request, token = excluded.token,
                     tries = excluded.tries, begun_at = excluded.begun_at, mark = excluded.mark,
                     outcome = null, finished_at = null, guid = null, later = null, look_at = null, looks = 0",
                params![
                    item.id.to_string(),
                    item.line_id.to_string(),
                    serde_json::to_string(&item)?,
                    token.to_string(),
                    tries,
                    now.0,
                    mark,
                ],
            )?;
            Ok(Ok(NewAttempt { token, begun_at: now }))
        })
        .await
    }

    /// Writes down what came of it. An unknown outcome is looked into again.
    ///
    /// # Errors
    /// [`LedgerError`] when it could not be written: then it counts as begun.
    pub async fn finish(&self, id: Id<OutboxItem>, outcome: Outcome, now: Timestamp) -> Result<()> {
        self.transact(move |tx| finish(tx, id, &outcome, now)).await
    }

    /// Whether anything of this line is under way.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn under_way(&self, line: Id<Line>) -> Result<Vec<Begun>> {
        self.transact(move |tx| begun(tx, "line = ?1 and outcome is null", [line.to_string()]))
            .await
    }

    /// What is known of these items. What is missing, or was given back, never began, unless it was claimed on a link that
    /// this ledger does not cover: then another one may have known it, and nobody knows any more.
    pub(crate) async fn known(&self, asked: Vec<Asked>) -> Result<HashMap<Id<OutboxItem>, Known>> {
        self.transact(move |tx| {
            let mut known = HashMap::with_capacity(asked.len());
            for Asked { id, claimed } in asked {
                let of_it = first(
                    tx,
                    "select coalesce(later, outcome) from attempts where item = ?1",
                    [id.to_string()],
                    |row| row.get::<_, Option<String>>(0),
                )?;
                let not_begun = || {
                    Ok::<_, LedgerError>(match links::covers(tx, claimed)? {
                        true => KnownOutcome::NeverStarted,
                        false => KnownOutcome::Finished(Outcome::Unknown),
                    })
                };
                let of_it = match of_it {
                    None => Known::Outcome(not_begun()?),
                    Some(Some(outcome)) => Known::Outcome(match serde_json::from_str(&outcome)? {
                        Outcome::Released => not_begun()?,
                        outcome => KnownOutcome::Finished(outcome),
                    }),
                    Some(None) => match begun(tx, "item = ?1", [id.to_string()])?.pop() {
                        Some(begun) => Known::Begun(Box::new(begun)),
                        None => Known::Outcome(KnownOutcome::Finished(Outcome::Unknown)),
                    },
                };
                known.insert(id, of_it);
            }
            Ok(known)
        })
        .await
    }

    /// Unknown outcomes whose time has come to be looked into again.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn to_look_into(&self, now: Timestamp) -> Result<Vec<Begun>> {
        let unknown = serde_json::to_string(&Outcome::Unknown)?;
        let open = "look_at <= ?1 and later is null and (outcome is null or outcome = ?2)
            order by look_at limit 64";
        self.transact(move |tx| begun(tx, open, params![now.0, unknown])).await
    }

    /// What a look into an attempt has found: the truth, or nothing yet. Nothing changes if it was settled meanwhile, or
    /// the item begun anew.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn looked_into(
        &self,
        looked: &Begun,
        found: Option<Outcome>,
        now: Timestamp,
    ) -> Result<()> {
        let (id, token) = (looked.item.id, looked.token.to_string());
        let look = move |tx: &Transaction<'_>| {
            let item = id.to_string();
            let waits = "select looks from attempts
                where item = ?1 and token = ?2 and look_at is not null and later is null";
            let looks = first(tx, waits, [&item, &token], |row| row.get::<_, i64>(0))?;
            let Some(looks) = looks else { return Ok(()) };
            if let Some(outcome) = found {
                return resolve(tx, id, &outcome);
            }
            let looks = usize::try_from(looks).unwrap_or(0) + 1;
            let pause = LOOKS[looks.min(LOOKS.len() - 1)];
            let look_at = (looks < MAX_LOOKS).then(|| (now + pause).0);
            run(
                tx,
                "update attempts set look_at = ?2, looks = ?3 where item = ?1",
                params![item, look_at, looks as i64],
            )?;
            if look_at.is_none() {
                // One that was cut off, and of which nobody will ever know, is not under way any more.
                finish(tx, id, &Outcome::Unknown, now)?;
                run(tx, "update attempts set look_at = null where item = ?1", [item])?;
            }
            Ok(())
        };
        self.transact_then(look, |ledger, ()| ledger.wake_later_truths()).await
    }

    /// Notes of an attempt that was cut off with the bridge that it never reached Messages. False if the server was told
    /// what came of it, even if that was that nobody knows.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn was_cut_off(&self, looked: &Begun, now: Timestamp) -> Result<bool> {
        let (item, token) = (looked.item.id.to_string(), looked.token.to_string());
        let released = serde_json::to_string(&Outcome::Released)?;
        self.transact(move |tx| {
            // One that is under way in this process was not cut off.
            let sql = "update attempts set outcome = ?3, finished_at = ?4, look_at = null
                where item = ?1 and token = ?2 and outcome is null and look_at is not null";
            Ok(run(tx, sql, params![item, token, released, now.0])? > 0)
        })
        .await
    }

    /// What turned out later, and the server has not acknowledged.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn later_truth(&self) -> Result<Vec<Report>> {
        self.transact(|tx| {
            let sql = "select item, later from attempts where later is not null";
            let mut rows = tx.prepare_cached(sql)?;
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut reports = Vec::new();
            for row in rows {
                let (item, later): (String, String) = row?;
                let Ok(id) = item.parse() else { continue };
                reports.push(Report { id, outcome: serde_json::from_str(&later)? });
            }
            Ok(reports)
        })
        .await
    }

    /// The server has acknowledged what turned out later.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn acknowledged(&self, ids: Vec<Id<OutboxItem>>) -> Result<()> {
        self.transact(move |tx| {
            for id in ids {
                run(
                    tx,
                    "update attempts set outcome = later, later = null, finished_at = coalesce(finished_at, ?2)
                     where item = ?1 and later is not null",
                    params![id.to_string(), now().0],
                )?;
            }
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
impl Ledger {
    /// Writes what turned out later, as it stands in the ledger. Nobody is woken.
    pub(crate) async fn set_later_truth(&self, id: Id<OutboxItem>, later: &str) {
        let later = later.to_owned();
        let sql = "update attempts set later = ?2 where item = ?1";
        self.transact(move |tx| run(tx, sql, [id.to_string(), later])).await.unwrap();
    }
}

/// What was under way when the bridge died is looked into even if the server never asks for it.
pub(super) fn look_into_unfinished(tx: &Transaction<'_>, now: Timestamp) -> Result<()> {
    run(tx, "update attempts set look_at = ?1 where outcome is null", [now.0])?;
    Ok(())
}

/// Removes attempts that were finished before this instant.
pub(super) fn prune(tx: &Transaction<'_>, before: Timestamp) -> Result<()> {
    run(tx, "delete from attempts where finished_at < ?1 and later is null", [before.0])?;
    Ok(())
}

/// Notes what came of an attempt.
pub(super) fn finish(
    tx: &Transaction<'_>,
    id: Id<OutboxItem>,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<()> {
    let guid = match outcome {
        Outcome::Sent { guid, .. } => Some(guid.as_str()),
        _ => None,
    };
    let look_at = (*outcome == Outcome::Unknown).then(|| (now + LOOKS[0]).0);
    run(
        tx,
        "update attempts set outcome = ?2, guid = coalesce(?3, guid), finished_at = ?4, look_at = ?5
         where item = ?1 and outcome is null",
        params![id.to_string(), serde_json::to_string(outcome)?, guid, now.0, look_at],
    )?;
    Ok(())
}

/// Notes what turned out of an unknown outcome; nothing of any other. It is looked into no more.
pub(super) fn resolve(tx: &Transaction<'_>, id: Id<OutboxItem>, outcome: &Outcome) -> Result<()> {
    let guid = match outcome {
        Outcome::Sent { guid, .. } => Some(guid.as_str()),
        _ => None,
    };
    run(
        tx,
        "update attempts set later = iif(?5 and outcome is not null, null, ?2),
             guid = coalesce(?3, guid), look_at = null
         where item = ?1 and later is null and (outcome = ?4 or (outcome is null and look_at is not null))",
        params![
            id.to_string(),
            serde_json::to_string(outcome)?,
            guid,
            serde_json::to_string(&Outcome::Unknown)?,
            // No truth to a server that was told that nobody knows; what is seen in Messages tells it.
            matches!(outcome, Outcome::Done { .. }),
        ],
    )?;
    run(tx, "update attempts set look_at = null where item = ?1", [id.to_string()])?;
    Ok(())
}

/// The attempts for which this holds.
pub(super) fn begun(
    tx: &Transaction<'_>,
    which: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<Begun>> {
    let sql = format!("select request, token, begun_at, mark, guid from attempts where {which}");
    let mut rows = tx.prepare_cached(&sql)?;
    let rows = rows.query_map(params, |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ))
    })?;
    rows.map(|row| {
        let (request, token, begun_at, mark, guid) = row?;
        Ok(Begun {
            item: serde_json::from_str(&request)?,
            token: Uuid::try_parse(&token).unwrap_or_default(),
            begun_at: Timestamp(begun_at),
            mark,
            guid,
        })
    })
    .collect()
}
