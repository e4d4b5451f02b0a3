//! Whom a document is for. Programs, the operator and those who play with simulated phones have one each, so that a
//! client that is generated from one holds nothing that its user may not call.

use serde_json::{Value, json};

use crate::operation::{Access, Operation};

/// Those who call, and the document for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Programs with an API key: `/v1`.
    Programs,
    /// The operator, or whoever acts for them: `/admin/v1`.
    Operator,
    /// Whoever plays the contacts of simulated lines: `/simulator/v1`.
    Simulator,
}

impl Audience {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Programs, Self::Operator, Self::Simulator];

    /// Whose document a route is in, if it is in one.
    pub fn of(route: &Operation) -> Option<Self> {
        match route.access {
            Access::Operator if route.simulator => Some(Self::Simulator),
            Access::Operator => Some(Self::Operator),
            Access::Key(_) | Access::AnyKey | Access::SignedUrl => Some(Self::Programs),
            // The document describes itself, but not the pages.
            Access::Public => (route.path == Self::Programs.path()).then_some(Self::Programs),
            Access::Bridge => None,
        }
    }

    /// Where the document is.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Programs => "/v1/openapi.json",
            Self::Operator => "/admin/v1/openapi.json",
            Self::Simulator => "/simulator/v1/openapi.json",
        }
    }

    /// Where people read it.
    pub const fn page_path(self) -> &'static str {
        match self {
            Self::Programs => "/docs",
            Self::Operator => "/docs/admin",
            Self::Simulator => "/docs/simulator",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Programs => "Switchboard",
            Self::Operator => "Switchboard admin",
            Self::Simulator => "Switchboard simulator",
        }
    }

    pub(super) fn summary(self) -> &'static str {
        match self {
            Self::Programs => "A self-hosted iMessage API for agents and apps.",
            Self::Operator => "Accounts, lines, keys and bridges of a Switchboard server.",
            Self::Simulator => "Plays the contacts of simulated lines.",
        }
    }

    /// What is to be known before the first call; that of programs is longer.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Programs => "",
            Self::Operator => {
                "Send the operator token as `Authorization: Bearer …`. It is in `DATA_DIR/operator-token`, unless \
                 it was set. Bodies are JSON in UTF-8; unknown fields are ignored, and null is the same as absent. \
                 Times are Unix **milliseconds**, UTC.\n\n\
                 An error is `{\"error\": {\"type\", \"code\", \"message\", \"param\"?}, \"request_id\"}`; programs \
                 branch on `code`. Lists hold everything: there is no second page."
            }
            Self::Simulator => {
                "Send the operator token as `Authorization: Bearer …`. These calls exist only on a server with a \
                 simulator: `switchboard dev`, or `serve --simulator`. They play the contacts of the lines whose \
                 driver is `simulator`, and show what is on the contacts' phones.\n\n\
                 `+15005550001` always fails, `+15005550002` never answers the driver, `+15005550006` echoes what \
                 it gets."
            }
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Programs => "apiKey",
            Self::Operator | Self::Simulator => "operatorToken",
        }
    }

    /// What a call needs.
    pub(super) fn security(self) -> Value {
        json!({ (self.scheme()): [] })
    }

    pub(super) fn security_schemes(self) -> Value {
        let scheme = match self {
            Self::Programs => json!({
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "sk_live_…",
                "description": "An API key: `Authorization: Bearer sk_live_…`. What it may do is told by its \
                                scopes; each operation names the one it needs.",
            }),
            Self::Operator | Self::Simulator => json!({
                "type": "http",
                "scheme": "bearer",
                "description": "The operator token of the server.",
            }),
        };
        json!({ (self.scheme()): scheme })
    }
}
