//! `message/:guid/edit` and `/unsend`: what Messages does to a message that was sent (`messageRouter.ts`, `resultAwaiter`).

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use serde_json::Value;

use super::{
    envelope::{Answer, Refusal, success},
    input::Input,
    send::{helper, private_api},
    sending::{refused, sent_form},
    state::{Inner, State},
};
use crate::stamp::apple_now;

pub(super) async fn edit(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
    input: Input,
) -> Answer {
    let text = input.required("editedMessage")?;
    input.required("backwardsCompatibilityMessage")?;
    input.number("partIndex", 0, i64::MAX)?;
    let act = |state: &mut State, guid: &str| edit_row(state, guid, &text);
    let data = changed(&inner, &guid, "edit-message", "Message Edit Error", act).await?;
    success("Message edited!", &data)
}

pub(super) async fn unsend(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
    input: Input,
) -> Answer {
    input.number("partIndex", 0, i64::MAX)?;
    let data = changed(&inner, &guid, "unsend-message", "Unsend Message Error", unsend_row).await?;
    success("Message unsent!", &data)
}

/// Has the helper change a row and waits until its date of edit grows. If it never does, that is a success too.
async fn changed(
    inner: &Arc<Inner>,
    guid: &str,
    action: &'static str,
    message: &str,
    act: impl FnOnce(&mut State, &str),
) -> Result<Value, Refusal> {
    let (chat, before) = inner.look(|state| {
        let Some(row) = state.db.message(guid) else {
            return Err(Refusal::bad_request("Selected message does not exist!"));
        };
        let chat = state.db.chats.get(&row.chat).filter(|_| row.joined);
        let Some(chat) = chat else {
            return Err(Refusal::bad_request("Associated chat not found!"));
        };
        private_api(state).map_err(|error| Refusal::imessage(message, error))?;
        if state.mac.major() < 13 {
            return Err(Refusal::imessage(
                message,
                "Unsend message is only supported on macOS Ventura and newer!",
            ));
        }
        Ok((chat.guid.clone(), row.date_edited))
    })?;
    helper(inner, action, &chat, true)
        .await
        .map_err(|failed| refused(inner, failed, message, "message"))?;
    inner.change(|state| {
        if !state.faults.edits_ignored {
            act(state, guid);
        }
    });
    let wait = inner.timing().change_wait;
    inner
        .until(wait, |state| state.db.message(guid).is_some_and(|row| row.date_edited > before))
        .await;
    Ok(inner
        .look(|state| state.db.message(guid).map(|row| sent_form(state, row)))
        .unwrap_or_default())
}

/// Messages edits a message, here and on the contacts' phones. Only the sender can: anything else changes nothing.
fn edit_row(state: &mut State, guid: &str, text: &str) {
    if state.db.message(guid).is_some_and(|row| row.is_from_me && row.text.is_some()) {
        write_edit(state, guid, text);
    }
}

pub(super) fn write_edit(state: &mut State, guid: &str, text: &str) {
    let now = apple_now();
    state.db.change(guid, |row| {
        let before = row.date_edited.max(row.date);
        row.former.push((before, row.text.clone().unwrap_or_default()));
        row.text = Some(text.to_owned());
        row.date_edited = now;
    });
    state.phones.change(guid, |message| {
        let old = message.text.replace(text.to_owned());
        message.former.push(old.unwrap_or_default());
    });
}

fn unsend_row(state: &mut State, guid: &str) {
    if state.db.message(guid).is_some_and(|row| row.is_from_me && row.part_count > 0) {
        write_unsend(state, guid);
    }
}

/// Messages takes a message back: the row stays, empty; `date_retracted` stays 0.
pub(super) fn write_unsend(state: &mut State, guid: &str) {
    let now = apple_now();
    state.db.change(guid, |row| {
        row.retracted_parts = (0..row.part_count.max(1)).collect();
        row.part_count = 0;
        row.text = None;
        row.date_edited = now;
    });
    state.phones.change(guid, |message| {
        message.text = None;
        message.files.clear();
        message.unsent = true;
    });
}
