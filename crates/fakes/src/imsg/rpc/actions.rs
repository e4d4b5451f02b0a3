//! Actions on chats and messages (rpc.md, "Bridge Message Actions").

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    dispatch::{Call, How},
    failure::{Failure, Transport},
    params::Params,
    target::{self, Found, Target},
};
use crate::imsg::{chat::Chat, database::Service, row::Row, settings::MacOs, time};

/// The names of the six reactions, what rows call them, and how they may be asked for.
const REACTIONS: [(&str, &str, &str, &[&str]); 6] = [
    ("love", "love", "❤️", &["love", "heart", "❤️"]),
    ("like", "like", "👍", &["like", "thumbsup", "👍"]),
    ("dislike", "dislike", "👎", &["dislike", "thumbsdown", "👎"]),
    ("laugh", "laugh", "😂", &["laugh", "haha", "😂"]),
    ("emphasize", "emphasis", "‼️", &["emphasize", "emphasis", "!!", "‼️"]),
    ("question", "question", "❓", &["question", "?", "❓"]),
];

const MESSAGE: &str = "message_id|message_guid|messageId|messageGuid|message";
const PART: &str = "part_index|partIndex";

pub(crate) async fn tapback(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&[
        "chat_id",
        "chat_identifier",
        "chat_guid",
        MESSAGE,
        "reaction|kind",
        "emoji",
        "remove",
        PART,
    ])?;
    let guid = message_guid(&params)?;
    let remove = params.bool("remove")?.unwrap_or(false);
    let (asked, emoji) = (params.str("reaction")?, params.str("emoji")?);
    let (kind, shown, remove, answer) = match (asked, emoji) {
        (Some(asked), None) => {
            let (remove, name) =
                asked.strip_prefix("remove-").map_or((remove, asked), |name| (true, name));
            let known = REACTIONS.iter().find(|(_, _, _, spellings)| spellings.contains(&name));
            let Some((name, kind, shown, _)) = known else {
                return Err(Failure::params("unknown reaction"));
            };
            let prefix = if remove { "remove-" } else { "" };
            (
                *kind,
                (*shown).to_owned(),
                remove,
                json!({ "ok": true, "reaction": format!("{prefix}{name}") }),
            )
        }
        (None, Some(emoji)) if !emoji.is_empty() => {
            let able =
                call.shared().look(|state| state.helper.selectors().contains(&"emojiTapbackSend"));
            if !able || !call.child.settings.at_least([0, 15, 1]) {
                return Err(Failure::internal("this bridge can't send an emoji as itself"));
            }
            ("custom", emoji.to_owned(), remove, json!({ "ok": true, "emoji": emoji }))
        }
        _ => return Err(Failure::params("exactly one of reaction and emoji is required")),
    };
    let (chat, row) = message(call, &params, &guid, "send-reaction")?;
    let mut mutation = call.mutation(&chat.guid, None, &shown);
    let how = How::action("send-reaction", call.pace());
    call.carry_out(how, call.fault, move |state| {
        let guid = state.tap(&row, None, kind, &shown, !remove);
        mutation.guid = Some(guid);
        state.mutations.push(mutation);
    })
    .await?;
    Ok(answer)
}

pub(crate) async fn typing(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&[
        "to",
        "region",
        "chat_id",
        "chat_identifier",
        "chat_guid",
        "typing",
        "service",
    ])?;
    let typing = params.bool("typing")?.unwrap_or(true);
    if !["imessage", "sms", "auto"].contains(&params.str("service")?.unwrap_or("imessage")) {
        return Err(Failure::params("service must be auto, imessage or sms"));
    }
    let chat = presence(call, &params)?;
    let mutation = call.mutation(&chat.guid, None, if typing { "start" } else { "stop" });
    call.carry_out(How::action("typing", call.pace()), call.fault, move |state| {
        for handle in &chat.participants {
            state.phones.entry(handle.clone()).or_default().sees_typing = typing;
        }
        state.mutations.push(mutation);
    })
    .await?;
    Ok(json!({ "ok": true }))
}

pub(crate) async fn read(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["to", "region", "chat_id", "chat_identifier", "chat_guid"])?;
    let chat = presence(call, &params)?;
    let mutation = call.mutation(&chat.guid, None, "");
    call.carry_out(How::action("read", call.pace()), call.fault, move |state| {
        let now = time::now();
        let unread = |row: &&mut Row| row.chat == Some(chat.id) && !row.is_from_me && !row.is_read;
        for row in state.db.rows.values_mut().filter(unread) {
            row.is_read = true;
            row.read_at = Some(now);
        }
        for handle in &chat.participants {
            state.phones.entry(handle.clone()).or_default().sees_read = true;
        }
        state.db.told += 1;
        state.mutations.push(mutation);
    })
    .await?;
    Ok(json!({ "ok": true }))
}

