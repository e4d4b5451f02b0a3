//! The HTTP API: what reads a header or picks a status. A raw string does not pass this room.

pub(crate) mod admin;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod chats;
pub(crate) mod envelope;
pub(crate) mod lines;
pub(crate) mod messages;
pub(crate) mod outbox;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod simulator;
pub(crate) mod webhooks;
