//! The phones in memory: exactly what the journal's records say, in bounds.
//!
//! [`Phones::apply`] is the one way in, for a record just written as for one replayed, so
//! what a restart brings back is what was there. Typing indicators alone are not in the
//! journal: they are gone in a minute anyway.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use switchboard_model::{
    Chat, Handle, OutboxItem, Timestamp,
    id::Id,
    link::{Inbound, InboundChat, Outcome, Report},
    simulator::{MessageReaction, Phone, PhoneChange, PhoneReaction, PhoneRead},
    typing::EXPIRES_AFTER_MS,
};

use super::{
    capped_map::CappedMap,
    history::Histories,
    journal::{
        Features, Group, KeptFile, KnownChat, Reacted, ReadBy, ReadUpTo, Record, Shown, With,
    },
};

/// The newest messages that one phone shows.
pub(super) const MAX_PER_PHONE: usize = 10_000;
/// The newest messages on all phones together.
pub(super) const MAX_SHOWN: usize = 200_000;
/// The newest items whose outcome is known. Far more than all windows of the link together,
/// for an item that is forgotten here could go out twice.
pub(super) const MAX_OUTCOMES: usize = 65_536;
/// The newest chats with contacts whose ids are known, and those that lines have read.
pub(super) const MAX_CONTACT_CHATS: usize = 65_536;
/// The most groups.
pub(super) const MAX_GROUPS: usize = 10_000;
/// The most chats in which lines type at the same time.
const MAX_TYPING: usize = 10_000;

/// The phones and the lines' histories.
pub(super) struct Phones {
    pub(super) epoch: String,
    pub(super) histories: Histories,
    /// Oldest first, over all phones: what is dropped first.
    shown: VecDeque<Arc<Shown>>,
    phones: HashMap<Handle, VecDeque<Arc<Shown>>>,
    by_guid: HashMap<String, Arc<Shown>>,
    /// By the message's guid; of one sender there is one reaction, as in Messages.
    reactions: HashMap<String, Vec<PhoneReaction>>,
    /// By the message's guid: those that are not as they were sent.
    changes: HashMap<String, PhoneChange>,
    outcomes: CappedMap<Id<OutboxItem>, Outcome>,
    groups: HashMap<String, Group>,
    contact_chats: CappedMap<Id<Chat>, KnownChat>,
    group_chats: HashMap<Id<Chat>, KnownChat>,
    read: CappedMap<(Handle, With), Timestamp>,
    /// By contact and line the guid of the line's last message that the contact has read.
    read_by: CappedMap<(Handle, Handle), String>,
    /// Lines without the advanced features.
    plain: HashSet<Handle>,
    /// Until when a line types in a chat.
    typing: HashMap<(Handle, With), Timestamp>,
}

impl Default for Phones {
    fn default() -> Self {
        Self {
            epoch: String::new(),
            histories: Histories::default(),
            shown: VecDeque::new(),
            phones: HashMap::new(),
            by_guid: HashMap::new(),
            reactions: HashMap::new(),
            changes: HashMap::new(),
            outcomes: CappedMap::new(MAX_OUTCOMES),
            groups: HashMap::new(),
            contact_chats: CappedMap::new(MAX_CONTACT_CHATS),
            group_chats: HashMap::new(),
            read: CappedMap::new(MAX_CONTACT_CHATS),
            read_by: CappedMap::new(MAX_CONTACT_CHATS),
            plain: HashSet::new(),
            typing: HashMap::new(),
        }
    }
}

impl Phones {
    /// Makes a record true. Returns the files that nobody waits for any more.
    pub(super) fn apply(&mut self, record: Record) -> Vec<KeptFile> {
        if let Some(epoch) = record.epoch {
            self.epoch = epoch;
        }
        if let Some(Report { id, outcome }) = record.outcome {
            self.outcomes.insert(id, outcome);
        }
        for shown in record.shown {
            self.show(shown);
        }
        if let Some(reacted) = record.reaction {
            self.react(reacted);
        }
        if let Some(change) = record.change
            && self.by_guid.contains_key(&change.message_guid)
        {
            self.changes.insert(change.message_guid.clone(), change);
        }
        if let Some(ReadBy { contact, line, guid }) = record.read_by {
            self.read_by.insert((contact, line), guid);
        }
        if let Some(ReadUpTo { line, with, at }) = record.read {
            self.read.insert((line, with), at);
        }
        if let Some(group) = record.group {
            self.groups.insert(group.identifier.clone(), group);
        }
        for chat in record.chats {
            match chat.with {
                With::Contact(_) => self.contact_chats.insert(chat.id, chat),
                With::Group(_) => drop(self.group_chats.insert(chat.id, chat)),
            }
        }
        if let Some(Features { line, advanced }) = record.features {
            if advanced {
                self.plain.remove(&line)
            } else {
                self.plain.insert(line)
            };
        }
        for entry in record.entries {
            self.histories.enter(entry);
        }
        record.received.map_or_else(Vec::new, |place| self.histories.receive(place))
    }

