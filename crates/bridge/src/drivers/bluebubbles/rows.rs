//! What a row of Messages is to the server. No I/O.

use switchboard_model::{
    Handle, Timestamp,
    chat::Service,
    link::{
        CarriedLine, Edit, Inbound, InboundChat, InboundMessage, InboundReaction, InboundUpdate,
        OwnMessage, SendFailure,
    },
    reaction::ReactionType,
};

use super::{
    outcome,
    wire::{Chat, Row, service_of},
};
use crate::ledger::{Observation, ObservedFile, OwnRow};

/// What stands for a link's preview.
const LINK_PREVIEW: &str = "com.apple.messages.URLBalloonProvider";

/// What a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Somebody wrote.
    Message,
    /// Somebody reacted, or took a reaction back.
    Reaction {
        /// What it says; none if it is an emoji that stands elsewhere.
        named: Option<ReactionType>,
        /// Given, or taken back.
        added: bool,
    },
    /// A group has another name or other parties.
    GroupChange,
    /// A message in which nothing stands: its body may still come.
    Empty,
    /// Something that the server has no use for.
    Other,
}

/// What an observation of a message itself is known by.
pub(super) fn key(guid: &str) -> String {
    format!("row:{guid}")
}

impl Row {
    pub(super) fn meaning(&self) -> Meaning {
        match (self.item_type(), self.group_action_type) {
            (0, _) => {}
            (1 | 2, _) | (3, Some(0) | None) => return Meaning::GroupChange,
            _ => return Meaning::Other,
        }
        if let Some(of) = self.associated_message_type.as_deref()
            && self.associated_message_guid.is_some()
        {
            return self.as_tapback(of);
        }
        if self.unsent().is_some() {
            // Nobody has seen it here.
            return Meaning::Other;
        }
        if self.words().is_some() || self.files().next().is_some() {
            return Meaning::Message;
        }
        match self.balloon_bundle_id.as_deref() {
            Some(LINK_PREVIEW) => Meaning::Other,
            _ => Meaning::Empty,
        }
    }

    fn as_tapback(&self, of: &str) -> Meaning {
        let named = |name: &str| ReactionType::NAMED.into_iter().find(|one| one.as_str() == name);
        let bare = of.strip_prefix('-').unwrap_or(of);
        if let Some(kind) = named(bare) {
            return Meaning::Reaction { named: Some(kind), added: !of.starts_with('-') };
        }
        match of {
            "2006" => Meaning::Reaction { named: None, added: true },
            "3006" => Meaning::Reaction { named: None, added: false },
            // A picture that was put on a message.
            "sticker" | "2007" if self.files().next().is_some() => Meaning::Message,
            _ => Meaning::Other,
        }
    }

    /// The chat that it stands in, before all twins of the spam filter.
    pub(super) fn chat(&self) -> Option<&Chat> {
        let is_plain = |chat: &&Chat| !chat.is_masked() && chat.is_filtered != Some(true);
        // A new contact's chat is filtered as well, but has its true name.
        self.chats.iter().find(is_plain).or_else(|| self.chats.iter().find(|one| !one.is_masked()))
    }

    /// Who wrote it.
    fn sender(&self, chat: &InboundChat) -> Option<Handle> {
        let named = self.handle.as_ref().map(|handle| handle.address.as_str());
        match (named.filter(|name| !name.trim().is_empty()), chat) {
            (Some(name), _) => Some(Handle::received(name)),
            (None, InboundChat::Contact { handle }) => Some(handle.clone()),
            (None, InboundChat::Group { .. }) => None,
        }
    }

    /// Whether it is the copy that comes back of what was written to this line by itself: the other one is its own.
    pub(super) fn comes_back(&self, line: &CarriedLine) -> bool {
        let sender = self.handle.as_ref().map(|handle| Handle::received(&handle.address));
        !self.is_own() && sender.is_some_and(|sender| sender == line.handle)
    }

    /// Whether its one file is a voice memo.
    fn is_voice_memo(&self) -> bool {
        self.is_audio_message == Some(true) && self.files().count() == 1
    }

