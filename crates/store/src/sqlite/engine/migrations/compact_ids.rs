//! The way to ids of 16 bytes and to messages that lie by chat: every table that names an id is copied, in slices, into a
//! new one that takes its place.
//!
//! Each slice is one transaction, with how far it has come: a process that is killed goes on where it was. The
//! database has its new version from the first slice on, so that an older program, which would write where nobody
//! looks any more, refuses it.

use std::time::{Duration, Instant};

use rusqlite::{
    Batch, Connection, OptionalExtension as _, fallible_iterator::FallibleIterator as _,
    functions::FunctionFlags, params,
};
use switchboard_model::{Message, id::Id};

use crate::{Result, StoreError, sqlite::messages::MAX_NUMBER};

const TABLES_SQL: &str = include_str!("0014_compact_ids.sql");
const INDEXES_SQL: &str = include_str!("0014_compact_ids_indexes.sql");

/// One row: the stage, and how far it has come.
const PROGRESS_SQL: &str = "
    create table migration_progress (stage integer not null, place integer not null) strict;
    insert into migration_progress values (0, 0);
    drop view shown_chats;
";

/// What is copied: its name before and after. Messages first, because they are sorted by chats as those were.
const TABLES: [(&str, &str); 21] = [
    ("messages", "messages"),
    ("accounts", "accounts"),
    ("keys", "keys"),
    ("key_usage", "key_usage"),
    ("bridges", "bridges"),
    ("lines", "lines"),
    ("line_positions", "line_positions"),
    ("chats", "chats"),
    ("outbox", "outbox"),
    ("events", "events"),
    ("webhooks", "webhooks"),
    ("deliveries", "deliveries"),
    ("replays", "replays"),
    ("reactions", "reactions"),
    ("reaction_guids", "reaction_guids"),
    ("typing", "typing"),
    ("receipts", "receipts"),
    ("files", "files"),
    ("stored_bytes", "stored_bytes"),
    ("sandbox", "sandbox"),
    ("answers", "idempotency_keys"),
];

/// How much one transaction does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    /// How long it goes on. A statement that has begun is finished: it copies so many rows, or a whole table without `seq`, or
    /// drops a table, or makes an index.
    pub(super) time: Duration,
    /// Rows that one statement copies.
    pub(super) rows: i64,
}

impl Slice {
    pub(super) const USUAL: Self = Self { time: Duration::from_millis(500), rows: 2_000 };
}

/// What is being done, for whoever waits.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) stage: usize,
    pub(super) stages: usize,
    /// The table, or the indexes.
    pub(super) what: &'static str,
    /// How much of it is done.
    pub(super) percent: i64,
}

/// Makes the new tables, empty.
pub(super) fn begin(sql: &Connection) -> Result<()> {
    sql.execute_batch(TABLES_SQL)?;
    sql.execute_batch(PROGRESS_SQL)?;
    sql.execute_batch(
        "insert into counters select 'messages', coalesce(max(seq), 0) from messages",
    )?;
    Ok(())
}

/// Goes on for a slice; none if all is done.
pub(super) fn go_on(sql: &Connection, slice: Slice) -> Result<Option<Progress>> {
    let there = "select 1 from sqlite_master where name = 'migration_progress'";
    if !sql.prepare(there)?.exists([])? {
        return Ok(None);
    }
    add_functions(sql)?;
    let began = Instant::now();
    let (mut stage, mut place): (usize, i64) =
        sql.query_row("select stage, place from migration_progress", [], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs() as usize, row.get(1)?))
        })?;
    loop {
        let is_done = match TABLES.get(stage) {
            Some(&(old, new)) => copy(sql, old, new, slice.rows, &mut place)?,
            None => index(sql, &mut place)?,
        };
        if is_done && stage == TABLES.len() {
            sql.execute_batch("drop table migration_progress")?;
            return Ok(None);
        }
        if is_done {
            (stage, place) = (stage + 1, 0);
        }
        if began.elapsed() >= slice.time {
            let stage_number = i64::try_from(stage).unwrap_or(i64::MAX);
            let keep = "update migration_progress set stage = ?1, place = ?2";
            sql.execute(keep, params![stage_number, place])?;
            return Ok(Some(progress(sql, stage, place)?));
        }
    }
}

/// Copies the next rows of a table. The last are followed by the new table in the place of the old one.
fn copy(sql: &Connection, old: &str, new: &str, rows: i64, place: &mut i64) -> Result<bool> {
    let is_copied = match old {
        "messages" => copy_messages(sql, rows, place)?,
        _ => copy_rows(sql, old, new, rows, place)?,
    };
    if is_copied {
        if old == "events" {
            // A place must not come twice, even if the newest events were pruned.
            sql.execute_batch(
                "insert into sqlite_sequence (name, seq)
                 select 'events_new', 0 where not exists (
                   select 1 from sqlite_sequence where name = 'events_new');
                 update sqlite_sequence
                 set seq = coalesce((select seq from sqlite_sequence where name = 'events'), 0)
                 where name = 'events_new'",
            )?;
        }
        sql.execute_batch(&format!("drop table {old}; alter table {new}_new rename to {new}"))?;
    }
    Ok(is_copied)
}

