//! What kind of Mac it is.

use super::pace::Pace;

/// The release of macOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacOs {
    /// Guids are `iMessage;-;…` and `iMessage;+;chat…`; AppleScript reaches everybody.
    Sequoia15,
    /// Guids are `any;-;…` and `any;+;chat…`; AppleScript finds no group, and a first message to somebody leaves a
    /// ghost row (send.md, "Tahoe ghost-row protection").
    Tahoe26,
}

/// What a Mac is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The version of imsg. Before 0.14 there is no `initialize`, no `status` and no disposition; before 0.15 no
    /// `send.tracked`; before 0.15.1 neither `chats.get` nor `capabilities`.
    pub version: String,
    /// The release of macOS.
    pub macos: MacOs,
    /// The line's own number or address.
    pub own: String,
    /// How long things take.
    pub pace: Pace,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: "0.15.10".to_owned(),
            macos: MacOs::Sequoia15,
            own: "+15550999999".to_owned(),
            pace: Pace::fast(),
        }
    }
}

impl Settings {
    /// Whether this imsg is at least that version.
    pub(crate) fn at_least(&self, version: [u32; 3]) -> bool {
        let mut parts = self.version.split('.').map(|part| part.parse().unwrap_or(0));
        let own: [u32; 3] = std::array::from_fn(|_| parts.next().unwrap_or(0));
        own >= version
    }
}
