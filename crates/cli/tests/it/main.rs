//! The binary from outside: started, read, killed and stopped as a person or a machine would.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod kill;
mod process;