/// By `seq`; a table without one is copied whole.
fn copy_rows(sql: &Connection, old: &str, new: &str, rows: i64, place: &mut i64) -> Result<bool> {
    let (columns, values) = columns(sql, old, new, "")?;
    let copy = format!("insert into {new}_new ({columns}) select {values} from {old}");
    if !columns.starts_with("seq,") {
        sql.execute(&copy, [])?;
        return Ok(true);
    }
    let last = format!(
        "select seq, count(*) over () from (select seq from {old} where seq > ?1 order by seq limit ?2)
         order by seq desc limit 1"
    );
    let last = sql
        .prepare_cached(&last)?
        .query_row(params![*place, rows], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    let Some((last, count)) = last.optional()? else { return Ok(true) };
    sql.prepare_cached(&format!("{copy} where seq > ?1 and seq <= ?2"))?
        .execute(params![*place, last])?;
    *place = last;
    Ok(count < rows)
}

/// Chat by chat: where they lie from now on is where each is written, one after the other. The place is that of the
/// last one in the new table.
fn copy_messages(sql: &Connection, rows: i64, place: &mut i64) -> Result<bool> {
    let (columns, values) = columns(sql, "messages", "messages", "m.")?;
    let copy = |which: &str| {
        format!(
            "insert into messages_new ({columns})
             select {values} from chats c
             cross join messages m indexed by messages_by_chat on m.chat_id = c.id
             where {which} order by c.seq, m.seq limit ?3"
        )
    };
    let (chat, number) = (*place >> 36, *place & MAX_NUMBER);
    // The rest of the chat that was begun, then those behind it.
    let mut copied = sql
        .prepare_cached(&copy("c.seq = ?1 and m.seq > ?2"))?
        .execute(params![chat, number, rows])?;
    if copied == 0 {
        let behind = copy("c.seq > ?1 and ?2 = ?2");
        copied = sql.prepare_cached(&behind)?.execute(params![chat, number, rows])?;
    }
    let last = "select coalesce(max(seq), 0) from messages_new";
    *place = sql.prepare_cached(last)?.query_row([], |row| row.get(0))?;
    Ok(copied == 0)
}

/// The columns of the new table, and their values from the old one.
fn columns(sql: &Connection, old: &str, new: &str, from: &str) -> Result<(String, String)> {
    let mut found = sql.prepare_cached(
        "select n.name, n.type = 'BLOB' and o.type = 'TEXT'
         from pragma_table_info(?2 || '_new') n join pragma_table_info(?1) o on o.name = n.name
         order by n.cid",
    )?;
    let found = found.query_map([old, new], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for column in found {
        let (name, is_id): (String, bool) = column?;
        values.push(match name.as_str() {
            "seq" if old == "messages" => "c.seq << 36 | m.seq".to_owned(),
            "uploader_line_ids" | "sent_line_ids" => format!("hex_ids({name})"),
            _ if is_id => format!("id_bytes({from}{name})"),
            _ => format!("{from}{name}"),
        });
        columns.push(name);
    }
    Ok((columns.join(","), values.join(",")))
}

/// Makes the next index; what is there already is passed over.
fn index(sql: &Connection, place: &mut i64) -> Result<bool> {
    let mut batch = Batch::new(sql, INDEXES_SQL);
    let mut number = 0;
    while let Some(mut statement) = batch.next()? {
        if number == *place {
            statement.execute([])?;
            *place += 1;
            return Ok(false);
        }
        number += 1;
    }
    Ok(true)
}

fn progress(sql: &Connection, stage: usize, place: i64) -> Result<Progress> {
    let stages = TABLES.len() + 1;
    let Some(&(what, _)) = TABLES.get(stage) else {
        let all = INDEXES_SQL.matches("if not exists").count() as i64;
        return Ok(Progress { stage, stages, what: "indexes", percent: place * 100 / all.max(1) });
    };
    // Places are dense enough to tell how far it is.
    let (table, place) = if what == "messages" { ("chats", place >> 36) } else { (what, place) };
    let last = format!("select coalesce(max(rowid), 0) from {table}");
    let last: i64 = if place == 0 { 0 } else { sql.query_row(&last, [], |row| row.get(0))? };
    Ok(Progress { stage, stages, what, percent: place * 100 / last.max(1) })
}

/// What the statements above call.
fn add_functions(sql: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    sql.create_scalar_function("id_bytes", 1, flags, |context| {
        let text: Option<String> = context.get(0)?;
        text.map(|text| bits(&text).map(|bits| bits.to_be_bytes())).transpose()
    })?;
    sql.create_scalar_function("hex_ids", 1, flags, |context| {
        let Some(list) = context.get::<Option<String>>(0)? else { return Ok(None) };
        let ids: Vec<String> = serde_json::from_str(&list).map_err(not_an_id)?;
        let digits = ids.iter().map(|id| Ok(format!("\"{:032X}\"", bits(id)?)));
        let digits: Vec<String> = digits.collect::<rusqlite::Result<_>>()?;
        Ok(Some(format!("[{}]", digits.join(","))))
    })?;
    Ok(())
}

/// Of an id of whatever kind.
pub(super) fn bits(text: &str) -> rusqlite::Result<u128> {
    let digits = text.split_once('_').map_or("", |(_, digits)| digits);
    let id: Id<Message> = format!("msg_{digits}").parse().map_err(not_an_id)?;
    Ok(id.to_bits())
}

/// It does not show the text: errors are logged.
fn not_an_id(_: impl std::error::Error) -> rusqlite::Error {
    let error = StoreError::Unreadable { what: "an id, in a database of an older version".into() };
    rusqlite::Error::UserFunctionError(Box::new(error))
}
