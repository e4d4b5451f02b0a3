//! `message/…`: reading (`messageRouter.ts`, `messageValidator.ts`).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, Query, State as Extract},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    envelope::{Answer, Refusal, page, plain_not_found, success},
    input::{Input, with_words},
    render::{self, Form},
    send::private_api,
    sql::{Condition, Select},
    state::{Inner, State},
};
use crate::stamp::apple_ns;

/// A list of words holds one of these.
pub(super) fn any(words: &[String], of: &[&str]) -> bool {
    words.iter().any(|word| of.contains(&word.as_str()))
}

/// The rows that a caller asks for, or what the database says.
pub(super) fn rows(
    state: &State,
    select: &Select<'_>,
    form: Form,
) -> Result<(Vec<Value>, i64), Refusal> {
    if state.faults.database_locked {
        return Err(Refusal::server("database is locked"));
    }
    let (rowids, total) = state.db.sql.select(select).map_err(Refusal::server)?;
    let mut shown = Vec::with_capacity(rowids.len());
    for row in rowids.iter().filter_map(|rowid| state.db.messages.get(rowid)) {
        if row.unreadable {
            return Err(Refusal::server("Cannot read properties of null (reading 'toString')"));
        }
        shown.push(render::message(&state.db, &state.mac, row, form));
    }
    Ok((shown, total))
}

pub(super) async fn query(
    Extract(inner): Extract<Arc<Inner>>,
    input: Input,
) -> Result<Response, Refusal> {
    let with = input.words("with")?;
    let chat = input.text("chatGuid")?;
    let sort = input.one_of("sort", &["ASC", "DESC"])?;
    let after = input.number("after", 0, i64::MAX)?;
    let before = input.number("before", 1, i64::MAX)?;
    let offset = input.number("offset", 0, i64::MAX)?.unwrap_or(0);
    let limit = input.number("limit", 1, 1000)?.unwrap_or(100);
    let mut conditions = conditions(&input)?;

    inner.look(|state| {
        if chat.as_ref().is_some_and(|guid| state.db.chat(guid).is_none()) {
            // The original makes an answer here and never sends it.
            return Ok(plain_not_found());
        }
        spotlight(state, &mut conditions)?;
        let participants = any(&with, &["chat.participants", "chats.participants"]);
        // Without them the key is there and empty.
        let chats = any(&with, &["chat", "chats"]) || participants || chat.is_some();
        let form = Form {
            chats,
            chats_key: true,
            participants,
            attachments: any(&with, &["attachment", "attachments"]),
            attributed_body: any(&with, &["attributedbody", "attributed-body"]),
            // The words are in lower case by now, so the other spelling never matches.
            summary: any(&with, &["message-summary-info"]),
            ..Form::default()
        };
        let select = Select {
            chat: chat.as_deref(),
            with_chats: chats,
            with_participants: participants,
            with_attachments: form.attachments,
            after_ns: after.map(apple_ns),
            // To the end of that millisecond.
            before_ns: before.map(|ms| apple_ns(ms) + 999_999),
            from_me: false,
            conditions,
            ascending: sort.as_deref() == Some("ASC"),
            offset,
            limit,
        };
        let (shown, total) = rows(state, &select, form)?;
        let metadata =
            json!({ "offset": offset, "limit": limit, "total": total, "count": shown.len() });
        page("Successfully fetched messages!", &json!(shown), &metadata)
    })
}

/// The conditions of a query; their arguments must be there, but may be null.
fn conditions(input: &Input) -> Result<Vec<Condition>, Refusal> {
    let list = match input.get("where") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Refusal::bad_request("The where must be an array.")),
    };
    list.iter()
        .enumerate()
        .map(|(index, condition)| {
            let Some(statement) = condition.get("statement").and_then(Value::as_str) else {
                return Err(Refusal::bad_request(format!(
                    "The where.{index}.statement field is required."
                )));
            };
            let arguments = match condition.get("args") {
                None => {
                    return Err(Refusal::bad_request(format!(
                        "The where.{index}.args field must be present."
                    )));
                }
                Some(Value::Object(arguments)) => arguments.clone().into_iter().collect(),
                Some(_) => BTreeMap::new(),
            };
            Ok((statement.to_owned(), arguments))
        })
        .collect()
}

