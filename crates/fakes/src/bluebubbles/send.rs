//! The two ways of sending: AppleScript, and the private API's helper (`messageInterface.ts`, `actions.ts`).

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::{
    database::Chat,
    envelope::Refusal,
    outgoing::{Fate, Outgoing, hand_over},
    settings::SendFault,
    state::{Awaiting, HelperAction, Inner, State},
    watcher::{letters, stem},
};
use crate::stamp::apple_now;

/// Why a send did not end well.
#[derive(Debug)]
pub(super) enum Failed {
    /// Thrown with this text.
    Thrown(String),
    /// The promise of a row was broken: by this row, which is an error, or by time.
    Promise(Option<String>),
}

/// What Messages said to a script, or the helper to an action.
type Handed = Result<String, Failed>;

/// The private API can be used; else the words that the original throws.
pub(super) fn private_api(state: &State) -> Result<(), &'static str> {
    if !state.mac.private_api {
        Err("iMessage Private API is not enabled!")
    } else if !state.mac.helper_connected {
        Err("iMessage Private API Helper is not connected!")
    } else {
        Ok(())
    }
}

/// Routes that need the private API ask here first (`privateApiMiddleware`).
pub(super) fn gate(inner: &Inner) -> Result<(), Refusal> {
    inner.look(|state| private_api(state)).map_err(|error| {
        Refusal::imessage(
            "Please make sure you have completed the setup for the Private API, and your helper is connected!",
            error,
        )
    })
}

/// The helper's turn: each action keeps the next one waiting, whatever chat it is for.
///
/// Fails if nobody answers; an action that wants no answer does not wait for one.
pub(super) async fn helper(
    inner: &Arc<Inner>,
    action: &'static str,
    chat: &str,
    answered: bool,
) -> Result<(), Failed> {
    inner.look(|state| private_api(state)).map_err(|error| Failed::Thrown(error.to_owned()))?;
    let turn = Arc::clone(&inner.helper).lock_owned().await;
    let (timing, silent) = inner.look(|state| {
        state.helper_actions.push(HelperAction {
            action,
            chat: chat.to_owned(),
            at: Instant::now(),
        });
        (state.timing.clone(), state.mac.only_facetime_helper || !state.mac.helper_connected)
    });
    inner.spawn(async move {
        tokio::time::sleep(timing.action_spacing).await;
        drop(turn);
    });
    if answered && silent {
        tokio::time::sleep(timing.transaction).await;
        return Err(Failed::Thrown("Transaction timeout".to_owned()));
    }
    Ok(())
}

fn promise(inner: &Inner, out: &Outgoing) -> oneshot::Receiver<(String, bool)> {
    let (found, finds) = oneshot::channel();
    inner.look(|state| {
        let file = out.files.first().filter(|_| out.kind == "attachment");
        let limit = if file.is_some() { state.timing.file_match } else { state.timing.text_match };
        let window = i64::try_from(state.timing.match_window.as_nanos()).unwrap_or(0);
        state.awaiting.push(Awaiting {
            identifier: identifier(&out.chat).to_owned(),
            key: file.map_or_else(
                || letters(out.text.as_deref().unwrap_or_default()),
                |file| stem(&file.name).to_owned(),
            ),
            is_file: file.is_some(),
            not_before: apple_now() - window,
            until: Instant::now() + limit,
            temp_guid: out.temp_guid.clone(),
            found: Some(found),
        });
    });
    finds
}

/// The part of a chat's guid after the service and the kind.
fn identifier(guid: &str) -> &str {
    guid.splitn(3, ';').nth(2).unwrap_or(guid)
}

/// Sends, and waits for the row. Answers the guid that the caller is told.
pub(super) async fn send(inner: &Arc<Inner>, mut out: Outgoing) -> Handed {
    let finds = promise(inner, &out);
    let people = inner.look(|state| {
        state.db.chat(&out.chat).map(|chat| state.db.addresses(chat)).unwrap_or_default()
    });
    inner.look(|state| state.phones.stop_typing(&people));
    let fault = if out.method == "private-api" {
        // A send that never reaches the helper uses up no fault.
        inner.look(|state| private_api(state)).map_err(|error| Failed::Thrown(error.to_owned()))?;
        inner.look(|state| state.send_faults.pop_front())
    } else {
        inner.look(|state| state.send_faults.pop_front())
    };
    if out.method == "private-api" {
        by_helper(inner, &out, finds, fault).await
    } else {
        by_apple_script(inner, &mut out, finds, fault).await
    }
}

