//! What messages said last that may still be edited or taken back, for programs that tell of neither: their messages are read
//! again and compared, by a later process too.

use rusqlite::{Transaction, params};
use switchboard_model::{Line, Timestamp, id::Id, link::InboundChat};

use super::{Ledger, Result, observations::digest, run};

/// The most messages of a line that are compared: the oldest give way.
const KEPT: i64 = 2_000;

/// What a message says, as far as it is compared. The words themselves are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    text: Option<[u8; 16]>,
    has_files: bool,
}

impl Said {
    /// This text, and files or none.
    pub fn new(text: Option<&str>, has_files: bool) -> Self {
        Self { text: text.map(digest), has_files }
    }

    /// Whether nothing stands in it.
    pub fn is_nothing(&self) -> bool {
        self.text.is_none() && !self.has_files
    }

    /// Whether both have the same text, whatever files are with them.
    pub fn has_text_of(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// A message that is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Its line.
    pub line: Id<Line>,
    /// Its identity in Messages.
    pub guid: String,
    /// The chat, as its program numbers it.
    pub chat_row: i64,
    /// The row, as its program numbers it.
    pub row: i64,
    /// The chat it stands in.
    pub chat: InboundChat,
    /// What it said last.
    pub said: Said,
    /// When it was written.
    pub sent_at: Timestamp,
}

impl Text {
    /// What it is known by.
    pub fn key(&self) -> (Id<Line>, String) {
        (self.line, self.guid.clone())
    }
}

/// This message is compared no more.
pub(super) fn forget(tx: &Transaction<'_>, line: Id<Line>, guid: &str) -> Result<()> {
    let sql = "delete from texts where line = ?1 and guid = ?2";
    run(tx, sql, params![line.to_string(), guid])?;
    Ok(())
}

/// Notes what a message says. Of one that is noted already only its place may be new: what it said stays what was told.
pub(super) fn note(tx: &Transaction<'_>, text: &Text) -> Result<()> {
    let line = text.line.to_string();
    let sql = "insert into texts (line, guid, chat_row, row, chat, text, has_files, sent_at)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        on conflict (line, guid) do update set chat_row = excluded.chat_row, row = excluded.row";
    let chat = serde_json::to_string(&text.chat)?;
    let Said { text: said, has_files } = text.said;
    run(
        tx,
        sql,
        params![line, text.guid, text.chat_row, text.row, chat, said, has_files, text.sent_at.0],
    )?;
    let give_way = "delete from texts where line = ?1 and sent_at < (
        select sent_at from texts where line = ?1 order by sent_at desc limit 1 offset ?2)";
    run(tx, give_way, params![line, KEPT - 1])?;
    Ok(())
}

impl Ledger {
    /// All messages that are compared, those of a chat together, the older before the newer.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn texts(&self) -> Result<Vec<Text>> {
        self.transact(|tx| {
            let sql = "select line, guid, chat_row, row, chat, text, has_files, sent_at from texts
                order by chat_row, row";
            let mut rows = tx.prepare_cached(sql)?;
            let rows = rows.query_map([], |row| {
                let said = Said { text: row.get(5)?, has_files: row.get(6)? };
                let (guid, chat_row, of) = (row.get(1)?, row.get(2)?, row.get(3)?);
                let (line, chat) = (row.get::<_, String>(0)?, row.get::<_, String>(4)?);
                Ok((line, guid, chat_row, of, chat, said, Timestamp(row.get(7)?)))
            })?;
            let mut texts = Vec::new();
            for row in rows {
                let (line, guid, chat_row, row, chat, said, sent_at) = row?;
                let Ok(line) = line.parse() else { continue };
                let chat = serde_json::from_str(&chat)?;
                texts.push(Text { line, guid, chat_row, row, chat, said, sent_at });
            }
            Ok(texts)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use switchboard_model::Handle;

    use super::*;
    use crate::ledger::Recorded;

    fn text(line: Id<Line>, number: i64) -> Text {
        Text {
            line,
            guid: format!("guid {number}"),
            chat_row: number % 3,
            row: number,
            chat: InboundChat::Contact { handle: Handle::received("+15550100001") },
            said: Said::new(Some("hello"), false),
            sent_at: Timestamp(number),
        }
    }

    async fn record(ledger: &Ledger, texts: Vec<Text>, texts_over: Vec<(Id<Line>, String)>) {
        let recorded = Recorded { texts, texts_over, ..Recorded::default() };
        ledger.record(recorded).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_told_stays_known_until_it_is_forgotten_and_the_oldest_give_way() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let line = Id::generate();
        record(&ledger, vec![text(line, 1)], Vec::new()).await;
        // Read once more, from another database.
        let said = Said::new(Some("hallo"), false);
        let again = Text { row: 7, said, ..text(line, 1) };
        record(&ledger, vec![again.clone()], Vec::new()).await;
        assert_eq!(ledger.texts().await.unwrap(), [Text { row: 7, ..text(line, 1) }]);
        record(&ledger, vec![again.clone()], vec![again.key()]).await;
        assert_eq!(ledger.texts().await.unwrap(), [again]);
        let many = (2..KEPT + 12).map(|number| text(line, number)).collect();
        record(&ledger, many, Vec::new()).await;
        let kept = ledger.texts().await.unwrap();
        assert_eq!(kept.len() as i64, KEPT);
        assert!(kept.iter().all(|text| text.sent_at >= Timestamp(12)));
        assert!(kept.is_sorted_by_key(|text| (text.chat_row, text.row)));
    }

    #[tokio::test]
    async fn a_ledger_of_the_first_version_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        drop(Ledger::open(dir.path()).unwrap());
        let sql = Connection::open(dir.path().join("ledger.db")).unwrap();
        let first = "drop table texts; drop table late_files;
            alter table observations drop column unknown_since; pragma user_version = 1";
        sql.execute_batch(first).unwrap();
        drop(sql);
        let ledger = Ledger::open(dir.path()).unwrap();
        let line = Id::generate();
        record(&ledger, vec![text(line, 1)], Vec::new()).await;
        drop(ledger);
        assert_eq!(Ledger::open(dir.path()).unwrap().texts().await.unwrap().len(), 1);
    }
}
