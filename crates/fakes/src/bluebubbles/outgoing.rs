//! What is handed to Messages: it goes out, and its row comes.

use std::{sync::Arc, time::Duration};

use super::{
    database::{Attachment, Chat, Message},
    phones::Shown,
    state::{CarriedOut, Inner, State, new_guid},
};
use crate::{stamp::apple_now, wire::File};

/// Something to send.
#[derive(Debug, Clone, Default)]
pub(super) struct Outgoing {
    pub(super) kind: &'static str,
    pub(super) method: &'static str,
    pub(super) chat: String,
    pub(super) text: Option<String>,
    pub(super) files: Vec<File>,
    pub(super) is_audio: bool,
    pub(super) subject: Option<String>,
    pub(super) effect: Option<String>,
    pub(super) reply_to: Option<String>,
    pub(super) part: i64,
    /// The message that a reaction belongs to, and its number (2000 to 3007).
    pub(super) reaction: Option<(String, i64)>,
    pub(super) temp_guid: Option<String>,
    /// The own address that it goes out by; none is the Mac's.
    pub(super) own: Option<String>,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    /// The contacts get it.
    pub(super) sent: bool,
    /// When its row comes; `None` is never.
    pub(super) row: Option<Duration>,
    /// The row's error.
    pub(super) error: i64,
    /// An error that the row gets later, and when.
    pub(super) later: Option<(Duration, i64)>,
}

impl Fate {
    /// It goes out, and its row comes soon.
    pub(super) fn sent(state: &State) -> Self {
        Self { sent: true, row: Some(state.timing.row), error: 0, later: None }
    }
}

/// Messages takes it: the contacts get it now, the row comes when it comes. Answers the guid.
pub(super) fn hand_over(inner: &Arc<Inner>, out: &Outgoing, fate: Fate) -> String {
    let guid = new_guid();
    let row = inner.look(|state| {
        let chat = state.db.chat(&out.chat).cloned()?;
        let mut fate = fate;
        // Who is not on iMessage gets nothing: the row says 22.
        let people = state.db.addresses(&chat);
        if fate.error == 0
            && chat.service == "iMessage"
            && people.iter().any(|person| state.unavailable.contains(person))
        {
            fate = Fate { sent: false, error: 22, ..fate };
        }
        if fate.sent {
            state.carried_out.push(CarriedOut {
                kind: out.kind,
                method: out.method,
                chat: chat.guid.clone(),
                guid: guid.clone(),
                text: out.text.clone().unwrap_or_default(),
                temp_guid: out.temp_guid.clone(),
            });
            show(state, &chat, out, &guid, &people);
        }
        Some((row(state, &chat, out, &guid, fate), fate))
    });
    let Some((row, fate)) = row else { return guid };
    let Some(pause) = fate.row else { return guid };
    let later = fate.later;
    let of = guid.clone();
    let writer = Arc::clone(inner);
    inner.after(pause, move |state| write(&writer, state, row));
    if let Some((more, error)) = later {
        inner.after(pause + more, move |state| {
            state.db.change(&of, |row| {
                row.error = error;
                row.is_sent = false;
                row.is_delivered = false;
                row.date_delivered = 0;
            });
        });
    }
    guid
}

/// Messages writes a row, and joins it to its chat some time later.
pub(super) fn write(inner: &Arc<Inner>, state: &mut State, mut row: Message) {
    let join = state.timing.join;
    if row.joined && !join.is_zero() {
        row.joined = false;
        let guid = row.guid.clone();
        inner.after(join, move |state| {
            state.db.change(&guid, |row| row.joined = true);
        });
    }
    let own = row.own.get_or_insert_with(|| state.mac.own_handle.clone()).clone();
    if let Some(mut chat) = state.db.chats.get(&row.chat).cloned()
        && !own.is_empty()
    {
        chat.last_addressed = Some(own);
        state.db.put_chat(chat);
    }
    state.db.put(row);
}

fn show(state: &mut State, chat: &Chat, out: &Outgoing, guid: &str, people: &[String]) {
    if let Some((target, kind)) = &out.reaction {
        let name = out.text.clone().unwrap_or_default();
        state.phones.change(target, |message| {
            message.reactions.retain(|(who, _)| who != "me");
            if *kind < 3000 {
                message.reactions.push(("me".to_owned(), name.clone()));
            }
        });
        return;
    }
    let shown = Shown {
        guid: guid.to_owned(),
        chat: chat.guid.clone(),
        text: out.text.as_ref().map(|text| text.replace('\u{FFFC}', "")).filter(|t| !t.is_empty()),
        subject: out.subject.clone(),
        files: out.files.clone(),
        is_audio: out.is_audio,
        reply_to: out.reply_to.clone(),
        effect: out.effect.clone(),
        former: Vec::new(),
        unsent: false,
        reactions: Vec::new(),
        by_server: out.method != "device",
    };
    state.phones.show(people, &shown);
}