const NOTHING: Fate = Fate { sent: false, row: None, error: 0, later: None };

/// What a fault makes of the row.
fn fate(inner: &Inner, fault: Option<&SendFault>) -> Fate {
    inner.look(|state| {
        let sent = Fate::sent(state);
        let longest = state.timing.text_match.max(state.timing.row_wait);
        match fault {
            // After the answer has gone, so that nobody can find it before.
            Some(SendFault::NoRow { sent: true }) => Fate { row: Some(longest * 2), ..sent },
            Some(SendFault::NoRow { sent: false }) => NOTHING,
            Some(SendFault::RowLate(pause)) => {
                Fate { row: Some(state.timing.row + *pause), ..sent }
            }
            Some(SendFault::RowFails(error)) => Fate { sent: false, error: *error, ..sent },
            Some(SendFault::FailsLater { after, error }) => {
                Fate { later: Some((*after, *error)), ..sent }
            }
            _ => sent,
        }
    })
}

async fn by_helper(
    inner: &Arc<Inner>,
    out: &Outgoing,
    finds: oneshot::Receiver<(String, bool)>,
    fault: Option<SendFault>,
) -> Handed {
    let thrown = |text: &str| Err(Failed::Thrown(text.to_owned()));
    let action = match out.kind {
        "attachment" => "send-attachment",
        "multipart" => "send-multipart",
        "reaction" => "send-reaction",
        _ => "send-message",
    };
    let noun = match out.kind {
        "attachment" => ("attachment", "Attachment"),
        "reaction" => ("reaction", "Message"),
        _ => ("message", "Message"),
    };
    if fault == Some(SendFault::NotInvoked) {
        return thrown("Failed to invoke Private API!");
    }
    helper(inner, action, &out.chat, true).await?;
    let timing = inner.timing();
    let there = inner.look(|state| state.db.chat(&out.chat).is_some_and(|chat| !chat.is_filtered));
    if !there {
        return thrown("Chat does not exist!");
    }
    let stalls = inner.look(|state| state.faults.replies_stall) && out.reply_to.is_some();
    match &fault {
        Some(SendFault::HelperRefuses(text)) => return thrown(text),
        Some(SendFault::HelperSilent { sent }) => {
            if *sent {
                hand_over(inner, out, fate(inner, None));
            }
            tokio::time::sleep(timing.transaction).await;
            return thrown("Transaction timeout");
        }
        Some(SendFault::NoIdentifier { sent }) => {
            if *sent {
                hand_over(inner, out, fate(inner, None));
            }
            return thrown(&format!("Failed to send {}!", noun.0));
        }
        _ => {}
    }
    let mut fate = fate(inner, fault.as_ref());
    if stalls {
        fate.sent = false;
    }
    let guid = hand_over(inner, out, fate);
    let guid = wrong_guid(inner, out, fault, guid);
    let came = inner.until(timing.row_wait, |state| state.db.message(&guid).is_some()).await;
    if !came {
        return thrown(&format!(
            "Failed to send {}! {} not found in database after 60 seconds!",
            noun.0, noun.1
        ));
    }
    let is_sent = inner.look(|state| state.db.message(&guid).is_some_and(|row| row.is_sent));
    if out.kind == "attachment" && !is_sent {
        // A time-out here is taken for success: the row is there.
        return match tokio::time::timeout(timing.file_match, finds).await {
            Ok(Ok((_, false))) | Err(_) => Ok(guid),
            Ok(Ok((row, true))) => {
                // The promise is broken, but a row is in hand, so it is only logged.
                drop(row);
                Ok(guid)
            }
            Ok(Err(_)) => Ok(guid),
        };
    }
    Ok(guid)
}

/// The guid that the answer names: another one if that is ordered.
fn wrong_guid(inner: &Inner, out: &Outgoing, fault: Option<SendFault>, right: String) -> String {
    let Some(SendFault::WrongGuid(which)) = fault else { return right };
    which
        .or_else(|| {
            inner.look(|state| {
                let chat = state.db.chat(&out.chat)?.rowid;
                let mut own = state.db.messages.values().rev();
                own.find(|row| row.is_from_me && row.chat == chat && row.guid != right)
                    .map(|row| row.guid.clone())
            })
        })
        .unwrap_or(right)
}

