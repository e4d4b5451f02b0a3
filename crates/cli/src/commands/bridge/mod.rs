//! `switchboard bridge …`: the process beside Messages, its set-up and its state.
//!
//! It runs on the machine that has Messages, or that reaches it, and dials out to the server: nothing there has to be
//! reachable from outside.

#![allow(rustdoc::bare_urls, reason = "a terminal shows it, as --help")]

mod check;
mod doctor;
mod driver;
mod install;
mod log;
mod options;
pub(crate) mod ready;
mod room;
mod run;
mod secrets;
mod standing;
mod status;
pub(crate) mod token_file;

use clap::{Args, Subcommand};

/// Carry real phone lines: run a bridge beside Messages, check it, install it
///
/// Example, on the Mac, with a token of 'switchboard admin bridges create':
///
///   switchboard bridge doctor --server https://sw.example.com --driver imsg
///   switchboard bridge install --server https://sw.example.com --driver imsg
///   switchboard bridge status
///
/// The token is asked for once, and kept in the data directory.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Bridge {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Run>),
    Doctor(Box<doctor::Doctor>),
    Install(Box<install::Install>),
    Status(status::Status),
}

pub(crate) async fn run(bridge: Bridge) -> anyhow::Result<()> {
    match bridge.command {
        Command::Run(run) => run::run(*run).await,
        Command::Doctor(doctor) => doctor::run(*doctor).await,
        Command::Install(install) => install::run(&install),
        Command::Status(status) => status::run(&status),
    }
}
