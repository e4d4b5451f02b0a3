//! The phones in memory: exactly what the journal's records say, in bounds.
//!
//! [`Phones::apply`] is the one way in, for a record just written as for one replayed, so
//! what a restart brings back is what was there.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use switchboard_model::{
    Chat, Handle, OutboxItem,
    id::Id,
    link::{Inbound, InboundChat, Outcome, Report},
    simulator::PhoneMessage,
};

use super::journal::{Entry, Group, KnownChat, Place, Record, Shown, With};

/// The newest messages that one phone shows.
pub(super) const MAX_PER_PHONE: usize = 10_000;
/// The newest messages on all phones together.
pub(super) const MAX_SHOWN: usize = 200_000;
/// The newest items whose outcome is known. Far more than all windows of the link together,
/// for an item that is forgotten here could go out twice.
pub(super) const MAX_OUTCOMES: usize = 65_536;
/// The newest chats with contacts whose ids are known.
pub(super) const MAX_CONTACT_CHATS: usize = 65_536;
/// The most groups.
pub(super) const MAX_GROUPS: usize = 10_000;
/// The most entries of a line that wait for the server.
pub(super) const MAX_WAITING: usize = 100_000;

/// The phones and the lines' histories.
#[derive(Default)]
pub(super) struct Phones {
    pub(super) epoch: String,
    /// Oldest first, over all phones: what is dropped first.
    shown: VecDeque<Shown>,
    phones: HashMap<Handle, VecDeque<Arc<PhoneMessage>>>,
    outcomes: HashMap<Id<OutboxItem>, Outcome>,
    outcome_order: VecDeque<Id<OutboxItem>>,
    groups: HashMap<String, Group>,
    chats: HashMap<Id<Chat>, (Handle, With)>,
    contact_chat_order: VecDeque<Id<Chat>>,
    histories: HashMap<Handle, History>,
}

/// What happened on a line and has not been received by the server.
#[derive(Default)]
struct History {
    /// The number of the last entry that ever was.
    last: u64,
    waiting: VecDeque<(u64, Inbound)>,
}

impl Phones {
    /// Makes a record true.
    pub(super) fn apply(&mut self, record: Record) {
        if let Some(epoch) = record.epoch {
            self.epoch = epoch;
        }
        if let Some(Report { id, outcome }) = record.outcome
            && self.outcomes.insert(id, outcome).is_none()
        {
            self.outcome_order.push_back(id);
            if self.outcome_order.len() > MAX_OUTCOMES
                && let Some(oldest) = self.outcome_order.pop_front()
            {
                self.outcomes.remove(&oldest);
            }
        }
        if let Some(shown) = record.shown {
            self.show(shown);
        }
        if let Some(group) = record.group {
            self.groups.insert(group.identifier.clone(), group);
        }
        for chat in record.chats {
            self.know(chat);
        }
        if let Some(Entry { at, what }) = record.entry {
            let history = self.histories.entry(at.line).or_default();
            history.last = history.last.max(at.n);
            history.waiting.push_back((at.n, what));
        }
        if let Some(Place { line, n }) = record.received {
            let history = self.histories.entry(line).or_default();
            history.last = history.last.max(n);
            while history.waiting.front().is_some_and(|(at, _)| *at <= n) {
                history.waiting.pop_front();
            }
        }
    }

    fn show(&mut self, shown: Shown) {
        for handle in &shown.on {
            let phone = self.phones.entry(handle.clone()).or_default();
            phone.push_back(Arc::clone(&shown.message));
            if phone.len() > MAX_PER_PHONE {
                phone.pop_front();
            }
        }
        self.shown.push_back(shown);
        if self.shown.len() > MAX_SHOWN
            && let Some(oldest) = self.shown.pop_front()
        {
            for handle in &oldest.on {
                if let Some(phone) = self.phones.get_mut(handle) {
                    // Each phone is in the same order, so it is the first there, or gone already.
                    if phone.front().is_some_and(|first| Arc::ptr_eq(first, &oldest.message)) {
                        phone.pop_front();
                    }
                    if phone.is_empty() {
                        self.phones.remove(handle);
                    }
                }
            }
        }
    }

    fn know(&mut self, chat: KnownChat) {
        let is_contact = matches!(chat.with, With::Contact(_));
        if self.chats.insert(chat.id, (chat.line, chat.with)).is_none() && is_contact {
            self.contact_chat_order.push_back(chat.id);
            if self.contact_chat_order.len() > MAX_CONTACT_CHATS
                && let Some(oldest) = self.contact_chat_order.pop_front()
            {
                self.chats.remove(&oldest);
            }
        }
    }

