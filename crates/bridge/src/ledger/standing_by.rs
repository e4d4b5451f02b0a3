//! The history of a line that another bridge carries: kept in case that one dies, and only as long as the server may lack it.

use std::time::Duration;

use rusqlite::params;
use switchboard_model::{
    Line, Timestamp,
    id::Id,
    link::{CarriedLine, Inbound, InboundUpdate},
};

use super::{Ledger, Observation, Result, first, run};

/// How long a message or a reaction is kept of which the server does not know, while the line is online by its other bridge: that
/// one has passed it over, as what is not the line's.
const UNKNOWN_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The same of what has no name of its own: states, receipts, groups.
const NAMELESS_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// An observation of a line that another bridge carries.
#[derive(Debug)]
pub(crate) struct StoodBy {
    pub(crate) n: u64,
    pub(crate) observation: Observation,
    /// Since when the server has not known it although the line was online.
    unknown_since: Option<Timestamp>,
}

/// What the server said of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It knows it, or nobody wants to.
    Known,
    /// It does not, and the line is online.
    Unknown,
    /// It does not, and the line is away: the other bridge may not have told it.
    Away,
}

impl StoodBy {
    /// The guid by which the server may know it, and what it is about.
    pub(crate) fn guid(&self) -> Option<&str> {
        let guid = match &self.observation.what {
            Inbound::Message(message) => &message.guid,
            Inbound::Own(own) => &own.guid,
            Inbound::Reaction(reaction) => &reaction.guid,
            Inbound::Update(update) if brings_only_files(update) => &update.message_guid,
            _ => return None,
        };
        (!guid.is_empty() && !guid.contains('\0')).then_some(guid)
    }

