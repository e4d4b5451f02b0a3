//! The binary `switchboard`: parses, matches, calls.
//!
//! stdout is data, stderr is talk. Exit codes: 0 done, 1 failed, 2 wrong usage, 70 a server has failed in a part
//! without which it is only half alive, and is to be started again.

mod commands;
mod output;

use std::{process::ExitCode, time::Duration};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, error::ErrorKind};
use switchboard_server::{config::env, telemetry};

use commands::{admin, bridge, deliveries, dev, host::PartFailed, serve, webhooks};

/// A request makes some fifty allocations, on threads that hand them to each other: with this
/// allocator a whole life of a message takes a quarter less processor time than with the system's,
/// for 3 MiB more at rest (`switchboard-bench life` and `start`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long the last lines of the log may take to be written.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The exit code of a server that is to be started again: EX_SOFTWARE of sysexits.h.
const PART_FAILED: u8 = 70;

/// A self-hosted iMessage API for agents and apps: an HTTP API, signed webhooks and
/// bridges to phone lines that you own.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Dev),
    Serve(Box<serve::Serve>),
    Bridge(bridge::Bridge),
    Admin(admin::Admin),
    Webhooks(webhooks::Webhooks),
    Deliveries(deliveries::Deliveries),
}

fn main() -> ExitCode {
    let cli = parse();
    // Two dependencies could each bring their own; whoever asks first must find this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match cli.command {
        Command::Dev(dev) => commands::run(dev::run(dev)),
        Command::Serve(serve) => commands::run(serve::run(*serve)),
        Command::Bridge(bridge) => commands::run(bridge::run(bridge)),
        Command::Admin(admin) => commands::run(admin::run(admin)),
        Command::Webhooks(webhooks) => commands::run(webhooks::run(webhooks)),
        Command::Deliveries(deliveries) => commands::run(deliveries::run(deliveries)),
    };
    // A reader of the log that has stalled does not keep the process from ending.
    telemetry::flush(LAST_LINES);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::last_words(format!("error: {error:#}"));
            if error.is::<PartFailed>() { PART_FAILED.into() } else { ExitCode::FAILURE }
        }
    }
}

/// The command line, with the environment as files and shells leave it.
fn parse() -> Cli {
    let matches = env::tidy(Cli::command()).try_get_matches();
    match matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches)) {
        Ok(cli) => cli,
        Err(error) => match error.kind() {
            // Help names every variable, whatever it holds.
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Cli::parse()
            }
            _ => error.exit(),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
