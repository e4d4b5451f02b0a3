//! What each contact's phone really shows. The judge of "nothing was sent twice".

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tokio::time::Instant;

use crate::wire::File;

/// A message as a contact's phone shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its guid, the same on each phone.
    pub guid: String,
    /// The chat's guid, as the Mac has it.
    pub chat: String,
    /// What it says now.
    pub text: Option<String>,
    /// Its subject line.
    pub subject: Option<String>,
    /// Its files.
    pub files: Vec<File>,
    /// It plays as a voice memo.
    pub is_audio: bool,
    /// The guid that it replies to.
    pub reply_to: Option<String>,
    /// Its effect.
    pub effect: Option<String>,
    /// What it said before each edit.
    pub former: Vec<String>,
    /// It was taken back.
    pub unsent: bool,
    /// What stands at it now, with who put it there; the owner is `me`.
    pub reactions: Vec<(String, String)>,
    /// It came through the server, not from another device of the owner.
    pub by_server: bool,
}

/// Everybody's phones.
#[derive(Debug, Default)]
pub(super) struct Phones {
    shown: BTreeMap<String, Vec<Shown>>,
    /// Since when the owner is shown as typing, by the contact who sees it.
    typing: HashMap<String, Instant>,
    /// Whose newest messages the owner has read, as the contact sees it, by chat.
    pub(super) read: HashMap<String, usize>,
}

impl Phones {
    pub(super) fn show(&mut self, people: &[String], message: &Shown) {
        for person in people {
            self.typing.remove(person);
            self.shown.entry(person.clone()).or_default().push(message.clone());
        }
    }

    /// Changes the message wherever it is shown.
    pub(super) fn change(&mut self, guid: &str, change: impl Fn(&mut Shown)) {
        for message in self.shown.values_mut().flatten().filter(|message| message.guid == guid) {
            change(message);
        }
    }

    pub(super) fn of(&self, person: &str) -> Vec<Shown> {
        self.shown.get(person).cloned().unwrap_or_default()
    }

    pub(super) fn start_typing(&mut self, people: &[String]) {
        for person in people {
            self.typing.insert(person.clone(), Instant::now());
        }
    }

    pub(super) fn stop_typing(&mut self, people: &[String]) {
        for person in people {
            self.typing.remove(person);
        }
    }

    pub(super) fn shows_typing(&self, person: &str, lapse: Duration) -> bool {
        self.typing.get(person).is_some_and(|since| since.elapsed() < lapse)
    }
}
