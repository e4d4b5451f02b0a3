//! The binary from outside: started, read, killed and stopped as a person or a machine would.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]
#![allow(clippy::print_stdout, reason = "the kill test prints its counts")]

mod access;
mod admin;
mod bridge;
mod data_dir;
mod dev;
#[cfg(target_os = "linux")]
mod disk_full;
mod drain;
mod examples;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod files;
mod help;
mod kill;
#[cfg(target_os = "linux")]
mod logs;
mod postgres;
mod process;
mod production;
mod replays;
mod s3;
mod serve;
mod stop;
mod tls;
mod tour;
mod webhooks;