fn row(state: &mut State, chat: &Chat, out: &Outgoing, guid: &str, fate: Fate) -> Message {
    let attachments = files(state, &out.files, true, 5);
    let text = match &out.reaction {
        Some((target, kind)) => Some(reaction_text(state, target, *kind, None)),
        None if out.files.is_empty() => out.text.clone(),
        None => Some(with_signs(out.text.as_deref(), out.files.len())),
    };
    let now = apple_now();
    let delivered = state.mac.auto_deliver && fate.error == 0;
    Message {
        guid: guid.to_owned(),
        part_count: i64::from(out.text.is_some()) + i64::try_from(out.files.len()).unwrap_or(0),
        text,
        subject: out.subject.clone(),
        // The other party in a chat of two, nobody in a group.
        handle: if chat.is_group { 0 } else { chat.participants.first().copied().unwrap_or(0) },
        service: chat.service.clone(),
        error: fate.error,
        date: now,
        date_delivered: if delivered { now } else { 0 },
        is_delivered: delivered,
        is_finished: true,
        is_from_me: true,
        is_sent: fate.error == 0,
        is_audio: out.is_audio,
        associated_guid: out.reaction.as_ref().map(|(guid, _)| format!("p:{}/{guid}", out.part)),
        associated_type: out.reaction.as_ref().map(|(_, kind)| *kind),
        effect: out.effect.clone(),
        thread_guid: out.reply_to.clone(),
        thread_part: out.reply_to.as_ref().map(|_| format!("{}:0:1", out.part)),
        chat: chat.rowid,
        joined: true,
        own: out.own.clone(),
        attachments,
        ..Message::default()
    }
}

/// One sign for each file, and then the text.
pub(super) fn with_signs(text: Option<&str>, files: usize) -> String {
    format!("{}{}", "\u{FFFC}".repeat(files), text.unwrap_or_default())
}

/// Rows for files that come with a message.
pub(super) fn files(
    state: &mut State,
    files: &[File],
    is_outgoing: bool,
    transfer_state: i64,
) -> Vec<i64> {
    files
        .iter()
        .map(|file| {
            state.db.put_attachment(Attachment {
                rowid: 0,
                guid: if is_outgoing { new_guid() } else { format!("at_0_{}", new_guid()) },
                name: file.name.clone(),
                mime_type: file.mime_type.clone(),
                uti: uti(&file.mime_type).to_owned(),
                transfer_state,
                is_outgoing,
                bytes: file.bytes.clone(),
                on_disk: transfer_state == 5,
            })
        })
        .collect()
}

fn uti(mime_type: &str) -> &'static str {
    match mime_type {
        "image/jpeg" => "public.jpeg",
        "image/png" => "public.png",
        "image/heic" => "public.heic",
        "audio/x-caf" | "audio/caf" => "com.apple.coreaudio-format",
        "video/quicktime" => "com.apple.quicktime-movie",
        "application/pdf" => "com.adobe.pdf",
        _ => "public.data",
    }
}

/// The number of a reaction's name; a removal begins with `-`.
pub(super) fn reaction_number(name: &str) -> Option<i64> {
    const NAMES: [&str; 6] = ["love", "like", "dislike", "laugh", "emphasize", "question"];
    let (base, name) = name.strip_prefix('-').map_or((2000, name), |name| (3000, name));
    let at = NAMES.iter().position(|known| *known == name)?;
    Some(base + i64::try_from(at).unwrap_or(0))
}

/// What Messages writes for a reaction.
pub(super) fn reaction_text(state: &State, target: &str, kind: i64, emoji: Option<&str>) -> String {
    let row = state.db.message(target);
    let quoted = match row.and_then(Message::shown_text) {
        Some(text) => format!("“{text}”"),
        None => "an attachment".to_owned(),
    };
    let verb = match kind {
        2000 => "Loved",
        2001 => "Liked",
        2002 => "Disliked",
        2003 => "Laughed at",
        2004 => "Emphasized",
        2005 => "Questioned",
        2006 => return format!("Reacted {} to {quoted}", emoji.unwrap_or_default()),
        3000 => "Removed a heart from",
        3001 => "Removed a like from",
        3002 => "Removed a dislike from",
        3003 => "Removed a laugh from",
        3004 => "Removed an exclamation from",
        3005 => "Removed a question mark from",
        3006 => return format!("Removed {} from {quoted}", emoji.unwrap_or_default()),
        _ => "Reacted with a sticker to",
    };
    format!("{verb} {quoted}")
}
