//! The machinery under the nouns: connections, transactions, and how rows become values.

pub(super) mod columns;
pub(super) mod connection;
pub(super) mod failure;
pub(super) mod migrations;
pub(super) mod notice;
pub(super) mod statement;
pub(super) mod transaction;
pub(super) mod wake;