    /// Its files that are there, for the ledger.
    pub(super) fn observed_files(&self) -> Vec<ObservedFile> {
        let any = || "application/octet-stream".to_owned();
        self.files()
            .filter(|file| file.is_there())
            .map(|file| ObservedFile {
                source: file.guid.clone(),
                filename: file.transfer_name.clone(),
                mime_type: file.mime_type.clone().filter(|one| !one.is_empty()).unwrap_or_else(any),
                transcription: None,
            })
            .collect()
    }

    /// A message that came in; none if nobody can say from whom.
    pub(super) fn as_message(&self, chat: InboundChat, of: &Chat) -> Option<Observation> {
        let what = Inbound::Message(InboundMessage {
            guid: self.guid.clone(),
            sender: self.sender(&chat)?,
            chat,
            text: self.words(),
            sent_at: self.created(),
            service: service_of(self, of),
            reply_to_guid: self.thread_originator_guid.clone(),
            attachments: Vec::new(),
            is_audio_message: self.is_voice_memo(),
        });
        Some(Observation { key: key(&self.guid), what, files: self.observed_files() })
    }

    /// A message that the owner wrote on another device.
    pub(super) fn as_own(&self, chat: InboundChat, of: &Chat) -> Observation {
        let what = Inbound::Own(OwnMessage {
            guid: self.guid.clone(),
            chat,
            text: self.words(),
            sent_at: self.created(),
            service: service_of(self, of),
            reply_to_guid: self.thread_originator_guid.clone(),
            attachments: Vec::new(),
            is_audio_message: self.is_voice_memo(),
        });
        Observation { key: key(&self.guid), what, files: self.observed_files() }
    }

    /// A reaction; none to nothing, or of nobody. An own one is the line's.
    pub(super) fn as_reaction(
        &self,
        line: &CarriedLine,
        chat: InboundChat,
        reaction_type: ReactionType,
        added: bool,
    ) -> Option<InboundReaction> {
        Some(InboundReaction {
            guid: self.guid.clone(),
            sender: if self.is_own() { line.handle.clone() } else { self.sender(&chat)? },
            chat,
            message_guid: self.reacts_to()?.to_owned(),
            reaction_type,
            added,
            sent_at: self.created(),
        })
    }

    /// The message that it is about: `p:0/GUID` or `bp:GUID`.
    pub(super) fn reacts_to(&self) -> Option<&str> {
        let about = self.associated_message_guid.as_deref()?;
        let guid = about.rsplit_once('/').map_or(about, |(_, guid)| guid);
        Some(guid.strip_prefix("bp:").unwrap_or(guid)).filter(|guid| !guid.is_empty())
    }

    /// For whoever tells an echo from what the owner wrote.
    pub(super) fn as_own_row(&self, line: &CarriedLine, identifier: String, of: &Chat) -> OwnRow {
        OwnRow {
            line: line.id,
            guid: self.guid.clone(),
            identifier,
            text: self.words(),
            has_files: self.files().next().is_some(),
            sent_at: self.created(),
            service: service_of(self, of),
        }
    }

    /// What has become of a message since it was written, each thing under a key of its own.
    pub(super) fn changes(&self, chat: &InboundChat, now: Timestamp) -> Vec<Observation> {
        let mut changes = Vec::new();
        let mut add = |key: String, change: &dyn Fn(&mut InboundUpdate)| {
            let mut update = InboundUpdate::of(chat.clone(), self.guid.clone());
            change(&mut update);
            changes.push(Observation::new(key, Inbound::Update(update)));
        };
        let guid = &self.guid;
        if let Some(at) = self.unsent() {
            add(format!("unsent:{guid}"), &|update| update.unsent_at = Some(at));
        } else if let Some(at) = self.edited() {
            let edit = Edit { text: self.words(), edited_at: at };
            let key = format!("edited:{guid}:{}", at.millis());
            add(key, &move |update| update.edit = Some(edit.clone()));
        }
        if !self.is_own() {
            // When we have read it ourselves is nobody's business.
            return changes;
        }
        if let Some(error) = self.failure() {
            let failed = SendFailure { error: outcome::of_row(error), at: now };
            add(format!("failed:{guid}"), &move |update| update.failed = Some(failed.clone()));
            return changes;
        }
        let undated = || (self.is_delivered == Some(true)).then_some(now);
        let delivered = self.delivered().or_else(undated);
        if let Some(at) = delivered {
            add(format!("delivered:{guid}"), &|update| update.delivered_at = Some(at));
        }
        if let Some(at) = self.read() {
            add(format!("read:{guid}"), &|update| update.read_at = Some(at));
        }
        changes
    }