/// With the private API, a condition on `message.text` becomes a search by the helper: the words are looked
/// for in what Spotlight knows, whatever the condition was.
fn spotlight(state: &State, conditions: &mut [Condition]) -> Result<(), Refusal> {
    if state.mac.major() < 13 || !state.mac.private_api {
        return Ok(());
    }
    let mut on_text = conditions
        .iter()
        .enumerate()
        .filter(|(_, (statement, _))| statement.contains("message.text"));
    let (Some((at, (statement, arguments))), None) = (on_text.next(), on_text.next()) else {
        return Ok(());
    };
    let name = statement.split(' ').nth(2).unwrap_or_default().replace(':', "");
    let Some(term) = arguments.get(&name).and_then(Value::as_str) else {
        return Err(Refusal::server("Cannot read properties of undefined (reading 'replace')"));
    };
    private_api(state).map_err(Refusal::server)?;
    let term = term.trim_matches('%').to_lowercase();
    let found: Vec<Value> = state
        .db
        .messages
        .values()
        .filter(|row| row.shown_text().is_some_and(|text| text.to_lowercase().contains(&term)))
        .map(|row| json!(row.guid))
        .collect();
    let arguments = BTreeMap::from([("spotlightGuids".to_owned(), Value::Array(found))]);
    conditions[at] = ("message.guid in (:...spotlightGuids)".to_owned(), arguments);
    Ok(())
}

#[derive(Deserialize)]
pub(super) struct With {
    with: Option<String>,
}

pub(super) async fn find(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
    Query(with): Query<With>,
) -> Answer {
    let with = with_words(with.with.as_deref());
    let participants = any(&with, &["chat.participants", "chats.participants"]);
    let chats = any(&with, &["chat", "chats"]);
    let form = Form {
        chats,
        chats_key: chats,
        participants: participants && chats,
        attachments: any(&with, &["attachment", "attachments"]),
        attributed_body: any(&with, &["attributedbody", "attributed-body"]),
        summary: any(&with, &["message-summary-info"]),
        ..Form::default()
    };
    inner.look(|state| {
        if state.faults.database_locked {
            return Err(Refusal::server("database is locked"));
        }
        let Some(row) = state.db.message(&guid) else {
            return Err(Refusal::not_found("Message does not exist!"));
        };
        success("Success", &render::message(&state.db, &state.mac, row, form))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Count {
    after: Option<i64>,
    before: Option<i64>,
    chat_guid: Option<String>,
    min_row_id: Option<i64>,
    max_row_id: Option<i64>,
}

pub(super) async fn count(Extract(inner): Extract<Arc<Inner>>, Query(of): Query<Count>) -> Answer {
    inner.look(|state| counted(state, &of, false, Vec::new()))
}

pub(super) async fn count_own(
    Extract(inner): Extract<Arc<Inner>>,
    Query(of): Query<Count>,
) -> Answer {
    inner.look(|state| counted(state, &of, true, Vec::new()))
}

pub(super) async fn count_updated(
    Extract(inner): Extract<Arc<Inner>>,
    Query(of): Query<Count>,
) -> Answer {
    let Some(after) = of.after else {
        return Err(Refusal::bad_request("The after field is required."));
    };
    let changed = "(message.date_edited >= :__since or message.date_delivered >= :__since \
                   or message.date_read >= :__since or message.date_retracted >= :__since)";
    let since = BTreeMap::from([("__since".to_owned(), json!(apple_ns(after)))]);
    let of = Count { after: None, ..of };
    inner.look(|state| counted(state, &of, false, vec![(changed.to_owned(), since)]))
}

fn counted(state: &State, of: &Count, from_me: bool, mut conditions: Vec<Condition>) -> Answer {
    for (statement, value) in
        [("message.ROWID >= :__min", of.min_row_id), ("message.ROWID <= :__max", of.max_row_id)]
    {
        if let Some(value) = value {
            let name = statement.rsplit(':').next().unwrap_or_default().to_owned();
            conditions.push((statement.to_owned(), BTreeMap::from([(name, json!(value))])));
        }
    }
    let select = Select {
        chat: of.chat_guid.as_deref(),
        after_ns: of.after.map(apple_ns),
        before_ns: of.before.map(|ms| apple_ns(ms) + 999_999),
        from_me,
        conditions,
        limit: 1,
        ..Select::default()
    };
    let (_, total) = state.db.sql.select(&select).map_err(Refusal::server)?;
    success("Success", &json!({ "total": total }))
}
