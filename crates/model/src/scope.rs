//! Scopes: what a key may do (§2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One permission of a key.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Scope {
    /// GET /v1/messages
    #[serde(rename = "messages:read")]
    MessagesRead,
    /// POST /v1/messages, POST /v1/audio-messages
    #[serde(rename = "messages:write")]
    MessagesWrite,
    /// GET /v1/chats
    #[serde(rename = "chats:read")]
    ChatsRead,
    /// GET /v1/lines
    #[serde(rename = "lines:read")]
    LinesRead,
    /// GET /v1/outbox
    #[serde(rename = "outbox:read")]
    OutboxRead,
    /// GET /v1/reactions
    #[serde(rename = "reactions:read")]
    ReactionsRead,
    /// POST /v1/reactions
    #[serde(rename = "reactions:write")]
    ReactionsWrite,
    /// GET /v1/typing
    #[serde(rename = "typing:read")]
    TypingRead,
    /// POST /v1/typing
    #[serde(rename = "typing:write")]
    TypingWrite,
    /// GET /v1/receipts
    #[serde(rename = "receipts:read")]
    ReceiptsRead,
    /// POST /v1/receipts
    #[serde(rename = "receipts:write")]
    ReceiptsWrite,
    /// GET /v1/webhooks
    #[serde(rename = "webhooks:read")]
    WebhooksRead,
    /// POST and DELETE /v1/webhooks
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
    /// GET /v1/files
    #[serde(rename = "files:read")]
    FilesRead,
    /// POST /v1/files
    #[serde(rename = "files:write")]
    FilesWrite,
}

impl Scope {
    /// Every scope, in the order of the contract.
    pub const ALL: [Self; 15] = [
        Self::MessagesRead,
        Self::MessagesWrite,
        Self::ChatsRead,
        Self::LinesRead,
        Self::OutboxRead,
        Self::ReactionsRead,
        Self::ReactionsWrite,
        Self::TypingRead,
        Self::TypingWrite,
        Self::ReceiptsRead,
        Self::ReceiptsWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::FilesRead,
        Self::FilesWrite,
    ];

    /// The name that the contract gives it: `messages:read`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessagesRead => "messages:read",
            Self::MessagesWrite => "messages:write",
            Self::ChatsRead => "chats:read",
            Self::LinesRead => "lines:read",
            Self::OutboxRead => "outbox:read",
            Self::ReactionsRead => "reactions:read",
            Self::ReactionsWrite => "reactions:write",
            Self::TypingRead => "typing:read",
            Self::TypingWrite => "typing:write",
            Self::ReceiptsRead => "receipts:read",
            Self::ReceiptsWrite => "receipts:write",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::FilesRead => "files:read",
            Self::FilesWrite => "files:write",
        }
    }

    /// The scope of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// The scopes of a key: a set, kept in the order of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Every scope there is.
    pub fn all() -> Self {
        Self(Scope::ALL.to_vec())
    }

    /// Whether `scope` is among them.
    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// The scopes in the order of the contract.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(mut scopes: Vec<Scope>) -> Self {
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self::from(scopes.into_iter().collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_json_agree() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
            assert_eq!(Scope::from_name(scope.as_str()), Some(scope));
        }
    }
}
