//! What each driver can do in each of its modes: the one place that the whole suite goes by, held against what a line says of
//! itself and against what the pages in docs/ promise.

use switchboard_model::{
    chat::Service,
    line::Capability::{self, *},
};

use super::Mode;

/// What comes in, or turns out later: nobody asks for it, so no capability names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Replies,
    Files,
    Memos,
    Reactions,
    Typing,
    Delivered,
    Read,
    /// That a contact has read the chat.
    Receipts,
    FailedLater,
    Edits,
    Unsends,
    Groups,
    /// What the owner writes on another device.
    Own,
}

/// What a line can do, and what is seen on it.
pub(super) struct Can {
    pub(super) does: &'static [Capability],
    pub(super) sees: &'static [Seen],
    pub(super) service: Service,
}

const MAC: &[Seen] = &[
    Seen::Replies,
    Seen::Files,
    Seen::Memos,
    Seen::Reactions,
    Seen::Delivered,
    Seen::Read,
    Seen::FailedLater,
    Seen::Edits,
    Seen::Unsends,
    Seen::Groups,
    Seen::Own,
    Seen::Typing,
];
/// Without a helper nobody hears who types, which stands last.
const MAC_WITHOUT_HELPER: &[Seen] = MAC.split_at(MAC.len() - 1).0;
const SIMULATED: &[Seen] = &[
    Seen::Replies,
    Seen::Files,
    Seen::Memos,
    Seen::Reactions,
    Seen::Typing,
    Seen::Delivered,
    Seen::Read,
    Seen::Receipts,
    Seen::Edits,
    Seen::Unsends,
    Seen::Groups,
];

impl Mode {
    pub(super) fn can(self) -> Can {
        let mac = |does, sees| Can { does, sees, service: Service::IMessage };
        match self {
            Self::Simulator => mac(&Capability::ALL, SIMULATED),
            Self::SimulatorPlain => mac(&[Attachments, NewChats, Groups, Replies], SIMULATED),
            Self::Imsg | Self::ImsgMacos26 => mac(
                &[
                    Attachments,
                    NewChats,
                    Groups,
                    AudioMessages,
                    Replies,
                    Reactions,
                    EmojiReactions,
                    Typing,
                    TypingOff,
                    ReadReceipts,
                    DeliveryState,
                ],
                MAC,
            ),
            Self::ImsgWithoutHelper => {
                mac(&[Attachments, NewChats, Groups, DeliveryState], MAC_WITHOUT_HELPER)
            }
            Self::Bluebubbles => mac(
                &[
                    Attachments,
                    NewChats,
                    Groups,
                    AudioMessages,
                    Replies,
                    Reactions,
                    Typing,
                    ReadReceipts,
                    DeliveryState,
                ],
                MAC,
            ),
            Self::BluebubblesScripts => {
                mac(&[Attachments, NewChats, Groups, DeliveryState], MAC_WITHOUT_HELPER)
            }
            Self::BluebubblesScriptsMacos26 => {
                mac(&[Attachments, DeliveryState], MAC_WITHOUT_HELPER)
            }
            Self::AndroidSms => Can {
                does: &[NewChats, DeliveryState],
                sees: &[Seen::Files, Seen::Delivered, Seen::FailedLater],
                service: Service::Sms,
            },
        }
    }
}

impl Can {
    pub(super) fn does(&self, what: Capability) -> bool {
        self.does.contains(&what)
    }

    pub(super) fn sees(&self, what: Seen) -> bool {
        self.sees.contains(&what)
    }
}
