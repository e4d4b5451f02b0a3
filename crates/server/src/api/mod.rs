//! The HTTP API: what reads a header or picks a status. A raw string does not pass this room.

pub(crate) mod access;
pub(crate) mod admin;
pub(crate) mod audio_messages;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod chats;
pub(crate) mod deliveries;
pub(crate) mod docs;
pub(crate) mod envelope;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod health;
mod host;
pub(crate) mod lines;
pub(crate) mod messages;
pub(crate) mod once;
pub(crate) mod outbox;
pub(crate) mod outgoing;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod reactions;
pub(crate) mod receipts;
pub(crate) mod replays;
pub(crate) mod sandbox;
pub(crate) mod simulator;
pub(crate) mod typing;
pub(crate) mod webhooks;
