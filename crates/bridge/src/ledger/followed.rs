//! The line's own messages of which more is to come, for programs that have to be asked.

use std::time::Duration;

use rusqlite::{Transaction, params};
use switchboard_model::{Line, Timestamp, id::Id, link::InboundChat};

use super::{Ledger, Result, run};

/// When a message is looked at again, after the look before; then with the last pause until it is too old.
const LOOKS: [Duration; 8] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(7),
    Duration::from_secs(20),
    Duration::from_secs(90),
    Duration::from_secs(8 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
];
/// How long a message is followed.
const FOLLOWED: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// A message that is followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// Its identity in Messages.
    pub guid: String,
    /// Its line.
    pub line: Id<Line>,
    /// The chat it stands in.
    pub chat: InboundChat,
    /// What is known of it, as its connector writes it.
    pub state: String,
}

/// A message that is to be followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Follow {
    guid: String,
    line: Id<Line>,
    chat: InboundChat,
    state: String,
}

impl Follow {
    /// Nothing is known of it yet.
    pub fn new(guid: String, line: Id<Line>, chat: InboundChat) -> Self {
        Self { guid, line, chat, state: String::new() }
    }

    /// So much is known of it, as its connector writes it.
    #[must_use]
    pub fn in_state(self, state: String) -> Self {
        Self { state, ..self }
    }
}

/// Follows a message, if it is not followed already.
pub(super) fn follow(tx: &Transaction<'_>, follow: &Follow, now: Timestamp) -> Result<()> {
    let Follow { guid, line, chat, state } = follow;
    let sql = "insert into followed (guid, line, chat, since, look_at, state)
        values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing";
    let chat = serde_json::to_string(chat)?;
    run(tx, sql, params![guid, line.to_string(), chat, now.0, (now + LOOKS[0]).0, state])?;
    Ok(())
}

impl Ledger {
    /// Follows a message from now on, if it is not followed already.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn follow(
        &self,
        guid: String,
        line: Id<Line>,
        chat: InboundChat,
        now: Timestamp,
    ) -> Result<()> {
        self.transact(move |tx| follow(tx, &Follow::new(guid, line, chat), now)).await
    }

    /// At most `limit` messages whose time to be looked at has come.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn to_follow(&self, now: Timestamp, limit: usize) -> Result<Vec<Followed>> {
        self.transact(move |tx| {
            let sql = "select guid, line, chat, state from followed
                where look_at <= ?1 order by look_at limit ?2";
            let mut rows = tx.prepare_cached(sql)?;
            let rows = rows.query_map(params![now.0, limit as i64], |row| {
                Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get(3)?))
            })?;
            let mut followed = Vec::new();
            for row in rows {
                let (guid, line, chat, state) = row?;
                let Ok(line) = line.parse() else { continue };
                followed.push(Followed { guid, line, chat: serde_json::from_str(&chat)?, state });
            }
            Ok(followed)
        })
        .await
    }

    /// A message was looked at; `None` if nothing more is to come of it.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn followed(
        &self,
        guid: String,
        state: Option<String>,
        now: Timestamp,
    ) -> Result<()> {
        self.transact(move |tx| {
            let Some(state) = state else {
                run(tx, "delete from followed where guid = ?1", [&guid])?;
                return Ok(());
            };
            let sql = "update followed set state = ?2, looks = looks + 1,
                look_at = ?3 + case looks + 1 when 1 then ?4 when 2 then ?5 when 3 then ?6
                    when 4 then ?7 when 5 then ?8 when 6 then ?9 else ?10 end
                where guid = ?1";
            let [_, a, b, c, d, e, f, g] = LOOKS.map(|pause| pause.as_millis() as i64);
            run(tx, sql, params![guid, state, now.0, a, b, c, d, e, f, g])?;
            run(tx, "delete from followed where since < ?1", [(now - FOLLOWED).0])?;
            Ok(())
        })
        .await
    }
}
