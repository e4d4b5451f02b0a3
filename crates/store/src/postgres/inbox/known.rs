//! What is known of a line's history, for the bridge that stands by: it need not keep, and not upload again, what the other one
//! has told.

use std::collections::HashMap;

use switchboard_model::{Attachment, Bridge, Line, id::Id};

use crate::{
    KnownHistory, Refusal, Result,
    postgres::{
        engine::{
            columns::{Json, bits},
            connection::Sql,
            statement,
        },
        messages::bounded_guid,
    },
};

/// More than any message has.
const MOST_FILES: u64 = 1000;

pub(super) async fn of(
    sql: &Sql,
    bridge: Id<Bridge>,
    line: Id<Line>,
    guids: Vec<String>,
) -> Result<KnownHistory> {
    let online = statement::first(
        sql,
        "select online from lines where id = $1 and (bridge_id = $2 or standby_bridge_id = $2)",
        &[&bits(line), &bits(bridge)],
        |row| row.try_get(0),
    )
    .await?;
    let online = online.ok_or(Refusal::LineNotFound)?;
    let kept: Vec<String> = guids.iter().cloned().map(bounded_guid).collect();
    let found: HashMap<String, u64> = statement::all(
        sql,
        "select guid, attachments, unsent_at is null from messages where line_id = $1 and guid = any($2)
         union all
         select guid, '[]', true from reaction_guids r where line_id = $1 and guid = any($2)
           and not exists (select from messages m where m.line_id = $1 and m.guid = r.guid)",
        &[&bits(line), &kept],
        |row| {
            let files = row.try_get::<_, Json<Vec<Attachment>>>(1)?.0.len() as u64;
            // Of a message that was taken back no file is missing.
            Ok((row.try_get(0)?, if row.try_get(2)? { files } else { MOST_FILES }))
        },
    )
    .await?
    .into_iter()
    .collect();
    let known = guids.into_iter().zip(kept);
    let known = known.filter_map(|(guid, kept)| Some((guid, *found.get(&kept)?))).collect();
    Ok(KnownHistory { online, known })
}
