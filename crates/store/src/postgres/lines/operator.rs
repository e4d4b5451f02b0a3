//! Lines as the operator sees and sets them, whoever's they are.

use switchboard_model::{Line, Timestamp, id::Id, line::OperatorLine};
use tokio_postgres::Row;

use crate::{
    LineChanges, Refusal, Result,
    postgres::{
        bridges,
        engine::{
            columns::{Bits, Column, Name, Shown, bits},
            connection::Sql,
            statement,
            transaction::Tx,
        },
    },
};

/// A query for what [`operator_line`] reads.
macro_rules! select {
    ($ready:literal, $which:literal) => {
        concat!(
            "select id, handle, label, service, is_active, capabilities, is_sandbox, online, offline_reason, status_since,
                    account_id, driver, bridge_id, contact_first, loop_limit, standby_bridge_id, ",
            $ready,
            " from lines ",
            $which
        )
    };
}

/// Every line, oldest first. A standby is ready while its link lives, by the store's clock.
pub(super) async fn all(sql: &Sql, steady: Timestamp) -> Result<Vec<OperatorLine>> {
    statement::all(
        sql,
        select!(
            "standby_ready = true and exists
                 (select 1 from bridges b
                  where b.id = lines.standby_bridge_id and b.link_until > $1 and b.revoked_at is null)",
            "order by seq"
        ),
        &[&steady.0],
        operator_line,
    ).await
}

/// One line. Its standby is ready if it has said so, whether its link lives or not.
pub(super) async fn find(sql: &Sql, line: Id<Line>) -> Result<Option<OperatorLine>> {
    statement::first(sql, select!("standby_ready", "where id = $1"), &[&bits(line)], operator_line)
        .await
}

/// Whoever asks for a limit accepts, and reads it with the line: nobody else has to be told.
pub(super) async fn update(tx: &Tx, line: Id<Line>, changes: LineChanges) -> Result<OperatorLine> {
    tx.lock_line(line).await?;
    let found = find(&tx.sql, line).await?.ok_or(Refusal::LineNotFound)?;
    if let Some(bridge) = changes.bridge_id {
        let bridge = bridges::must_be_usable(&tx.sql, bridge, found.driver).await?;
        if found.bridge_id.is_some_and(|carries| carries != bridge) {
            return Err(Refusal::LineHasBridge.into());
        }
        statement::run(
            &tx.sql,
            "update lines set bridge_id = $2 where id = $1",
            &[&bits(line), &bits(bridge)],
        )
        .await?;
    }
    if let Some(limit) = changes.loop_limit {
        statement::run(
            &tx.sql,
            "update lines set loop_limit = $2 where id = $1",
            &[&bits(line), &limit.map(Shown)],
        )
        .await?;
    }
    find(&tx.sql, line).await?.ok_or_else(|| Refusal::LineNotFound.into())
}

fn operator_line(row: &Row) -> Column<OperatorLine> {
    let standby_bridge_id = row.try_get::<_, Option<Bits<_>>>(15)?.map(Bits::id);
    Ok(OperatorLine {
        line: super::line(row)?,
        account_id: row.try_get::<_, Bits<_>>(10)?.id(),
        driver: row.try_get::<_, Name<_>>(11)?.0,
        bridge_id: row.try_get::<_, Option<Bits<_>>>(12)?.map(Bits::id),
        contact_first: row.try_get(13)?,
        loop_limit: row.try_get::<_, Option<Shown<_>>>(14)?.map(|limit| limit.0),
        standby_bridge_id,
        standby_ready: standby_bridge_id.map(|_| row.try_get(16)).transpose()?,
    })
}
