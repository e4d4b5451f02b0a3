//! `send` and `send.tracked` (rpc.md; send.md).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    dispatch::{Call, How},
    failure::{Failure, Transport},
    params::Params,
    target::{Found, Target},
};
use crate::imsg::{
    chat::Chat,
    database::Service,
    fault::Fault,
    gate::Automation,
    messages::{Outgoing, new_guid},
    row::{File, kind},
    settings::MacOs,
    state::State,
    time,
};

/// What is to be sent.
struct Send {
    target: Target,
    text: String,
    file: Option<PathBuf>,
    service: Service,
    fallback: bool,
    reply_to: Option<String>,
    /// The guid that a tracked send asks for.
    attempt: Option<String>,
}

pub(crate) const REPLY: &str = "reply_to|replyTo|reply_to_guid|message_guid";
const FORMATTING: &str = "text_formatting|textFormatting|formatting";

pub(crate) async fn send(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&[
        "to",
        "chat_id",
        "chat_identifier",
        "chat_guid",
        "text",
        "file",
        "service",
        "region",
        "transport",
        "allow_sms_fallback|allowSMSFallback",
        REPLY,
        FORMATTING,
    ])?;
    let file = params.str("file")?.filter(|file| !file.is_empty()).map(PathBuf::from);
    let send = read(&params, file, None)?;
    if send.text.is_empty() && send.file.is_none() {
        return Err(Failure::params("text or file is required"));
    }
    let transport = params.str("transport")?.unwrap_or("auto").to_owned();
    if !["auto", "bridge", "applescript"].contains(&&*transport) {
        return Err(Failure::params("transport must be auto, bridge or applescript"));
    }
    let found = send.target.find(call, send.service)?;
    let known = !matches!(found, Found::New(_));
    let mut fault = call.fault;
    if known && (transport == "bridge" || transport == "auto" && helper_ready(call)) {
        match by_helper(call, &send, &found, fault).await {
            Err(failure)
                if transport == "auto" && failure.proves_unsent() && send.reply_to.is_none() => {}
            ended => return ended,
        }
        // It has hit the helper, and does not hit AppleScript too.
        fault = None;
    } else if transport == "bridge" {
        return Err(Failure::params("bridge transport requires an existing chat target"));
    }
    if send.reply_to.is_some() {
        let detail =
            "reply_to requires bridge transport; AppleScript fallback cannot send threaded replies";
        return Err(Failure::params(detail));
    }
    by_apple_script(call, &send, &found, fault).await
}

pub(crate) async fn tracked(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&[
        "to",
        "chat_id",
        "chat_identifier",
        "chat_guid",
        "text",
        "service",
        "region",
        "transport",
        "allow_sms_fallback|allowSMSFallback",
        REPLY,
        FORMATTING,
        "attempt_id",
    ])?;
    let attempt = Uuid::parse_str(params.text("attempt_id")?);
    let attempt = attempt.map_err(|_| Failure::params("attempt_id must be a UUID"))?;
    params.text("text")?;
    if !["auto", "bridge"].contains(&params.str("transport")?.unwrap_or("auto")) {
        return Err(Failure::params("send.tracked requires bridge transport"));
    }
    let attempt = attempt.hyphenated().to_string();
    let send = read(&params, None, Some(attempt.clone()))?;
    call.database()?;
    let found = send.target.find(call, send.service)?;
    if let Found::New(_) = found {
        return Err(Failure::params("bridge transport requires an existing chat target"));
    }
    call.helped(Transport::Helper, "send-message")?;
    let used =
        |state: &State| state.db.row(&attempt).is_some() || state.reserved.contains(&attempt);
    if call.shared().look(used) {
        return Err(Failure::not_started(
            Transport::Helper,
            "send-message",
            "attempt_id is in use",
        ));
    }
    let mut result = by_helper(call, &send, &found, call.fault).await?;
    if result["guid"] != *attempt {
        let detail = "the bridge confirmed another guid";
        return Err(Failure::uncertain(Transport::Helper, "send-message", detail));
    }
    result["attempt_id"] = attempt.into();
    Ok(result)
}

fn read(params: &Params, file: Option<PathBuf>, attempt: Option<String>) -> Result<Send, Failure> {
    let service = match params.str("service")?.unwrap_or("auto") {
        "auto" => Service::Auto,
        "imessage" => Service::IMessage,
        "sms" => Service::Sms,
        _ => return Err(Failure::params("service must be auto, imessage or sms")),
    };
    params.array("text_formatting")?;
    Ok(Send {
        target: Target::read(params, true)?,
        text: params.str("text")?.unwrap_or_default().to_owned(),
        file,
        service,
        fallback: params.bool("allow_sms_fallback")?.unwrap_or(true),
        reply_to: params.str("reply_to")?.map(str::to_owned),
        attempt,
    })
}

