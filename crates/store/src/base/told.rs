//! What a bridge tells of a line: as whose messages and chats it is kept, and by which identity.

use std::time::Duration;

use serde::Serialize;
use switchboard_model::{
    Attachment, Chat, Handle, Message, Timestamp,
    chat::{MAX_IDENTIFIER_LEN, Service},
    id::Id,
    line::LineService,
    link::{InboundChat, InboundMessage, InboundReaction, OwnMessage},
    message::MAX_GUID_LEN,
    sandbox::code_in,
};

use super::{
    bounded::{bounded, digest_of},
    context::CachedLine,
};

/// Typing that began or ended so long ago is told to nobody.
pub(crate) const OLD_TYPING: Duration = Duration::from_secs(30);

/// A guid as it is kept.
pub(crate) fn bounded_guid(guid: String) -> String {
    bounded(guid, MAX_GUID_LEN)
}

/// The guid that a message is kept by.
pub(crate) fn guid_of_message(told: &InboundMessage) -> String {
    if told.guid.trim().is_empty() { identity_of(told) } else { bounded_guid(told.guid.clone()) }
}

/// The guid that an occurrence of a reaction is kept by.
pub(crate) fn guid_of_reaction(told: &InboundReaction) -> String {
    if told.guid.trim().is_empty() { identity_of(told) } else { bounded_guid(told.guid.clone()) }
}

/// The identity of what a driver gives none: made of all that it says, so that a repetition is still one. With an
/// empty identity for all of them, each but the first would be lost as a repetition.
fn identity_of(entry: &(impl Serialize + ?Sized)) -> String {
    let told = serde_json::to_string(entry).unwrap_or_default();
    digest_of(&told)
}

/// What the line's owner wrote on another device, as a message of the line.
pub(crate) fn by_the_line(line: &CachedLine, own: OwnMessage) -> InboundMessage {
    InboundMessage {
        guid: own.guid,
        chat: own.chat,
        sender: line.handle.clone(),
        text: own.text,
        sent_at: own.sent_at,
        service: own.service,
        reply_to_guid: own.reply_to_guid,
        attachments: own.attachments,
        is_audio_message: own.is_audio_message,
    }
}

/// The message that this becomes.
pub(crate) fn new_message(
    line: &CachedLine,
    chat: Id<Chat>,
    guid: String,
    told: InboundMessage,
    attachments: Vec<Attachment>,
    is_from_me: bool,
    now: Timestamp,
) -> Message {
    Message {
        id: Id::generate(),
        line_id: line.id,
        chat_id: chat,
        guid,
        sender: told.sender.to_string(),
        text: told.text,
        attachments,
        service: Some(told.service),
        is_from_me,
        is_audio_message: Some(told.is_audio_message),
        sent_at: told.sent_at,
        synced_at: now,
        outbox_id: None,
        reply_to_guid: told.reply_to_guid.map(bounded_guid),
        edited_at: None,
        unsent_at: None,
        delivered_at: None,
        read_at: None,
        failed_at: None,
        error: None,
    }
}

/// The code by which this message may pair its phone with the sandbox. In a group, where others read along, a code is
/// only a text; and a sender that can't be dialled is nobody's phone.
pub(crate) fn pairing_code(told: &InboundMessage) -> Option<(String, &Handle)> {
    match &told.chat {
        InboundChat::Contact { handle } if handle.is_dialable() => {
            Some((code_in(told.text.as_deref()?)?, handle))
        }
        _ => None,
    }
}

/// A chat as it is made.
#[derive(Debug, Clone)]
pub(crate) struct NewChat {
    pub(crate) identifier: String,
    pub(crate) is_group: bool,
    pub(crate) name: Option<String>,
    pub(crate) participants: Vec<String>,
}

impl NewChat {
    pub(crate) fn with_contact(handle: &Handle) -> Self {
        Self {
            identifier: handle.to_string(),
            is_group: false,
            name: None,
            participants: vec![handle.to_string()],
        }
    }

    pub(crate) fn told(chat: &InboundChat) -> Self {
        match chat {
            InboundChat::Contact { handle } => Self::with_contact(handle),
            InboundChat::Group { identifier, name, participants } => Self {
                identifier: bounded(identifier.clone(), MAX_IDENTIFIER_LEN),
                is_group: true,
                name: name.clone(),
                participants: participants.iter().map(Handle::to_string).collect(),
            },
        }
    }
}

/// What a contact is written to by who has never been heard of.
pub(crate) fn first_service(line: &CachedLine) -> Service {
    match line.service {
        LineService::Sms => Service::Sms,
        LineService::Imessage | LineService::Auto => Service::IMessage,
    }
}
