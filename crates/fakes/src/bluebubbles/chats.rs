//! `chat/…` (`chatRouter.ts`, `chatInterface.ts`) and `handle/…`.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Extract};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    database::{Chat, Message},
    envelope::{Answer, Refusal, done, page, success},
    input::{Input, with_words},
    messages::{any, rows},
    outgoing::{Fate, Outgoing, hand_over},
    render::{self, Form},
    send::{self, Failed, direct_chat, gate, helper},
    sql::Select,
    state::{Inner, State, new_guid},
    webhooks::{self, Event},
};
use crate::stamp::{apple_now, apple_ns};

/// The newest message of a chat.
fn newest<'a>(state: &'a State, chat: &Chat) -> Option<&'a Message> {
    state
        .db
        .messages
        .values()
        .filter(|row| row.chat == chat.rowid && row.joined)
        .max_by_key(|row| row.date)
}

fn last_message(state: &State, chat: &Chat) -> Value {
    newest(state, chat)
        .map_or(Value::Null, |row| render::message(&state.db, &state.mac, row, Form::default()))
}

pub(super) async fn query(Extract(inner): Extract<Arc<Inner>>, input: Input) -> Answer {
    let with = input.words("with")?;
    let guid = input.text("guid")?;
    input.one_of("sort", &["lastmessage"])?;
    let offset = input.number("offset", 0, i64::MAX)?.unwrap_or(0);
    let limit = input.number("limit", 1, 1000)?.unwrap_or(1000);
    let with_last = any(&with, &["lastmessage", "last-message"]);
    inner.look(|state| {
        let wanted = |chat: &&Chat| {
            // Participants are always joined here: a chat that has none is invisible.
            guid.as_ref().is_none_or(|guid| *guid == chat.guid) && !chat.participants.is_empty()
        };
        let all: Vec<&Chat> = state.db.chats.values().filter(wanted).collect();
        let total = all.len();
        let mut chats: Vec<&Chat> = all
            .into_iter()
            .skip(usize::try_from(offset).unwrap_or(0))
            .take(usize::try_from(limit).unwrap_or(0))
            .collect();
        if with_last {
            // Only within the page: the database's order is by row.
            chats.sort_by_key(|chat| {
                std::cmp::Reverse(newest(state, chat).map_or(0, |row| row.date))
            });
        }
        let shown: Vec<Value> = chats
            .into_iter()
            .map(|chat| {
                let mut shown = render::chat(&state.db, chat, true);
                if with_last {
                    shown["lastMessage"] = last_message(state, chat);
                }
                shown
            })
            .collect();
        let metadata =
            json!({ "count": shown.len(), "total": total, "offset": offset, "limit": limit });
        page("Success", &json!(shown), &metadata)
    })
}

/// The chat, or the 404 that has an envelope.
fn there<'a>(state: &'a State, guid: &str, participants: bool) -> Result<&'a Chat, Refusal> {
    state
        .db
        .chat(guid)
        .filter(|chat| !participants || !chat.participants.is_empty())
        .ok_or_else(|| Refusal::not_found("Chat does not exist!"))
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
    let participants = any(&with, &["participants"]);
    inner.look(|state| {
        let chat = there(state, &guid, participants)?;
        let mut shown = render::chat(&state.db, chat, participants);
        if any(&with, &["lastmessage"]) {
            shown["lastMessage"] = last_message(state, chat);
        }
        success("Success", &shown)
    })
}

pub(super) async fn count(Extract(inner): Extract<Arc<Inner>>) -> Answer {
    let (total, breakdown) = inner.look(|state| {
        let mut breakdown = serde_json::Map::new();
        for chat in state.db.chats.values() {
            let count = breakdown.get(&chat.service).and_then(Value::as_u64).unwrap_or(0);
            breakdown.insert(chat.service.clone(), json!(count + 1));
        }
        (state.db.chats.len(), breakdown)
    });
    success("Success", &json!({ "total": total, "breakdown": breakdown }))
}

#[derive(Deserialize)]
pub(super) struct Page {
    with: Option<String>,
    sort: Option<String>,
    after: Option<i64>,
    before: Option<i64>,
    offset: Option<i64>,
    limit: Option<i64>,
}

