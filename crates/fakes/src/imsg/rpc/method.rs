//! The methods of imsg: lane, and what must be ready for each (rpc.md, "Lifecycle" and "status").

use crate::imsg::{settings::Settings, state::State};

/// What a request waits behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// One after another.
    Mutation,
    /// Four at once.
    Read,
    /// One worker of its own.
    Control,
}

/// What the helper must offer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needs {
    Nothing,
    /// Any of these selectors.
    Selector(&'static [&'static str]),
    /// A readable log of events.
    Events,
}

/// A method.
#[derive(Debug)]
pub(crate) struct Method {
    /// Its name, and its aliases.
    pub names: &'static [&'static str],
    pub lane: Lane,
    pub database: bool,
    pub helper: Needs,
    /// The first version that has it.
    pub since: [u32; 3],
}

const OLD: [u32; 3] = [0, 13, 0];
const V1: [u32; 3] = [0, 14, 0];

const fn method(
    names: &'static [&'static str],
    lane: Lane,
    database: bool,
    helper: Needs,
    since: [u32; 3],
) -> Method {
    Method { names, lane, database, helper, since }
}

use Lane::{Control, Mutation, Read};
use Needs::{Events, Nothing, Selector};

/// All of them, as `supported_methods` lists them.
pub(crate) const METHODS: &[Method] = &[
    method(&["initialize"], Control, false, Nothing, V1),
    method(&["status"], Read, false, Nothing, V1),
    method(&["watch.unsubscribe"], Control, false, Nothing, OLD),
    method(&["chats.list"], Read, true, Nothing, OLD),
    method(&["chats.get"], Read, true, Nothing, [0, 15, 1]),
    method(&["messages.stats"], Read, true, Nothing, OLD),
    method(&["messages.history"], Read, true, Nothing, OLD),
    method(&["messages.search"], Read, true, Nothing, OLD),
    method(&["messages.after"], Read, true, Nothing, OLD),
    method(&["messages.scheduled"], Read, true, Nothing, OLD),
    method(&["watch.subscribe"], Control, true, Nothing, OLD),
    method(&["bridge.events.subscribe"], Control, false, Events, V1),
    method(&["message.send_status"], Read, true, Nothing, OLD),
    method(&["send"], Mutation, false, Nothing, OLD),
    method(
        &["send.tracked"],
        Mutation,
        true,
        Selector(&["clientMessageGuidReservation"]),
        [0, 15, 0],
    ),
    method(&["chats.create"], Mutation, false, Selector(&["createChat"]), OLD),
    method(&["chats.delete"], Mutation, false, Selector(&["deleteChat", "removeChat"]), OLD),
    method(&["chats.markUnread"], Mutation, false, Selector(&["markChatUnread"]), OLD),
    method(&["send.rich"], Mutation, false, Selector(&["sendMessage"]), OLD),
    method(&["send.attachment"], Mutation, false, Selector(&["sendAttachment"]), OLD),
    method(&["send.multipart"], Mutation, true, Selector(&["sendMultipart"]), OLD),
    // This helper offers neither stickers, polls nor Name & Photo: these are compiled in and not usable.
    method(&["send.sticker"], Mutation, true, Selector(&["stickerSend"]), OLD),
    method(
        &["poll.send", "messages.poll.send"],
        Mutation,
        false,
        Selector(&["pollPayloadMessage"]),
        OLD,
    ),
    method(
        &["poll.vote", "messages.poll.vote"],
        Mutation,
        true,
        Selector(&["pollVoteMessage"]),
        OLD,
    ),
    method(
        &["poll.unvote", "polls.unvote", "messages.poll.unvote"],
        Mutation,
        true,
        Selector(&["pollVoteMessage"]),
        OLD,
    ),
    method(&["tapback"], Mutation, false, Selector(&["sendReaction"]), OLD),
    method(&["typing"], Mutation, false, Nothing, OLD),
    method(&["read"], Mutation, false, Nothing, OLD),
    method(
        &["message.edit"],
        Mutation,
        false,
        Selector(&["editMessageItemTranslation", "editMessageItem", "editMessage"]),
        OLD,
    ),
    method(&["message.unsend"], Mutation, false, Selector(&["retractMessagePart"]), OLD),
    method(&["message.delete"], Mutation, false, Selector(&["deleteMessage"]), OLD),
    method(&["message.notifyAnyways"], Mutation, false, Selector(&["notifyAnyways"]), OLD),
    method(&["group.rename"], Mutation, false, Selector(&["setDisplayName"]), OLD),
    method(&["group.setIcon"], Mutation, false, Selector(&["updateGroupPhoto"]), OLD),
    method(&["group.addParticipant"], Mutation, false, Selector(&["addParticipant"]), OLD),
    method(&["group.removeParticipant"], Mutation, false, Selector(&["removeParticipant"]), OLD),
    method(&["group.leave"], Mutation, false, Selector(&["leaveChat"]), OLD),
    method(&["contacts.shouldShareContact"], Read, false, Selector(&["namePhotoShouldOffer"]), OLD),
    method(&["contacts.shareContactCard"], Mutation, false, Selector(&["namePhotoShare"]), OLD),
    method(&["handles.check"], Read, false, Selector(&["checkIMessageAvailability"]), OLD),
];

/// The method of this name in this version.
pub(crate) fn find(name: &str, settings: &Settings) -> Option<&'static Method> {
    let named = |method: &&Method| method.names.contains(&name) && settings.at_least(method.since);
    METHODS.iter().find(named)
}

impl Method {
    /// Whether the helper offers what it needs.
    pub(crate) fn helped(&self, state: &State) -> bool {
        match self.helper {
            Nothing => true,
            Events => state.helper.ready(),
            Selector(any) => any.iter().any(|name| state.helper.selectors().contains(name)),
        }
    }

    /// Whether it is in `methods` at this instant.
    pub(crate) fn usable(&self, state: &State) -> bool {
        (!self.database || state.db_error.is_none()) && self.helped(state)
    }
}
