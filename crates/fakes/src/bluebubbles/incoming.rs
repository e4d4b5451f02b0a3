//! A message that somebody writes, as tests put it together.

use crate::wire::File;

/// A message that somebody writes.
#[derive(Debug, Clone, Default)]
pub struct Incoming {
    pub(super) text: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) files: Vec<File>,
    pub(super) late_files: bool,
    pub(super) is_audio: bool,
    pub(super) chat: Option<String>,
    pub(super) service: Option<String>,
    pub(super) reply_to: Option<String>,
    pub(super) effect: Option<String>,
    pub(super) at_ms: Option<i64>,
    pub(super) unjoined: bool,
    pub(super) notified: bool,
    pub(super) unreadable: bool,
    pub(super) balloon: Option<String>,
    pub(super) own: Option<String>,
}

impl Incoming {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..Self::default() }
    }

    /// A file alone.
    pub fn file(name: &str, mime_type: &str, bytes: impl Into<bytes::Bytes>) -> Self {
        Self::default().with_file(name, mime_type, bytes)
    }

    /// One file more.
    #[must_use]
    pub fn with_file(
        mut self,
        name: &str,
        mime_type: &str,
        bytes: impl Into<bytes::Bytes>,
    ) -> Self {
        self.files.push(File {
            name: name.to_owned(),
            mime_type: mime_type.to_owned(),
            bytes: bytes.into(),
        });
        self
    }

    /// Its files are not there yet: see [`Server::finish_files`](super::Server::finish_files).
    #[must_use]
    pub fn files_late(self) -> Self {
        Self { late_files: true, ..self }
    }

    /// It is a voice memo.
    #[must_use]
    pub fn audio(self) -> Self {
        Self { is_audio: true, ..self }
    }

    /// In this chat, instead of the one with its writer alone.
    #[must_use]
    pub fn chat(self, guid: &str) -> Self {
        Self { chat: Some(guid.to_owned()), ..self }
    }

    /// By this service instead of iMessage: `SMS`, `RCS`.
    #[must_use]
    pub fn service(self, service: &str) -> Self {
        Self { service: Some(service.to_owned()), ..self }
    }

    /// In reply to this message.
    #[must_use]
    pub fn reply_to(self, guid: &str) -> Self {
        Self { reply_to: Some(guid.to_owned()), ..self }
    }

    /// With a subject line.
    #[must_use]
    pub fn subject(self, subject: &str) -> Self {
        Self { subject: Some(subject.to_owned()), ..self }
    }

    /// With an effect.
    #[must_use]
    pub fn effect(self, effect: &str) -> Self {
        Self { effect: Some(effect.to_owned()), ..self }
    }

    /// Dated so, in Unix milliseconds: cloud back-fill has new rows with old dates.
    #[must_use]
    pub fn at(self, unix_ms: i64) -> Self {
        Self { at_ms: Some(unix_ms), ..self }
    }

    /// To this own address of a Mac that has several, as Messages writes it; empty if its row names none.
    #[must_use]
    pub fn addressed_to(self, own: &str) -> Self {
        Self { own: Some(own.to_owned()), ..self }
    }

    /// Its row does not stand in its chat yet: see [`Server::join`](super::Server::join).
    #[must_use]
    pub fn unjoined(self) -> Self {
        Self { unjoined: true, ..self }
    }

    /// Its row says that the recipient was notified all the same, so it is told again each hour.
    #[must_use]
    pub fn notified(self) -> Self {
        Self { notified: true, ..self }
    }

    /// Its row breaks the server: each list that would hold it is a 500.
    #[must_use]
    pub fn unreadable(self) -> Self {
        Self { unreadable: true, ..self }
    }

    /// It is the preview of a link, or another app's message.
    #[must_use]
    pub fn balloon(self, bundle: &str) -> Self {
        Self { balloon: Some(bundle.to_owned()), ..self }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The message's guid.
    pub guid: String,
    /// Its chat's guid.
    pub chat: String,
    /// Its row.
    pub rowid: i64,
}