fn helper_ready(call: &Call<'_>) -> bool {
    call.shared().look(|state| state.helper.ready())
}

/// One message, captioned if it has a file.
async fn by_helper(
    call: &Call<'_>,
    send: &Send,
    found: &Found,
    fault: Option<&Fault>,
) -> Result<Value, Failure> {
    let operation = if send.file.is_some() { "send-attachment" } else { "send-message" };
    let refuse = |detail| Err(Failure::not_started(Transport::Helper, operation, detail));
    if !helper_ready(call) {
        return refuse("the bridge is not ready; the request was not published");
    }
    let Found::Chat(chat) = found else { return refuse("no such chat") };
    if send.reply_to.as_ref().is_some_and(|parent| !in_chat(call, chat, parent)) {
        return refuse("the parent has no native thread");
    }
    let files =
        send.file.iter().map(|file| stage(call, file, operation)).collect::<Result<_, _>>()?;
    let message = Outgoing {
        text: send.text.clone(),
        files,
        reply_to: send.reply_to.clone(),
        guid: send.attempt.clone(),
        sender: own_sender(call, chat),
        ..Outgoing::default()
    };
    let how = How { reserve: send.attempt.clone(), ..How::helper(operation, call.pace()) };
    let guid = publish(call, how, fault, chat, message).await?;
    let mut result = json!({ "ok": true, "transport": "bridge", "chat_guid": chat.guid, "service": chat.service });
    if fault != Some(&Fault::NoGuid) {
        result["guid"] = guid.clone().into();
        result["message_id"] = guid.into();
    }
    Ok(result)
}

/// What an own message's row shows as its sender: in a direct chat the other one.
pub(crate) fn own_sender(call: &Call<'_>, chat: &Chat) -> String {
    if chat.group { call.own() } else { &chat.identifier }.to_owned()
}

pub(crate) fn in_chat(call: &Call<'_>, chat: &Chat, guid: &str) -> bool {
    call.shared().look(|state| state.db.row(guid).is_some_and(|row| row.chat == Some(chat.id)))
}

/// Has Messages send a message; the guid that it goes under.
pub(crate) async fn publish(
    call: &Call<'_>,
    how: How,
    fault: Option<&Fault>,
    chat: &Chat,
    mut message: Outgoing,
) -> Result<String, Failure> {
    match fault {
        Some(Fault::FailsLater(error)) => message.error = Some(*error),
        Some(Fault::Downgraded) => message.downgraded = true,
        Some(Fault::OtherGuid) => message.guid = None,
        _ => {}
    }
    let (id, ghost) = (chat.id, fault == Some(&Fault::GhostRow));
    let vanishes = fault == Some(&Fault::Vanishes);
    let handle = chat.identifier.clone();
    let pace = [call.pace().sent, call.pace().delivered];
    let mut mutation = call.mutation(&chat.guid, None, &message.text);
    let guid = call
        .carry_out(how, fault, move |state| {
            if ghost || !state.db.chats.contains_key(&id) {
                state.ghost_row(&handle);
                return None;
            }
            if vanishes {
                return Some(message.guid.unwrap_or_else(new_guid));
            }
            let guid = state.send(id, &message, pace);
            mutation.guid = Some(guid.clone());
            state.mutations.push(mutation);
            Some(guid)
        })
        .await?;
    match guid {
        Some(guid) => Ok(guid),
        None => {
            tokio::time::sleep(call.pace().verification).await;
            let detail = "Messages wrote an empty row that belongs to no chat";
            Err(Failure::uncertain(Transport::Helper, "send", detail))
        }
    }
}

/// Copies a file into Messages' folder (attachments.md): a regular file and no symbolic link.
pub(crate) fn stage(call: &Call<'_>, file: &Path, operation: &str) -> Result<File, Failure> {
    let refuse = |detail: &str| Failure::not_started(Transport::Helper, operation, detail);
    let regular = file.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    let Some(name) = file.file_name().filter(|_| regular && file.is_absolute()) else {
        return Err(refuse("staging failed: no regular file"));
    };
    let folder = call.shared().dir.join("Attachments/imsg").join(Uuid::new_v4().to_string());
    let path = folder.join(name);
    let copied = std::fs::create_dir_all(&folder).and_then(|()| std::fs::copy(file, &path));
    let total_bytes = copied.map_err(|_| refuse("staging failed: can't copy"))?;
    let name = name.to_string_lossy().into_owned();
    let (uti, mime) = kind(&name);
    Ok(File { name, uti: uti.to_owned(), mime: mime.to_owned(), path, total_bytes, coming: None })
}

