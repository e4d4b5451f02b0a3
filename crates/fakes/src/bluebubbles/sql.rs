//! The part of `chat.db` that callers ask with conditions of their own (`message/query`, key `where`).
//!
//! It is a real SQLite with Messages' columns, so a condition means here what it means on a Mac, and a
//! broken one is refused with SQLite's own words. The rows themselves are served from [`Database`](super::database::Database).

use std::collections::BTreeMap;

use rusqlite::{Connection, ToSql, params, types::Value as Sqlite};
use serde_json::Value;

use super::database::{Attachment, Chat, Handle, Message};

/// Columns as in `chat.db`, those that are read by anyone; the rest has its default.
const SCHEMA: &str = "
create table message (ROWID integer primary key autoincrement, guid text unique not null, text text,
  replace integer default 0, service_center text, handle_id integer default 0, subject text, country text,
  attributedBody blob, version integer default 0, type integer default 0, service text, account text, account_guid text,
  error integer default 0, date integer, date_read integer default 0, date_delivered integer default 0,
  is_delivered integer default 0, is_finished integer default 0, is_emote integer default 0, is_from_me integer default 0,
  is_empty integer default 0, is_delayed integer default 0, is_auto_reply integer default 0, is_prepared integer default 0,
  is_read integer default 0, is_system_message integer default 0, is_sent integer default 0, has_dd_results integer default 0,
  is_service_message integer default 0, is_forward integer default 0, was_downgraded integer default 0,
  is_archive integer default 0, cache_has_attachments integer default 0, cache_roomnames text,
  was_data_detected integer default 0, was_deduplicated integer default 0, is_audio_message integer default 0,
  is_played integer default 0, date_played integer default 0, item_type integer default 0, other_handle integer default 0,
  group_title text, group_action_type integer default 0, share_status integer default 0, share_direction integer default 0,
  is_expirable integer default 0, expire_state integer default 0, message_action_type integer default 0,
  message_source integer default 0, associated_message_guid text, associated_message_type integer default 0,
  balloon_bundle_id text, payload_data blob, expressive_send_style_id text,
  associated_message_range_location integer default 0, associated_message_range_length integer default 0,
  time_expressive_send_played integer default 0, message_summary_info blob, destination_caller_id text,
  is_corrupt integer default 0, reply_to_guid text, sort_id integer default 0, is_spam integer default 0,
  has_unseen_mention integer default 0, thread_originator_guid text, thread_originator_part text,
  was_delivered_quietly integer default 0, did_notify_recipient integer default 0, date_retracted integer default 0,
  date_edited integer default 0, was_detonated integer default 0, part_count integer default 0,
  associated_message_emoji text, is_pending_satellite_send integer default 0, schedule_type integer default 0,
  schedule_state integer default 0);
create index message_date on message (date);
create table chat (ROWID integer primary key, guid text unique not null, style integer, state integer default 3,
  account_id text, properties blob, chat_identifier text, service_name text, room_name text, account_login text,
  is_archived integer default 0, last_addressed_handle text, display_name text, group_id text,
  is_filtered integer default 0, successful_query integer default 1, last_read_message_timestamp integer default 0);
create table handle (ROWID integer primary key, id text not null, country text, service text not null,
  uncanonicalized_id text, person_centric_id text, unique (id, service));
create table attachment (ROWID integer primary key, guid text unique not null, created_date integer default 0,
  start_date integer default 0, filename text, uti text, mime_type text, transfer_state integer default 0,
  is_outgoing integer default 0, user_info blob, transfer_name text, total_bytes integer default 0,
  is_sticker integer default 0, sticker_user_info blob, attribution_info blob, hide_attachment integer default 0,
  original_guid text);
create table chat_handle_join (chat_id integer, handle_id integer, unique (chat_id, handle_id));
create table chat_message_join (chat_id integer, message_id integer, message_date integer default 0,
  primary key (chat_id, message_id));
create index chat_message_join_message on chat_message_join (message_id);
create table message_attachment_join (message_id integer, attachment_id integer, unique (message_id, attachment_id));
";

/// The names of the server's own entities (`databases/imessage/entity/Message.ts`), which TypeORM turns into columns.
const PROPERTIES: &[(&str, &str)] = &[
    ("message.dateCreated", "message.date"),
    ("message.dateRead", "message.date_read"),
    ("message.dateDelivered", "message.date_delivered"),
    ("message.dateEdited", "message.date_edited"),
    ("message.dateRetracted", "message.date_retracted"),
    ("message.isFromMe", "message.is_from_me"),
    ("message.handleId", "message.handle_id"),
    ("message.itemType", "message.item_type"),
    ("message.groupActionType", "message.group_action_type"),
    ("message.associatedMessageGuid", "message.associated_message_guid"),
    ("message.associatedMessageType", "message.associated_message_type"),
    ("message.threadOriginatorGuid", "message.thread_originator_guid"),
    ("handle.address", "handle.id"),
    ("chat.chatIdentifier", "chat.chat_identifier"),
];