    /// That it went as SMS in the end.
    pub(super) fn as_downgraded(&self, chat: &InboundChat) -> Observation {
        let update = InboundUpdate::of(chat.clone(), self.guid.clone());
        let what = Inbound::Update(InboundUpdate { service: Some(Service::Sms), ..update });
        Observation::new(format!("downgraded:{}", self.guid), what)
    }

    /// Its files, after some came later than itself.
    pub(super) fn as_late_files(&self, chat: &InboundChat) -> Observation {
        let files = self.observed_files();
        let update = InboundUpdate::of(chat.clone(), self.guid.clone());
        let what = Inbound::Update(InboundUpdate { attachments: Some(Vec::new()), ..update });
        Observation { key: format!("files:{}:{}", self.guid, files.len()), what, files }
    }
}

/// The line that a chat belongs to, as far as the chat says: the only one, or the one whose address it was last written to.
pub(super) fn line_of_chat<'a>(lines: &'a [CarriedLine], chat: &Chat) -> Option<&'a CarriedLine> {
    if let [only] = lines {
        return Some(only);
    }
    let named = chat.last_addressed_handle.as_deref().filter(|name| !name.trim().is_empty())?;
    let handle = Handle::received(named);
    lines.iter().find(|line| line.handle == handle)
}

/// The emoji that a text may be about, the likeliest first: `Reacted 🔥 to “…”`, in whatever language.
pub(super) fn emoji_in(text: &str) -> Vec<String> {
    const LONGEST: usize = 16;
    const MOST: usize = 8;
    let letters: Vec<(usize, char)> = text.char_indices().take(400).collect();
    let end_of = |index: usize| letters.get(index).map_or(text.len(), |(at, _)| *at);
    let (mut found, mut index) = (Vec::new(), 0);
    while index < letters.len() && found.len() < MOST {
        let start = letters[index].0;
        let longest = (1..=LONGEST.min(letters.len() - index)).rev().find(|length| {
            let part = &text[start..end_of(index + length)];
            // What shows nothing round it is no part of it.
            matches!(ReactionType::received(part), Some(ReactionType::Emoji(emoji)) if same(&emoji, part))
        });
        if let Some(length) = longest {
            found.push(text[start..end_of(index + length)].to_owned());
        }
        index += longest.unwrap_or(1);
    }
    found
}

