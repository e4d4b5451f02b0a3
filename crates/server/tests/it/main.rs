//! The server from outside: a real server, the real client, a real receiver.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod admin;
mod attachments;
mod bridge;
mod call;
mod chats;
mod circle;
mod conventions;
mod deliveries;
mod document;
mod downloads;
mod errors;
mod events;
mod examples;
mod files;
mod groups;
mod idempotency;
mod isolation;
mod leftovers;
mod links;
mod live;
mod messages;
mod openapi;
mod operations;
mod operators;
mod order;
mod order_writes;
mod outbox;
mod people;
mod presence;
mod reactions;
mod refusals;
mod rows;
mod sandbox;
mod simulator;
mod slow;
mod updates;
mod uploads;
mod values;
mod webhooks;
mod world;
