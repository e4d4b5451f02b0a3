//! Reads: chats, messages, send states, addresses (rpc.md, "Methods").

use serde_json::{Value, json};

use super::{dispatch::Call, failure::Failure, params::Params, target};
use crate::imsg::{
    object::{self, Shape},
    row::Row,
    state::State,
};

pub(crate) fn chats_list(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["limit", "unread_only|unreadOnly"])?;
    let limit = params.bounded("limit", 20, [1, i64::MAX])?;
    let unread_only = params.bool("unread_only")?.unwrap_or(false);
    call.database()?;
    Ok(call.shared().look(|state| {
        let last = |id| state.db.newest(id).map_or(0, |row| row.rowid);
        let mut chats = state.db.chats.values().collect::<Vec<_>>();
        chats.sort_by_key(|chat| std::cmp::Reverse((last(chat.id), chat.id)));
        let listed = chats.into_iter().map(|chat| object::chat(state, chat, call.own(), true));
        let wanted = listed.filter(|chat| !unread_only || chat["unread_count"] != 0);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        json!({ "chats": wanted.take(limit).collect::<Vec<_>>() })
    }))
}

pub(crate) fn chats_get(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["chat_id"])?;
    let id = required(&params, "chat_id")?;
    call.database()?;
    call.shared().look(|state| {
        let chat = state.db.chats.get(&id);
        let chat = chat.ok_or_else(|| Failure::params(format!("unknown chat_id {id}")))?;
        Ok(object::chat(state, chat, call.own(), false))
    })
}

pub(crate) fn messages_after(call: &Call<'_>) -> Result<Value, Failure> {
    let known = [
        "since_rowid",
        "chat_id",
        "limit",
        "attachments",
        "convert_attachments",
        "include_reactions",
    ];
    let params = call.params(&known)?;
    let since = required(&params, "since_rowid")?;
    if since < 0 {
        return Err(Failure::params("since_rowid must not be negative"));
    }
    let limit = params.bounded("limit", 100, [1, 500])?;
    let chat = params.int("chat_id")?;
    let reactions = params.bool("include_reactions")?.unwrap_or(false);
    params.bool("convert_attachments")?;
    // The reactions of a message as they are now come here always.
    let shape = Shape { files: params.bool("attachments")?.unwrap_or(false), reactions: true };
    call.database()?;
    call.shared().look(|state| {
        if let Some(id) = chat {
            known_chat(state, id)?;
        }
        let (mut messages, mut next) = (Vec::new(), since);
        let mut rows = state.db.rows.range(since + 1..).map(|(_, row)| row);
        let wanted = |row: &Row| chat.is_none() || row.chat == chat;
        let (mut has_more, mut previews) = (false, 0);
        for row in rows.by_ref().filter(|row| wanted(row)) {
            let visible = row.preview_of.is_none() && (reactions || row.tapback.is_none());
            // A page of nothing but link previews is empty, and has more.
            if previews == limit || visible && messages.len() as i64 == limit {
                has_more = true;
                break;
            }
            next = row.rowid;
            previews += i64::from(row.preview_of.is_some());
            if visible {
                messages.push(object::message(state, row, shape, call.own()));
            }
        }
        Ok(json!({ "messages": messages, "next_rowid": next, "has_more": has_more }))
    })
}

pub(crate) fn messages_history(call: &Call<'_>) -> Result<Value, Failure> {
    let known =
        ["chat_id", "limit", "participants", "start", "end", "attachments", "convert_attachments"];
    let params = call.params(&known)?;
    let chat = required(&params, "chat_id")?;
    let limit = params.bounded("limit", 50, [1, i64::MAX])?;
    let filter = Filter::read(&params)?;
    params.bool("convert_attachments")?;
    let shape = Shape { files: params.bool("attachments")?.unwrap_or(false), reactions: true };
    call.database()?;
    call.shared().look(|state| {
        known_chat(state, chat)?;
        let shown = |row: &&Row| {
            row.chat == Some(chat)
                && row.tapback.is_none()
                && row.preview_of.is_none()
                && filter.takes(row)
        };
        let mut rows = state.db.rows.values().filter(shown).collect::<Vec<_>>();
        // By time, unlike messages.after.
        rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.rowid)));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let messages = rows.into_iter().map(|row| object::message(state, row, shape, call.own()));
        Ok(json!({ "messages": messages.collect::<Vec<_>>() }))
    })
}