fn same(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.replace(['\u{fe0e}', '\u{fe0f}'], "");
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(more: &Value) -> Row {
        let mut row = json!({
            "originalROWID": 1, "guid": "G", "text": "hi", "dateCreated": 1_000, "isFromMe": false,
            "handle": {"address": "+15550100001", "service": "iMessage"},
            "chats": [{"guid": "any;-;+15550100001", "style": 45, "chatIdentifier": "+15550100001"}],
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    }

    fn contact() -> InboundChat {
        InboundChat::Contact { handle: Handle::received("+15550100001") }
    }

    #[test]
    fn a_row_is_what_its_columns_say() {
        let reaction = |of: &str| {
            let more = json!({"associatedMessageGuid": "p:0/T", "associatedMessageType": of});
            row(&more).meaning()
        };
        let love = Some(ReactionType::Love);
        assert_eq!(reaction("love"), Meaning::Reaction { named: love.clone(), added: true });
        assert_eq!(reaction("-love"), Meaning::Reaction { named: love, added: false });
        assert_eq!(reaction("3006"), Meaning::Reaction { named: None, added: false });
        assert_eq!(reaction("4000"), Meaning::Other);
        assert_eq!(row(&json!({"itemType": 2, "text": null})).meaning(), Meaning::GroupChange);
        assert_eq!(row(&json!({"itemType": 6, "text": null})).meaning(), Meaning::Other);
        assert_eq!(row(&json!({"text": null})).meaning(), Meaning::Empty);
        assert_eq!(row(&json!({})).meaning(), Meaning::Message);
        let unsent = json!({"text": null, "partCount": 0, "dateEdited": 5});
        assert_eq!(row(&unsent).meaning(), Meaning::Other);
        let preview = json!({"text": null, "balloonBundleId": LINK_PREVIEW});
        assert_eq!(row(&preview).meaning(), Meaning::Other);
    }

    #[test]
    fn a_reaction_is_about_a_message_however_that_is_written() {
        for about in ["p:0/T", "bp:T", "T"] {
            assert_eq!(row(&json!({"associatedMessageGuid": about})).reacts_to(), Some("T"));
        }
    }

    #[test]
    fn a_twin_of_the_spam_filter_is_no_chat() {
        let masked = json!({"guid": "any;-;+1555****001", "style": 45, "isFiltered": true});
        let plain = json!({"guid": "any;-;+15550100001", "style": 45});
        let both = row(&json!({"chats": [masked, plain]}));
        assert_eq!(both.chat().map(|chat| &*chat.guid), Some("any;-;+15550100001"));
        assert!(row(&json!({"chats": [masked]})).chat().is_none());
        let stranger = json!({"guid": "any;-;+15550100009", "style": 45, "isFiltered": true});
        assert!(row(&json!({"chats": [stranger]})).chat().is_some());
    }

    #[test]
    fn only_own_messages_are_delivered_and_read() {
        let dates = json!({"dateDelivered": 5, "dateRead": 6, "isDelivered": true});
        assert!(row(&dates).changes(&contact(), Timestamp(9)).is_empty());
        let mut own = dates;
        own["isFromMe"] = json!(true);
        let keys: Vec<String> =
            row(&own).changes(&contact(), Timestamp(9)).into_iter().map(|one| one.key).collect();
        assert_eq!(keys, ["delivered:G", "read:G"]);
        let failed = row(&json!({"isFromMe": true, "error": 22})).changes(&contact(), Timestamp(9));
        assert_eq!(failed[0].key, "failed:G");
    }

    #[test]
    fn of_several_lines_a_chat_belongs_to_the_one_that_is_named_or_to_none() {
        let line = |handle: &str| CarriedLine {
            id: switchboard_model::id::Id::generate(),
            handle: handle.parse().unwrap(),
            service: Default::default(),
            position: None,
            role: switchboard_model::link::LineRole::Active,
            since: None,
        };
        let lines = [line("+15550999991"), line("+15550999992")];
        let chat = |to: &str| -> Chat {
            serde_json::from_value(json!({"guid": "any;-;x", "lastAddressedHandle": to})).unwrap()
        };
        assert_eq!(
            line_of_chat(&lines, &chat("+15550999992")).map(|one| one.id),
            Some(lines[1].id)
        );
        assert!(line_of_chat(&lines, &chat("+15550999993")).is_none());
        assert!(line_of_chat(&lines[..1], &chat("")).is_some());
    }

    #[test]
    fn emoji_are_found_in_any_sentence() {
        assert_eq!(emoji_in("Reacted 🔥 to “party 🎉”"), ["🔥", "🎉"]);
        assert_eq!(emoji_in("Hat mit ❤️ auf „x“ reagiert"), ["❤️"]);
        assert_eq!(emoji_in("👨‍👩‍👧‍👦"), ["👨‍👩‍👧‍👦"]);
        assert!(emoji_in("Loved “x” 12").is_empty());
    }
}
