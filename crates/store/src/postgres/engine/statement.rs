//! The ways to run a statement. Each is prepared once and kept with its connection.
//!
//! Statements whose futures are polled together are sent together (`tokio::try_join!`): they cost one round trip. They are sent
//! in the order in which they are written there, also where one of them must be prepared first: two transactions that take
//! the same locks take them in the same order.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use tokio::sync::MutexGuard;
use tokio_postgres::{Row, types::ToSql};

use super::{columns::Column, connection::Sql};
use crate::Result;

/// What is given to a statement.
pub(in crate::postgres) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Changes rows; answers how many.
pub(in crate::postgres) async fn run(sql: &Sql, text: &str, params: Params<'_>) -> Result<u64> {
    let turn = sql.turn().await;
    let statement = sql.prepare_cached(text).await?;
    Ok(send(turn, pin!(sql.execute(&statement, params))).await?)
}

/// The first row, if there is one.
pub(in crate::postgres) async fn first<T>(
    sql: &Sql,
    text: &str,
    params: Params<'_>,
    read: impl FnOnce(&Row) -> Column<T>,
) -> Result<Option<T>> {
    let turn = sql.turn().await;
    let statement = sql.prepare_cached(text).await?;
    let rows = send(turn, pin!(sql.query(&statement, params))).await?;
    Ok(rows.first().map(read).transpose()?)
}

/// Every row.
pub(in crate::postgres) async fn all<T>(
    sql: &Sql,
    text: &str,
    params: Params<'_>,
    read: impl FnMut(&Row) -> Column<T>,
) -> Result<Vec<T>> {
    let turn = sql.turn().await;
    let statement = sql.prepare_cached(text).await?;
    let rows = send(turn, pin!(sql.query(&statement, params))).await?;
    Ok(rows.iter().map(read).collect::<Column<_>>()?)
}

/// Sends it, lets the next one have its turn, and waits for the answer.
async fn send<F: Future>(turn: MutexGuard<'_, ()>, mut work: Pin<&mut F>) -> F::Output {
    // A statement is sent when it is polled first.
    let sent = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
    drop(turn);
    match sent {
        Poll::Ready(done) => done,
        Poll::Pending => work.await,
    }
}

/// A limit as SQL takes it.
pub(in crate::postgres) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
