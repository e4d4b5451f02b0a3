//! What reads a header, picks a status or decides who may. A raw string does not pass this room.

pub(crate) mod access;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod caller;
mod drain;
pub(crate) mod envelope;
mod host;
pub(crate) mod idempotency;
pub(crate) mod names;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod rate_limit;
mod repeated;
pub(crate) mod request_id;
