//! The settings of quotas.

use clap::Args;

/// What an account may have of live streams, however few there may be in all, unless the operator says otherwise.
const MIN_STREAMS_EACH: u32 = 16;

/// How much one account, key or address may have of what all share.
#[derive(Debug, Clone, Args)]
pub struct Quotas {
    /// Live streams at once; more are refused
    #[arg(
        long,
        env = "SWITCHBOARD_MAX_STREAMS",
        default_value_t = 15_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        value_name = "N"
    )]
    pub max_streams: u32,

    /// Live streams of one account at once. Without it two thirds of --max-streams, and 16 at least
    #[arg(
        long,
        env = "SWITCHBOARD_MAX_STREAMS_PER_ACCOUNT",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        value_name = "N"
    )]
    pub max_streams_per_account: Option<u32>,

    /// Live streams of one key at once. Without it as many as its account may have
    #[arg(
        long,
        env = "SWITCHBOARD_MAX_STREAMS_PER_KEY",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        value_name = "N"
    )]
    pub max_streams_per_key: Option<u32>,

    /// Bytes of files that an account may have stored. Uploads beyond are refused; what comes in with messages is
    /// kept and logged
    #[arg(
        long,
        env = "SWITCHBOARD_MAX_STORED_BYTES",
        default_value_t = 10_000_000_000,
        value_parser = clap::value_parser!(u64).range(1..),
        value_name = "BYTES"
    )]
    pub max_stored_bytes: u64,

    /// Replays of one account that run at once
    #[arg(
        long,
        env = "SWITCHBOARD_MAX_REPLAYS",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=10_000),
        value_name = "N"
    )]
    pub max_replays: u32,

    /// Bytes of all heads of requests that are not complete, beyond the first 4 KiB of each; connections that send
    /// more are ended
    #[arg(
        long,
        env = "SWITCHBOARD_MAX_PARTIAL_HEADS",
        default_value_t = 32 * 1024 * 1024,
        value_parser = clap::value_parser!(u64).range(64 * 1024..=1 << 40),
        value_name = "BYTES"
    )]
    pub max_partial_heads: u64,

    /// Heads of requests of one address that may be incomplete at once
    #[arg(
        long,
        env = "SWITCHBOARD_MAX_PARTIAL_HEADS_PER_ADDRESS",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "N"
    )]
    pub max_partial_heads_per_address: u32,
}

impl Quotas {
    /// Live streams of one account.
    pub fn max_streams_per_account(&self) -> u32 {
        let most_of_them = (self.max_streams / 3 * 2).max(MIN_STREAMS_EACH);
        self.max_streams_per_account.unwrap_or(most_of_them)
    }

    /// Live streams of one key.
    pub fn max_streams_per_key(&self) -> u32 {
        self.max_streams_per_key.unwrap_or_else(|| self.max_streams_per_account())
    }
}
