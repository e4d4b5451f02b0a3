//! The server from outside: a real server, the real client, a real receiver.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod admin;
mod bridge;
mod call;
mod chats;
mod circle;
mod conventions;
mod deliveries;
mod errors;
mod links;
mod messages;
mod operations;
mod order;
mod outbox;
mod simulator;
mod values;
mod webhooks;
mod world;
