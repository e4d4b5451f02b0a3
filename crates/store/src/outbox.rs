//! The outbox: from the write that is accepted to what came of it.

use serde_json::value::RawValue;
use switchboard_model::{
    Account, Chat, File, Line, OutboxItem, ReactionType, Timestamp,
    chat::Recipient,
    id::Id,
    line::Capability,
    link::{Outcome, Report, SendItem},
    message::MessageRef,
    time::Now,
};

use crate::{Committed, IdempotencyRecord, Idempotent, Link, Result};

#[cfg(doc)]
use crate::Refusal;

/// A write for the outbox.
#[derive(Debug, Clone)]
pub struct Accept {
    /// The item's id: given by the caller, so that the answer can be made before the transaction.
    pub id: Id<OutboxItem>,
    /// Who writes.
    pub account_id: Id<Account>,
    /// By which line.
    pub line_id: Id<Line>,
    /// To whom.
    pub to: Recipient,
    /// What; the store fills in the guids.
    pub content: NewContent,
    /// The lines that the caller's key is restricted to; needed only if there is a file, which may be another line's.
    pub lines: Option<Vec<Id<Line>>>,
    /// The request's own fields, to be shown again.
    pub payload: Box<RawValue>,
}

impl NewContent {
    /// Whether a file goes with it.
    pub fn has_file(&self) -> bool {
        matches!(self, Self::Message { attachment: Some(_), .. } | Self::AudioMessage { .. })
    }

    /// Whether it is a message: what may begin a chat, and what may be an answer.
    pub(crate) fn is_message(&self) -> bool {
        matches!(self, Self::Message { .. } | Self::AudioMessage { .. })
    }

    /// What the line must be able to do: for the chat, for what is sent, and for how. A reply needs nothing: where it
    /// can't point at its message, it is still said.
    pub(crate) fn needs(&self, is_group: bool, is_empty: bool) -> [Option<Capability>; 3] {
        let place = match (is_group, is_empty) {
            (true, _) => Some(Capability::Groups),
            (false, true) => Some(Capability::NewChats),
            (false, false) => None,
        };
        let (what, how) = match self {
            Self::Message { attachment, .. } => (attachment.map(|_| Capability::Attachments), None),
            Self::AudioMessage { .. } => (Some(Capability::AudioMessages), None),
            Self::Reaction { reaction_type, .. } => {
                let is_emoji = matches!(reaction_type, ReactionType::Emoji(_));
                (Some(Capability::Reactions), is_emoji.then_some(Capability::EmojiReactions))
            }
            Self::Typing { on } => {
                (Some(Capability::Typing), (!on).then_some(Capability::TypingOff))
            }
            Self::Read => (Some(Capability::ReadReceipts), None),
        };
        [place, what, how]
    }
}

/// What a write is, as its caller names things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewContent {
    /// A message, with a text or a file or both.
    Message {
        /// The text.
        text: Option<String>,
        /// The file.
        attachment: Option<Id<File>>,
        /// The message it answers.
        reply_to: Option<MessageRef>,
    },
    /// A voice memo. Needs [`switchboard_model::line::Capability::AudioMessages`].
    AudioMessage {
        /// The file, which must be audio.
        file: Id<File>,
        /// The message it answers.
        reply_to: Option<MessageRef>,
    },
    /// A reaction. Needs [`switchboard_model::line::Capability::Reactions`].
    Reaction {
        /// The message, of this chat.
        message: MessageRef,
        /// What it says.
        reaction_type: ReactionType,
        /// Whether it is taken back.
        remove: bool,
    },
    /// The line types, or stops. Needs [`switchboard_model::line::Capability::Typing`].
    Typing {
        /// Whether it types.
        on: bool,
    },
    /// The whole chat is marked as read. Needs [`switchboard_model::line::Capability::ReadReceipts`].
    Read,
}

/// What was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The item.
    pub id: Id<OutboxItem>,
    /// The chat it goes to.
    pub chat_id: Id<Chat>,
    /// Whether it is the last answer that the line's limit for loops lets through: what follows it in this chat is refused
    /// for a while.
    pub must_rest: bool,
}

/// What came of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettleReport {
    /// The item.
    pub id: Id<OutboxItem>,
    /// What came of it.
    pub outcome: Outcome,
    /// For an item that goes back: whether that was an attempt. It is when the bridge
    /// was lost before it began, and not when the bridge gave it back in good order.
    pub counts_as_attempt: bool,
}

/// The outbox: from the write that is accepted to what came of it.
#[async_trait::async_trait]
pub trait Outbox: Send + Sync {
    /// Takes a write into the outbox, durably. A message makes the chat if the line lets it;
    /// nothing else does. Refuses in this order: [`Refusal::LineNotFound`]; on the sandbox line
    /// [`Refusal::SandboxNotActivated`], [`Refusal::SandboxContactMismatch`],
    /// [`Refusal::SandboxQuotaExceeded`]; [`Refusal::ChatNotFound`], [`Refusal::ContactHasNotMessaged`] (not on the
    /// sandbox line), [`Refusal::MessageNotFound`] (reply or reaction), [`Refusal::FileNotFound`],
    /// [`Refusal::NotAudio`], [`Refusal::AdvancedFeaturesRequired`], [`Refusal::LoopLimit`]. A file that is taken counts as referred to from then on.
    async fn accept(
        &self,
        accept: Accept,
        remember: Option<IdempotencyRecord>,
        now: Timestamp,
    ) -> Result<Idempotent<Accepted>>;

    /// An item of this account.
    async fn outbox_item(
        &self,
        account: Id<Account>,
        id: Id<OutboxItem>,
    ) -> Result<Option<OutboxItem>>;

    /// Claims the oldest pending items of a line for its bridge, at most `limit`, none of the
    /// `full_chats`, in the order of acceptance. Nothing if the line is not this bridge's.
    async fn claim(
        &self,
        link: Link,
        line: Id<Line>,
        full_chats: Vec<Id<Chat>>,
        limit: usize,
        lease_until: Timestamp,
    ) -> Result<Vec<SendItem>>;

    /// Holds all claims of a bridge for longer.
    async fn extend_claims(&self, link: Link, lease_until: Timestamp) -> Result<()>;

    /// Gives every claim until then, no longer and no shorter: when no bridge had a chance to speak, at the start of the
    /// server and after the store was out.
    async fn renew_all_claims(&self, lease_until: Timestamp) -> Result<()>;

    /// Writes down what came of items: message, reaction, indicator or receipt, outbox, event and
    /// deliveries together. What a driver names wrongly, a reaction `Sent` or a message `Done`, is sent all the
    /// same: it is out. A message that is only `Done` has no guid, and so becomes no message here.
    /// An item that is not claimed by this bridge any more is left as it is.
    async fn settle(
        &self,
        link: Link,
        reports: Vec<SettleReport>,
        now: Timestamp,
    ) -> Result<Committed>;

    /// Writes down what turns out later of items that failed because nobody knew what had come of them: sent, as
    /// [`Outbox::settle`] does it, or failed for the true reason. Once; never is anything sent again. What failed for
    /// another reason, or is not of a line of this bridge, is left as it is.
    async fn resolve(&self, link: Link, reports: Vec<Report>, now: Timestamp) -> Result<Committed>;

    /// Fails the items whose time is over: claims past their lease, which may have been handed
    /// over; and pending ones past their 24 hours, which were not. At most `limit` at a time.
    async fn expire(&self, now: Now, limit: usize) -> Result<Committed>;
}
