//! What happened on the lines' phones, in order, until the server has it.

use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use switchboard_model::{Line, id::Id, link::Inbound};

use super::{Cursor, Follow, Ledger, Result, Text, first, followed, now, run, sources, texts};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// What makes it this very thing: observed again under the same key it is nothing new.
    #[serde(skip)]
    pub key: String,
    /// What happened. A message stands here without its attachments.
    pub what: Inbound,
    /// Those attachments: what they are on the server is not known yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ObservedFile>,
}

impl Observation {
    /// Something without files.
    pub fn new(key: impl Into<String>, what: Inbound) -> Self {
        Self { key: key.into(), what, files: Vec::new() }
    }
}

/// A file that came to a line and waits for the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedFile {
    /// Where its bytes are, as its connector knows it: a path, or an identity.
    pub source: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Its type.
    pub mime_type: String,
    /// What is said in a voice memo, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcription: Option<String>,
}

/// What was read from a source at once, and how far that brings it.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// In order, of any lines.
    pub observations: Vec<(Id<Line>, Observation)>,
    /// Messages that are followed from now on.
    pub followed: Vec<Follow>,
    /// Messages, by [`Text::key`], of which it is to be known no longer what they said.
    pub texts_over: Vec<(Id<Line>, String)>,
    /// After that: what messages say that may still be edited.
    pub texts: Vec<Text>,
    /// How far the source is read with these; none if it has no place of its own.
    pub cursor: Option<(&'static str, Cursor)>,
}

/// An observation that waits for the server.
#[derive(Debug, Clone)]
pub struct WaitingObservation {
    /// Its number on its line.
    pub n: u64,
    /// What happened.
    pub observation: Observation,
}

