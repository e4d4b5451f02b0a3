//! `chat/…`: what changes a group (`chatRouter.ts`). All of it needs the helper.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};

use super::{
    database::{Chat, Message},
    envelope::{Answer, Refusal, done, success},
    input::Input,
    render,
    send::{Failed, gate, helper},
    state::{Inner, State, new_guid},
};
use crate::stamp::apple_now;

/// What happened to a group.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Renamed(String),
    Added(String),
    Removed(String),
    Left,
    Icon(bool),
}

/// Messages writes a change of a group down: the chat changes, and a row says so. `by` is nobody for the owner.
pub(super) fn write(
    state: &mut State,
    chat: &str,
    by: Option<&str>,
    change: &Change,
) -> Option<String> {
    let found = state.db.chat(chat)?.clone();
    let service = found.service.clone();
    let handle = by.map_or(0, |by| state.db.handle(by, &service));
    let mut row = Message {
        guid: new_guid(),
        handle,
        service: service.clone(),
        date: apple_now(),
        is_from_me: by.is_none(),
        is_sent: by.is_none(),
        is_finished: true,
        chat: found.rowid,
        joined: true,
        ..Message::default()
    };
    match change {
        Change::Renamed(name) => {
            row.item_type = 2;
            row.group_title = Some(name.clone());
            state.db.change_chat(chat, |chat| chat.display_name = Some(name.clone()));
        }
        Change::Added(address) | Change::Removed(address) => {
            let other = state.db.handle(address, &service);
            let added = matches!(change, Change::Added(_));
            row.item_type = 1;
            row.group_action = i64::from(!added);
            row.other_handle = other;
            state.db.change_chat(chat, |chat| {
                chat.participants.retain(|handle| *handle != other);
                if added {
                    chat.participants.push(other);
                }
            });
        }
        Change::Left => {
            row.item_type = 3;
            state.db.change_chat(chat, |chat| chat.participants.retain(|gone| *gone != handle));
        }
        Change::Icon(set) => {
            row.item_type = 3;
            row.group_action = if *set { 1 } else { 2 };
        }
    }
    let guid = row.guid.clone();
    state.db.put(row);
    Some(guid)
}

fn group(state: &State, guid: &str) -> Result<Chat, Refusal> {
    let chat = state.db.chat(guid).filter(|chat| !chat.participants.is_empty());
    chat.cloned().ok_or_else(|| Refusal::not_found("Chat does not exist!"))
}

async fn act(
    inner: &Arc<Inner>,
    action: &'static str,
    guid: &str,
    change: Change,
) -> Result<(), Refusal> {
    helper(inner, action, guid, true).await.map_err(|failed| match failed {
        Failed::Thrown(text) => Refusal::server(text),
        Failed::Promise(_) => Refusal::server("promise"),
    })?;
    inner.change(|state| write(state, guid, None, &change));
    Ok(())
}

pub(super) async fn rename(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
    input: Input,
) -> Answer {
    gate(&inner)?;
    let name = input.text("displayName")?;
    let chat = inner.look(|state| group(state, &guid))?;
    let message = if let Some(name) = name {
        if chat.participants.len() <= 1 {
            return Err(Refusal::imessage(
                "Cannot rename a non-group chat!",
                "Chat is not a group",
            ));
        }
        act(&inner, "set-display-name", &guid, Change::Renamed(name)).await?;
        "Successfully updated the following fields: displayName"
    } else {
        "Chat not updated! No update information provided!"
    };
    shown(&inner, &guid, message)
}

fn shown(inner: &Inner, guid: &str, message: &str) -> Answer {
    let data = inner.look(|state| {
        state.db.chat(guid).map(|chat| render::chat(&state.db, chat, true)).unwrap_or_default()
    });
    success(message, &data)
}

async fn participant(inner: Arc<Inner>, guid: String, input: Input, added: bool) -> Answer {
    gate(&inner)?;
    let address = input.required("address")?;
    let chat = inner.look(|state| group(state, &guid))?;
    if chat.participants.len() == 1 {
        return Err(Refusal::server("Chat is not a group chat!"));
    }
    let (action, change) = if added {
        ("add-participant", Change::Added(address))
    } else {
        ("remove-participant", Change::Removed(address))
    };
    act(&inner, action, &guid, change).await?;
    shown(&inner, &guid, "Success")
}

pub(super) async fn add(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
    input: Input,
) -> Answer {
    participant(inner, guid, input, true).await
}

pub(super) async fn remove(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
    input: Input,
) -> Answer {
    participant(inner, guid, input, false).await
}

pub(super) async fn leave(Extract(inner): Extract<Arc<Inner>>, Path(guid): Path<String>) -> Answer {
    gate(&inner)?;
    inner.look(|state| group(state, &guid))?;
    act(&inner, "leave-chat", &guid, Change::Left).await?;
    done("Successfully left chat!")
}

pub(super) async fn set_icon(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
    input: Input,
) -> Answer {
    gate(&inner)?;
    if input.files.get("icon").is_none_or(|icon| icon.bytes.is_empty()) {
        return Err(Refusal::bad_request("Icon not provided or was empty!"));
    }
    inner.look(|state| group(state, &guid))?;
    act(&inner, "update-group-photo", &guid, Change::Icon(true)).await?;
    done("Successfully set group chat icon!")
}

pub(super) async fn remove_icon(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
) -> Answer {
    gate(&inner)?;
    inner.look(|state| group(state, &guid))?;
    act(&inner, "update-group-photo", &guid, Change::Icon(false)).await?;
    done("Successfully removed group chat icon!")
}

pub(super) async fn delete_chat(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
) -> Answer {
    gate(&inner)?;
    if inner.look(|state| state.db.chat(&guid).is_none()) {
        return Err(Refusal::server(format!(
            "Failed to delete chat! Chat not found. (GUID: {guid})"
        )));
    }
    helper(&inner, "delete-chat", &guid, true)
        .await
        .map_err(|_| Refusal::server("Transaction timeout"))?;
    inner.change(|state| state.db.remove_chat(&guid));
    done("Successfully deleted chat!")
}

pub(super) async fn delete_message(
    Extract(inner): Extract<Arc<Inner>>,
    Path((guid, message)): Path<(String, String)>,
) -> Answer {
    gate(&inner)?;
    if inner.look(|state| state.db.chat(&guid).is_none()) {
        return Err(Refusal::not_found("Chat does not exist!"));
    }
    if inner.look(|state| state.db.message(&message).is_none()) {
        return Err(Refusal::not_found("Message does not exist!"));
    }
    helper(&inner, "delete-message", &guid, true)
        .await
        .map_err(|_| Refusal::server("Transaction timeout"))?;
    inner.change(|state| state.db.remove(&message));
    done("Successfully deleted message!")
}