    /// What follows from what the server knows: whether the line is online, and how many files it has of this guid.
    pub(crate) fn told(&self, online: bool, files: Option<usize>) -> Told {
        match &self.observation.what {
            // Nobody sees any more who typed then.
            Inbound::Typing(_) | Inbound::Unreadable => Told::Known,
            _ if files.is_some_and(|files| files >= self.observation.files.len()) => Told::Known,
            _ if online => Told::Unknown,
            _ => Told::Away,
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        let kept = match &self.observation.what {
            Inbound::Message(_) | Inbound::Own(_) | Inbound::Reaction(_) => UNKNOWN_FOR,
            _ => NAMELESS_FOR,
        };
        self.unknown_since.is_some_and(|since| now.since(since) > kept)
    }
}

fn brings_only_files(update: &InboundUpdate) -> bool {
    let files = InboundUpdate {
        attachments: update.attachments.clone(),
        ..InboundUpdate::of(update.chat.clone(), &*update.message_guid)
    };
    update.attachments.is_some() && *update == files
}

impl Ledger {
    /// At most `limit` observations of a line after the one with this number.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub(crate) async fn stood_by(
        &self,
        line: Id<Line>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoodBy>> {
        self.transact(move |tx| {
            let sql = "select n, what, unknown_since from observations
                where line = ?1 and n > ?2 order by n limit ?3";
            let mut rows = tx.prepare_cached(sql)?;
            let params = params![line.to_string(), after as i64, limit as i64];
            let rows = rows.query_map(params, |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?))
            })?;
            rows.map(|row| {
                let (n, what, since) = row?;
                let observation = serde_json::from_str(&what)?;
                let unknown_since = since.map(Timestamp);
                Ok(StoodBy { n: n.unsigned_abs(), observation, unknown_since })
            })
            .collect()
        })
        .await
    }

    /// Notes what this bridge is to its lines. What it was to tell when another bridge took a line over is kept until the
    /// server knows it: what the other one passes over, as of before its time, nobody else tells.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub(crate) async fn note_roles(&self, lines: Vec<CarriedLine>) -> Result<()> {
        self.transact(move |tx| {
            let carries = "insert into histories (line, last, carries) values (?1, 0, 1)
                on conflict (line) do update set carries = 1 where carries = 0";
            let stands_by = "update histories set carries = 0, carried_to = last
                where line = ?1 and carries = 1";
            for line in lines {
                let sql = if line.role.is_active() { carries } else { stands_by };
                run(tx, sql, [line.id.to_string()])?;
            }
            Ok(())
        })
        .await
    }

    /// Keeps of these what the server may lack. Answers how many are not kept.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError), and all are kept.
    pub(crate) async fn keep_unknown(
        &self,
        line: Id<Line>,
        observations: Vec<(StoodBy, Told)>,
        now: Timestamp,
    ) -> Result<usize> {
        self.transact(move |tx| {
            let (line, mut removed) = (line.to_string(), 0);
            let carried_to = "select carried_to from histories where line = ?1";
            let carried_to = first(tx, carried_to, [&line], |row| row.get::<_, i64>(0))?;
            let remove = "delete from observations where line = ?1 and n = ?2";
            let since = "update observations set unknown_since = ?3
                where line = ?1 and n = ?2 and unknown_since is not ?3";
            for (stood_by, told) in observations {
                let n = stood_by.n as i64;
                match told {
                    Told::Known => removed += run(tx, remove, params![line, n])?,
                    Told::Unknown if stood_by.is_over(now) && Some(n) > carried_to => {
                        removed += run(tx, remove, params![line, n])?;
                    }
                    Told::Unknown => {
                        let known_since = stood_by.unknown_since.unwrap_or(now);
                        run(tx, since, params![line, n, known_since.0])?;
                    }
                    Told::Away => {
                        run(tx, since, params![line, n, None::<i64>])?;
                    }
                }
            }
            Ok(removed)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use switchboard_model::{
        Handle,
        link::{InboundChat, InboundTyping, LineRole},
    };

    use super::*;
    use crate::ledger::{Recorded, tests::message};

    #[tokio::test]
    async fn a_standby_keeps_what_the_server_may_lack_and_for_a_while_only() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, line) = (Ledger::open(dir.path()).unwrap(), Id::<Line>::generate());
        let handle = Handle::received("+15550100002");
        let chat = InboundChat::Contact { handle: handle.clone() };
        let typing =
            InboundTyping { chat: chat.clone(), handle, is_typing: true, at: Timestamp(0) };
        let read = InboundUpdate { read_at: Some(Timestamp(1)), ..InboundUpdate::of(chat, "a") };
        let what = [message("a"), Inbound::Typing(typing), Inbound::Update(read), message("b")];
        let observations = what.into_iter().enumerate();
        let observations =
            observations.map(|(n, what)| (line, Observation::new(n.to_string(), what))).collect();
        ledger.record(Recorded { observations, ..Recorded::default() }).await.unwrap();
        let (day, begin) = (Duration::from_secs(24 * 60 * 60), Timestamp(1_700_000_000_000));
        let asked = async |knows: &str, online: bool, days: u32| {
            let all = ledger.stood_by(line, 0, 10).await.unwrap();
            let told = all.into_iter().map(|one| {
                let files = one.guid().filter(|guid| *guid == knows).map(|_| 0);
                let told = one.told(online, files);
                (one, told)
            });
            ledger.keep_unknown(line, told.collect(), begin + day * days).await.unwrap();
            let left = ledger.stood_by(line, 0, 10).await.unwrap();
            left.iter().map(|one| one.n).collect::<Vec<_>>()
        };
        // The indicator is of no use any more.
        assert_eq!(asked("", false, 0).await, [1, 3, 4]);
        assert_eq!(asked("a", true, 0).await, [3, 4]);
        assert_eq!(asked("a", true, 2).await, [4]);
        // While the other bridge is away nothing grows old.
        assert_eq!(asked("a", false, 6).await, [4]);
        assert_eq!(asked("a", true, 8).await, [4]);
        assert_eq!(asked("a", true, 14).await, [4]);
        assert_eq!(asked("a", true, 16).await, [0_u64; 0]);
    }

    #[tokio::test]
    async fn what_it_had_to_tell_when_it_was_taken_over_is_kept_until_it_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let id = Id::<Line>::generate();
        let line = |role| CarriedLine {
            id,
            handle: Handle::received("+15550999999"),
            service: Default::default(),
            position: None,
            role,
            since: None,
        };
        let (active, standby) = (line(LineRole::Active), line(LineRole::Standby));
        let observe = async |key: &str| {
            let observations = vec![(active.id, Observation::new(key, message(key)))];
            ledger.record(Recorded { observations, ..Recorded::default() }).await.unwrap();
        };
        ledger.note_roles(vec![active.clone()]).await.unwrap();
        observe("gap").await;
        // Told again with each link.
        for _ in 0..2 {
            ledger.note_roles(vec![standby.clone()]).await.unwrap();
            observe("passed over").await;
        }
        let mut left = Vec::new();
        for days in [0, 8] {
            let all = ledger.stood_by(active.id, 0, 10).await.unwrap();
            let told = all.into_iter().map(|one| (one, Told::Unknown)).collect();
            let now = Timestamp(1) + Duration::from_secs(24 * 60 * 60) * days;
            ledger.keep_unknown(active.id, told, now).await.unwrap();
            left = ledger.stood_by(active.id, 0, 10).await.unwrap();
        }
        assert_eq!(left.iter().map(StoodBy::guid).collect::<Vec<_>>(), [Some("gap")]);
        let told = left.into_iter().map(|one| (one, Told::Known)).collect();
        assert_eq!(ledger.keep_unknown(active.id, told, Timestamp(2)).await.unwrap(), 1);
    }
}