/// A condition in SQL and its arguments.
pub(super) type Condition = (String, BTreeMap<String, Value>);

/// What a caller asks for.
#[derive(Debug, Default)]
pub(super) struct Select<'a> {
    pub(super) chat: Option<&'a str>,
    pub(super) with_chats: bool,
    pub(super) with_participants: bool,
    pub(super) with_attachments: bool,
    pub(super) after_ns: Option<i64>,
    pub(super) before_ns: Option<i64>,
    /// Only own ones, for `message/count/me`.
    pub(super) from_me: bool,
    /// Conditions with their arguments, in order.
    pub(super) conditions: Vec<Condition>,
    pub(super) ascending: bool,
    pub(super) offset: i64,
    /// Negative: no limit.
    pub(super) limit: i64,
}

#[derive(Debug)]
pub(super) struct Sql(Connection);

const HOLDS: &str = "the schema in this file takes every row that this file makes";

impl Sql {
    pub(super) fn new() -> Self {
        let connection = Connection::open_in_memory().expect("memory for a database");
        connection.execute_batch(SCHEMA).expect("the schema in this file is SQL");
        connection.set_prepared_statement_cache_capacity(64);
        Self(connection)
    }

    fn run(&self, sql: &str, values: &[&dyn ToSql]) {
        self.0
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .expect(HOLDS);
    }

