//! Which process delivers to which webhooks.

use std::collections::BTreeSet;

use switchboard_model::Timestamp;

use crate::{
    Owned, Result,
    base::deliveries::PARTITIONS,
    postgres::engine::{connection::Sql, statement},
};

/// A part of all webhooks, and who holds it until when.
struct Part {
    number: i64,
    node: Option<String>,
    until: i64,
}

/// Holds what the node has of its share and what it still uses, and takes of what nobody holds up to its share.
pub(super) async fn own(
    sql: &Sql,
    node: u128,
    in_use: &[u8],
    now: Timestamp,
    until: Timestamp,
) -> Result<Owned> {
    let node = name(node);
    // Of those who share them, one at a time.
    let mut parts = statement::all(
        sql,
        "select number, node_id, until from webhook_partitions order by number for update",
        &[],
        |row| Ok(Part { number: row.try_get(0)?, node: row.try_get(1)?, until: row.try_get(2)? }),
    )
    .await?;
    statement::run(sql, "delete from nodes where until <= $1", &[&now.0]).await?;
    statement::run(
        sql,
        "insert into nodes (id, until) values ($1, $2)
         on conflict (id) do update set until = excluded.until",
        &[&node, &until.0],
    )
    .await?;
    let nodes = "select count(*) from nodes";
    let nodes = statement::first(sql, nodes, &[], |row| row.try_get::<_, i64>(0)).await?;
    let nodes = usize::try_from(nodes.unwrap_or(1)).unwrap_or(1).max(1);
    let (own, changed) = share(&mut parts, &node, PARTITIONS.div_ceil(nodes), in_use, now, until);
    write_down(sql, &parts, &changed).await?;
    Ok(Owned::Partitions(own))
}

/// Divides the parts; answers which are the node's own, and which are not as they were.
fn share(
    parts: &mut [Part],
    node: &str,
    share: usize,
    in_use: &[u8],
    now: Timestamp,
    until: Timestamp,
) -> (Vec<u8>, BTreeSet<i64>) {
    let mut changed = BTreeSet::new();
    let mut have = 0;
    for part in parts.iter_mut().filter(|part| part.node.as_deref() == Some(node)) {
        changed.insert(part.number);
        let is_in_use = u8::try_from(part.number).is_ok_and(|number| in_use.contains(&number));
        have += 1;
        if have <= share || is_in_use {
            part.until = until.0;
        } else {
            (part.node, part.until) = (None, 0);
        }
    }
    let held = parts.iter().filter(|part| part.node.as_deref() == Some(node)).count();
    let free = parts.iter_mut().filter(|part| part.until <= now.0);
    for part in free.take(share.saturating_sub(held)) {
        changed.insert(part.number);
        (part.node, part.until) = (Some(node.to_owned()), until.0);
    }
    let own = parts.iter().filter(|part| part.node.as_deref() == Some(node)).take(share);
    (own.filter_map(|part| u8::try_from(part.number).ok()).collect(), changed)
}

async fn write_down(sql: &Sql, parts: &[Part], changed: &BTreeSet<i64>) -> Result<()> {
    let changed = || parts.iter().filter(|part| changed.contains(&part.number));
    let (numbers, until): (Vec<i64>, Vec<i64>) =
        changed().map(|part| (part.number, part.until)).unzip();
    let nodes: Vec<_> = changed().map(|part| part.node.as_deref()).collect();
    statement::run(
        sql,
        "update webhook_partitions part set node_id = now.node_id, until = now.until
         from unnest($1::bigint[], $2::text[], $3::bigint[]) as now (number, node_id, until)
         where part.number = now.number",
        &[&numbers, &nodes, &until],
    )
    .await?;
    Ok(())
}

pub(super) async fn disown(sql: &Sql, node: u128) -> Result<()> {
    let node = name(node);
    statement::run(
        sql,
        "update webhook_partitions set node_id = null, until = 0
         where number in (
           select number from webhook_partitions where node_id = $1 order by number for update)",
        &[&node],
    )
    .await?;
    statement::run(sql, "delete from nodes where id = $1", &[&node]).await?;
    Ok(())
}

fn name(node: u128) -> String {
    format!("{node:032x}")
}
