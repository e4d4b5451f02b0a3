//! The people and the phones behind a driver, the same to a test whatever carries the line.

mod android;
mod bluebubbles;
mod imsg;
mod simulator;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

pub(super) use self::simulator::Simulated;

/// A file as a phone shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShownFile {
    pub(super) name: String,
    pub(super) sha256: String,
}

impl ShownFile {
    pub(super) fn new(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), sha256: HEXLOWER.encode(&Sha256::digest(bytes)) }
    }
}

/// A message of the line's as a contact's phone shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its identity; empty where phones show none.
    pub(super) guid: String,
    pub(super) text: String,
    pub(super) files: Vec<ShownFile>,
    pub(super) reply_to: Option<String>,
    pub(super) is_group: bool,
    pub(super) is_audio: bool,
}

/// A file that somebody sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) mime_type: &'static str,
    pub(super) bytes: &'static [u8],
}

/// What people do, and what their phones show. What answers whether it was done says no where there is no such thing behind
/// this driver.
#[async_trait::async_trait]
pub(super) trait Phones: Send + Sync {
    /// A contact writes to the line.
    async fn writes(&self, from: &str, text: &str);

    /// What a contact's phone shows of the line's messages, the oldest first.
    async fn shown(&self, person: &str) -> Vec<Shown>;

    /// A contact answers a message.
    async fn replies(&self, _from: &str, _guid: &str, _text: &str) -> bool {
        false
    }

    /// A contact sends a file.
    async fn sends_file(&self, _from: &str, _file: Sample) -> bool {
        false
    }

    /// A contact sends a voice memo.
    async fn sends_memo(&self, _from: &str, _memo: Sample) -> bool {
        false
    }

    /// A contact reacts to a message, or takes the reaction back.
    async fn reacts(&self, _from: &str, _guid: &str, _reaction: &str, _add: bool) -> bool {
        false
    }

    /// What a contact's phone shows of the line's reactions to a message.
    async fn reactions_on(&self, _person: &str, _guid: &str) -> Vec<String> {
        Vec::new()
    }

    /// A contact begins or stops typing.
    async fn types(&self, _from: &str, _on: bool) -> bool {
        false
    }

    /// Whether a contact's phone shows that the line types.
    async fn sees_typing(&self, _person: &str) -> bool {
        false
    }

    /// Whether a contact's phone shows that the line has read what was written to it.
    async fn sees_read(&self, _person: &str) -> bool {
        false
    }

    /// A message of the line's arrives. It may do so by itself.
    async fn delivers(&self, _guid: &str) -> bool {
        false
    }

    /// A contact reads a message of the line's.
    async fn reads(&self, _from: &str, _guid: &str) -> bool {
        false
    }

    /// The next message of the line's is taken, and turns out not to have arrived.
    async fn next_fails_later(&self) -> bool {
        false
    }

    /// A message that was taken turns out not to have arrived, if that is not ordered before.
    async fn fails_later(&self, _guid: &str) {}

    /// A contact edits a message.
    async fn edits(&self, _guid: &str, _text: &str) -> bool {
        false
    }

    /// A contact takes a message back.
    async fn unsends(&self, _guid: &str) -> bool {
        false
    }

    /// The line's owner writes to a contact on another device.
    async fn owner_writes(&self, _to: &str, _text: &str) -> bool {
        false
    }

    /// Makes a group of contacts and the line.
    async fn group(&self, _name: &str, _people: &[&str]) -> Option<String> {
        None
    }

    /// A contact writes in a group.
    async fn writes_in(&self, _group: &str, _from: &str, _text: &str) {}

    /// What carries the line is away, or back.
    async fn away(&self, away: bool);

    /// The next reply of the line's certainly does not go out.
    async fn refuse_next(&self, to: &str);

    /// The next message of the line's goes out, and nobody says so. Whether that turns up later.
    async fn lose_next(&self) -> bool;
}
