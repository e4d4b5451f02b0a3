//! A chat of Messages, and the names by which imsg finds it (rpc.md, "Targets").

/// A chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// chat.ROWID.
    pub id: i64,
    /// `+1555…`, an address, or `chat8300…`.
    pub identifier: String,
    /// `iMessage;-;…`, `any;+;…`.
    pub guid: String,
    /// `iMessage` or `SMS`.
    pub service: String,
    /// The name of a group; "" when it has none.
    pub name: String,
    /// The others.
    pub participants: Vec<String>,
    /// Whether it is a group, whatever its guid says.
    pub group: bool,
    /// The own number that it uses (`last_addressed_handle`); none is the line's.
    pub own: Option<String>,
}

impl Chat {
    /// Whether imsg calls it a group: only by `;+;`.
    pub(crate) fn looks_like_group(&self) -> bool {
        self.guid.contains(";+;") || self.identifier.contains(";+;")
    }

    /// Whether this is its identifier or its guid, or an `any` spelling of it. A guid that names a service finds only
    /// itself.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        let bare = name.strip_prefix("any;-;").or_else(|| name.strip_prefix("any;+;"));
        self.guid == name || self.identifier == bare.unwrap_or(name)
    }
}
