//! What nearly every transaction asks for: the line, who listens to an account, and whether anybody types at all.

use std::sync::Arc;

use switchboard_model::{Account, Line, id::Id};

use super::engine::{
    columns::{Bits, Json, Name, Shown, StoredHandle, bits_of, ids, sealed},
    connection::Sql,
    statement,
};
use crate::{
    Result,
    base::{
        context::{CachedLine, Subscriber},
        seal::Seal,
    },
};

/// The line with this id. Whose it is, is the caller's to check.
pub(super) async fn line(sql: &Sql, id: Id<Line>) -> Result<Option<Arc<CachedLine>>> {
    Ok(lines(sql, &[id]).await?.pop())
}

/// The lines with these ids, in any order.
pub(super) async fn lines(sql: &Sql, ids: &[Id<Line>]) -> Result<Vec<Arc<CachedLine>>> {
    statement::all(
        sql,
        "select account_id, handle, service, is_active, contact_first, bridge_id, is_sandbox, capabilities,
                capabilities_told, loop_limit, standby_bridge_id, taken_over, id
         from lines where id = any($1)",
        &[&bits_of(ids)],
        |row| {
            Ok(Arc::new(CachedLine {
                id: row.try_get::<_, Bits<_>>(12)?.id(),
                account_id: row.try_get::<_, Bits<_>>(0)?.id(),
                handle: row.try_get::<_, StoredHandle>(1)?.0,
                service: row.try_get::<_, Name<_>>(2)?.0,
                is_active: row.try_get(3)?,
                contact_first: row.try_get(4)?,
                bridge_id: row.try_get::<_, Option<Bits<_>>>(5)?.map(Bits::id),
                is_sandbox: row.try_get(6)?,
                capabilities: row.try_get::<_, Json<_>>(7)?.0,
                capabilities_told: row.try_get(8)?,
                loop_limit: row.try_get::<_, Option<Shown<_>>>(9)?.map(|limit| limit.0),
                standby_bridge_id: row.try_get::<_, Option<Bits<_>>>(10)?.map(Bits::id),
                was_taken_over: row.try_get(11)?,
            }))
        },
    )
    .await
}

/// The active webhooks of these accounts, each account's oldest first.
pub(super) async fn subscribers(
    sql: &Sql,
    seal: &Seal,
    accounts: &[Id<Account>],
) -> Result<Vec<(Id<Account>, Subscriber)>> {
    let rows = statement::all(
        sql,
        "select account_id, id, url, line_ids, events, secret, previous_secret, previous_until
         from webhooks where account_id = any($1) and is_active order by seq",
        &[&bits_of(accounts)],
        |row| {
            Ok((
                row.try_get::<_, Bits<_>>(0)?.id(),
                row.try_get::<_, Bits<_>>(1)?.id(),
                row.try_get::<_, String>(2)?,
                ids(row, 3)?,
                row.try_get::<_, Json<_>>(4)?.0,
                sealed(row, [5, 6, 7])?,
            ))
        },
    )
    .await?;
    let open = |(account, webhook_id, url, line_ids, events, sealed): (_, _, String, _, _, _)| {
        let secrets = Arc::new(seal.secrets(webhook_id, &sealed)?);
        Ok((account, Subscriber { webhook_id, url: url.into(), secrets, line_ids, events }))
    };
    rows.into_iter().map(open).collect()
}

/// Whether any indicator stands on, in whatever chat. Asked with every message.
pub(super) async fn anybody_types(sql: &Sql) -> Result<bool> {
    let any = "select exists (select from typing where is_typing)";
    Ok(statement::first(sql, any, &[], |row| row.try_get(0)).await?.unwrap_or(false))
}