pub(super) async fn messages(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
    Query(wanted): Query<Page>,
) -> Answer {
    let with = with_words(wanted.with.as_deref());
    let (offset, limit) = (wanted.offset.unwrap_or(0), wanted.limit.unwrap_or(100));
    if !(1..=1000).contains(&limit) {
        return Err(Refusal::bad_request("The limit may not be greater than 1000."));
    }
    inner.look(|state| {
        there(state, &guid, false)?;
        let form = Form {
            attachments: any(&with, &["attachment", "attachments"]),
            attributed_body: any(
                &with,
                &["message.attributedbody", "message.attributed-body", "messages.attributed-body"],
            ),
            summary: any(&with, &["message.message-summary-info", "messages.message-summary-info"]),
            ..Form::default()
        };
        let select = Select {
            chat: Some(&guid),
            with_attachments: form.attachments,
            after_ns: wanted.after.map(apple_ns),
            before_ns: wanted.before.map(|ms| apple_ns(ms) + 999_999),
            ascending: wanted.sort.as_deref() == Some("ASC"),
            offset,
            limit,
            ..Select::default()
        };
        let (shown, total) = rows(state, &select, form)?;
        let metadata =
            json!({ "offset": offset, "limit": limit, "total": total, "count": shown.len() });
        page("Success", &json!(shown), &metadata)
    })
}

pub(super) async fn create(Extract(inner): Extract<Arc<Inner>>, input: Input) -> Answer {
    let addresses: Vec<String> = match input.get("addresses") {
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => return Err(Refusal::bad_request("The addresses field is required.")),
    };
    let message = input.text("message")?;
    let method = input.one_of("method", &["apple-script", "private-api"])?;
    let service = input.one_of("service", &["iMessage", "SMS"])?;
    let service = service.unwrap_or_else(|| "iMessage".to_owned());
    let temp_guid = input.text("tempGuid")?;
    let (subject, effect) = (input.text("subject")?, input.text("effectId")?);
    let private = method.as_deref() == Some("private-api");
    let Some(first) = addresses.first() else {
        return Err(Refusal::server("No addresses provided!"));
    };
    if !private && addresses.len() > 1 {
        return Err(Refusal::server("Cannot create group chats on macOS Big Sur or newer!"));
    }
    if message.is_none() {
        return Err(Refusal::server(if private {
            "A message is required when creating chats with the Private API!"
        } else {
            "A message is required when creating chats on macOS Big Sur or newer!"
        }));
    }
    let mut out = Outgoing {
        kind: "text",
        method: if private { "private-api" } else { "apple-script" },
        text: message,
        subject,
        effect,
        temp_guid: temp_guid.clone(),
        ..Outgoing::default()
    };
    // What fails here is thrown past every handler: 500, `Server Error`.
    let thrown = |failed: Failed| match failed {
        Failed::Thrown(text) => Refusal::server(text),
        Failed::Promise(_) => Refusal::server("[object Object]"),
    };
    let (chat, guid) = if private {
        helper(&inner, "create-chat", "", true).await.map_err(thrown)?;
        let chat = inner.change(|state| {
            if addresses.len() == 1 {
                direct_chat(state, first, &service)
            } else {
                group(state, &addresses, None, &service)
            }
        });
        out.chat.clone_from(&chat);
        let fate = inner.look(|state| Fate::sent(state));
        let guid = hand_over(&inner, &out, fate);
        let wait = inner.timing().change_wait;
        if !inner.until(wait, |state| state.db.message(&guid).is_some()).await {
            return Err(Refusal::server(
                "Failed to create new chat! Message not found after 30 seconds!",
            ));
        }
        (chat, guid)
    } else {
        // The guid is guessed, which is wrong on macOS 26.
        out.chat = format!("{service};-;{first}");
        let chat = out.chat.clone();
        let guid = send::send(&inner, out).await.map_err(thrown)?;
        let wait = inner.timing().change_wait;
        if !inner.until(wait, |state| state.db.chat(&chat).is_some()).await {
            return Err(Refusal::server(
                "Cannot read properties of undefined (reading 'messages')",
            ));
        }
        (chat, guid)
    };
    let data = inner.look(|state| {
        let chat = there(state, &chat, true)?;
        let mut shown = render::chat(&state.db, chat, true);
        if let Some(row) = state.db.message(&guid) {
            let mut message = render::message(&state.db, &state.mac, row, Form::default());
            if let Some(temp_guid) = temp_guid {
                message["tempGuid"] = json!(temp_guid);
            }
            shown["messages"] = json!([message]);
        }
        Ok::<_, Refusal>(shown)
    })?;
    success("Successfully created chat!", &data)
}

