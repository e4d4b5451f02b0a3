//! What a bridge holds unreported: the window that bounds how much more it is handed.

use std::collections::{HashMap, HashSet};

use switchboard_model::{
    Chat, Line, OutboxItem,
    id::Id,
    link::{SendItem, WINDOW_PER_CHAT, WINDOW_PER_LINE},
};

#[derive(Debug, Default)]
pub(super) struct SendWindow {
    items: HashMap<Id<OutboxItem>, (Id<Line>, Id<Chat>)>,
    lines: HashMap<Id<Line>, HashMap<Id<Chat>, usize>>,
    /// Lines that may have items for which there was no room.
    held_back: HashSet<Id<Line>>,
}

impl SendWindow {
    pub(super) fn add(&mut self, item: &SendItem) {
        if self.items.insert(item.id, (item.line_id, item.chat_id)).is_none() {
            *self.lines.entry(item.line_id).or_default().entry(item.chat_id).or_default() += 1;
        }
    }

    /// Room may be made while the line's items are looked for: until they have been, it counts as one that holds some back.
    pub(super) fn begin_claim(&mut self, line: Id<Line>) -> (usize, Vec<Id<Chat>>) {
        self.held_back.insert(line);
        self.room(line)
    }

    /// All of the line's items are handed out.
    pub(super) fn nothing_held_back(&mut self, line: Id<Line>) {
        self.held_back.remove(&line);
    }

    /// Whether the line may have more items now that it has room.
    pub(super) fn holds_back(&self, line: Id<Line>) -> bool {
        self.held_back.contains(&line)
    }

    /// Answers which line it is of, if it was held.
    pub(super) fn remove(&mut self, id: Id<OutboxItem>) -> Option<Id<Line>> {
        let (line, chat) = self.items.remove(&id)?;
        let Some(chats) = self.lines.get_mut(&line) else { return Some(line) };
        if let Some(count) = chats.get_mut(&chat) {
            *count -= 1;
            if *count == 0 {
                chats.remove(&chat);
            }
        }
        if chats.is_empty() {
            self.lines.remove(&line);
        }
        Some(line)
    }

    /// How many more items this line may be handed, and the chats that may get none of them.
    fn room(&self, line: Id<Line>) -> (usize, Vec<Id<Chat>>) {
        let Some(chats) = self.lines.get(&line) else { return (WINDOW_PER_LINE, vec![]) };
        let held: usize = chats.values().sum();
        let full = chats.iter().filter(|(_, count)| **count >= WINDOW_PER_CHAT);
        (WINDOW_PER_LINE.saturating_sub(held), full.map(|(chat, _)| *chat).collect())
    }
}

#[cfg(test)]
mod tests {
    use switchboard_model::link::Content;

    use super::*;

    fn item(line_id: Id<Line>, chat_id: Id<Chat>) -> SendItem {
        SendItem {
            id: Id::generate(),
            order: 1,
            line_id,
            chat_id,
            identifier: String::new(),
            is_group: false,
            content: Content::Read,
        }
    }

    #[test]
    fn the_window_fills_and_empties() {
        let (line, chat) = (Id::generate(), Id::generate());
        let mut window = SendWindow::default();
        let items: Vec<_> = (0..WINDOW_PER_CHAT).map(|_| item(line, chat)).collect();
        for item in &items {
            window.add(item);
            window.add(item);
        }
        assert_eq!(window.room(line), (WINDOW_PER_LINE - WINDOW_PER_CHAT, vec![chat]));
        assert_eq!(window.room(Id::generate()), (WINDOW_PER_LINE, vec![]));
        for item in &items {
            assert_eq!(window.remove(item.id), Some(line));
            assert_eq!(window.remove(item.id), None);
        }
        assert_eq!(window.room(line), (WINDOW_PER_LINE, vec![]));
        assert!(window.items.is_empty() && window.lines.is_empty());
    }
}
