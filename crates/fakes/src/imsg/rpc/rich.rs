//! `send.rich`, `send.attachment`, `send.multipart`: by the helper, into chats that exist (rpc.md, "Bridge Message
//! Actions").

use std::path::Path;

use serde_json::{Value, json};

use super::{
    dispatch::{Call, How},
    failure::{Failure, Transport},
    send::{REPLY, in_chat, not_seen, own_sender, publish, stage},
    target,
};
use crate::imsg::{chat::Chat, fault::Fault, messages::Outgoing};

pub(crate) async fn rich(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&[
        "chat_id",
        "chat_identifier",
        "chat_guid",
        "text|message",
        "effect_id|effect|effectId",
        "subject",
        REPLY,
        "part_index|partIndex",
        "dd_scan|ddScan",
        "text_formatting|textFormatting|formatting",
        "file|path",
        "url",
    ])?;
    let url = params.str("url")?;
    let text = params.str("text")?.unwrap_or_default().to_owned();
    let file = params.str("file")?.map(Path::new);
    let modifiers =
        ["text", "file", "effect_id", "subject", "reply_to", "part_index", "text_formatting"];
    if url.is_some() && modifiers.into_iter().any(|name| params.has(name)) {
        return Err(Failure::params("url excludes all other parameters"));
    }
    if url.is_none() && text.is_empty() && file.is_none() {
        return Err(Failure::params("text is required"));
    }
    params.bounded("part_index", 0, [0, i64::MAX])?;
    params.bool("dd_scan")?;
    params.array("text_formatting")?;
    if file.is_some() {
        call.database()?;
    }
    let operation = if file.is_some() { "send-attachment" } else { "send-message" };
    let reply_to = params.str("reply_to")?.map(str::to_owned);
    let chat = target::chat(call, &params, operation)?;
    ready(call, &chat, reply_to.as_deref(), operation)?;
    let message = Outgoing {
        text: url.map_or(text, str::to_owned),
        files: file.iter().map(|file| stage(call, file, operation)).collect::<Result<_, _>>()?,
        reply_to,
        subject: params.str("subject")?.map(str::to_owned),
        effect: params.str("effect_id")?.map(str::to_owned),
        sender: own_sender(call, &chat),
        ..Outgoing::default()
    };
    deliver(call, &chat, operation, message, file.is_some()).await
}

pub(crate) async fn attachment(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&[
        "chat_id",
        "chat_identifier",
        "chat_guid",
        "file|path",
        "audio|is_audio|as_voice",
        REPLY,
        "part_index|partIndex",
    ])?;
    let file = Path::new(params.text("file")?);
    let voice = params.bool("audio")?.unwrap_or(false);
    let reply_to = params.str("reply_to")?.map(str::to_owned);
    params.bounded("part_index", 0, [0, i64::MAX])?;
    if params.has("part_index") && reply_to.is_none() {
        return Err(Failure::params("part_index requires reply_to"));
    }
    let operation = "send-attachment";
    let chat = target::chat(call, &params, operation)?;
    ready(call, &chat, reply_to.as_deref(), operation)?;
    let mut staged = stage(call, file, operation)?;
    if voice {
        // Made into CAF with Opus by `afconvert` from 0.15 on; before, the file goes as it is.
        if !staged.mime.starts_with("audio/") {
            let detail = "afconvert can't read the file";
            return Err(Failure::not_started(Transport::Helper, operation, detail));
        }
        if call.child.settings.at_least([0, 15, 0]) {
            "Audio Message.caf".clone_into(&mut staged.name);
            "com.apple.coreaudio-format".clone_into(&mut staged.uti);
            "audio/x-caf".clone_into(&mut staged.mime);
        }
    }
    let message = Outgoing {
        files: vec![staged],
        reply_to,
        voice,
        sender: own_sender(call, &chat),
        ..Outgoing::default()
    };
    deliver(call, &chat, operation, message, false).await
}

pub(crate) async fn multipart(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&[
        "chat_id",
        "chat_identifier",
        "chat_guid",
        "parts",
        "effect_id|effect|effectId",
        "subject",
    ])?;
    let parts = params.array("parts")?.unwrap_or_default();
    if !(1..=20).contains(&parts.len()) {
        return Err(Failure::params("parts must have 1 to 20 items"));
    }
    let text = |part: &Value| {
        let known = ["text", "text_formatting", "textFormatting"];
        let fields =
            part.as_object().filter(|fields| fields.keys().all(|key| known.contains(&&**key)));
        let text =
            fields.and_then(|fields| fields.get("text")?.as_str()).filter(|text| !text.is_empty());
        text.map(str::to_owned)
            .ok_or_else(|| Failure::params("each part must be an object with text"))
    };
    let texts = parts.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    call.database()?;
    let chat = target::chat(call, &params, "send-multipart")?;
    ready(call, &chat, None, "send-multipart")?;
    let message = Outgoing {
        text: texts.concat(),
        subject: params.str("subject")?.map(str::to_owned),
        effect: params.str("effect_id")?.map(str::to_owned),
        sender: own_sender(call, &chat),
        ..Outgoing::default()
    };
    let mut result = deliver(call, &chat, "send-multipart", message, true).await?;
    result["parts_count"] = texts.len().into();
    Ok(result)
}

/// Fails before dispatch if the helper can't, or the parent of a reply has no thread.
fn ready(
    call: &Call<'_>,
    chat: &Chat,
    reply_to: Option<&str>,
    operation: &str,
) -> Result<(), Failure> {
    call.helped(Transport::Helper, operation)?;
    if reply_to.is_some_and(|parent| !in_chat(call, chat, parent)) {
        let detail = "the parent has no native thread";
        return Err(Failure::not_started(Transport::Helper, operation, detail));
    }
    Ok(())
}

/// Sends; one that is `verified` has its row in the answer.
async fn deliver(
    call: &Call<'_>,
    chat: &Chat,
    operation: &'static str,
    message: Outgoing,
    verified: bool,
) -> Result<Value, Failure> {
    let how = How::helper(operation, call.pace());
    let guid = publish(call, how, call.fault, chat, message).await?;
    let mut result = json!({ "ok": true, "chat_guid": chat.guid });
    if verified || call.fault != Some(&Fault::NoGuid) {
        result["guid"] = guid.clone().into();
        result["message_id"] = guid.clone().into();
    }
    if verified {
        let row = call.shared().look(|state| state.db.row(&guid).map(|row| row.rowid));
        let Some(row) = row else { return Err(not_seen(call, Transport::Helper).await) };
        result["id"] = row.into();
    }
    Ok(result)
}