impl Ledger {
    /// Writes down what was read from a source, and how far. What was observed before is left out. Answers how
    /// many were new.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError), and nothing of it is kept.
    pub async fn record(&self, recorded: Recorded) -> Result<usize> {
        let record = move |tx: &Transaction<'_>| {
            let mut new = Vec::new();
            for (line, observation) in &recorded.observations {
                if observe(tx, *line, observation)? {
                    new.push(*line);
                }
            }
            for follow in &recorded.followed {
                followed::follow(tx, follow, now())?;
            }
            for (line, guid) in &recorded.texts_over {
                texts::forget(tx, *line, guid)?;
            }
            for text in &recorded.texts {
                texts::note(tx, text)?;
            }
            if let Some((source, cursor)) = &recorded.cursor {
                sources::set(tx, source, cursor)?;
            }
            Ok(new)
        };
        let wake =
            |ledger: &Self, new: &Vec<_>| new.iter().for_each(|line| ledger.wake_line(*line));
        Ok(self.transact_then(record, wake).await?.len())
    }

    /// Takes these for observed: they are never told. And notes how far that brings their source, if they are of one.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError), and nothing of it is kept.
    pub async fn pass_over(
        &self,
        keys: Vec<(Id<Line>, String)>,
        cursor: Option<(&'static str, Cursor)>,
    ) -> Result<()> {
        self.transact(move |tx| {
            for (line, key) in &keys {
                notice(tx, *line, key)?;
            }
            match &cursor {
                Some((source, cursor)) => sources::set(tx, source, cursor),
                None => Ok(()),
            }
        })
        .await
    }

    /// At most `limit` observations of a line after a place; of a place in another ledger, from the start.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn waiting(
        &self,
        line: Id<Line>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<WaitingObservation>> {
        let after = self.number(after);
        self.transact(move |tx| {
            let sql =
                "select n, what from observations where line = ?1 and n > ?2 order by n limit ?3";
            let mut rows = tx.prepare_cached(sql)?;
            let after = within(tx, line, after)?;
            let params = params![line.to_string(), after, limit as i64];
            let rows = rows
                .query_map(params, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
            rows.map(|row| {
                let (n, what) = row?;
                let observation = serde_json::from_str(&what)?;
                Ok(WaitingObservation { n: n.unsigned_abs(), observation })
            })
            .collect()
        })
        .await
    }

    /// The server has a line's history up to this place.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError): what stays is removed with the next place.
    pub async fn received(&self, line: Id<Line>, position: &str) -> Result<()> {
        let n = self.number(Some(position));
        // What comes back with a power cut is before the place that the server names.
        self.transact_unflushed(move |tx| {
            let sql = "delete from observations where line = ?1 and n <= ?2";
            run(tx, sql, params![line.to_string(), within(tx, line, n)?])?;
            Ok(())
        })
        .await
    }

    /// The place after an observation.
    pub fn position(&self, n: u64) -> String {
        format!("{}.{n}", self.epoch())
    }

    fn number(&self, position: Option<&str>) -> u64 {
        let of_this = |position: &str| {
            let (epoch, n) = position.rsplit_once('.')?;
            if epoch == &*self.epoch() { n.parse().ok() } else { None }
        };
        position.and_then(of_this).unwrap_or(0)
    }
}

/// A number on a line, as far as the line's history goes: one beyond its end is of another life, and means nothing here.
fn within(tx: &Transaction<'_>, line: Id<Line>, n: u64) -> Result<i64> {
    let sql = "select last from histories where line = ?1";
    let last = first(tx, sql, [line.to_string()], |row| row.get::<_, i64>(0))?.unwrap_or(0);
    Ok(i64::try_from(n).ok().filter(|n| *n <= last).unwrap_or(0))
}

/// Adds an observation, if it is new.
pub(super) fn observe(
    tx: &Transaction<'_>,
    line: Id<Line>,
    observation: &Observation,
) -> Result<bool> {
    if !notice(tx, line, &observation.key)? {
        return Ok(false);
    }
    let line = line.to_string();
    let next = "insert into histories (line, last) values (?1, 1)
        on conflict (line) do update set last = last + 1 returning last";
    let n: i64 = tx.prepare_cached(next)?.query_row([&line], |row| row.get(0))?;
    let add = "insert into observations (line, n, what) values (?1, ?2, ?3)";
    run(tx, add, params![line, n, serde_json::to_string(observation)?])?;
    Ok(true)
}

/// Notes that this is known now. False if it was.
fn notice(tx: &Transaction<'_>, line: Id<Line>, key: &str) -> Result<bool> {
    let seen = "insert into seen (line, key) values (?1, ?2) on conflict do nothing";
    Ok(run(tx, seen, params![line.to_string(), digest(key)])? > 0)
}

/// Keys are kept for ever, so they are kept short.
pub(super) fn digest(key: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Sha256::digest(key)[..16]);
    short
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context};

    use super::*;
    use crate::ledger::tests::message;

    #[tokio::test]
    async fn an_observation_wakes_who_waits_even_if_who_recorded_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let line = Id::generate();
        let mut waits = ledger.observations_of(line);
        {
            let observations = vec![(line, Observation::new("one", message("one")))];
            let record = pin!(ledger.record(Recorded { observations, ..Recorded::default() }));
            let _ = record.poll(&mut Context::from_waker(std::task::Waker::noop()));
        }
        let woken = tokio::time::timeout(std::time::Duration::from_secs(10), waits.changed());
        woken.await.expect("it is woken").unwrap();
        assert_eq!(ledger.waiting(line, None, 9).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_observation_wakes_who_waits_for_its_line_alone() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let (line, other) = (Id::generate(), Id::generate());
        let (its, others) = (ledger.observations_of(line), ledger.observations_of(other));
        let record = async || {
            let observations = vec![(line, Observation::new("one", message("one")))];
            ledger.record(Recorded { observations, ..Recorded::default() }).await.unwrap()
        };
        assert_eq!(record().await, 1);
        assert!(its.has_changed().unwrap());
        assert!(!others.has_changed().unwrap());
        let again = ledger.observations_of(line);
        assert_eq!(record().await, 0, "it was observed before");
        assert!(!again.has_changed().unwrap());
    }
}
