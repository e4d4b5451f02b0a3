//! What a row of Messages is to the server. No I/O.

use switchboard_model::{
    Handle,
    link::{CarriedLine, Inbound, InboundChat, InboundMessage, InboundReaction, OwnMessage},
    reaction::ReactionType,
};

use super::{
    chats,
    rpc::{Attachment, Chat, Row, service},
};
use crate::ledger::{Observation, ObservedFile, OwnRow};

/// Stands in a text where a file is.
const FILE_MARK: char = '\u{fffc}';
/// What a voice memo is to Apple.
const VOICE_MEMO: &str = "com.apple.coreaudio-format";

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Somebody wrote.
    Message,
    /// Somebody reacted, or took a reaction back.
    Reaction,
    /// Nothing stands in it: a change of a group, a message that was taken back, or one whose body is still to come.
    Empty,
    /// Something that the server has no use for.
    Other,
}

impl Row {
    pub(super) fn meaning(&self) -> Meaning {
        if self.is_reaction {
            return Meaning::Reaction;
        }
        if self.poll.is_some() {
            return Meaning::Other;
        }
        if self.plain_text().is_none() && self.files().next().is_none() {
            return Meaning::Empty;
        }
        Meaning::Message
    }

    /// The text without the marks of files.
    pub(super) fn plain_text(&self) -> Option<String> {
        let text: String = self.text.chars().filter(|c| *c != FILE_MARK).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Its files, without what is part of a link's preview.
    pub(super) fn files(&self) -> impl Iterator<Item = &Attachment> {
        let is_preview = |file: &&Attachment| {
            let name = file.transfer_name.as_deref().or(file.original_path.as_deref());
            name.is_some_and(|name| name.ends_with(".pluginPayloadAttachment"))
        };
        let previews = self.balloon_bundle_id.is_some();
        self.attachments.iter().filter(move |file| !previews && !is_preview(file))
    }

    /// Whether a file of it is not on this machine yet.
    pub(super) fn lacks_files(&self) -> bool {
        self.files().any(|file| file.missing || file.original_path.is_none())
    }

    pub(super) fn is_in_group(&self) -> bool {
        let (guid, identifier) = (&self.chat_guid, &self.chat_identifier);
        chats::is_group(guid, identifier, self.is_group, self.participants.len())
    }

    /// Whether it is the copy that comes back of what was written to this line by itself: the other one is its own.
    pub(super) fn comes_back(&self, line: &CarriedLine) -> bool {
        let sender = Handle::received(&self.sender);
        let reached = self.destination_caller_id.as_deref().map(Handle::received);
        !self.is_from_me && (sender == line.handle || reached.is_some_and(|own| own == sender))
    }

    /// The names of the group that it stands in.
    pub(super) fn group_names(&self) -> Vec<String> {
        [&self.chat_guid, &self.chat_identifier]
            .into_iter()
            .filter(|name| !name.is_empty())
            .cloned()
            .collect()
    }

    /// The chat as the server knows it, `group` if it is one.
    pub(super) fn chat(&self, group: Option<String>) -> InboundChat {
        match group {
            Some(identifier) => InboundChat::Group {
                identifier,
                name: (!self.chat_name.is_empty()).then(|| self.chat_name.clone()),
                participants: self.participants.iter().map(|one| Handle::received(one)).collect(),
            },
            None => InboundChat::Contact { handle: Handle::received(&self.chat_identifier) },
        }
    }

    /// Whether its one file is a voice memo.
    pub(super) fn is_voice_memo(&self) -> bool {
        let mut files = self.files();
        let (Some(file), None) = (files.next(), files.next()) else { return false };
        let is_caf = file.transfer_name.as_deref().is_some_and(|name| {
            name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("caf"))
        });
        file.uti.as_deref() == Some(VOICE_MEMO) && is_caf
    }

    /// Its files that are there, for the ledger.
    pub(super) fn observed_files(&self) -> Vec<ObservedFile> {
        // The text of a voice memo is what is said in it.
        let said = self.is_voice_memo().then(|| self.plain_text()).flatten();
        let observed = |file: &Attachment| {
            let source = file.original_path.clone().filter(|_| !file.missing)?;
            let mime_type = file.mime_type.clone().filter(|one| !one.is_empty());
            Some(ObservedFile {
                source,
                filename: file.transfer_name.clone(),
                mime_type: mime_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
                transcription: said.clone(),
            })
        };
        self.files().filter_map(observed).collect()
    }