async fn by_apple_script(
    inner: &Arc<Inner>,
    out: &mut Outgoing,
    finds: oneshot::Receiver<(String, bool)>,
    fault: Option<SendFault>,
) -> Handed {
    let timing = inner.timing();
    if !inner.look(|state| state.mac.automation_allowed) {
        tokio::time::sleep(timing.osascript).await;
        return Err(Failed::Thrown(script_error(out, -1743)));
    }
    // What the fault reports comes of the first try, so it needs no chat.
    if let Some(SendFault::Osascript { code, sent }) = fault {
        if sent && target(inner, out).is_ok() {
            hand_over(inner, out, fate(inner, None));
        }
        tokio::time::sleep(timing.osascript).await;
        return Err(Failed::Thrown(script_error(out, code)));
    }
    if let Err(code) = target(inner, out) {
        tokio::time::sleep(timing.osascript).await;
        return Err(Failed::Thrown(script_error(out, code)));
    }
    let fate = fate(inner, fault.as_ref());
    let guid = hand_over(inner, out, fate);
    let again = match fault {
        Some(SendFault::SentTwice) => true,
        Some(SendFault::SentTwiceByFallback) => out.chat.contains(";-;"),
        _ => false,
    };
    if again {
        tokio::time::sleep(timing.osascript).await;
        hand_over(inner, out, fate);
    }
    let limit = if out.kind == "attachment" { timing.file_match } else { timing.text_match };
    match tokio::time::timeout(limit, finds).await {
        Ok(Ok((row, false))) => Ok(wrong_guid(inner, out, fault, row)),
        Ok(Ok((row, true))) => Err(Failed::Promise(Some(row))),
        Ok(Err(_)) | Err(_) => {
            drop(guid);
            Err(Failed::Promise(None))
        }
    }
}

/// Finds the chat that the script names: by its guid, else by the participant. Else AppleScript's error.
fn target(inner: &Inner, out: &mut Outgoing) -> Result<(), i64> {
    inner.change(|state| {
        if let Some(chat) = state.db.chat(&out.chat) {
            return if chat.is_filtered { Err(-1728) } else { Ok(()) };
        }
        if !out.chat.contains(";-;") {
            return Err(-1728);
        }
        // The fallback writes `service type = any` there, which AppleScript does not know (issue 777).
        if state.mac.major() >= 26 {
            return Err(-1700);
        }
        let address = identifier(&out.chat).to_owned();
        let service = if out.chat.starts_with("SMS") { "SMS" } else { "iMessage" };
        out.chat = direct_chat(state, &address, service);
        Ok(())
    })
}

/// The guid of the chat with this person; it is made if there is none. Up to macOS 15 each service has a chat of its own.
pub(super) fn direct_chat(state: &mut State, address: &str, service: &str) -> String {
    let prefix = state.mac.guid_prefix(service);
    let is_it = |chat: &&Chat| {
        !chat.is_group && chat.identifier == address && chat.guid.starts_with(prefix)
    };
    if let Some(chat) = state.db.chats.values().find(is_it) {
        return chat.guid.clone();
    }
    let handle = state.db.handle(address, service);
    let guid = format!("{};-;{address}", state.mac.guid_prefix(service));
    state.db.put_chat(Chat {
        guid: guid.clone(),
        identifier: address.to_owned(),
        service: service.to_owned(),
        group_id: super::state::new_guid(),
        participants: vec![handle],
        ..Chat::default()
    });
    guid
}

/// What osascript leaves on its way out: the command, so the whole script, with number and text.
fn script_error(out: &Outgoing, code: i64) -> String {
    let what = match code {
        -1728 => format!("Can’t get chat id \"{}\".", out.chat),
        -1700 => "Can’t make any into type constant.".to_owned(),
        -1743 => "Not authorized to send Apple events to Messages.".to_owned(),
        -1002 => "Messages got an error: Connection is invalid.".to_owned(),
        -1712 => "Messages got an error: AppleEvent timed out.".to_owned(),
        _ => "Messages got an error: An error of type".to_owned(),
    };
    let text = out.text.as_deref().unwrap_or_default();
    format!(
        "Command failed: osascript -e \"tell application \\\"Messages\\\"\n    set targetChat to a reference to chat id \\\"{}\\\"\n    \
         send \\\"{text}\\\" to targetChat\nend tell\"\n0:50: execution error: {what} ({code})\n",
        out.chat
    )
}

/// How long an answer may take before the server gives up on it.
pub(super) fn answer_limit(inner: &Inner, path: &str) -> Duration {
    let answer = inner.look(|state| state.timing.answer);
    if path.contains("attachment") { answer * 6 } else { answer }
}
