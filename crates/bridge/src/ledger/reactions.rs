//! Whose a reaction is that stands in Messages as the line's own. No answer of a program names it for certain, so it is known by
//! what it says: each attempt has one at most.

use std::time::Duration;

use rusqlite::{Transaction, params};
use switchboard_model::{
    Line,
    id::Id,
    link::{Content, InboundReaction},
};

use super::{Begun, Ledger, Ownership, Result, attempts, first, own::SKEW, run};

/// How long after its end a reaction that was given from here may stand in Messages.
const SHOWN_WITHIN: Duration = Duration::from_secs(5 * 60);

impl Ledger {
    /// Tells whose a reaction is that is the line's own. What an attempt with an unknown outcome may have made is the owner's: the server counts
    /// that attempt as failed, and shows no reaction of it.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn whose_reaction(&self, line: Id<Line>, row: InboundReaction) -> Result<Ownership> {
        self.transact(move |tx| whose(tx, line, &row)).await
    }
}

fn whose(tx: &Transaction<'_>, line: Id<Line>, row: &InboundReaction) -> Result<Ownership> {
    let known = first(tx, "select item from attempts where guid = ?1", [&row.guid], |found| {
        found.get::<_, String>(0)
    })?;
    if let Some(id) = known.and_then(|item| item.parse().ok()) {
        return Ok(Ownership::Ours(id));
    }
    let line = line.to_string();
    let under_way = "line = ?1 and outcome is null and later is null and guid is null";
    if attempts::begun(tx, under_way, [&line])?.iter().any(|begun| may_be(begun, row)) {
        return Ok(Ownership::NotYet);
    }
    let done = "line = ?1 and guid is null and begun_at <= ?2 and finished_at >= ?3
        and json_extract(coalesce(outcome, later), '$.outcome') = 'done' order by begun_at";
    let latest = row.sent_at + SKEW;
    let earliest = row.sent_at - SHOWN_WITHIN;
    let done = attempts::begun(tx, done, params![line, latest.0, earliest.0])?;
    let Some(begun) = done.iter().find(|begun| may_be(begun, row)) else {
        return Ok(Ownership::Owners);
    };
    let item = begun.item.id;
    run(tx, "update attempts set guid = ?2 where item = ?1", params![item.to_string(), row.guid])?;
    Ok(Ownership::Ours(item))
}

fn may_be(begun: &Begun, row: &InboundReaction) -> bool {
    let Content::Reaction { message_guid, reaction_type, remove } = &begun.item.content else {
        return false;
    };
    message_guid.eq_ignore_ascii_case(&row.message_guid)
        && *reaction_type == row.reaction_type
        && *remove != row.added
        && row.sent_at >= begun.begun_at - SKEW
}

#[cfg(test)]
mod tests {
    use switchboard_model::{
        Handle, Timestamp,
        link::{InboundChat, Outcome, SendItem},
        reaction::ReactionType,
    };

    use super::*;

    const BEGUN: Timestamp = Timestamp(1_000_000_000);

    fn item(line: Id<Line>, remove: bool) -> SendItem {
        SendItem {
            id: Id::generate(),
            order: 1,
            line_id: line,
            chat_id: Id::generate(),
            identifier: "+15550100001".to_owned(),
            is_group: false,
            content: Content::Reaction {
                message_guid: "M".to_owned(),
                reaction_type: ReactionType::Love,
                remove,
            },
        }
    }

    fn row(guid: &str, after: u64) -> InboundReaction {
        InboundReaction {
            guid: guid.to_owned(),
            chat: InboundChat::Contact { handle: Handle::received("+15550100001") },
            message_guid: "m".to_owned(),
            sender: Handle::received("+15550999999"),
            reaction_type: ReactionType::Love,
            added: true,
            sent_at: BEGUN + Duration::from_secs(after),
        }
    }

    #[tokio::test]
    async fn an_attempt_has_one_reaction_and_what_failed_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let line = Id::<Line>::generate();
        let (item, other) = (item(line, false), item(line, true));
        let ours = Ownership::Ours(item.id);
        for one in [&item, &other] {
            ledger.begin(one.clone(), None, BEGUN).await.unwrap().unwrap();
        }
        let whose = async |row| ledger.whose_reaction(line, row).await.unwrap();
        assert_eq!(whose(row("A", 1)).await, Ownership::NotYet);
        let elsewhere = ledger.whose_reaction(Id::generate(), row("A", 1)).await.unwrap();
        assert_eq!(elsewhere, Ownership::Owners);
        let end = BEGUN + Duration::from_secs(2);
        ledger.finish(item.id, Outcome::Done { at: end }, end).await.unwrap();
        let old = InboundReaction { sent_at: BEGUN - Duration::from_secs(60), ..row("old", 0) };
        assert_eq!(whose(old).await, Ownership::Owners);
        assert_eq!(whose(row("late", 600)).await, Ownership::Owners);
        assert_eq!(whose(row("A", 1)).await, ours);
        // Read again, it is the same; another is another's.
        assert_eq!(whose(row("A", 1)).await, ours);
        assert_eq!(whose(row("B", 3)).await, Ownership::Owners);
        // The server counts it as failed, so it is told when it shows up.
        ledger.finish(other.id, Outcome::Unknown, end).await.unwrap();
        let removed = InboundReaction { added: false, ..row("C", 3) };
        assert_eq!(whose(removed).await, Ownership::Owners);
    }

    #[tokio::test]
    async fn a_reaction_that_turns_out_is_no_truth_to_whom_it_failed() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let item = item(Id::generate(), false);
        ledger.begin(item.clone(), None, BEGUN).await.unwrap().unwrap();
        ledger.finish(item.id, Outcome::Unknown, BEGUN).await.unwrap();
        let found = Some(Outcome::Done { at: BEGUN });
        let later = BEGUN + Duration::from_secs(60);
        let looked = ledger.to_look_into(later).await.unwrap().remove(0);
        ledger.looked_into(&looked, found, BEGUN).await.unwrap();
        assert_eq!(ledger.later_truth().await.unwrap(), []);
        let long_after = BEGUN + Duration::from_secs(24 * 60 * 60);
        assert_eq!(ledger.to_look_into(long_after).await.unwrap(), []);
    }
}
