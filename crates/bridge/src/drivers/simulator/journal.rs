//! The simulator's memory that outlives its process: a file of facts, one JSON object a line.
//!
//! The promise: once [`Journal::append`] has returned, the record survives a `kill -9`; and a record
//! is there whole or not at all (a torn last line is cut off at the next start). It
//! is not flushed to the disk: a phone in a simulator need not survive a power cut.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize};
use switchboard_model::{
    Chat, Handle, Timestamp,
    id::Id,
    link::{Inbound, Report},
    simulator::{PhoneChange, PhoneFile, PhoneMessage, PhoneReaction},
};

/// What became true together. Each part may stand alone, and does after compaction.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// The name of this journal's life: positions of another life mean nothing here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) epoch: Option<String>,
    /// What came of an outbox item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<Report>,
    /// Messages that phones show.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) shown: Vec<Shown>,
    /// A reaction that phones show, or show no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reaction: Option<Reacted>,
    /// A message that phones show otherwise now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) change: Option<PhoneChange>,
    /// A contact has read what a line wrote in their 1:1 chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) read_by: Option<ReadBy>,
    /// A line has read a chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) read: Option<ReadUpTo>,
    /// What a line can do now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) features: Option<Features>,
    /// Entries in lines' histories. Journals of before had one at most, under the name of `entry`.
    #[serde(
        alias = "entry",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    pub(super) entries: Vec<Entry>,
    /// A group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<Group>,
    /// Chats whose ids have become known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) chats: Vec<KnownChat>,
    /// How far the server has a line's history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) received: Option<EntryPosition>,
}

/// A message, the chat it stands in, and the contacts on whose phones it is, who wrote it among them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Shown {
    pub(super) on: Vec<Handle>,
    pub(super) with: With,
    pub(super) message: PhoneMessage,
}

/// A reaction, given or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reacted {
    pub(super) message_guid: String,
    pub(super) reaction: PhoneReaction,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) removed: bool,
}

/// Up to when a line has read a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReadUpTo {
    pub(super) line: Handle,
    pub(super) with: With,
    pub(super) at: Timestamp,
}

/// Up to which of a line's messages a contact has read their 1:1 chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReadBy {
    pub(super) contact: Handle,
    pub(super) line: Handle,
    pub(super) guid: String,
}

/// Whether a line has the advanced features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Features {
    pub(super) line: Handle,
    pub(super) advanced: bool,
}

/// One entry of a line's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) at: EntryPosition,
    /// A message stands here without its attachments: what they are on the server is not known yet.
    pub(super) what: Inbound,
    /// Those attachments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<KeptFile>,
}

/// A file that waits for the server; its bytes are beside the journal, named by their SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptFile {
    #[serde(flatten)]
    pub(super) shown: PhoneFile,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) transcription: Option<String>,
}

/// A place in a line's history: the n-th entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EntryPosition {
    pub(super) line: Handle,
    pub(super) n: u64,
}

/// A group of contacts with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) identifier: String,
    pub(super) line: Handle,
    pub(super) name: Option<String>,
    pub(super) participants: Vec<Handle>,
}

/// The server's id of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownChat {
    pub(super) id: Id<Chat>,
    pub(super) line: Handle,
    pub(super) with: With,
}

/// Whom a chat is with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum With {
    Contact(Handle),
    Group(String),
}

/// The open file.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    len: u64,
    /// What stands after `len` is a piece of a record that could not be cut off.
    torn: bool,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens the file, or makes it, and replays what it holds.
    ///
    /// # Errors
    /// When the file can't be opened, read or cut, or when a whole line of it is no record.
    pub(super) fn open(path: &Path, mut replay: impl FnMut(Record)) -> io::Result<Self> {
        let file = options().open(path)?;
        let mut reader = BufReader::new(&file);
        let (mut len, mut line, mut number) = (0u64, Vec::new(), 0u64);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                break;
            }
            number += 1;
            // The parser's own message may quote the line, and with it a text.
            replay(serde_json::from_slice(&line).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "line {number} of {} is no record of the simulator; move the file away to \
                         start with fresh phones",
                        path.display()
                    ),
                )
            })?);
            len += read as u64;
        }
        drop(reader);
        // Whatever stands after the last whole line was being written when the process died.
        file.set_len(len)?;
        Ok(Self { path: path.to_owned(), file, len, torn: false, buffer: Vec::new() })
    }

    /// How long the file is, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Writes one record with one call to the system.
    ///
    /// # Errors
    /// When it could not be written; then nothing of it stays in the file.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        self.buffer.clear();
        encode(record, &mut self.buffer)?;
        // A torn line in the middle would make the whole file unreadable.
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        if let Err(error) = self.file.write_all(&self.buffer) {
            self.torn = self.file.set_len(self.len).is_err();
            return Err(error);
        }
        self.len += self.buffer.len() as u64;
        Ok(())
    }

    /// Puts a new file with just these records in the old one's place, all at once.
    ///
    /// # Errors
    /// When the new file could not be written; then the old one stays.
    pub(super) fn rewrite(&mut self, records: impl Iterator<Item = Record>) -> io::Result<()> {
        let fresh = self.path.with_extension("jsonl.new");
        let rewritten = self.rewrite_to(&fresh, records);
        if rewritten.is_err() {
            // It would only take room where there is none. What stays is written over the next time.
            let _ = std::fs::remove_file(&fresh);
        }
        rewritten
    }

    fn rewrite_to(
        &mut self,
        fresh: &Path,
        records: impl Iterator<Item = Record>,
    ) -> io::Result<()> {
        let file = options().open(fresh)?;
        file.set_len(0)?;
        let mut writer = BufWriter::new(file);
        let mut len = 0;
        for record in records {
            self.buffer.clear();
            encode(&record, &mut self.buffer)?;
            writer.write_all(&self.buffer)?;
            len += self.buffer.len() as u64;
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        std::fs::rename(fresh, &self.path)?;
        (self.file, self.len) = (file, len);
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    // Texts and phone numbers stand in it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(Box<Entry>),
        Many(Vec<Entry>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(entry) => vec![*entry],
        OneOrMany::Many(entries) => entries,
    })
}

fn encode(record: &Record, buffer: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *buffer, record)?;
    buffer.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_of_before_is_understood() {
        let entry = r#"{"at":{"line":"+15550100001","n":7},"what":{"kind":"read",
            "chat":{"chat":"contact","handle":"+15550100002"},"handle":"+15550100002","at":1}}"#;
        let old: Record = serde_json::from_str(&format!(r#"{{"entry":{entry}}}"#)).unwrap();
        assert_eq!(old.entries[0].at.n, 7);
        let mut written = Vec::new();
        encode(&old, &mut written).unwrap();
        assert_eq!(serde_json::from_slice::<Record>(&written).unwrap(), old);
    }
}
