//! The line's own reactions, of which two bridges know: the one that was handed an item has done it, and the other one finds it in
//! Messages when it carries the line. The report names no guid, so the two are matched by what they say, each once.
//!
//! Of what one and the same bridge says nothing is matched: it knows its own echoes, and what it tells beside them is the owner's.

use switchboard_model::Timestamp;

use super::{Occurrence, statement};
use crate::{
    Result,
    base::occurrences::{APART, KEPT},
    postgres::engine::{columns::bits, connection::Sql},
};

pub(in crate::postgres) use crate::base::occurrences::Said;

/// Whether another bridge has said it already, the other way. What was said counts for one.
pub(in crate::postgres) async fn was_said(
    sql: &Sql,
    Said { line, bridge, as_item }: Said,
    told: &Occurrence,
) -> Result<bool> {
    let taken = statement::run(
        sql,
        "delete from own_reactions where ctid =
           (select ctid from own_reactions
            where message_id = $1 and line_id = $2 and type = $3 and added = $4 and bridge_id <> $5 and was_item <> $6
              and at between $7 and $8
            order by abs(at - $9), at, bridge_id limit 1)",
        &[&bits(told.message_id), &bits(line), &told.reaction_type.as_str(), &told.added, &bits(bridge), &as_item, &(told.sent_at - APART).0, &(told.sent_at + APART).0, &told.sent_at.0],
    )
    .await?;
    Ok(taken > 0)
}

/// Keeps that it was said, of a line that has two bridges, or had.
pub(in crate::postgres) async fn note(
    sql: &Sql,
    Said { line, bridge, as_item }: Said,
    told: &Occurrence,
    now: Timestamp,
) -> Result<()> {
    let noted = statement::run(
        sql,
        "insert into own_reactions (line_id, message_id, type, added, at, bridge_id, was_item)
         select id, $2::uuid, $3::text, $4::boolean, $5::bigint, $6::uuid, $7::boolean from lines
         where id = $1 and (standby_bridge_id is not null or taken_over)",
        &[
            &bits(line),
            &bits(told.message_id),
            &told.reaction_type.as_str(),
            &told.added,
            &told.sent_at.0,
            &bits(bridge),
            &as_item,
        ],
    )
    .await?;
    if noted > 0 {
        statement::run(
            sql,
            "delete from own_reactions where line_id = $1 and at < $2",
            &[&bits(line), &(now - KEPT).0],
        )
        .await?;
    }
    Ok(())
}
