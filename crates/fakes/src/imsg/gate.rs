//! What must be open before something works: permissions, system protection, the helper (permissions.md, bridge.md).

/// Automation → Messages, of whoever started imsg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Automation {
    /// AppleScript may drive Messages.
    Granted,
    /// Refused: error -1743, "not authorized".
    Denied,
    /// Nobody has answered the prompt: a send hangs until somebody does, or until its limit.
    Prompting,
}

/// The helper inside Messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Helper {
    /// Not started.
    Absent,
    /// Running, of the version of imsg.
    Present,
    /// Running, left from an older imsg: it has no `clientMessageGuidReservation` and no emoji tapbacks
    /// (`helper_version_mismatch` in `imsg status --json`).
    Old,
    /// Its ready-lock is there and nothing answers the probe.
    Mute,
}

impl Helper {
    /// Whether it answers.
    pub(crate) fn ready(&self) -> bool {
        matches!(self, Self::Present | Self::Old)
    }

    /// What it says that it can do.
    pub(crate) fn selectors(&self) -> Vec<&'static str> {
        const ALL: [&str; 18] = [
            "sendMessageReason",
            "sendMessage",
            "sendAttachment",
            "attachment_metadata",
            "sendMultipart",
            "sendReaction",
            "editMessageItem",
            "retractMessagePart",
            "deleteMessage",
            "notifyAnyways",
            "createChat",
            "deleteChat",
            "markChatUnread",
            "setDisplayName",
            "updateGroupPhoto",
            "addParticipant",
            "removeParticipant",
            "leaveChat",
        ];
        let newest = ["clientMessageGuidReservation", "emojiTapbackSend"];
        let mut selectors = match self {
            Self::Absent | Self::Mute => return Vec::new(),
            Self::Old => ALL.to_vec(),
            Self::Present => ALL.into_iter().chain(newest).collect(),
        };
        selectors.push("checkIMessageAvailability");
        selectors
    }
}

/// System integrity protection, as `imsg status --json` reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// On: `imsg launch` refuses.
    Enabled,
    /// Off.
    Disabled,
    /// Can't be told: `imsg launch` refuses too.
    Unknown,
}