/// The chat of `typing` and `read`. Both are in `methods` whether or not they can work: on macOS 26 they can't without a
/// helper.
fn presence(call: &Call<'_>, params: &Params) -> Result<Chat, Failure> {
    let found = Target::read(params, true)?.find(call, Service::Auto)?;
    let (ready, macos) = call.shared().look(|state| (state.helper.ready(), state.macos));
    if !ready && macos == MacOs::Tahoe26 {
        return Err(Failure::internal("IMCore refused: missing entitlement"));
    }
    match found {
        Found::Chat(chat) => Ok(chat),
        Found::Missing | Found::New(_) => Err(Failure::internal("no such chat")),
    }
}

pub(crate) async fn edit(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&[
        "chat_id",
        "chat_identifier",
        "chat_guid",
        MESSAGE,
        "text|new_text|newText",
        PART,
        "backwards_compatibility_message|backwardsCompatibilityMessage",
    ])?;
    let text = params.text("text")?.to_owned();
    params.str("backwards_compatibility_message")?;
    let own = own_message(call, &params, "edit-message", Duration::from_secs(15 * 60))?;
    let (chat, guid) = own;
    let mutation = call.mutation(&chat.guid, Some(&guid), &text);
    call.carry_out(How::action("edit-message", call.pace()), call.fault, move |state| {
        state.edit(&guid, &text);
        state.mutations.push(mutation);
    })
    .await?;
    Ok(json!({ "ok": true }))
}

pub(crate) async fn unsend(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["chat_id", "chat_identifier", "chat_guid", MESSAGE, PART])?;
    let (chat, guid) = own_message(call, &params, "unsend-message", Duration::from_secs(2 * 60))?;
    let mutation = call.mutation(&chat.guid, Some(&guid), "");
    call.carry_out(How::action("unsend-message", call.pace()), call.fault, move |state| {
        state.unsend(&guid);
        state.mutations.push(mutation);
    })
    .await?;
    Ok(json!({ "ok": true }))
}

/// Deletes a message on this Mac only.
pub(crate) async fn delete(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["chat_id", "chat_identifier", "chat_guid", MESSAGE])?;
    let guid = message_guid(&params)?;
    let (chat, row) = message(call, &params, &guid, "delete-message")?;
    let mutation = call.mutation(&chat.guid, Some(&guid), "");
    call.carry_out(How::action("delete-message", call.pace()), call.fault, move |state| {
        state.db.rows.remove(&row.rowid);
        state.db.told += 1;
        state.mutations.push(mutation);
    })
    .await?;
    Ok(json!({ "ok": true }))
}

pub(crate) async fn notify_anyways(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["chat_id", "chat_identifier", "chat_guid", MESSAGE])?;
    let guid = message_guid(&params)?;
    let (chat, _) = message(call, &params, &guid, "notify-anyways")?;
    let mutation = call.mutation(&chat.guid, Some(&guid), "");
    call.carry_out(How::action("notify-anyways", call.pace()), call.fault, move |state| {
        state.mutations.push(mutation);
    })
    .await?;
    Ok(json!({ "ok": true }))
}

/// An own message that is young enough for this.
fn own_message(
    call: &Call<'_>,
    params: &Params,
    operation: &str,
    window: Duration,
) -> Result<(Chat, String), Failure> {
    let guid = message_guid(params)?;
    params.bounded("part_index", 0, [0, i64::MAX])?;
    let (chat, row) = message(call, params, &guid, operation)?;
    if !row.is_from_me || time::now().since(row.created_at) > window {
        return Err(Failure::internal("Messages refused: not an own message, or too old"));
    }
    Ok((chat, row.guid))
}

/// `GUID` or `p:N/GUID`.
fn message_guid(params: &Params) -> Result<String, Failure> {
    let given = params.text("message_id")?;
    let bare = given.strip_prefix("p:").and_then(|rest| rest.split_once('/'));
    Ok(bare.map_or(given, |(_, guid)| guid).to_owned())
}

/// The chat and the message of an action, if the helper can take it.
fn message(
    call: &Call<'_>,
    params: &Params,
    guid: &str,
    operation: &str,
) -> Result<(Chat, Row), Failure> {
    params.bounded("part_index", 0, [0, i64::MAX])?;
    let chat = target::chat(call, params, operation)?;
    call.helped(Transport::Helper, operation)?;
    let row = call
        .shared()
        .look(|state| state.db.row(guid).filter(|row| row.chat == Some(chat.id)).cloned());
    let row = row.ok_or_else(|| Failure::internal("Message not found in this chat"))?;
    Ok((chat, row))
}
