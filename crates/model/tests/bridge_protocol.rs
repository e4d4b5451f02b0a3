//! docs/bridge-protocol.md: every example is a frame, to the field, and everything that can be said has one.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use std::collections::BTreeSet;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use switchboard_model::{
    line::{Capability, DriverKind, OfflineReason},
    link::{
        BridgeFrame, Content, Inbound, InboundChat, InboundUpdate, MAX_ACCOUNTS, MAX_BATCH,
        MAX_FRAME_BYTES, MAX_POSITION_BYTES, OLDEST_PROTOCOL, Outcome, PROTOCOL, Reconciled,
        ReconciledState, ServerFrame, WINDOW_PER_CHAT, WINDOW_PER_LINE,
    },
};

const PAGE: &str = include_str!("../../../docs/bridge-protocol.md");

/// A function that names a value's variant, and the names of all: one that is added has no name, and does not compile.
macro_rules! variants {
    ($of:ident, $all:ident, $type:ident { $($variant:ident),+ }) => {
        fn $of(value: &$type) -> &'static str {
            match value {
                $($type::$variant { .. } => stringify!($variant),)+
            }
        }

        const $all: &[&str] = &[$(stringify!($variant)),+];
    };
}

variants!(
    bridge_frame,
    BRIDGE_FRAMES,
    BridgeFrame { Hello, Reconciled, Line, Report, Resolved, Inbound, Unreadable }
);
variants!(
    server_frame,
    SERVER_FRAMES,
    ServerFrame { Welcome, Reconcile, Lines, Send, Settled, Received, Bye, Unreadable }
);
variants!(
    inbound,
    INBOUND,
    Inbound { Message, Own, Reaction, Typing, Read, Update, Group, Unreadable }
);
variants!(chat, CHATS, InboundChat { Contact, Group });
variants!(content, CONTENTS, Content { Message, Reaction, Typing, Read });
variants!(outcome, OUTCOMES, Outcome { Sent, Done, Failed, Unknown, Released });
variants!(state, STATES, ReconciledState { Running, NeverStarted, Finished });

/// The blocks of the page in this language.
fn examples(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let blocks = PAGE.split(fence.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The frame of a block; it says all that the frame says, and nothing that is ignored.
fn read<T: Serialize + DeserializeOwned>(block: &str) -> T {
    let frame: T = serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}"));
    let written: Value = serde_json::from_str(block).unwrap();
    assert_eq!(serde_json::to_value(&frame).unwrap(), written, "{block}");
    frame
}

/// Everything but what stands for words that are not known.
fn all(names: &[&'static str]) -> BTreeSet<&'static str> {
    names.iter().copied().filter(|name| *name != "Unreadable").collect()
}

#[test]
fn every_example_is_a_frame_and_every_word_has_an_example() {
    let bridge: Vec<BridgeFrame> = examples("json bridge").into_iter().map(read).collect();
    let server: Vec<ServerFrame> = examples("json server").into_iter().map(read).collect();
    assert_eq!(bridge.iter().map(bridge_frame).collect::<BTreeSet<_>>(), all(BRIDGE_FRAMES));
    assert_eq!(server.iter().map(server_frame).collect::<BTreeSet<_>>(), all(SERVER_FRAMES));
    let (mut entries, mut outcomes, mut states) = (Vec::new(), Vec::new(), Vec::new());
    for frame in bridge {
        match frame {
            BridgeFrame::Inbound { entries: more, .. } => entries.extend(more),
            BridgeFrame::Report { reports } | BridgeFrame::Resolved { reports } => {
                outcomes.extend(reports.into_iter().map(|report| report.outcome));
            }
            BridgeFrame::Reconciled { items } => {
                states.extend(items.into_iter().map(|Reconciled { state, .. }| state));
            }
            BridgeFrame::Hello { .. } | BridgeFrame::Line { .. } | BridgeFrame::Unreadable => {}
        }
    }
    assert_eq!(entries.iter().map(inbound).collect::<BTreeSet<_>>(), all(INBOUND));
    assert_eq!(outcomes.iter().map(outcome).collect::<BTreeSet<_>>(), all(OUTCOMES));
    assert_eq!(states.iter().map(state).collect::<BTreeSet<_>>(), all(STATES));
    let mut chats = BTreeSet::new();
    let mut updated = [false; 7];
    for entry in &entries {
        match entry {
            Inbound::Message(message) => chats.insert(chat(&message.chat)),
            Inbound::Group { chat: told } => chats.insert(chat(told)),
            Inbound::Update(update) => {
                let InboundUpdate {
                    chat: _,
                    message_guid: _,
                    edit,
                    unsent_at,
                    delivered_at,
                    read_at,
                    failed,
                    service,
                    attachments,
                } = update;
                let told = [
                    edit.is_some(),
                    unsent_at.is_some(),
                    delivered_at.is_some(),
                    read_at.is_some(),
                    failed.is_some(),
                    service.is_some(),
                    attachments.is_some(),
                ];
                updated.iter_mut().zip(told).for_each(|(all, told)| *all |= told);
                true
            }
            _ => true,
        };
    }
    assert_eq!(chats, all(CHATS));
    assert_eq!(updated, [true; 7], "each thing that can be new of a message has an example");
    let items = server.iter().find_map(|frame| match frame {
        ServerFrame::Send { items } => Some(items),
        _ => None,
    });
    let contents: BTreeSet<_> = items.unwrap().iter().map(|item| content(&item.content)).collect();
    assert_eq!(contents, all(CONTENTS));
}

#[test]
fn every_name_and_every_bound_stands_on_the_page() {
    let mut names: Vec<String> = OfflineReason::ALL.map(|one| one.as_str().to_owned()).to_vec();
    for capability in Capability::ALL {
        let name = serde_json::to_value(capability).unwrap();
        names.push(name.as_str().unwrap().to_owned());
    }
    for name in names {
        assert!(PAGE.contains(&format!("`{name}`")), "{name} is not on the page");
    }
    for (bound, value) in [
        ("| a frame, either way |", MAX_FRAME_BYTES),
        ("| reports, entries or items of a frame, items to reconcile |", MAX_BATCH),
        ("| items of a line that the bridge holds unreported |", WINDOW_PER_LINE),
        (", of one chat", WINDOW_PER_CHAT),
        ("| a position |", MAX_POSITION_BYTES),
        ("| handles in `accounts` |", MAX_ACCOUNTS),
    ] {
        assert!(PAGE.contains(&format!("{bound} {value}")), "{bound} {value}");
    }
    assert!(PAGE.contains(&format!("\"protocol\": {PROTOCOL}")));
    assert!(PAGE.contains(&format!("\"oldest_protocol\": {OLDEST_PROTOCOL}")));
    assert!(DriverKind::ALL.iter().any(|one| PAGE.contains(one.as_str())));
}
