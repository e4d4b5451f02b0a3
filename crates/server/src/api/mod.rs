//! The HTTP API: a file for each noun. What all of them share stands in [`http`], what they may touch in [`state`].

pub(crate) mod admin;
pub(crate) mod audio_messages;
pub(crate) mod chats;
pub(crate) mod deliveries;
pub(crate) mod docs;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod health;
pub(crate) mod http;
pub(crate) mod known;
pub(crate) mod lines;
pub(crate) mod link;
pub(crate) mod messages;
pub(crate) mod metrics;
pub(crate) mod outbox;
pub(crate) mod reactions;
pub(crate) mod receipts;
pub(crate) mod replays;
pub(crate) mod sandbox;
pub(crate) mod simulator;
pub(crate) mod state;
pub(crate) mod typing;
pub(crate) mod webhooks;
