//! The configuration: one definition gives the flags, the environment, `--help` and the reference.

mod bad_setting;
mod database;
pub mod env;
mod env_file;
mod ports;
mod quotas;

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

pub use bad_setting::BadSetting;
use clap::{Args, FromArgMatches, ValueEnum, builder::BoolishValueParser};
pub use database::DatabaseUrl;
use ipnet::IpNet;
pub use ports::Ports;
pub use quotas::Quotas;
use switchboard_model::{key::DEFAULT_HOURLY_LIMIT, retry::RetrySchedule, secret};
use url::Url;

/// How the server runs. Every field is a flag, and the environment variable named beside it.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address and port to listen on
    #[arg(long, env = "SWITCHBOARD_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub listen: SocketAddr,

    /// Directory for the database and everything else that is kept; made if missing
    #[arg(
        long,
        env = "SWITCHBOARD_DATA_DIR",
        default_value = "./switchboard-data",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,

    /// Keep everything but files in this PostgreSQL database (14 or later), and not in the data directory:
    /// postgres://USER:PASSWORD@HOST:PORT/NAME. One server at a time
    #[arg(
        long,
        env = "SWITCHBOARD_DATABASE",
        hide_env_values = true,
        value_parser = database::parse,
        value_name = "URL"
    )]
    pub database: Option<DatabaseUrl>,

    /// File with the key that webhook secrets are encrypted with in the database: 32 bytes in base64. Made at the first
    /// start; each backup needs it. Without it, DATA_DIR/secret-key
    #[arg(long, env = "SWITCHBOARD_SECRET_KEY_FILE", value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,

    /// Requests an hour that a key may make, unless the key says otherwise
    #[arg(
        long,
        env = "SWITCHBOARD_RATE_LIMIT",
        default_value_t = DEFAULT_HOURLY_LIMIT,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "N"
    )]
    pub rate_limit: u32,

    /// Bearer token of the operator, for /admin/v1; at least 20 characters. Without it one is
    /// made at the first start and kept in DATA_DIR/operator-token
    #[arg(
        long,
        env = "SWITCHBOARD_OPERATOR_TOKEN",
        hide_env_values = true,
        value_parser = operator_token,
        value_name = "TOKEN"
    )]
    pub operator_token: Option<OperatorToken>,

    /// Carry lines whose driver is "simulator" with virtual phones, and serve /simulator/v1
    #[arg(long, env = "SWITCHBOARD_SIMULATOR", value_parser = BoolishValueParser::new())]
    pub simulator: bool,

    /// Let webhooks use http:// and not only https://
    #[arg(
        long,
        env = "SWITCHBOARD_WEBHOOK_ALLOW_HTTP",
        value_parser = BoolishValueParser::new()
    )]
    pub webhook_allow_http: bool,

    /// Networks that webhooks may reach although they are private, as CIDR; may be repeated
    #[arg(
        long,
        env = "SWITCHBOARD_WEBHOOK_ALLOW_NETWORKS",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    pub webhook_allow_networks: Vec<IpNet>,

    /// Ports that webhooks may use, as numbers and ranges
    #[arg(
        long,
        env = "SWITCHBOARD_WEBHOOK_PORTS",
        value_delimiter = ',',
        default_value = "80,443,1024-65535",
        value_name = "PORTS"
    )]
    pub webhook_ports: Vec<Ports>,

    /// Seconds that a webhook's endpoint has for its whole answer
    #[arg(
        long,
        env = "SWITCHBOARD_WEBHOOK_TIMEOUT",
        default_value_t = 15,
        value_parser = clap::value_parser!(u64).range(1..=300),
        value_name = "SECONDS"
    )]
    pub webhook_timeout: u64,

    /// Deliveries in flight at once, over all webhooks
    #[arg(
        long,
        env = "SWITCHBOARD_WEBHOOK_CONCURRENCY",
        default_value_t = 512,
        value_parser = clap::value_parser!(u32).range(1..=10_000),
        value_name = "N"
    )]
    pub webhook_concurrency: u32,

    /// Pauses before the second, third, … attempt of a delivery, ± 20 %: whole numbers with ms, s, m, h or d
    #[arg(
        long,
        env = "SWITCHBOARD_WEBHOOK_RETRY_SCHEDULE",
        default_value_t = RetrySchedule::default(),
        value_name = "PAUSES"
    )]
    pub webhook_retry_schedule: RetrySchedule,

    /// Address and port for GET /metrics and GET /health, which ask for no key: for the operator's own
    /// network. Without it there are no metrics, and GET /health is on the address of --listen only
    #[arg(long, env = "SWITCHBOARD_METRICS_LISTEN", value_name = "ADDR")]
    pub metrics_listen: Option<SocketAddr>,

    /// Address and port for /admin/v1 and /simulator/v1, which are then not on the address of --listen: for the
    /// operator's own network. Without it they are
    #[arg(long, env = "SWITCHBOARD_ADMIN_LISTEN", value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,

    /// Seconds that a delivery may be overdue, through no fault of its endpoint, before GET /health says so
    #[arg(
        long,
        env = "SWITCHBOARD_HEALTH_MAX_LAG",
        default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        value_name = "SECONDS"
    )]
    pub health_max_lag: u64,

    /// Bytes that must be free on the volume of DATA_DIR, or GET /health is red; 0 for no such check
    #[arg(
        long,
        env = "SWITCHBOARD_HEALTH_MIN_DISK_FREE",
        default_value_t = 100 * 1024 * 1024,
        value_name = "BYTES"
    )]
    pub health_min_disk_free: u64,

    /// Seconds that a bridge's claim on an outbox item holds after the bridge was last heard of
    #[arg(
        long,
        env = "SWITCHBOARD_CLAIM_LEASE",
        default_value_t = 120,
        value_parser = clap::value_parser!(u64).range(1..=3600),
        value_name = "SECONDS"
    )]
    pub claim_lease: u64,

    /// Seconds that a line's bridge may be away before its standby takes the line over
    #[arg(
        long,
        env = "SWITCHBOARD_STANDBY_AFTER",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        value_name = "SECONDS"
    )]
    pub standby_after: u64,

    /// Days that events are kept; at least 7, so that streams can resume
    #[arg(
        long,
        env = "SWITCHBOARD_EVENT_RETENTION",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(7..=36_500),
        value_name = "DAYS"
    )]
    pub event_retention: u64,

    /// Largest JSON body that is taken, in bytes
    #[arg(
        long,
        env = "SWITCHBOARD_MAX_BODY",
        default_value_t = 1024 * 1024,
        value_parser = clap::value_parser!(u64).range(1024..=64 * 1024 * 1024),
        value_name = "BYTES"
    )]
    pub max_body: u64,

    /// URL at which clients reach this server; it begins the URLs of files. Without it, the
    /// address that is listened on
    #[arg(long, env = "SWITCHBOARD_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Url>,

    /// Where files are kept: s3://bucket/prefix, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
    /// AWS_REGION in the environment; for an S3 of your own (MinIO, for instance) AWS_ENDPOINT too,
    /// and AWS_ALLOW_HTTP=true if that is http://. Without it, DATA_DIR/files
    #[arg(long, env = "SWITCHBOARD_FILES", value_parser = files_url, value_name = "URL")]
    pub files: Option<Url>,

    /// Largest file that is taken, in bytes
    #[arg(
        long,
        env = "SWITCHBOARD_MAX_FILE",
        default_value_t = 100_000_000,
        value_parser = clap::value_parser!(u64).range(1..),
        value_name = "BYTES"
    )]
    pub max_file: u64,

    /// Seconds that the URL of a file works
    #[arg(
        long,
        env = "SWITCHBOARD_FILE_URL_TTL",
        default_value_t = 7 * 24 * 3600,
        value_parser = clap::value_parser!(u64).range(60..=31_536_000),
        value_name = "SECONDS"
    )]
    pub file_url_ttl: u64,

    /// Connections at once; more wait to be accepted
    #[arg(
        long,
        env = "SWITCHBOARD_MAX_CONNECTIONS",
        default_value_t = 20_000,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "N"
    )]
    pub max_connections: u32,

    /// Seconds that requests and webhook deliveries that are under way have to end when the server stops; a
    /// second signal ends it at once
    #[arg(
        long,
        env = "SWITCHBOARD_STOP_TIMEOUT",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(0..=600),
        value_name = "SECONDS"
    )]
    pub stop_timeout: u64,

    /// What one account, key or address may have of what all share
    #[command(flatten)]
    pub quotas: Quotas,

    /// What to log: error, warn, info, debug, trace, or a filter such as switchboard_server=debug
    #[arg(long, env = "SWITCHBOARD_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,

    /// How to write the log, on standard error
    #[arg(long, env = "SWITCHBOARD_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// The operator's bearer token. Does not show itself in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorToken(pub String);

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(…)")
    }
}

