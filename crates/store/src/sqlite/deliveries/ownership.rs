//! Which process delivers to which webhooks, where several share the database.

use rusqlite::{Connection, params};
use switchboard_model::Timestamp;

use crate::{
    Owned, Result,
    base::deliveries::PARTITIONS,
    sqlite::engine::{columns::Json, statement},
};

/// Holds what the node has of its share and what it still uses, and takes of what nobody holds up to its share.
pub(super) fn own(
    sql: &Connection,
    node: u128,
    in_use: &[u8],
    now: Timestamp,
    until: Timestamp,
) -> Result<Owned> {
    let node = name(node);
    statement::run(sql, "delete from nodes where until <= ?1", params![now.0])?;
    statement::run(
        sql,
        "insert into nodes (id, until) values (?1, ?2)
         on conflict do update set until = excluded.until",
        params![node, until.0],
    )?;
    let nodes =
        statement::first(sql, "select count(*) from nodes", [], |row| row.get::<_, u32>(0))?;
    let share = statement::limit(PARTITIONS.div_ceil(nodes.unwrap_or(1).max(1) as usize));
    statement::run(
        sql,
        "update webhook_partitions set node_id = null, until = 0
         where node_id = ?1 and number not in (select value from json_each(?2)) and number not in
           (select number from webhook_partitions where node_id = ?1 order by number limit ?3)",
        params![node, Json(in_use), share],
    )?;
    statement::run(
        sql,
        "update webhook_partitions set until = ?2 where node_id = ?1",
        params![node, until.0],
    )?;
    statement::run(
        sql,
        "update webhook_partitions set node_id = ?1, until = ?2 where number in (
           select number from webhook_partitions
           where until <= ?3 order by number
           limit max(0, ?4 - (select count(*) from webhook_partitions where node_id = ?1)))",
        params![node, until.0, now.0, share],
    )?;
    let own = statement::all(
        sql,
        "select number from webhook_partitions where node_id = ?1 order by number limit ?2",
        params![node, share],
        |row| row.get(0),
    )?;
    Ok(Owned::Partitions(own))
}

pub(super) fn disown(sql: &Connection, node: u128) -> Result<()> {
    let node = name(node);
    statement::run(
        sql,
        "update webhook_partitions set node_id = null, until = 0 where node_id = ?1",
        params![node],
    )?;
    statement::run(sql, "delete from nodes where id = ?1", params![node])?;
    Ok(())
}

fn name(node: u128) -> String {
    format!("{node:032x}")
}