    /// What came of an item, if it was ever begun.
    pub(super) fn outcome(&self, id: Id<OutboxItem>) -> Option<&Outcome> {
        self.outcomes.get(&id)
    }

    /// What a phone shows, oldest first.
    pub(super) fn shown_on(&self, handle: &Handle) -> Vec<PhoneMessage> {
        self.phones.get(handle).into_iter().flatten().map(|message| (**message).clone()).collect()
    }

    pub(super) fn group(&self, identifier: &str) -> Option<&Group> {
        self.groups.get(identifier)
    }

    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The line and the other party of a chat whose id is known.
    pub(super) fn chat(&self, id: Id<Chat>) -> Option<&(Handle, With)> {
        self.chats.get(&id)
    }

    /// The entry that would come next on a line; none if too many wait already.
    pub(super) fn next_entry(&self, line: &Handle, what: Inbound) -> Option<Entry> {
        let history = self.histories.get(line);
        if history.is_some_and(|history| history.waiting.len() >= MAX_WAITING) {
            return None;
        }
        let n = history.map_or(0, |history| history.last) + 1;
        Some(Entry { at: Place { line: line.clone(), n }, what })
    }

    /// At most `limit` entries of a line after a place, and the place after them.
    pub(super) fn entries_after(
        &self,
        line: &Handle,
        after: u64,
        limit: usize,
    ) -> Option<(u64, Vec<Inbound>)> {
        let waiting = &self.histories.get(line)?.waiting;
        let from = waiting.partition_point(|(n, _)| *n <= after);
        let entries: Vec<_> =
            waiting.range(from..).take(limit).map(|(_, what)| what.clone()).collect();
        let last = waiting.get(from + entries.len().checked_sub(1)?)?.0;
        Some((last, entries))
    }

    /// The place up to which the server has a line's history.
    pub(super) fn received(&self, line: &Handle) -> u64 {
        let Some(history) = self.histories.get(line) else { return 0 };
        history.waiting.front().map_or(history.last, |(first, _)| first - 1)
    }

    /// The groups of a line of which the server has been told but whose ids never came back.
    pub(super) fn unconfirmed_groups(&self, line: &Handle) -> Vec<Group> {
        let confirmed = self.chats.values().filter_map(|(_, with)| match with {
            With::Group(identifier) => Some(identifier),
            With::Contact(_) => None,
        });
        let history = self.histories.get(line);
        let waiting = history.into_iter().flat_map(|history| &history.waiting);
        let waiting = waiting.filter_map(|(_, what)| match what {
            Inbound::Group { chat: InboundChat::Group { identifier, .. } } => Some(identifier),
            _ => None,
        });
        let settled: HashSet<&String> = confirmed.chain(waiting).collect();
        let of_line = self.groups.values().filter(|group| group.line == *line);
        of_line.filter(|group| !settled.contains(&group.identifier)).cloned().collect()
    }

    /// How many records say all that is in memory.
    pub(super) fn record_count(&self) -> usize {
        let waiting: usize = self.histories.values().map(|history| history.waiting.len() + 1).sum();
        1 + self.shown.len() + self.outcomes.len() + self.groups.len() + self.chats.len() + waiting
    }

    /// The records that say all that is in memory.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        let epoch = Record { epoch: Some(self.epoch.clone()), ..Record::default() };
        let shown = self
            .shown
            .iter()
            .map(|shown| Record { shown: Some(shown.clone()), ..Record::default() });
        let outcomes = self.outcome_order.iter().filter_map(|id| {
            let outcome = self.outcomes.get(id)?.clone();
            Some(Record { outcome: Some(Report { id: *id, outcome }), ..Record::default() })
        });
        let groups = self
            .groups
            .values()
            .map(|group| Record { group: Some(group.clone()), ..Record::default() });
        let group_chats = self
            .chats
            .iter()
            .filter(|(_, (_, with))| matches!(with, With::Group(_)))
            .map(|(id, _)| id);
        let chats = self.contact_chat_order.iter().chain(group_chats).filter_map(|id| {
            let (line, with) = self.chats.get(id)?.clone();
            Some(Record { chats: vec![KnownChat { id: *id, line, with }], ..Record::default() })
        });
        let histories = self.histories.iter().flat_map(|(line, history)| {
            let received = Place { line: line.clone(), n: self.received(line) };
            let received = Record { received: Some(received), ..Record::default() };
            std::iter::once(received).chain(history.waiting.iter().map(|(n, what)| {
                let at = Place { line: line.clone(), n: *n };
                Record { entry: Some(Entry { at, what: what.clone() }), ..Record::default() }
            }))
        });
        std::iter::once(epoch)
            .chain(shown)
            .chain(outcomes)
            .chain(groups)
            .chain(chats)
            .chain(histories)
    }
}
