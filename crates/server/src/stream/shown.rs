//! An event as streams send it, made once for all of them.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::value::RawValue;
use switchboard_model::{EventKind, Line, Timestamp, id::Id};
use switchboard_store::{CommittedEvent, EventPosition};

use crate::files::FileBytes;

/// How long the URLs of an event's files are given out before fresh ones are made.
const URLS_LAST: Duration = Duration::from_secs(1);

/// An event in the form of a stream.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) position: EventPosition,
    pub(super) kind: EventKind,
    pub(super) line: Id<Line>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Always the same.
    Fixed(Bytes),
    /// With URLs that expire: the last form, and when it was made.
    WithFiles { data: Arc<RawValue>, last: Mutex<Option<(Timestamp, Bytes)>> },
}

impl Shown {
    pub(super) fn new(event: CommittedEvent, files: &FileBytes) -> Self {
        let CommittedEvent { position, kind, line_id, data, .. } = event;
        let form = if files.has_urls(&data) {
            Form::WithFiles { data, last: Mutex::default() }
        } else {
            Form::Fixed(frame(Some(position), Some(kind.as_str()), Some(data.get())))
        };
        Self { position, kind, line: line_id, form }
    }

    #[cfg(test)]
    pub(super) fn fixed(event: CommittedEvent) -> Self {
        let CommittedEvent { position, kind, line_id: line, data, .. } = event;
        let bytes = frame(Some(position), Some(kind.as_str()), Some(data.get()));
        Self { position, kind, line, form: Form::Fixed(bytes) }
    }

    /// Bytes that it keeps, about.
    pub(super) fn len(&self) -> usize {
        let bytes = match &self.form {
            Form::Fixed(bytes) => bytes.len(),
            Form::WithFiles { data, .. } => 3 * data.get().len(),
        };
        size_of::<Self>() + bytes
    }

    /// What is sent.
    pub(super) fn bytes(&self, files: &FileBytes, now: Timestamp) -> Bytes {
        match &self.form {
            Form::Fixed(bytes) => bytes.clone(),
            Form::WithFiles { data, last } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((at, bytes)) = &*last
                    && at.0 <= now.0
                    && now.since(*at) < URLS_LAST
                {
                    return bytes.clone();
                }
                let data = files.show_event(data, now);
                let bytes = frame(Some(self.position), Some(self.kind.as_str()), Some(data.get()));
                *last = Some((now, bytes.clone()));
                bytes
            }
        }
    }
}

/// A block of a stream: an id without data is no event, but a position to resume from.
pub(super) fn frame(id: Option<EventPosition>, event: Option<&str>, data: Option<&str>) -> Bytes {
    let mut text = String::with_capacity(64 + data.map_or(0, str::len));
    let mut field = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "{name}: {value}").expect("a string takes all that is written");
    };
    if let Some(id) = id {
        field("id", &id);
    }
    if let Some(event) = event {
        field("event", &event);
    }
    for line in data.unwrap_or_default().lines() {
        field("data", &line);
    }
    text.push('\n');
    text.into()
}

/// Says nothing, but that somebody is there.
pub(super) const COMMENT: Bytes = Bytes::from_static(b":\n\n");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_the_standard_has_them() {
        let seventh = EventPosition::parse("7");
        let event = frame(seventh, Some("message.sent"), Some("{\"a\":1}"));
        assert_eq!(event, "id: 7\nevent: message.sent\ndata: {\"a\":1}\n\n");
        assert_eq!(frame(seventh, None, None), "id: 7\n\n");
        assert_eq!(frame(None, Some("x"), Some("1\n2")), "event: x\ndata: 1\ndata: 2\n\n");
    }
}
