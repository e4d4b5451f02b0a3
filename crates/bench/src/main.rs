//! How fast Switchboard is, as a ratio: each benchmark measures its own ceiling in the same
//! run, on the same machine, in turns, so that noise hits both.

mod accept;
mod bare;
mod bridges;
mod cpu;
mod desk;
mod drain;
mod fair;
mod inbound;
mod life;
mod lines;
mod link;
mod load;
mod machine;
mod pages;
mod process;
mod report;
mod start;
mod streams;
mod world;

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};

use machine::Machine;

/// The binary's own allocator, for the ceiling too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measure how fast Switchboard is, beside what this machine can do in the same minute.
///
/// Absolute figures are the machine's; the ratios are ours. Every benchmark runs its ceiling
/// (a bare axum route that parses the same JSON and echoes it, asked by the same generator; for "fair", the
/// same endpoints without the bad ones) and
/// itself in turns, and gives the medians of the rounds. Load generator, server and receiver
/// share this process and its processors. The table ends with the targets of the design, each met
/// or missed; a missed one is no failure of the program.
#[derive(Parser)]
#[command(
    name = "switchboard-bench",
    after_help = "Examples:
  cargo build --release -p switchboard -p switchboard-bench
  cargo run --release -p switchboard-bench -- accept
  cargo run --release -p switchboard-bench -- life --seconds 10 --rounds 5
  cargo run --release -p switchboard-bench -- start --json"
)]
struct Cli {
    #[command(subcommand)]
    benchmark: Benchmark,
    #[command(flatten)]
    options: Options,
}

/// Which store.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StoreKind {
    Sqlite,
    Postgres,
}

#[derive(Subcommand, Clone, Copy)]
enum Benchmark {
    /// Durable POST /v1/messages with all checks, 64 connections, no bridge
    Accept,
    /// Accepted → simulator → sent → message.sent received and verified
    Life,
    /// A contact's text → message.received received and verified, at 1,000/s
    Inbound,
    /// Accepted → message.sent received and verified, of 200 lines on one link, 1/s each way on each
    Lines,
    /// The release binary and 20 bridges with ledgers, of 10 lines each, 1/s each way on each: accepted → handed over, and the
    /// server's memory (--seconds 600 --rounds 1)
    Bridges,
    /// The release binary and one link: a backlog out, and texts in, as fast as it goes
    Link,
    /// A backlog of 100,000 deliveries to one receiver, from the start of the server
    Drain,
    /// Nine healthy webhooks draining a backlog, alone and among eleven that hang, refuse, cut or trickle
    Fair,
    /// The release binary: start to ready, memory at rest, size
    Start,
    /// The release binary: pages of 50 messages from 100,000 and from 10,000,000; makes both databases (10 GB, minutes) and
    /// keeps them in the data directory
    Pages,
    /// The release binary: 10,000 live streams, their memory, one event to all; and streams that scan
    /// 600,000 old events in vain beside another account's GETs. Needs 10,200 open files
    Streams,
}

/// What every benchmark is told.
#[derive(Args)]
struct Options {
    /// Print one JSON object instead of the table
    #[arg(long, global = true)]
    json: bool,

    /// How long each measurement takes, in seconds; each round has one of the ceiling and one of
    /// the work. "start" always makes ten starts, "drain" always sends its whole backlog, "streams" asks for so long
    #[arg(long, global = true, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,

    /// How often ceiling and work are measured in turns
    #[arg(long, global = true, default_value_t = 3, value_name = "N",
          value_parser = rounds)]
    rounds: usize,

    /// Where the databases are made, and removed again; must be on a real disk
    /// [default: bench-data beside this program]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Deliveries that the server has in flight at once, as its own option: with less of them, fewer repeat after
    /// a kill, and a drain is slower [default: the server's]
    #[arg(long, global = true, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    webhook_concurrency: Option<u32>,

    /// Where the servers of this process keep things: "accept", "life", "inbound", "lines", "drain" and "fair". PostgreSQL runs
    /// on this machine too, with its commits on the disk
    #[arg(long, global = true, value_enum, default_value_t = StoreKind::Sqlite)]
    store: StoreKind,

    /// Run even when built without --release: the figures mean nothing
    #[arg(long, global = true)]
    allow_debug: bool,
}

fn rounds(text: &str) -> Result<usize, String> {
    let rounds = text.parse().map_err(|_| "must be a whole number".to_owned())?;
    if (1..=100).contains(&rounds) { Ok(rounds) } else { Err("must be from 1 to 100".to_owned()) }
}

impl Options {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn rounds(&self) -> RangeInclusive<usize> {
        1..=self.rounds
    }

    /// Says how far it is.
    fn tell(&self, round: usize, figure: f64, unit: &str) {
        eprintln!("round {round} of {}: {figure:.1} {unit}", self.rounds);
    }
}

fn main() -> anyhow::Result<()> {
    let Cli { benchmark, options } = Cli::parse();
    if cfg!(debug_assertions) && !options.allow_debug {
        bail!("built without --release, so the figures would mean nothing (--allow-debug to see)");
    }
    let beside = || Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name("bench-data"));
    let data_dir = options.data_dir.clone().map_or_else(beside, Ok)?;
    std::fs::create_dir_all(&data_dir)
        .with_context(|| format!("{} can't be used", data_dir.display()))?;
    // The servers of testkit make their directories where temporary ones are made.
    if tempfile::env::override_temp_dir(&data_dir).is_err() {
        bail!("the directory for databases is already chosen");
    }
    let machine = Machine::look(&data_dir)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().thread_name("server").enable_all().build()?;
    let report = runtime.block_on(async {
        match benchmark {
            Benchmark::Accept => accept::run(&options, machine).await,
            Benchmark::Life => life::run(&options, machine).await,
            Benchmark::Inbound => inbound::run(&options, machine).await,
            Benchmark::Lines => lines::run(&options, machine).await,
            Benchmark::Bridges => bridges::run(&options, machine).await,
            Benchmark::Link => link::run(&options, machine).await,
            Benchmark::Drain => drain::run(&options, machine).await,
            Benchmark::Fair => fair::run(&options, machine).await,
            Benchmark::Start => start::run(machine).await,
            Benchmark::Pages => pages::run(&options, machine).await,
            Benchmark::Streams => streams::run(&options, machine).await,
        }
    })?;
    report.print(options.json)
}
