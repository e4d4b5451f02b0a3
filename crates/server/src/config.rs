//! The configuration: one definition gives the flags, the environment, `--help` and the reference.

pub mod env;

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use clap::{
    Args, FromArgMatches, ValueEnum,
    builder::BoolishValueParser,
    error::{ContextKind, ContextValue},
};
use ipnet::IpNet;
use switchboard_model::{key::DEFAULT_HOURLY_LIMIT, retry::RetrySchedule, secret};
use url::Url;

/// What an account may have of live streams, however few there may be in all, unless the operator says otherwise.
const MIN_STREAMS_EACH: u32 = 16;

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

    /// What to log: error, warn, info, debug, trace, or a filter such as switchboard_server=debug
    #[arg(long, env = "SWITCHBOARD_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,

    /// How to write the log, on standard error
    #[arg(long, env = "SWITCHBOARD_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// A port, or a range of them, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// Whether this port is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (port(first), port(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err("must be ports from 1 to 65535, such as 443 or 8000-8999".to_owned()),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
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

/// The environment holds a setting that can't be understood. Says which and why on one line, and not
/// the value: it may be a secret.
#[derive(Debug, thiserror::Error)]
#[error("{variable} can't be understood: {reason}")]
pub struct BadSetting {
    variable: String,
    reason: String,
}

impl BadSetting {
    fn of(error: &clap::Error) -> Self {
        // `--max-body <BYTES>`
        let flag = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(flag)) => flag.split(' ').next().unwrap_or_default(),
            _ => "a setting in the environment",
        };
        let variable = match flag.strip_prefix("--") {
            Some(name) => format!("SWITCHBOARD_{}", name.to_uppercase().replace('-', "_")),
            None => flag.to_owned(),
        };
        let reason = std::error::Error::source(error)
            .map_or_else(|| "its value is missing or unknown".to_owned(), ToString::to_string);
        Self { variable, reason }
    }
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

    /// Live streams of one account.
    pub fn max_streams_per_account(&self) -> u32 {
        let most_of_them = (self.max_streams / 3 * 2).max(MIN_STREAMS_EACH);
        self.max_streams_per_account.unwrap_or(most_of_them)
    }

    /// Live streams of one key.
    pub fn max_streams_per_key(&self) -> u32 {
        self.max_streams_per_key.unwrap_or_else(|| self.max_streams_per_account())
    }

    /// How long a claim holds.
    pub fn claim_lease(&self) -> Duration {
        Duration::from_secs(self.claim_lease)
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

    /// The effective configuration as an environment file; the operator's token is not shown.
    pub fn to_env_file(&self) -> String {
        let networks: Vec<String> =
            self.webhook_allow_networks.iter().map(ToString::to_string).collect();
        let ports: Vec<String> = self.webhook_ports.iter().map(ToString::to_string).collect();
        let token = if self.operator_token.is_some() { "(set, not shown)" } else { "" };
        let format = match self.log_format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        let optional =
            |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        [
            ("LISTEN", self.listen.to_string()),
            ("DATA_DIR", self.data_dir.display().to_string()),
            (
                "SECRET_KEY_FILE",
                self.secret_key_file
                    .as_ref()
                    .map(|file| file.display().to_string())
                    .unwrap_or_default(),
            ),
            ("RATE_LIMIT", self.rate_limit.to_string()),
            ("OPERATOR_TOKEN", token.to_owned()),
            ("SIMULATOR", self.simulator.to_string()),
            ("WEBHOOK_ALLOW_HTTP", self.webhook_allow_http.to_string()),
            ("WEBHOOK_ALLOW_NETWORKS", networks.join(",")),
            ("WEBHOOK_PORTS", ports.join(",")),
            ("WEBHOOK_TIMEOUT", self.webhook_timeout.to_string()),
            ("WEBHOOK_CONCURRENCY", self.webhook_concurrency.to_string()),
            ("WEBHOOK_RETRY_SCHEDULE", self.webhook_retry_schedule.to_string()),
            (
                "METRICS_LISTEN",
                self.metrics_listen.as_ref().map(ToString::to_string).unwrap_or_default(),
            ),
            (
                "ADMIN_LISTEN",
                self.admin_listen.as_ref().map(ToString::to_string).unwrap_or_default(),
            ),
            ("HEALTH_MAX_LAG", self.health_max_lag.to_string()),
            ("HEALTH_MIN_DISK_FREE", self.health_min_disk_free.to_string()),
            ("CLAIM_LEASE", self.claim_lease.to_string()),
            ("EVENT_RETENTION", self.event_retention.to_string()),
            ("MAX_BODY", self.max_body.to_string()),
            ("PUBLIC_URL", self.public_url.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("FILES", self.files.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("MAX_FILE", self.max_file.to_string()),
            ("FILE_URL_TTL", self.file_url_ttl.to_string()),
            ("MAX_CONNECTIONS", self.max_connections.to_string()),
            ("STOP_TIMEOUT", self.stop_timeout.to_string()),
            ("MAX_STREAMS", self.max_streams.to_string()),
            ("MAX_STREAMS_PER_ACCOUNT", optional(self.max_streams_per_account)),
            ("MAX_STREAMS_PER_KEY", optional(self.max_streams_per_key)),
            ("MAX_STORED_BYTES", self.max_stored_bytes.to_string()),
            ("MAX_REPLAYS", self.max_replays.to_string()),
            ("MAX_PARTIAL_HEADS", self.max_partial_heads.to_string()),
            ("MAX_PARTIAL_HEADS_PER_ADDRESS", self.max_partial_heads_per_address.to_string()),
            ("LOG", self.log.clone()),
            ("LOG_FORMAT", format.to_owned()),
        ]
        .iter()
        .fold(String::new(), |file, (name, value)| {
            // What is empty is written as a comment: it is not set.
            let mark = if value.is_empty() || value.starts_with('(') { "# " } else { "" };
            file + &format!("{mark}SWITCHBOARD_{name}={value}\n")
        })
    }
}
