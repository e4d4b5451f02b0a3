//! The items in flight: which stage each is in, and what may happen next. No tasks, no I/O.
//!
//! The promise: an item is in flight from before the driver hears of it until the
//! server has settled it; what is given twice is not begun twice; what was given back is not overtaken.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use switchboard_model::{
    Chat, Line, OutboxItem,
    id::Id,
    link::{Outcome, Reconciled, ReconciledState, Report, SendItem, WINDOW_PER_LINE},
};

/// The most items in flight on one line. More than the server's window, because a finished item
/// stays here until its `settled` has arrived, and the server frees its window earlier.
pub(super) const MAX_HELD_PER_LINE: usize = 2 * WINDOW_PER_LINE;

/// The longest error text that is reported, in characters: a whole batch must fit in a frame.
const MAX_ERROR_CHARS: usize = 1_000;

/// Cuts the error of an outcome to what is reported.
pub(super) fn cut_error(outcome: &mut Outcome) {
    if let Outcome::Failed { error } = outcome
        && let Some((end, _)) = error.char_indices().nth(MAX_ERROR_CHARS)
    {
        error.truncate(end);
    }
}

/// The server gave more than any window allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overrun;

/// What became of an item that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    /// It waits in its chat's queue, which now needs a task.
    Start,
    /// It waits in its chat's queue, which a task works off.
    Wait,
    /// There is an outcome to report.
    Report,
    /// It was in flight already.
    Duplicate,
}

/// The items in flight, by id, by chat, by line.
#[derive(Default)]
pub(super) struct InFlightItems {
    held: HashMap<Id<OutboxItem>, Held>,
    chats: HashMap<Id<Chat>, ChatQueue>,
    per_line: HashMap<Id<Line>, usize>,
    unreported: VecDeque<Id<OutboxItem>>,
}

struct Held {
    order: i64,
    line_id: Id<Line>,
    chat_id: Id<Chat>,
    stage: Stage,
}

enum Stage {
    Queued,
    Running,
    /// `reported`: on the present socket.
    Finished {
        outcome: Outcome,
        reported: bool,
    },
}

/// One chat. It exists while anything of it is queued, running, or released and unsettled.
#[derive(Default)]
struct ChatQueue {
    queue: VecDeque<SendItem>,
    /// Whether a task works off this queue.
    busy: bool,
    /// Given back, and the server has not said yet that it knows. Until then later items
    /// of the chat, which it sent before it knew, must not overtake these.
    released: BTreeMap<i64, Id<OutboxItem>>,
}

impl InFlightItems {
    /// Takes one item; gives it back at once if its line is away or an earlier one was given back.
    pub(super) fn give(&mut self, item: SendItem, online: bool) -> Result<Given, Overrun> {
        let SendItem { id, order, line_id, chat_id, .. } = item;
        match self.held.get_mut(&id).map(|held| &mut held.stage) {
            // The server knows that it was given back, and gives it anew.
            Some(Stage::Finished { outcome: Outcome::Released, reported: true }) => {
                self.forget(id);
            }
            Some(Stage::Finished { reported: reported @ true, .. }) => {
                *reported = false;
                self.unreported.push_back(id);
                return Ok(Given::Report);
            }
            Some(_) => return Ok(Given::Duplicate),
            None => {}
        }
        let count = self.per_line.entry(line_id).or_default();
        if *count >= MAX_HELD_PER_LINE {
            return Err(Overrun);
        }
        *count += 1;
        self.held.insert(id, Held { order, line_id, chat_id, stage: Stage::Queued });
        let chat = self.chats.entry(chat_id).or_default();
        if !online || chat.released.range(..order).next().is_some() {
            self.finish(id, Outcome::Released);
            return Ok(Given::Report);
        }
        chat.queue.push_back(item);
        Ok(if std::mem::replace(&mut chat.busy, true) { Given::Wait } else { Given::Start })
    }

    /// The line of the item that is next in this chat.
    pub(super) fn next_line(&self, chat_id: Id<Chat>) -> Option<Id<Line>> {
        self.chats.get(&chat_id)?.queue.front().map(|item| item.line_id)
    }

    /// The item that is next in a chat, and its line. None ends the queue's task.
    pub(super) fn next(&mut self, chat_id: Id<Chat>) -> Option<(Id<OutboxItem>, Id<Line>)> {
        let chat = self.chats.get_mut(&chat_id)?;
        let next = chat.queue.front().map(|item| (item.id, item.line_id));
        if next.is_none() {
            chat.busy = false;
            self.tidy(chat_id);
        }
        next
    }

    /// Takes this item from its chat's queue and marks it as running, if it is still the next.
    pub(super) fn begin(&mut self, chat_id: Id<Chat>, next: Id<OutboxItem>) -> Option<SendItem> {
        let queue = &mut self.chats.get_mut(&chat_id)?.queue;
        let item = queue.pop_front_if(|item| item.id == next)?;
        if let Some(held) = self.held.get_mut(&item.id) {
            held.stage = Stage::Running;
        }
        Some(item)
    }

    /// Notes what came of an item. If it was given back, so is all that waits behind it.
    pub(super) fn finish(&mut self, id: Id<OutboxItem>, mut outcome: Outcome) {
        let Some(held) = self.held.get_mut(&id) else { return };
        cut_error(&mut outcome);
        let (released, chat_id, order) = (outcome == Outcome::Released, held.chat_id, held.order);
        held.stage = Stage::Finished { outcome, reported: false };
        self.unreported.push_back(id);
        if released {
            self.chats.entry(chat_id).or_default().released.insert(order, id);
            self.release_chat(chat_id);
        }
    }