pub(crate) fn messages_search(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["query", "match", "limit"])?;
    let query = params.text("query")?.to_lowercase();
    let exact = match params.str("match")?.unwrap_or("contains") {
        "contains" => false,
        "exact" => true,
        _ => return Err(Failure::params("match must be contains or exact")),
    };
    let limit = params.bounded("limit", 50, [1, 100])?;
    call.database()?;
    Ok(call.shared().look(|state| {
        let text = |row: &&Row| {
            let text = row.text.to_lowercase();
            if exact { text == query } else { text.contains(&query) }
        };
        let rows = state.db.rows.values().rev().filter(|row| row.tapback.is_none()).filter(text);
        let shape = Shape { files: false, reactions: true };
        let messages = rows.take(usize::try_from(limit).unwrap_or(usize::MAX));
        let messages = messages.map(|row| object::message(state, row, shape, call.own()));
        json!({ "messages": messages.collect::<Vec<_>>() })
    }))
}

/// Nobody schedules anything on this Mac.
pub(crate) fn messages_scheduled(call: &Call<'_>) -> Result<Value, Failure> {
    call.params(&["limit"])?.bounded("limit", 50, [1, i64::MAX])?;
    call.database()?;
    Ok(json!({ "messages": [] }))
}

pub(crate) fn messages_stats(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["chat_id", "time_zone", "include_media"])?;
    let chat = params.int("chat_id")?;
    let zone = params.str("time_zone")?.unwrap_or("UTC");
    params.bool("include_media")?;
    call.database()?;
    call.shared().look(|state| {
        if let Some(id) = chat {
            known_chat(state, id)?;
        }
        let rows = state.db.rows.values().filter(|row| chat.is_none() || row.chat == chat);
        let (sent, received) = rows.partition::<Vec<_>, _>(|row| row.is_from_me);
        Ok(json!({
            "total_messages": sent.len() + received.len(),
            "sent_messages": sent.len(),
            "received_messages": received.len(),
            "time_zone": zone,
            "chats": [], "senders": [], "services": [], "dates": [],
        }))
    })
}

pub(crate) fn send_status(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["guid"])?;
    let guid = params.text("guid")?;
    call.database()?;
    Ok(call.shared().look(|state| {
        let own = state.db.row(guid).filter(|row| row.is_from_me);
        object::send_status(own, guid)
    }))
}

pub(crate) fn handles_check(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["address", "alias_type", "service"])?;
    let address = params.text("address")?;
    let inferred = if address.contains('@') { "email" } else { "phone" };
    let alias = params.str("alias_type")?.unwrap_or(inferred).to_owned();
    if !["phone", "email"].contains(&&*alias) {
        return Err(Failure::params("alias_type must be phone or email"));
    }
    if !params.str("service")?.unwrap_or("iMessage").eq_ignore_ascii_case("imessage") {
        return Err(Failure::params("only iMessage can be checked"));
    }
    let handle = target::handle(address, "US")?;
    call.helped(super::failure::Transport::Helper, "")?;
    let available =
        call.shared().look(|state| state.phones.get(&handle).is_none_or(|phone| phone.imessage));
    let scheme = if alias == "phone" { "tel" } else { "mailto" };
    Ok(json!({
        "ok": true,
        "address": address,
        "alias_type": alias,
        "destination": format!("{scheme}:{handle}"),
        "id_status": if available { 1 } else { 2 },
        "available": available,
        "service": "iMessage",
    }))
}

/// What `participants`, `start` and `end` let through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    participants: Vec<String>,
    start: Option<switchboard_model::Timestamp>,
    end: Option<switchboard_model::Timestamp>,
}

impl Filter {
    pub(crate) fn read(params: &Params) -> Result<Self, Failure> {
        Ok(Self {
            participants: params.strings("participants")?.unwrap_or_default(),
            start: params.date("start")?,
            end: params.date("end")?,
        })
    }

    pub(crate) fn takes(&self, row: &Row) -> bool {
        (self.participants.is_empty() || self.participants.contains(&row.sender))
            && self.start.is_none_or(|start| row.created_at >= start)
            && self.end.is_none_or(|end| row.created_at < end)
    }
}

fn required(params: &Params, name: &str) -> Result<i64, Failure> {
    params.int(name)?.ok_or_else(|| Failure::params(format!("{name} is required")))
}

pub(crate) fn known_chat(state: &State, id: i64) -> Result<(), Failure> {
    let known = state.db.chats.contains_key(&id);
    known.then_some(()).ok_or_else(|| Failure::params(format!("unknown chat_id {id}")))
}
