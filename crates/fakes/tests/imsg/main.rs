//! The fake of imsg by its front door: raw lines to the spawned program, each test a rule of imsg's documentation.

mod deaths;
mod framing;
mod lanes;
mod program;
