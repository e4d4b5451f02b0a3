//! Whose a message is that stands in Messages as the line's own: an echo of what was sent from here, or the owner's,
//! written on another device.

use rusqlite::{Transaction, params};
use switchboard_model::{
    Line, OutboxItem, Timestamp,
    chat::Service,
    id::Id,
    link::{Content, Outcome},
};

use super::{Begun, Ledger, Result, attempts, first, run};

/// Clocks of two programs on one machine differ by less.
pub(super) const SKEW: std::time::Duration = std::time::Duration::from_secs(10);

/// A message of the line's own, as Messages has it.
#[derive(Debug, Clone)]
pub struct OwnRow {
    /// Which line.
    pub line: Id<Line>,
    /// Its identity.
    pub guid: String,
    /// The chat, as in [`SendItem::identifier`](switchboard_model::link::SendItem).
    pub identifier: String,
    /// What it says.
    pub text: Option<String>,
    /// Whether files are with it.
    pub has_files: bool,
    /// When it was written.
    pub sent_at: Timestamp,
    /// What it ran over.
    pub service: Service,
}

/// Whose an own message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// It was sent from here.
    Ours(Id<OutboxItem>),
    /// The owner wrote it on another device.
    Owners,
    /// It can't be told before what is under way on the line has ended.
    NotYet,
}

impl Ledger {
    /// Tells whose it is. If an unknown outcome turns out to be this message, that is known from now on.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn whose(&self, row: OwnRow) -> Result<Ownership> {
        let whose = self.transact(move |tx| whose(tx, &row)).await?;
        self.wake();
        Ok(whose)
    }

    /// The line that this own message was sent from here by, as far as that is known.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn sent_by(&self, guid: String) -> Result<Option<Id<Line>>> {
        self.transact(move |tx| {
            let sql = "select line from attempts where guid = ?1 or token = lower(?1) limit 1";
            let line = first(tx, sql, [&guid], |found| found.get::<_, String>(0))?;
            Ok(line.and_then(|line| line.parse().ok()))
        })
        .await
    }

    /// Gives an own message to an attempt that has none, if no other has it: of two that say the same, each has one.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn claim_message(&self, item: Id<OutboxItem>, guid: String) -> Result<bool> {
        self.transact(move |tx| {
            let sql =
                "update attempts set guid = ?2 where item = ?1 and (guid is null or guid = ?2)
                and not exists (select 1 from attempts where guid = ?2 and item <> ?1)";
            Ok(run(tx, sql, params![item.to_string(), guid])? > 0)
        })
        .await
    }

    /// Whether this own message can be what came of an attempt, by what it says. No other attempt has it now.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn is_outcome_of(&self, begun: &Begun, row: OwnRow) -> Result<bool> {
        let begun = begun.clone();
        self.transact(move |tx| {
            let known = "select item from attempts where guid = ?1 or token = lower(?1) limit 1";
            let of_another = first(tx, known, [&row.guid], |found| found.get::<_, String>(0))?;
            Ok(match of_another {
                Some(item) => item == begun.item.id.to_string(),
                None => may_be(&begun, &row),
            })
        })
        .await
    }

    /// Whether this message is one of ours of which the server does not know yet: its attempt is under way, or what
    /// turned out of it is not acknowledged.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn is_settling(&self, guid: String) -> Result<bool> {
        self.transact(move |tx| {
            let sql = "select 1 from attempts where (guid = ?1 or token = lower(?1))
                and (outcome is null or later is not null)";
            Ok(first(tx, sql, [&guid], |_| Ok(()))?.is_some())
        })
        .await
    }
}

fn may_be(begun: &Begun, row: &OwnRow) -> bool {
    let same_chat = begun.item.identifier == row.identifier;
    same_chat && row.sent_at >= begun.begun_at - SKEW && says_the_same(begun, row)
}

fn whose(tx: &Transaction<'_>, row: &OwnRow) -> Result<Ownership> {
    let known = first(
        tx,
        "select item from attempts where guid = ?1 or token = lower(?1) limit 1",
        [&row.guid],
        |found| found.get::<_, String>(0),
    )?;
    if let Some(id) = known.and_then(|item| item.parse().ok()) {
        attempts::resolve(tx, id, &sent(row))?;
        return Ok(Ownership::Ours(id));
    }
    let line = row.line.to_string();
    let under_way = attempts::begun(tx, "line = ?1 and outcome is null", [&line])?;
    if under_way.iter().any(|begun| may_be(begun, row)) {
        return Ok(Ownership::NotYet);
    }
    if row.has_files && row.text.as_deref().is_none_or(|text| plain(text).is_empty()) {
        // Over some ways a text and its file are two messages, and the answer names the text's.
        let with_file = "line = ?1 and finished_at >= ?2 - 60000 and begun_at <= ?2 + 10000";
        let recent = attempts::begun(tx, with_file, params![line, row.sent_at.0])?;
        let is_its_file = |begun: &&Begun| {
            begun.item.identifier == row.identifier
                && matches!(&begun.item.content, Content::Message { text: Some(_), attachments, .. } if !attachments.is_empty())
        };
        if let Some(begun) = recent.iter().find(is_its_file) {
            return Ok(Ownership::Ours(begun.item.id));
        }
    }
    // Of two that say the same it is the older: which of them it is makes no difference to anybody.
    let unknown = "line = ?1 and outcome = ?2 and later is null and guid is null order by begun_at";
    let unknown_outcome = serde_json::to_string(&Outcome::Unknown)?;
    let unknown = attempts::begun(tx, unknown, params![line, unknown_outcome])?;
    let mut alike = unknown.iter().filter(|begun| may_be(begun, row));
    if let Some(begun) = alike.next() {
        attempts::resolve(tx, begun.item.id, &sent(row))?;
        return Ok(Ownership::Ours(begun.item.id));
    }
    Ok(Ownership::Owners)
}

fn sent(row: &OwnRow) -> Outcome {
    Outcome::Sent {
        guid: row.guid.clone(),
        sent_at: row.sent_at,
        service: row.service,
        delivered_at: None,
    }
}

fn says_the_same(begun: &Begun, row: &OwnRow) -> bool {
    let Content::Message { text, attachments, .. } = &begun.item.content else { return false };
    match (text, &row.text) {
        (Some(sent), Some(stands)) => plain(sent) == plain(stands),
        // A file goes as a message of its own over some ways.
        (_, None) => !attachments.is_empty() && row.has_files,
        (None, Some(stands)) => !attachments.is_empty() && plain(stands).is_empty(),
    }
}

/// A text without what Messages changes of it: the marks where files stand, white space around, and how its letters are
/// composed.
fn plain(text: &str) -> String {
    let composed = icu_normalizer::ComposingNormalizerBorrowed::new_nfc().normalize(text);
    composed.replace('\u{fffc}', "").trim().to_owned()
}
