//! Things as callers name them: by an id, a handle or a guid.

use switchboard_model::{
    Handle, Line, Problem,
    id::{self, Id, Kind, ParseIdError},
    message::{MAX_GUID_LEN, MessageRef},
    text::trim,
};

/// An id of this kind. Another kind's is a wrong value; a rest that was never given out names nothing,
/// and is missed where any other id that names nothing is: not before its turn in the order of checks. What shows
/// nothing may stand round it.
pub(crate) fn id_of<K: Kind>(text: &str, param: &'static str) -> Result<Id<K>, Problem> {
    match trim(text).parse() {
        Ok(id) => Ok(id),
        Err(ParseIdError::NeverIssued) => Ok(Id::of_nothing()),
        Err(ParseIdError::Prefix(prefix)) => {
            let must = format_args!("must be an id that starts with '{prefix}'");
            Err(Problem::invalid_value(param, must))
        }
    }
}

/// A line as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LineRef {
    Id(Id<Line>),
    Handle(Handle),
}

impl LineRef {
    /// Whether it names this line.
    pub(super) fn names(&self, line: &Line) -> bool {
        match self {
            Self::Handle(handle) => line.handle == *handle,
            Self::Id(id) => line.id == *id,
        }
    }

    /// Takes `from`: a handle, or `ln_…`.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        Self::parse_as(text, "from")
    }

    /// The same, where the parameter has this name.
    pub(crate) fn parse_as(text: &str, param: &'static str) -> Result<Self, Problem> {
        if trim(text).starts_with("ln_") {
            return id_of(text, param).map(Self::Id);
        }
        let handle: Result<Handle, _> = text.parse();
        handle.map(Self::Handle).map_err(|error| {
            let must = format_args!("{error}, or the id of a line (ln_…)");
            Problem::invalid_value(param, must)
        })
    }
}

/// As the caller named it: a cursor is bound to that, so it can be judged before the line is looked up.
impl std::fmt::Display for LineRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Handle(handle) => handle.fmt(f),
        }
    }
}

/// Takes a message as a caller names it: `msg_…`, or a guid.
pub(crate) fn message_ref(text: &str, param: &'static str) -> Result<MessageRef, Problem> {
    let bare = trim(text);
    if bare.starts_with("msg_") {
        return id_of(bare, param).map(MessageRef::Id);
    }
    if id::has_any_prefix(bare) {
        let must = "must be an id that starts with 'msg_', or a guid";
        return Err(Problem::invalid_value(param, must));
    }
    // A guid that is longer than any that is kept names nothing: its beginning does not either.
    let kept = text.char_indices().nth(MAX_GUID_LEN + 1).map_or(text, |(end, _)| &text[..end]);
    Ok(MessageRef::Guid(kept.to_owned()))
}
