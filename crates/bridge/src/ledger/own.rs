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
/// How long after it was begun what came of an attempt is known by what it says: as long as it is looked into.
const LOOKED_FOR: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

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
        self.transact_then(move |tx| whose(tx, &row), |ledger, _| ledger.wake_later_truths()).await
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

    /// Whether this own message can be what came of an attempt, by what it says. No other attempt has it now, and none that
    /// says the same stands before this one.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn is_outcome_of(&self, begun: &Begun, row: OwnRow) -> Result<bool> {
        let begun = begun.clone();
        self.transact(move |tx| {
            let id = begun.item.id;
            if let Some(Named::Outcome(of) | Named::File(of)) = named(tx, &row)? {
                return Ok(of == id);
            }
            // What went out in pieces is looked for piece by piece, which says less than the whole.
            if !may_be(&begun, &row) {
                return Ok(false);
            }
            let own = standing(tx, id)?;
            Ok(alike(tx, &row)?.iter().all(|(other, of)| *of == id || *other >= own))
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

/// How an attempt stands that an own message may be of. A message is of the first kind there is one of: what was handed
/// over just now is likelier on its way than what never showed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It is under way.
    UnderWay,
    /// It was when the bridge died.
    CutOff,
    /// Nobody knows what came of it.
    Unknown,
}

/// Whose a message is by its name.
enum Named {
    /// It is what came of this one.
    Outcome(Id<OutboxItem>),
    /// It is a file that went out beside that.
    File(Id<OutboxItem>),
}

fn named(tx: &Transaction<'_>, row: &OwnRow) -> Result<Option<Named>> {
    let find = |sql| first(tx, sql, [&row.guid], |found| found.get::<_, String>(0));
    let outcome = find("select item from attempts where guid = ?1 or token = lower(?1) limit 1")?;
    if let Some(id) = outcome.and_then(|item| item.parse().ok()) {
        return Ok(Some(Named::Outcome(id)));
    }
    let file = find("select item from parts where guid = ?1")?;
    Ok(file.and_then(|item| item.parse().ok()).map(Named::File))
}

/// The attempts that a message without a known name may be of, in the order of their standing and the oldest first: the one
/// rule for whoever meets a message, and for whoever looks for one.
fn alike(tx: &Transaction<'_>, row: &OwnRow) -> Result<Vec<(Standing, Id<OutboxItem>)>> {
    let line = row.line.to_string();
    let open = "line = ?1 and outcome is null order by look_at is not null, begun_at";
    let unknown = "line = ?1 and outcome = ?2 and later is null and guid is null order by begun_at";
    let unknown_outcome = serde_json::to_string(&Outcome::Unknown)?;
    let mut all = attempts::begun(tx, open, [&line])?;
    all.extend(attempts::begun(tx, unknown, params![line, unknown_outcome])?);
    let alike = all.iter().filter(|begun| may_be(begun, row)).map(|begun| begun.item.id);
    alike.map(|id| Ok((standing(tx, id)?, id))).collect()
}

fn standing(tx: &Transaction<'_>, id: Id<OutboxItem>) -> Result<Standing> {
    let sql = "select outcome is null, look_at is null from attempts where item = ?1";
    let found = first(tx, sql, [id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(match found {
        Some((true, true)) => Standing::UnderWay,
        Some((true, false)) => Standing::CutOff,
        Some((false, _)) | None => Standing::Unknown,
    })
}

/// Whether a message can have come of an attempt, by where and when it was written and by what it says. One that is
/// looked for no more is not it: people say the same thing again.
fn may_be(begun: &Begun, row: &OwnRow) -> bool {
    let same_chat = begun.item.identifier == row.identifier;
    let shown = begun.begun_at - SKEW..=begun.begun_at + LOOKED_FOR;
    same_chat && shown.contains(&row.sent_at) && says_the_same(begun, row)
}

fn whose(tx: &Transaction<'_>, row: &OwnRow) -> Result<Ownership> {
    match named(tx, row)? {
        Some(Named::Outcome(id)) => {
            attempts::resolve(tx, id, &sent(row))?;
            return Ok(Ownership::Ours(id));
        }
        Some(Named::File(id)) => return Ok(Ownership::Ours(id)),
        None => {}
    }
    let alike = alike(tx, row)?.first().copied();
    if let Some((Standing::UnderWay | Standing::CutOff, _)) = alike {
        return Ok(Ownership::NotYet);
    }
    if let Some(id) = takes_file(tx, row)? {
        return Ok(Ownership::Ours(id));
    }
    // Of two that say the same it is the older: which of them it is makes no difference to anybody.
    let Some((_, id)) = alike else { return Ok(Ownership::Owners) };
    attempts::resolve(tx, id, &sent(row))?;
    Ok(Ownership::Ours(id))
}

/// Over some ways a text and its files are a message each, and the answer names the text's. Each file has one message.
fn takes_file(tx: &Transaction<'_>, row: &OwnRow) -> Result<Option<Id<OutboxItem>>> {
    if !row.has_files || row.text.as_deref().is_some_and(|text| !plain(text).is_empty()) {
        return Ok(None);
    }
    let recent =
        "line = ?1 and finished_at >= ?2 - 60000 and begun_at <= ?2 + 10000 order by begun_at";
    for begun in attempts::begun(tx, recent, params![row.line.to_string(), row.sent_at.0])? {
        let Content::Message { text: Some(_), attachments, .. } = &begun.item.content else {
            continue;
        };
        if begun.item.identifier != row.identifier {
            continue;
        }
        let take = "insert into parts select ?1, ?2
            where (select count(*) from parts where item = ?2) < ?3";
        let files = i64::try_from(attachments.len()).unwrap_or(i64::MAX);
        if run(tx, take, params![row.guid, begun.item.id.to_string(), files])? > 0 {
            return Ok(Some(begun.item.id));
        }
    }
    Ok(None)
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