/// AppleScript: text and file are two messages, and the text's row is looked for afterwards.
async fn by_apple_script(
    call: &Call<'_>,
    send: &Send,
    found: &Found,
    fault: Option<&Fault>,
) -> Result<Value, Failure> {
    let refuse = |detail| Err(Failure::not_started(Transport::AppleScript, "send", detail));
    let started = time::now();
    authorized(call).await?;
    let tahoe = call.shared().look(|state| state.macos == MacOs::Tahoe26);
    let chat = match found {
        Found::Missing => return refuse("no such chat (-1728)"),
        Found::Chat(chat) if tahoe && chat.group => return refuse("Can't get chat id (-1728)"),
        Found::Chat(chat) => chat.clone(),
        Found::New(handle) => match new_chat(call, send, handle, tahoe) {
            Some(chat) => chat,
            None => return refuse("no account reaches this recipient"),
        },
    };
    let file =
        send.file.iter().map(|file| stage(call, file, "send")).collect::<Result<Vec<_>, _>>()?;
    let own = call.own().to_owned();
    let text = (!send.text.is_empty()).then(|| Outgoing {
        text: send.text.clone(),
        sender: own.clone(),
        ..Outgoing::default()
    });
    let file =
        (!file.is_empty()).then(|| Outgoing { files: file, sender: own, ..Outgoing::default() });
    let mut guid = None;
    for (at, message) in text.into_iter().chain(file).enumerate() {
        // What goes wrong, goes wrong with the first of the two.
        let fault = fault.filter(|_| at == 0);
        let sent = publish(call, How::apple_script(call.pace()), fault, &chat, message).await;
        let sent = sent.map_err(apple_script)?;
        guid = guid.or(Some(sent));
    }
    if !call.database_ready() {
        return Ok(json!({ "ok": true }));
    }
    // Text is found by being equal, so an older row with the same text can be taken for this one.
    let look = |state: &State| {
        let recent = started - std::time::Duration::from_secs(2);
        let like = |row: &&crate::imsg::row::Row| {
            row.chat == Some(chat.id)
                && row.is_from_me
                && row.created_at >= recent
                && row.text == send.text
        };
        let by_text = state.db.rows.values().rev().find(like).filter(|_| !send.text.is_empty());
        by_text.or_else(|| state.db.row(guid.as_ref()?)).map(|row| (row.rowid, row.guid.clone()))
    };
    let mut result = json!({ "ok": true, "transport": "applescript" });
    let row = call.shared().look(look);
    if row.is_none() {
        return Err(not_seen(call, Transport::AppleScript).await);
    }
    if let Some((id, guid)) = row.filter(|_| fault != Some(&Fault::NoGuid)) {
        result["id"] = id.into();
        result["guid"] = guid.clone().into();
        result["message_id"] = guid.into();
        result["chat_guid"] = chat.guid.into();
        result["service"] = chat.service.into();
    }
    Ok(result)
}

/// What is said when a row was looked for in vain.
pub(crate) async fn not_seen(call: &Call<'_>, transport: Transport) -> Failure {
    tokio::time::sleep(call.pace().verification).await;
    Failure::uncertain(transport, "send", "no matching row was seen")
}

/// The same failure, of the other transport.
fn apple_script(mut failure: Failure) -> Failure {
    if failure.data["transport"].is_string() {
        failure.data["transport"] = "appleScript".into();
    }
    failure
}

/// Automation of Messages: refused, or a prompt that hangs until somebody answers it (permissions.md).
async fn authorized(call: &Call<'_>) -> Result<(), Failure> {
    let prompting = |state: &State| state.automation == Automation::Prompting;
    if call.shared().look(prompting) {
        let answered = call.shared().until(|state| !prompting(state));
        if tokio::time::timeout(call.pace().send_limit, answered).await.is_err() {
            let detail = "osascript was terminated at its limit";
            return Err(Failure::uncertain(Transport::AppleScript, "send", detail));
        }
    }
    if call.shared().look(|state| state.automation == Automation::Denied) {
        let error = "AppleScript failed: Not authorized to send Apple events to Messages. (-1743)";
        return Err(Failure::internal(error));
    }
    Ok(())
}

/// The chat of a first message to somebody. On macOS 26 none comes into being: its id is 0, and a ghost row is left.
fn new_chat(call: &Call<'_>, send: &Send, handle: &str, tahoe: bool) -> Option<Chat> {
    call.shared().change(|state| {
        if tahoe {
            return Some(Chat {
                id: 0,
                identifier: handle.to_owned(),
                guid: String::new(),
                service: String::new(),
                name: String::new(),
                participants: vec![handle.to_owned()],
                group: false,
                own: None,
            });
        }
        let imessage = state.phones.get(handle).is_none_or(|phone| phone.imessage);
        let phone = !handle.contains('@');
        let fallback =
            send.fallback && send.service == Service::Auto && send.file.is_none() && phone;
        let service = match send.service {
            Service::Sms => "SMS",
            Service::Auto | Service::IMessage if imessage => "iMessage",
            _ if fallback => "SMS",
            _ => return None,
        };
        let id = state.direct_chat(handle, service);
        state.db.chats.get(&id).cloned()
    })
}