fn files_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.scheme() != "s3" || url.host_str().is_none() {
        return Err("must be s3://bucket/prefix".to_owned());
    }
    Ok(url)
}

fn operator_token(text: &str) -> Result<OperatorToken, String> {
    let text = secret::bare(text);
    if text.len() < 20 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be at least 20 visible ASCII characters".to_owned());
    }
    Ok(OperatorToken(text.to_owned()))
}

impl Config {
    /// The defaults, and what the environment says, without flags. Of the fields that are `left_out`
    /// the environment is not even read.
    ///
    /// # Errors
    /// When the environment holds a setting that can't be understood.
    pub fn from_env(left_out: &[&'static str]) -> Result<Self, BadSetting> {
        let all = Self::augment_args(clap::Command::new("switchboard"));
        let command =
            left_out.iter().fold(all, |command, field| command.mut_arg(field, |arg| arg.env(None)));
        env::tidy(command)
            .try_get_matches_from(["switchboard"])
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| BadSetting::of(&error))
    }

    /// Lets webhooks use http and reach this machine: for development and tests.
    pub fn allow_local_webhooks(&mut self) {
        self.webhook_allow_http = true;
        let v4 = IpNet::new_assert(Ipv4Addr::LOCALHOST.into(), 8);
        let v6 = IpNet::new_assert(Ipv6Addr::LOCALHOST.into(), 128);
        self.webhook_allow_networks.extend([v4, v6]);
    }

    /// How long a claim holds.
    pub fn claim_lease(&self) -> Duration {
        Duration::from_secs(self.claim_lease)
    }

    /// How long a line's bridge may be away before its standby takes the line over.
    pub fn standby_after(&self) -> Duration {
        Duration::from_secs(self.standby_after)
    }

    /// How long an endpoint has for its answer.
    pub fn webhook_timeout(&self) -> Duration {
        Duration::from_secs(self.webhook_timeout)
    }

    /// How long what is under way has to end when the server stops.
    pub fn stop_timeout(&self) -> Duration {
        Duration::from_secs(self.stop_timeout)
    }

    /// How long a delivery may be overdue.
    pub fn health_max_lag(&self) -> Duration {
        Duration::from_secs(self.health_max_lag)
    }

    /// How long events are kept.
    pub fn event_retention(&self) -> Duration {
        Duration::from_secs(self.event_retention * 24 * 3600)
    }
}
