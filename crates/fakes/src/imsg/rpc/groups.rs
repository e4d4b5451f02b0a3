//! Chats and groups (rpc.md, "chats.create" and "Bridge Message Actions").

use std::path::Path;

use serde_json::{Value, json};

use super::{
    dispatch::{Call, How},
    failure::{Failure, Transport},
    params::Params,
    send::stage,
    target,
};
use crate::imsg::{chat::Chat, messages::Outgoing, state::State};

/// All addresses must be reachable by iMessage, or nothing is made.
pub(crate) async fn create(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["addresses", "service", "name", "text"])?;
    let addresses = params.strings("addresses")?.unwrap_or_default();
    if addresses.is_empty() {
        return Err(Failure::params("addresses must not be empty"));
    }
    if !params.str("service")?.unwrap_or("iMessage").eq_ignore_ascii_case("imessage") {
        return Err(Failure::params("only iMessage chats can be created"));
    }
    let handles = addresses.iter().map(|address| target::handle(address, "US"));
    let handles = handles.collect::<Result<Vec<_>, _>>()?;
    let name = params.str("name")?.unwrap_or_default().to_owned();
    let text = params.str("text")?.filter(|text| !text.is_empty()).map(str::to_owned);
    call.helped(Transport::Helper, "create-chat")?;
    let reached =
        |state: &State, handle: &str| state.phones.get(handle).is_none_or(|phone| phone.imessage);
    let missed =
        call.shared().look(|state| handles.iter().find(|handle| !reached(state, handle)).cloned());
    if let Some(handle) = missed {
        return Err(Failure::internal(format!("not reachable by iMessage: {handle}")));
    }
    let mut mutation = call.mutation("", None, text.as_deref().unwrap_or_default());
    let (pace, own) = ([call.pace().sent, call.pace().delivered], call.own().to_owned());
    let made = call.carry_out(How::helper("create-chat", call.pace()), call.fault, move |state| {
        let id = match &handles[..] {
            [handle] => state.direct_chat(handle, "iMessage"),
            handles => state.new_group(&name, handles),
        };
        let chat = state.db.chats.get(&id).cloned().expect("it was just made");
        let guid = text.map(|text| {
            let sender = if chat.group { own } else { chat.identifier.clone() };
            state.send(id, &Outgoing { text, sender, ..Outgoing::default() }, pace)
        });
        mutation.chat.clone_from(&chat.guid);
        mutation.guid.clone_from(&guid);
        state.mutations.push(mutation);
        (chat, guid)
    });
    let (chat, guid) = made.await?;
    let mut result = json!({ "ok": true, "chat_guid": chat.guid, "service": chat.service });
    if let Some(guid) = guid {
        result["message_guid"] = guid.into();
    }
    Ok(result)
}

pub(crate) async fn delete(call: &Call<'_>) -> Result<Value, Failure> {
    let params = selector(call, &[])?;
    change(call, &params, "delete-chat", "", |state, chat| {
        state.db.chats.remove(&chat.id);
        state.db.rows.retain(|_, row| row.chat != Some(chat.id));
    })
    .await
}

pub(crate) async fn mark_unread(call: &Call<'_>) -> Result<Value, Failure> {
    let params = selector(call, &[])?;
    change(call, &params, "mark-chat-unread", "", |state, chat| {
        let inbound = state
            .db
            .rows
            .values_mut()
            .rev()
            .find(|row| row.chat == Some(chat.id) && !row.is_from_me);
        if let Some(row) = inbound {
            row.is_read = false;
        }
    })
    .await
}

pub(crate) async fn rename(call: &Call<'_>) -> Result<Value, Failure> {
    let params = selector(call, &["name"])?;
    let name = params.text("name")?.to_owned();
    group(call, &params, "set-display-name", &name.clone(), move |state, chat| {
        if let Some(chat) = state.db.chats.get_mut(&chat.id) {
            chat.name = name;
        }
    })
    .await
}

pub(crate) async fn set_icon(call: &Call<'_>) -> Result<Value, Failure> {
    let params = selector(call, &["file"])?;
    let file = params.str("file")?.unwrap_or_default().to_owned();
    if !file.is_empty() {
        stage(call, Path::new(&file), "update-group-photo")?;
    }
    group(call, &params, "update-group-photo", &file, |_, _| {}).await
}

pub(crate) async fn participant(call: &Call<'_>, add: bool) -> Result<Value, Failure> {
    let params = selector(call, &["address"])?;
    let handle = target::handle(params.text("address")?, "US")?;
    let operation = if add { "add-participant" } else { "remove-participant" };
    group(call, &params, operation, &handle.clone(), move |state, chat| {
        if let Some(chat) = state.db.chats.get_mut(&chat.id) {
            chat.participants.retain(|other| *other != handle);
            if add {
                chat.participants.push(handle);
            }
        }
    })
    .await
}

pub(crate) async fn leave(call: &Call<'_>) -> Result<Value, Failure> {
    let params = selector(call, &[])?;
    group(call, &params, "leave-chat", "", |state, chat| {
        if let Some(chat) = state.db.chats.get_mut(&chat.id) {
            chat.participants.clear();
        }
    })
    .await
}

fn selector(call: &Call<'_>, more: &[&str]) -> Result<Params, Failure> {
    call.params(&[&target::SELECTORS, more].concat())
}

/// Changes a group; its chat gets the row of an event.
async fn group(
    call: &Call<'_>,
    params: &Params,
    operation: &'static str,
    text: &str,
    act: impl FnOnce(&mut State, &Chat) + Send + 'static,
) -> Result<Value, Failure> {
    let chat = target::chat(call, params, operation)?;
    if !chat.group {
        return Err(Failure::internal("not a group chat"));
    }
    change(call, params, operation, text, |state, chat| {
        act(state, chat);
        state.group_event(chat.id);
    })
    .await
}

async fn change(
    call: &Call<'_>,
    params: &Params,
    operation: &'static str,
    text: &str,
    act: impl FnOnce(&mut State, &Chat) + Send + 'static,
) -> Result<Value, Failure> {
    let chat = target::chat(call, params, operation)?;
    call.helped(Transport::Helper, operation)?;
    let mutation = call.mutation(&chat.guid, None, text);
    call.carry_out(How::action(operation, call.pace()), call.fault, move |state| {
        act(state, &chat);
        state.db.told += 1;
        state.mutations.push(mutation);
    })
    .await?;
    Ok(json!({ "ok": true }))
}