    /// Gives back what this chat has not begun.
    pub(super) fn release_chat(&mut self, chat_id: Id<Chat>) {
        let Some(chat) = self.chats.get_mut(&chat_id) else { return };
        for item in chat.queue.drain(..) {
            if let Some(held) = self.held.get_mut(&item.id) {
                held.stage = Stage::Finished { outcome: Outcome::Released, reported: false };
                self.unreported.push_back(item.id);
                chat.released.insert(item.order, item.id);
            }
        }
    }

    /// Gives back what this line has not begun.
    pub(super) fn release_line(&mut self, line_id: Id<Line>) {
        let waiting: HashSet<Id<Chat>> = self
            .held
            .values()
            .filter(|held| held.line_id == line_id && matches!(held.stage, Stage::Queued))
            .map(|held| held.chat_id)
            .collect();
        for chat_id in waiting {
            self.release_chat(chat_id);
        }
    }

    /// Forgets what has not begun: the server asks for it again.
    pub(super) fn drop_queued(&mut self) {
        let queued: Vec<_> =
            self.chats.values_mut().flat_map(|chat| chat.queue.drain(..)).collect();
        for item in queued {
            self.forget(item.id);
        }
    }

    /// Forgets, with the socket, what was given back on it: said again on the next one, it
    /// could be taken for the answer to a later claim, and the item would go out twice.
    pub(super) fn drop_released(&mut self) {
        let released: Vec<_> =
            self.chats.values_mut().flat_map(|chat| std::mem::take(&mut chat.released)).collect();
        for (_, id) in released {
            self.forget(id);
        }
    }

    /// A new socket asks for these. Answers what is known here, and names what only the
    /// driver can know. Finished items that were not asked for are to be reported again.
    pub(super) fn reconcile(
        &mut self,
        ids: &[Id<OutboxItem>],
    ) -> (Vec<Reconciled>, Vec<Id<OutboxItem>>) {
        let answer = self.reconcile_more(ids);
        let asked: HashSet<Id<OutboxItem>> = ids.iter().copied().collect();
        self.unreported.clear();
        for (&id, held) in &mut self.held {
            if let Stage::Finished { reported, .. } = &mut held.stage
                && !asked.contains(&id)
            {
                *reported = false;
                self.unreported.push_back(id);
            }
        }
        answer
    }

    /// The same socket asks for more of them. What it is told of now is not reported beside it.
    pub(super) fn reconcile_more(
        &mut self,
        ids: &[Id<OutboxItem>],
    ) -> (Vec<Reconciled>, Vec<Id<OutboxItem>>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for &id in ids {
            let state = match self.held.get_mut(&id).map(|held| &mut held.stage) {
                Some(Stage::Finished { outcome, reported }) => {
                    *reported = true;
                    ReconciledState::Finished { outcome: outcome.clone() }
                }
                Some(Stage::Running) => ReconciledState::Running,
                Some(Stage::Queued) | None => {
                    unknown.push(id);
                    continue;
                }
            };
            known.push(Reconciled { id, state });
        }
        let told: HashSet<Id<OutboxItem>> = known.iter().map(|one| one.id).collect();
        self.unreported.retain(|id| !told.contains(id));
        (known, unknown)
    }

    /// At most `limit` outcomes that this socket has not carried yet.
    pub(super) fn take_reports(&mut self, limit: usize) -> Vec<Report> {
        let count = self.unreported.len().min(limit);
        let mut reports = Vec::with_capacity(count);
        for id in self.unreported.drain(..count) {
            if let Some(Held { stage: Stage::Finished { outcome, reported }, .. }) =
                self.held.get_mut(&id)
            {
                *reported = true;
                reports.push(Report { id, outcome: outcome.clone() });
            }
        }
        reports
    }

    /// The server has committed these. One that was not reported on this socket stays.
    pub(super) fn settle(&mut self, ids: &[Id<OutboxItem>]) {
        for id in ids {
            if let Some(Held { stage: Stage::Finished { reported: true, .. }, .. }) =
                self.held.get(id)
            {
                self.forget(*id);
            }
        }
    }

    /// The messages of a line that are sent, and of which the server has not said that it knows.
    pub(super) fn sent_of(&self, line_id: Id<Line>) -> Vec<Id<OutboxItem>> {
        let is_sent =
            |stage: &Stage| matches!(stage, Stage::Finished { outcome: Outcome::Sent { .. }, .. });
        let held = self.held.iter();
        held.filter(|(_, held)| held.line_id == line_id && is_sent(&held.stage))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Whether any of these is in flight.
    pub(super) fn holds_any(&self, ids: &[Id<OutboxItem>]) -> bool {
        ids.iter().any(|id| self.held.contains_key(id))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn forget(&mut self, id: Id<OutboxItem>) {
        let Some(held) = self.held.remove(&id) else { return };
        if let Some(count) = self.per_line.get_mut(&held.line_id) {
            *count -= 1;
            if *count == 0 {
                self.per_line.remove(&held.line_id);
            }
        }
        if let Some(chat) = self.chats.get_mut(&held.chat_id) {
            chat.released.remove(&held.order);
        }
        self.tidy(held.chat_id);
    }

    fn tidy(&mut self, chat_id: Id<Chat>) {
        if let Some(chat) = self.chats.get(&chat_id)
            && !chat.busy
            && chat.queue.is_empty()
            && chat.released.is_empty()
        {
            self.chats.remove(&chat_id);
        }
    }
}