    fn show(&mut self, shown: Shown) {
        let shown = Arc::new(shown);
        let message = &shown.message;
        // A message ends its sender's typing.
        if message.from == message.line {
            self.typing.remove(&(message.line.clone(), shown.with.clone()));
        }
        for handle in &shown.on {
            let phone = self.phones.entry(handle.clone()).or_default();
            phone.push_back(Arc::clone(&shown));
            if phone.len() > MAX_PER_PHONE {
                phone.pop_front();
            }
        }
        self.by_guid.insert(message.guid.clone(), Arc::clone(&shown));
        self.shown.push_back(shown);
        if self.shown.len() > MAX_SHOWN
            && let Some(oldest) = self.shown.pop_front()
        {
            self.by_guid.remove(&oldest.message.guid);
            self.reactions.remove(&oldest.message.guid);
            self.changes.remove(&oldest.message.guid);
            for handle in &oldest.on {
                if let Some(phone) = self.phones.get_mut(handle) {
                    // Each phone is in the same order, so it is the first there, or gone already.
                    if phone.front().is_some_and(|first| Arc::ptr_eq(first, &oldest)) {
                        phone.pop_front();
                    }
                    if phone.is_empty() {
                        self.phones.remove(handle);
                    }
                }
            }
        }
    }

    fn react(&mut self, Reacted { message_guid, reaction, removed }: Reacted) {
        if !self.by_guid.contains_key(&message_guid) {
            return;
        }
        let on_it = self.reactions.entry(message_guid.clone()).or_default();
        // A new one takes the place of the old one; only the very one that is there can be taken back.
        on_it.retain(|one| one.from != reaction.from || (removed && *one != reaction));
        if !removed {
            on_it.push(reaction);
        } else if on_it.is_empty() {
            self.reactions.remove(&message_guid);
        }
    }

    /// A line begins or stops typing in a chat.
    pub(super) fn type_in(&mut self, line: Handle, with: With, on: bool, now: Timestamp) {
        self.typing.retain(|_, until| *until > now);
        if !on {
            self.typing.remove(&(line, with));
        } else if self.typing.len() < MAX_TYPING {
            self.typing.insert((line, with), now + Duration::from_millis(EXPIRES_AFTER_MS));
        }
    }

    /// What a phone shows.
    pub(super) fn phone(&self, handle: &Handle, now: Timestamp) -> Phone {
        let mut phone = Phone::default();
        for shown in self.phones.get(handle).into_iter().flatten() {
            let guid = &shown.message.guid;
            let reactions = self.reactions.get(guid).map_or(&[][..], Vec::as_slice);
            phone.reactions.extend(reactions.iter().map(|reaction| MessageReaction {
                message_guid: guid.clone(),
                reaction: reaction.clone(),
            }));
            let change = self.changes.get(guid);
            phone.changes.extend(change.cloned());
            if shown.message.from != *handle {
                let mut message = shown.message.clone();
                message.reactions = reactions.to_vec();
                if let Some(change) = change {
                    message.text.clone_from(&change.text);
                    (message.edited_at, message.unsent_at) = (change.edited_at, change.unsent_at);
                    if message.unsent_at.is_some() {
                        message.attachments.clear();
                    }
                }
                phone.messages.push(message);
            }
        }
        let typing = self
            .typing
            .iter()
            .filter(|((_, with), until)| **until > now && self.is_in(handle, with));
        phone.typing = typing.map(|((line, _), _)| line.clone()).collect();
        phone.typing.sort();
        phone.typing.dedup();
        for ((line, with), at) in self.read.iter() {
            if !self.is_in(handle, with) {
                continue;
            }
            match phone.read.iter_mut().find(|read| read.line == *line) {
                Some(read) => read.read_at = read.read_at.max(*at),
                None => phone.read.push(PhoneRead { line: line.clone(), read_at: *at }),
            }
        }
        phone
    }

    /// Whether a contact is in the chat that a line has with these.
    pub(super) fn is_in(&self, handle: &Handle, with: &With) -> bool {
        match with {
            With::Contact(contact) => contact == handle,
            With::Group(identifier) => {
                self.groups.get(identifier).is_some_and(|group| group.has(handle))
            }
        }
    }

    /// What came of an item, if it was ever begun.
    pub(super) fn outcome(&self, id: Id<OutboxItem>) -> Option<&Outcome> {
        self.outcomes.get(&id)
    }

    /// The message with this guid.
    pub(super) fn message(&self, guid: &str) -> Option<&Shown> {
        self.by_guid.get(guid).map(Arc::as_ref)
    }

    /// What became of a message.
    pub(super) fn change(&self, guid: &str) -> Option<&PhoneChange> {
        self.changes.get(guid)
    }