    pub(super) fn put_message(&self, message: &Message) {
        // On newer systems the column is empty for own messages: their text is in the attributed body.
        let text = message.text.as_ref().filter(|_| !message.is_from_me);
        let room = message.group_title.as_ref().map(|_| "chat");
        self.run(
            "insert or replace into message (ROWID, guid, text, handle_id, subject, service, error, date, date_read,
               date_delivered, is_delivered, is_finished, is_from_me, is_read, is_sent, was_downgraded, cache_has_attachments,
               is_audio_message, item_type, other_handle, group_title, group_action_type, associated_message_guid,
               associated_message_type, balloon_bundle_id, expressive_send_style_id, thread_originator_guid,
               thread_originator_part, did_notify_recipient, date_retracted, date_edited, part_count,
               associated_message_emoji, cache_roomnames, is_empty, destination_caller_id)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
               ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36)",
            params![
                message.rowid,
                message.guid,
                text,
                message.handle,
                message.subject,
                message.service,
                message.error,
                message.date,
                message.date_read,
                message.date_delivered,
                message.is_delivered,
                message.is_finished,
                message.is_from_me,
                !message.is_from_me && message.date_read != 0,
                message.is_sent,
                message.was_downgraded,
                !message.attachments.is_empty(),
                message.is_audio,
                message.item_type,
                message.other_handle,
                message.group_title,
                message.group_action,
                message.associated_guid,
                message.associated_type.unwrap_or(0),
                message.balloon,
                message.effect,
                message.thread_guid,
                message.thread_part,
                message.did_notify,
                message.date_retracted,
                message.date_edited,
                message.part_count,
                message.associated_emoji,
                room,
                message.part_count == 0 && message.date_edited != 0,
                message.own,
            ],
        );
        self.run("delete from chat_message_join where message_id = ?1", params![message.rowid]);
        if message.joined {
            self.run(
                "insert into chat_message_join (chat_id, message_id, message_date) values (?1, ?2, ?3)",
                params![message.chat, message.rowid, message.date],
            );
        }
        for attachment in &message.attachments {
            self.run(
                "insert or ignore into message_attachment_join values (?1, ?2)",
                params![message.rowid, attachment],
            );
        }
    }

    pub(super) fn remove_message(&self, rowid: i64) {
        self.run("delete from message where ROWID = ?1", params![rowid]);
        self.run("delete from chat_message_join where message_id = ?1", params![rowid]);
        self.run("delete from message_attachment_join where message_id = ?1", params![rowid]);
    }

    pub(super) fn put_chat(&self, chat: &Chat) {
        self.run(
            "insert or replace into chat (ROWID, guid, style, chat_identifier, service_name, display_name, group_id,
               is_archived, is_filtered, last_addressed_handle) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                chat.rowid,
                chat.guid,
                if chat.is_group { 43 } else { 45 },
                chat.identifier,
                chat.service,
                chat.display_name,
                chat.group_id,
                chat.is_archived,
                chat.is_filtered,
                chat.last_addressed
            ],
        );
        self.run("delete from chat_handle_join where chat_id = ?1", params![chat.rowid]);
        for handle in &chat.participants {
            self.run(
                "insert or ignore into chat_handle_join values (?1, ?2)",
                params![chat.rowid, handle],
            );
        }
    }

    pub(super) fn remove_chat(&self, rowid: i64) {
        self.run("delete from chat where ROWID = ?1", params![rowid]);
        self.run("delete from chat_handle_join where chat_id = ?1", params![rowid]);
    }

    pub(super) fn put_handle(&self, handle: &Handle) {
        self.run(
            "insert or replace into handle (ROWID, id, service, country) values (?1, ?2, ?3, 'us')",
            params![handle.rowid, handle.address, handle.service],
        );
    }

    pub(super) fn put_attachment(&self, attachment: &Attachment) {
        self.run(
            "insert or replace into attachment (ROWID, guid, uti, mime_type, transfer_state, is_outgoing, transfer_name,
               total_bytes) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                attachment.rowid,
                attachment.guid,
                attachment.uti,
                attachment.mime_type,
                attachment.transfer_state,
                attachment.is_outgoing,
                attachment.name,
                i64::try_from(attachment.bytes.len()).unwrap_or(i64::MAX)
            ],
        );
    }

    /// The row ids of the newest messages that stand in a chat, newest first.
    pub(super) fn newest(&self, limit: i64) -> Vec<i64> {
        let sql = format!(
            "select ROWID from message where exists (select 1 from chat_message_join where message_id = message.ROWID)
             order by date desc, ROWID desc limit {limit}"
        );
        self.rows(&sql, &BTreeMap::new()).expect("the query above is SQL")
    }

    /// The row ids of a page and how many there are in all; SQLite's words if it is no SQL.
    pub(super) fn select(&self, select: &Select<'_>) -> Result<(Vec<i64>, i64), String> {
        let mut from =
            "from message left join handle on handle.ROWID = message.handle_id".to_owned();
        if select.with_chats || select.chat.is_some() {
            from += " join chat_message_join on chat_message_join.message_id = message.ROWID
                      join chat on chat.ROWID = chat_message_join.chat_id";
        }
        if select.with_participants {
            from += " join chat_handle_join on chat_handle_join.chat_id = chat.ROWID";
        }
        if select.with_attachments {
            from += " left join message_attachment_join on message_attachment_join.message_id = message.ROWID
                      left join attachment on attachment.ROWID = message_attachment_join.attachment_id";
        }

        let mut values = BTreeMap::<String, Sqlite>::new();
        let mut conditions = vec!["1 = 1".to_owned()];
        if let Some(chat) = select.chat {
            conditions.push("chat.guid = :__chat".to_owned());
            values.insert(":__chat".to_owned(), chat.to_owned().into());
        }
        for (condition, value) in [
            ("message.date >= :__after", select.after_ns),
            ("message.date <= :__before", select.before_ns),
        ] {
            if let Some(value) = value {
                conditions.push(condition.to_owned());
                values.insert(
                    condition.rsplit(' ').next().unwrap_or_default().to_owned(),
                    value.into(),
                );
            }
        }
        if select.from_me {
            conditions.push("message.is_from_me = 1".to_owned());
        }
        for (statement, arguments) in &select.conditions {
            let mut statement = statement.clone();
            for (property, column) in PROPERTIES {
                statement = statement.replace(property, column);
            }
            for (name, value) in arguments {
                // TypeORM keeps one set of arguments for all conditions: of one name, the last value holds.
                if let Value::Array(list) = value {
                    let names: Vec<String> =
                        (0..list.len()).map(|index| format!(":{name}__{index}")).collect();
                    statement = statement.replace(&format!(":...{name}"), &names.join(", "));
                    values.extend(names.into_iter().zip(list.iter().map(bound)));
                } else {
                    values.insert(format!(":{name}"), bound(value));
                }
            }
            // Joined as they are: a caller who writes OR needs parentheses of their own.
            conditions.push(statement);
        }
        let from = format!("{from} where {}", conditions.join(" and "));

        let page = format!(
            "select message.ROWID {from} group by message.ROWID order by message.date {}, message.ROWID limit {} offset {}",
            if select.ascending { "asc" } else { "desc" },
            select.limit,
            select.offset
        );
        let rows = self.rows(&page, &values)?;
        let total = self.rows(&format!("select count(distinct message.ROWID) {from}"), &values)?;
        Ok((rows, total.first().copied().unwrap_or(0)))
    }

    fn rows(&self, sql: &str, values: &BTreeMap<String, Sqlite>) -> Result<Vec<i64>, String> {
        let words = |error: rusqlite::Error| match error {
            rusqlite::Error::SqliteFailure(_, Some(text)) => text,
            rusqlite::Error::SqlInputError { msg, .. } => msg,
            other => other.to_string(),
        };
        let mut statement = self.0.prepare(sql).map_err(words)?;
        for (name, value) in values {
            if let Some(index) = statement.parameter_index(name).map_err(words)? {
                statement.raw_bind_parameter(index, value).map_err(words)?;
            }
        }
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(words)? {
            found.push(row.get(0).map_err(words)?);
        }
        Ok(found)
    }
}

fn bound(value: &Value) -> Sqlite {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => Sqlite::Null,
        Value::Bool(yes) => Sqlite::Integer(i64::from(*yes)),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| Sqlite::Real(number.as_f64().unwrap_or_default()), Sqlite::Integer),
        Value::String(text) => Sqlite::Text(text.clone()),
    }
}
