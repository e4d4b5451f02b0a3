//! The fake of imsg by its front door: raw lines to the spawned program, each test a rule of imsg's documentation.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod commands;
mod deaths;
mod framing;
mod gates;
mod groups;
mod lanes;
mod program;
mod reads;
mod rich;
mod sends;
mod statuses;
mod uncertain;
mod watches;