    /// What a line wrote in the 1:1 chat with a contact who has not read it yet: guids, oldest first, at
    /// most the newest `most`.
    pub(super) fn unread(&self, contact: &Handle, line: &Handle, most: usize) -> Vec<String> {
        let Some(phone) = self.phones.get(contact) else { return Vec::new() };
        let last = self.read_by.get(&(contact.clone(), line.clone()));
        let mut unread: Vec<_> = phone
            .iter()
            .rev()
            .filter(|shown| shown.message.line == *line && shown.message.from == *line)
            .filter(|shown| matches!(shown.with, With::Contact(_)))
            .map(|shown| &shown.message.guid)
            .take_while(|guid| Some(*guid) != last)
            .take(most)
            .cloned()
            .collect();
        unread.reverse();
        unread
    }

    /// What somebody has said about a message: one reaction at most, as in Messages.
    pub(super) fn reaction_of(&self, from: &Handle, guid: &str) -> Option<&PhoneReaction> {
        self.reactions.get(guid)?.iter().find(|one| one.from == *from)
    }

    pub(super) fn group(&self, identifier: &str) -> Option<&Group> {
        self.groups.get(identifier)
    }

    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Whether a line has the advanced features.
    pub(super) fn is_advanced(&self, line: &Handle) -> bool {
        !self.plain.contains(line)
    }

    /// A chat whose id is known.
    pub(super) fn chat(&self, id: Id<Chat>) -> Option<&KnownChat> {
        self.contact_chats.get(&id).or_else(|| self.group_chats.get(&id))
    }

    /// The groups of a line of which the server has been told but whose ids never came back.
    pub(super) fn unconfirmed_groups(&self, line: &Handle) -> Vec<Group> {
        let confirmed = self.group_chats.values().filter_map(|chat| match &chat.with {
            With::Group(identifier) => Some(identifier),
            With::Contact(_) => None,
        });
        let waiting = self.histories.waiting(line).filter_map(|what| match what {
            Inbound::Group { chat: InboundChat::Group { identifier, .. } } => Some(identifier),
            _ => None,
        });
        let settled: HashSet<&String> = confirmed.chain(waiting).collect();
        let of_line = self.groups.values().filter(|group| group.line == *line);
        of_line.filter(|group| !settled.contains(&group.identifier)).cloned().collect()
    }

    /// How many records say all that is in memory.
    pub(super) fn record_count(&self) -> usize {
        let chats = self.contact_chats.len() + self.group_chats.len();
        let reactions: usize = self.reactions.values().map(Vec::len).sum();
        let read = self.read.len() + self.read_by.len();
        let phones = self.shown.len() + reactions + self.changes.len() + read + self.plain.len();
        1 + phones + self.outcomes.len() + self.groups.len() + chats + self.histories.record_count()
    }

    /// The records that say all that is in memory.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        let epoch = Record { epoch: Some(self.epoch.clone()), ..Record::default() };
        let shown = self
            .shown
            .iter()
            .map(|shown| Record { shown: vec![Shown::clone(shown)], ..Record::default() });
        let reactions = self.reactions.iter().flat_map(|(guid, reactions)| {
            reactions.iter().map(|reaction| {
                let (message_guid, reaction) = (guid.clone(), reaction.clone());
                let reacted = Reacted { message_guid, reaction, removed: false };
                Record { reaction: Some(reacted), ..Record::default() }
            })
        });
        let changes = self
            .changes
            .values()
            .map(|change| Record { change: Some(change.clone()), ..Record::default() });
        let read_by = self.read_by.iter().map(|((contact, line), guid)| {
            let (contact, line, guid) = (contact.clone(), line.clone(), guid.clone());
            Record { read_by: Some(ReadBy { contact, line, guid }), ..Record::default() }
        });
        let read = self.read.iter().map(|((line, with), at)| {
            let read = ReadUpTo { line: line.clone(), with: with.clone(), at: *at };
            Record { read: Some(read), ..Record::default() }
        });
        let outcomes = self.outcomes.iter().map(|(id, outcome)| {
            let report = Report { id: *id, outcome: outcome.clone() };
            Record { outcome: Some(report), ..Record::default() }
        });
        let groups = self
            .groups
            .values()
            .map(|group| Record { group: Some(group.clone()), ..Record::default() });
        let chats = self.contact_chats.iter().map(|(_, chat)| chat);
        let chats = chats
            .chain(self.group_chats.values())
            .map(|chat| Record { chats: vec![chat.clone()], ..Record::default() });
        let features = self.plain.iter().map(|line| {
            let features = Features { line: line.clone(), advanced: false };
            Record { features: Some(features), ..Record::default() }
        });
        std::iter::once(epoch)
            .chain(shown)
            .chain(reactions)
            .chain(changes)
            .chain(read_by)
            .chain(read)
            .chain(outcomes)
            .chain(groups)
            .chain(chats)
            .chain(features)
            .chain(self.histories.records())
    }
}
