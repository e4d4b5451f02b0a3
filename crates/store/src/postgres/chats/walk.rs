//! The walk over a line's chats, latest activity first, while they move.

use std::collections::BTreeSet;

use switchboard_model::{
    Account, Chat, Line, Timestamp,
    id::Id,
    page::{Limit, Page},
};
use tokio_postgres::Row;

use crate::{
    ChatsCursor, Result,
    postgres::engine::{
        columns::{Bits, Column, Json, Name, bits},
        connection::Sql,
        statement,
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
    pub(super) async fn begin(
        sql: &Sql,
        account: Id<Account>,
        line: Id<Line>,
        after: Option<ChatsCursor>,
        limit: Limit,
    ) -> Result<Self> {
        let wanted = limit.get() as usize;
        let place = match after {
            None => (i64::MAX, i64::MAX),
            Some(cursor) => {
                let [began, stood, seq] =
                    cursor.place().map(|number| i64::try_from(number).unwrap_or(i64::MAX));
                // Nothing stood later than the beginning.
                (stood.min(began), seq)
            }
        };
        let resting = resting(sql, account, line, place, wanted + 1).await?;
        let began = match after {
            // As of the moment that these are of: messages of one line have rising numbers, whoever writes them.
            None => resting.first().map_or(0, |newest| newest.stood),
            Some(cursor) => i64::try_from(cursor.place()[0]).unwrap_or(i64::MAX),
        };
        let walk = Self {
            account,
            line,
            began,
            place,
            wanted,
            resting,
            moved: BTreeSet::new(),
            looked_at: (began, i64::MAX),
            page: None,
        };
        if after.is_none() { walk.end(sql).await } else { walk.slice(sql).await }
    }

    pub(super) fn page(&mut self) -> Option<Page<Chat, 3>> {
        self.page.take()
    }

    /// Looks at the next of those that have moved. One that moves on in between is met again further on,
    /// with the same place.
    pub(super) async fn slice(mut self, sql: &Sql) -> Result<Self> {
        let (last_seq, seq) = self.looked_at;
        let moved = statement::all(
            sql,
            "select last_seq, seq,
                    coalesce((select m.seq from messages m
                              where m.chat_id = shown_chats.id and m.seq <= $3
                              order by m.seq desc limit 1), 0)
             from shown_chats
             where line_id = $1 and account_id = $2 and (last_seq, seq) > ($4, $5)
             order by last_seq, seq limit $6",
            &[
                &bits(self.line),
                &bits(self.account),
                &self.began,
                &last_seq,
                &seq,
                &statement::limit(LOOKED_AT),
            ],
            |row| {
                Ok((
                    row.try_get::<_, i64>(0)?,
                    row.try_get::<_, i64>(1)?,
                    row.try_get::<_, i64>(2)?,
                ))
            },
        )
        .await?;
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
        if is_last { self.end(sql).await } else { Ok(self) }
    }

    async fn end(mut self, sql: &Sql) -> Result<Self> {
        let mut placed = std::mem::take(&mut self.resting);
        placed.retain(|one| !self.moved.contains(&(one.stood, one.seq)));
        let (stood, seqs): (Vec<i64>, Vec<i64>) = self.moved.iter().copied().unzip();
        if !seqs.is_empty() {
            let moved = statement::all(
                sql,
                "select id, line_id, identifier, service, name, is_group, participants,
                        has_received_inbound, last_message_at, stood, seq
                 from shown_chats join unnest($3::bigint[], $4::bigint[]) moved (stood, seq) using (seq)
                 where line_id = $1 and account_id = $2",
                &[&bits(self.line), &bits(self.account), &stood, &seqs],
                self::placed,
            )
            .await?;
            placed.extend(moved);
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
async fn resting(
    sql: &Sql,
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
         where line_id = $1 and account_id = $2 and (last_seq, seq) < ($3, $4)
         order by last_seq desc, seq desc limit $5",
        &[&bits(line), &bits(account), &stood, &seq, &statement::limit(limit)],
        placed,
    )
    .await
}

fn placed(row: &Row) -> Column<Placed> {
    Ok(Placed {
        chat: Chat {
            id: row.try_get::<_, Bits<_>>(0)?.id(),
            line_id: row.try_get::<_, Bits<_>>(1)?.id(),
            identifier: row.try_get(2)?,
            service: row.try_get::<_, Name<_>>(3)?.0,
            name: row.try_get(4)?,
            is_group: Some(row.try_get(5)?),
            participants: Some(row.try_get::<_, Json<_>>(6)?.0),
            has_received_inbound: row.try_get(7)?,
            last_message_at: row.try_get::<_, Option<i64>>(8)?.map(Timestamp),
        },
        stood: row.try_get(9)?,
        seq: row.try_get(10)?,
    })
}
