//! The machinery under the nouns: one thread that writes, a few that read, and how rows become values.

pub(super) mod checkpoints;
pub(super) mod columns;
pub(super) mod migrations;
pub(super) mod open;
pub(super) mod others;
pub(super) mod outage;
pub(super) mod read_queue;
pub(super) mod reader;
pub(super) mod statement;
pub(super) mod wal;
pub(super) mod worker_queue;
pub(super) mod writer;
pub(super) mod writer_cache;
