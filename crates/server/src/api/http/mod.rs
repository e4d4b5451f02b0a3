//! What reads a header, picks a status or decides who may. A raw string does not pass this room.

pub(crate) mod access;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod envelope;
mod host;
pub(crate) mod idempotency;
pub(crate) mod problem;
pub(crate) mod query;
mod repeated;
