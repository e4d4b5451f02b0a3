//! What is known of a line's history, for the bridge that stands by: it need not keep, and not upload again, what the other one
//! has told.

use rusqlite::{Connection, params};
use switchboard_model::{Bridge, Line, id::Id};

use crate::{
    KnownHistory, Refusal, Result,
    sqlite::{
        engine::{columns::bits, statement},
        messages::bounded_guid,
    },
};

/// More than any message has.
const MOST_FILES: i64 = 1000;

pub(super) fn of(
    sql: &Connection,
    bridge: Id<Bridge>,
    line: Id<Line>,
    guids: Vec<String>,
) -> Result<KnownHistory> {
    let online = statement::first(
        sql,
        "select online from lines where id = ?1 and (bridge_id = ?2 or standby_bridge_id = ?2)",
        params![bits(line), bits(bridge)],
        |row| row.get(0),
    )?;
    let online = online.ok_or(Refusal::LineNotFound)?;
    let mut known = Vec::new();
    for guid in guids {
        let kept = bounded_guid(guid.clone());
        // Of a message that was taken back no file is missing.
        let files: Option<i64> = statement::first(
            sql,
            "select iif(unsent_at is null, json_array_length(attachments), ?3)
             from messages where line_id = ?1 and guid = ?2
             union all
             select 0 from reaction_guids where line_id = ?1 and guid = ?2",
            params![bits(line), kept, MOST_FILES],
            |row| row.get(0),
        )?;
        known.extend(files.map(|files| (guid, files.unsigned_abs())));
    }
    Ok(KnownHistory { online, known })
}