    /// A message that came in.
    pub(super) fn as_message(&self, chat: InboundChat, of: Option<&Chat>) -> Observation {
        let is_audio_message = self.is_voice_memo();
        let what = Inbound::Message(InboundMessage {
            guid: self.guid.clone(),
            chat,
            sender: Handle::received(&self.sender),
            text: if is_audio_message { None } else { self.plain_text() },
            sent_at: self.created_at,
            service: service(of.map(|chat| &*chat.service)),
            reply_to_guid: self.thread_originator_guid.clone(),
            attachments: Vec::new(),
            is_audio_message,
        });
        self.observation(what)
    }

    /// A message that the owner wrote on another device.
    pub(super) fn as_own(&self, chat: InboundChat, of: Option<&Chat>) -> Observation {
        let is_audio_message = self.is_voice_memo();
        let what = Inbound::Own(OwnMessage {
            guid: self.guid.clone(),
            chat,
            text: if is_audio_message { None } else { self.plain_text() },
            sent_at: self.created_at,
            service: service(of.map(|chat| &*chat.service)),
            reply_to_guid: self.thread_originator_guid.clone(),
            attachments: Vec::new(),
            is_audio_message,
        });
        self.observation(what)
    }

    /// A reaction; none of a kind that the server does not know, or to nothing. An own one is the line's.
    pub(super) fn as_reaction(
        &self,
        line: &CarriedLine,
        chat: InboundChat,
    ) -> Option<InboundReaction> {
        let about = self.reacted_to_guid.as_deref().filter(|guid| !guid.is_empty())?;
        let reaction_type = match self.reaction_type.as_deref() {
            Some("emphasis") => ReactionType::Emphasize,
            Some("custom") | None => ReactionType::received(self.reaction_emoji.as_deref()?)?,
            Some(named) => ReactionType::received(named)?,
        };
        let sender = match self.is_from_me {
            true => line.handle.clone(),
            false => Handle::received(&self.sender),
        };
        Some(InboundReaction {
            guid: self.guid.clone(),
            chat,
            message_guid: bare_guid(about).to_owned(),
            sender,
            reaction_type,
            added: self.is_reaction_add.unwrap_or(true),
            sent_at: self.created_at,
        })
    }

    /// For whoever tells an echo from what the owner wrote.
    pub(super) fn as_own_row(
        &self,
        line: &CarriedLine,
        identifier: String,
        of: Option<&Chat>,
    ) -> OwnRow {
        OwnRow {
            line: line.id,
            guid: self.guid.clone(),
            identifier,
            text: self.plain_text(),
            has_files: self.files().next().is_some(),
            sent_at: self.created_at,
            service: service(of.map(|chat| &*chat.service)),
        }
    }

    pub(super) fn observation(&self, what: Inbound) -> Observation {
        Observation { key: format!("row:{}", self.guid), what, files: self.observed_files() }
    }
}

/// The line that a row belongs to: the one whose address it names. One that names none is the only line's, or of several that
/// of its chat.
pub(super) fn line_of<'a>(
    lines: &'a [CarriedLine],
    row: &Row,
    chat: Option<&Chat>,
) -> Option<&'a CarriedLine> {
    let of = |named: &str| lines.iter().find(|line| is_named(&line.handle, named));
    let named = row.destination_caller_id.as_deref().filter(|named| !named.trim().is_empty());
    match (named, lines) {
        (Some(named), _) => of(named),
        (None, [only]) => Some(only),
        (None, _) => {
            let chat = chat?;
            let last = chat.last_addressed_handle.as_deref();
            of(last.filter(|last| !last.trim().is_empty()).or(chat.account_login.as_deref())?)
        }
    }
}

/// Whether Messages means this handle: `E:me@example.com`, `P:+15550100001`, or the same without what it begins with, a
/// number perhaps without its country.
fn is_named(handle: &Handle, named: &str) -> bool {
    /// Fewer digits are no number of a person.
    const LEAST: usize = 7;
    let named = named.trim();
    let bare = match named.as_bytes() {
        [b'E' | b'P' | b'e' | b'p', b':', ..] => &named[2..],
        _ => named,
    };
    let received = Handle::received(bare);
    if received == *handle {
        return true;
    }
    let digits =
        |text: &str| text.bytes().filter(u8::is_ascii_digit).map(char::from).collect::<String>();
    let is_number =
        |text: &str| !text.contains(|letter: char| letter == '@' || letter.is_alphabetic());
    let national = digits(bare);
    let national = national.trim_start_matches('0');
    is_number(handle.as_str())
        && is_number(bare)
        && !received.is_dialable()
        && national.len() >= LEAST
        && digits(handle.as_str()).ends_with(national)
}

/// A guid without the part of the message that it is about.
fn bare_guid(about: &str) -> &str {
    about.rsplit_once('/').map_or(about, |(_, guid)| guid).trim_start_matches("bp:")
}
