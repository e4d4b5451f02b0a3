//! What a phone may say and PostgreSQL can't keep: the character NUL. To refuse it would stop the line's history at this
//! place for ever, so it is kept as what stands for a character that can't be shown; and an identity that has one is
//! another, but always the same.

use std::borrow::Cow;

use switchboard_model::link::{Inbound, InboundChat};

use crate::base::bounded::digest_of;

/// The guid under which this one is kept.
pub(in crate::postgres) fn keepable_guid(guid: &str) -> Cow<'_, str> {
    if guid.contains('\0') { Cow::Owned(digest_of(guid)) } else { Cow::Borrowed(guid) }
}

/// A text as it is kept.
pub(in crate::postgres) fn keepable_text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The entry as it can be kept. Handles have no such characters; and files and events lie as JSON, which can say them.
pub(super) fn keepable(mut entry: Inbound) -> Inbound {
    match &mut entry {
        Inbound::Message(told) => {
            identity(&mut told.guid);
            told.reply_to_guid.iter_mut().for_each(identity);
            told.text.iter_mut().for_each(text);
            chat(&mut told.chat);
        }
        Inbound::Own(told) => {
            identity(&mut told.guid);
            told.reply_to_guid.iter_mut().for_each(identity);
            told.text.iter_mut().for_each(text);
            chat(&mut told.chat);
        }
        Inbound::Reaction(told) => {
            identity(&mut told.guid);
            identity(&mut told.message_guid);
            chat(&mut told.chat);
        }
        Inbound::Update(told) => {
            identity(&mut told.message_guid);
            told.edit.iter_mut().filter_map(|edit| edit.text.as_mut()).for_each(text);
            told.failed.iter_mut().for_each(|failed| text(&mut failed.error));
            chat(&mut told.chat);
        }
        Inbound::Typing(told) => chat(&mut told.chat),
        Inbound::Read(told) => chat(&mut told.chat),
        Inbound::Group { chat: group } => chat(group),
        Inbound::Unreadable => {}
    }
    entry
}

fn chat(chat: &mut InboundChat) {
    if let InboundChat::Group { identifier, name, .. } = chat {
        identity(identifier);
        name.iter_mut().for_each(text);
    }
}

fn text(text: &mut String) {
    if let Cow::Owned(kept) = keepable_text(text) {
        *text = kept;
    }
}

fn identity(guid: &mut String) {
    if let Cow::Owned(kept) = keepable_guid(guid) {
        *guid = kept;
    }
}