/// A group of these people; answers its guid.
pub(super) fn group(
    state: &mut State,
    people: &[String],
    name: Option<&str>,
    service: &str,
) -> String {
    let identifier = format!("chat83{:016}", apple_now().unsigned_abs() % 10_000_000_000_000_000);
    let guid = format!("{};+;{identifier}", state.mac.guid_prefix(service));
    let participants = people.iter().map(|person| state.db.handle(person, service)).collect();
    state.db.put_chat(Chat {
        guid: guid.clone(),
        identifier,
        is_group: true,
        service: service.to_owned(),
        display_name: name.map(str::to_owned),
        group_id: new_guid(),
        participants,
        ..Chat::default()
    });
    guid
}

/// An action of the helper for a chat; nobody waits for an answer.
async fn tell_helper(inner: &Arc<Inner>, action: &'static str, chat: &str) -> Result<(), Refusal> {
    gate(inner)?;
    helper(inner, action, chat, false).await.map_err(|failed| match failed {
        Failed::Thrown(text) => Refusal::server(text),
        Failed::Promise(_) => Refusal::server("promise"),
    })
}

fn people(state: &State, chat: &str) -> Vec<String> {
    state.db.chat(chat).map(|chat| state.db.addresses(chat)).unwrap_or_default()
}

pub(super) async fn start_typing(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
) -> Answer {
    tell_helper(&inner, "start-typing", &guid).await?;
    inner.look(|state| {
        let people = people(state, &guid);
        state.phones.start_typing(&people);
    });
    done("Successfully started typing!")
}

/// Starts typing too: the original calls the wrong action (`chatRouter.stopTyping`).
pub(super) async fn stop_typing(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
) -> Answer {
    tell_helper(&inner, "start-typing", &guid).await?;
    inner.look(|state| {
        let people = people(state, &guid);
        state.phones.start_typing(&people);
    });
    done("Successfully stopped typing!")
}

pub(super) async fn read(Extract(inner): Extract<Arc<Inner>>, Path(guid): Path<String>) -> Answer {
    tell_helper(&inner, "mark-chat-read", &guid).await?;
    inner.change(|state| mark_read(state, &guid));
    // Told whether or not there is such a chat.
    let event = Event::new("chat-read-status-changed", json!({ "chatGuid": guid, "read": true }));
    webhooks::tell(&inner, vec![event]);
    done("Successfully marked chat as read!")
}

pub(super) async fn unread(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
) -> Answer {
    tell_helper(&inner, "mark-chat-unread", &guid).await?;
    let event = Event::new("chat-read-status-changed", json!({ "chatGuid": guid, "read": false }));
    webhooks::tell(&inner, vec![event]);
    done("Successfully marked chat as unread!")
}

/// What came from others is read; their phones show it.
pub(super) fn mark_read(state: &mut State, guid: &str) {
    let Some(chat) = state.db.chat(guid).map(|chat| chat.rowid) else { return };
    let unread: Vec<String> = state
        .db
        .messages
        .values()
        .filter(|row| row.chat == chat && !row.is_from_me && row.date_read == 0)
        .map(|row| row.guid.clone())
        .collect();
    let now = apple_now();
    *state.phones.read.entry(guid.to_owned()).or_default() += unread.len();
    for message in unread {
        state.db.change(&message, |row| row.date_read = now);
    }
}

#[derive(Deserialize)]
pub(super) struct Address {
    address: Option<String>,
}

pub(super) async fn availability(
    Extract(inner): Extract<Arc<Inner>>,
    Query(of): Query<Address>,
) -> Answer {
    gate(&inner)?;
    let Some(address) = of.address.filter(|address| !address.is_empty()) else {
        return Err(Refusal::bad_request("The address field is required."));
    };
    helper(&inner, "check-imessage-availability", &address, true).await.map_err(|failed| {
        match failed {
            Failed::Thrown(text) => Refusal::server(text),
            Failed::Promise(_) => Refusal::server("promise"),
        }
    })?;
    let available = inner.look(|state| !state.unavailable.contains(&address));
    success("Success", &json!({ "available": available }))
}
