//! The walk over a line's chats, latest activity first, while they move.

use std::collections::BTreeSet;

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Account, Chat, Line, Timestamp,
    id::Id,
    page::{Limit, Page},
};

use crate::{
    ChatsCursor, Result,
    sqlite::{
        engine::{
            columns::{Bits, Json, Name, bits},
            statement,
        },
        messages,
    },
};

/// A chat and its place in the walk.
struct Placed {
    chat: Chat,
    /// Its newest message as of the beginning of the walk; 0 if it had none.
    stood: i64,
    seq: i64,
}

/// The most chats that have moved that one read looks at.
const LOOKED_AT: usize = 500;

/// The way to one page. Each chat has one place for the whole walk, its newest message as of the
/// beginning and then its own seq, whatever comes in meanwhile; so nothing is skipped or repeated.
///
/// Chats that have moved since the beginning have no index by where they stood then: all of them are
/// looked at, in slices. Only their places are kept, and no more than the page holds.
pub(super) struct Walk {
    account: Id<Account>,
    line: Id<Line>,
    /// The newest message as of the beginning.
    began: i64,
    place: (i64, i64),
    wanted: usize,
    /// Those that have not moved. Read before the others: one that moves in between is met twice, not missed.
    resting: Vec<Placed>,
    /// The first of those that have moved: where they stood, and their seqs.
    moved: BTreeSet<(i64, i64)>,
    /// The last of them that was looked at: where it stands now, and its seq.
    looked_at: (i64, i64),
    page: Option<Page<Chat, 3>>,
}

impl Walk {
    pub(super) fn begin(
        sql: &Connection,
        account: Id<Account>,
        line: Id<Line>,
        after: Option<ChatsCursor>,
        limit: Limit,
    ) -> Result<Self> {
        let wanted = limit.get() as usize;
        let (began, place) = match after {
            None => (messages::newest(sql)?, (i64::MAX, i64::MAX)),
            Some(cursor) => {
                let [began, stood, seq] =
                    cursor.place().map(|number| i64::try_from(number).unwrap_or(i64::MAX));
                let began = began.min(messages::MAX_NUMBER);
                // Nothing stood later than the beginning.
                (began, (stood.min(began), seq))
            }
        };
        let walk = Self {
            account,
            line,
            began,
            place,
            wanted,
            resting: resting(sql, account, line, place, wanted + 1)?,
            moved: BTreeSet::new(),
            looked_at: (began, i64::MAX),
            page: None,
        };
        if after.is_none() { walk.end(sql) } else { walk.slice(sql) }
    }

    pub(super) fn page(&mut self) -> Option<Page<Chat, 3>> {
        self.page.take()
    }

    /// Looks at the next of those that have moved. One that moves on in between is met again further on,
    /// with the same place.
    pub(super) fn slice(mut self, sql: &Connection) -> Result<Self> {
        let (last_seq, seq) = self.looked_at;
        let moved = statement::all(
            sql,
            "select last_seq, seq,
                    coalesce((select m.seq & ?8 from messages m
                              where m.seq between shown_chats.seq << ?7 and (shown_chats.seq << ?7 | ?3)
                              order by m.seq desc limit 1), 0)
             from shown_chats
             where line_id = ?1 and account_id = ?2 and (last_seq, seq) > (?4, ?5)
             order by last_seq, seq limit ?6",
            params![
                bits(self.line),
                bits(self.account),
                self.began,
                last_seq,
                seq,
                statement::limit(LOOKED_AT),
                messages::NUMBER_BITS,
                messages::MAX_NUMBER
            ],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
        )?;
        let is_last = moved.len() < LOOKED_AT;
        for (last_seq, seq, stood) in moved {
            self.looked_at = (last_seq, seq);
            if (stood, seq) < self.place {
                self.moved.insert((stood, seq));
                // One more than the page holds says that there is another page.
                if self.moved.len() > self.wanted + 1 {
                    self.moved.pop_first();
                }
            }
        }
        if is_last { self.end(sql) } else { Ok(self) }
    }

    fn end(mut self, sql: &Connection) -> Result<Self> {
        let mut placed = std::mem::take(&mut self.resting);
        placed.retain(|one| !self.moved.contains(&(one.stood, one.seq)));
        for (stood, seq) in &self.moved {
            let found = statement::first(
                sql,
                "select id, line_id, identifier, service, name, is_group, participants,
                        has_received_inbound, last_message_at, ?4, seq
                 from shown_chats where seq = ?3 and line_id = ?1 and account_id = ?2",
                params![bits(self.line), bits(self.account), seq, stood],
                self::placed,
            )?;
            placed.extend(found);
        }
        placed.sort_by_key(|one| std::cmp::Reverse((one.stood, one.seq)));
        let has_more = placed.len() > self.wanted;
        placed.truncate(self.wanted);
        let next = placed.last().filter(|_| has_more).map(|last| {
            ChatsCursor::new([self.began, last.stood, last.seq].map(i64::unsigned_abs))
        });
        let rows = placed.into_iter().map(|one| one.chat).collect();
        Ok(Self { page: Some(Page { rows, next }), ..self })
    }
}

/// Chats behind this place: since their newest message is from before it, they have not moved since the
/// beginning of the walk.
fn resting(
    sql: &Connection,
    account: Id<Account>,
    line: Id<Line>,
    (stood, seq): (i64, i64),
    limit: usize,
) -> Result<Vec<Placed>> {
    statement::all(
        sql,
        "select id, line_id, identifier, service, name, is_group, participants,
                has_received_inbound, last_message_at, last_seq, seq
         from shown_chats
         where line_id = ?1 and account_id = ?2 and (last_seq, seq) < (?3, ?4)
         order by last_seq desc, seq desc limit ?5",
        params![bits(line), bits(account), stood, seq, statement::limit(limit)],
        placed,
    )
}

fn placed(row: &Row<'_>) -> rusqlite::Result<Placed> {
    Ok(Placed {
        chat: Chat {
            id: row.get::<_, Bits<_>>(0)?.id(),
            line_id: row.get::<_, Bits<_>>(1)?.id(),
            identifier: row.get(2)?,
            service: row.get::<_, Name<_>>(3)?.0,
            name: row.get(4)?,
            is_group: Some(row.get(5)?),
            participants: Some(row.get::<_, Json<_>>(6)?.0),
            has_received_inbound: row.get(7)?,
            last_message_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
        },
        stood: row.get(9)?,
        seq: row.get(10)?,
    })
}
