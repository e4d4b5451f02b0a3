//! The configuration as an environment file.

use super::{Config, LogFormat};

impl Config {
    /// The effective configuration as an environment file; what holds a secret is not shown.
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
                "DATABASE",
                self.database.as_ref().map(|_| "(set, not shown)".to_owned()).unwrap_or_default(),
            ),
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
            ("STANDBY_AFTER", self.standby_after.to_string()),
            ("EVENT_RETENTION", self.event_retention.to_string()),
            ("MAX_BODY", self.max_body.to_string()),
            ("PUBLIC_URL", self.public_url.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("FILES", self.files.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("MAX_FILE", self.max_file.to_string()),
            ("FILE_URL_TTL", self.file_url_ttl.to_string()),
            ("MAX_CONNECTIONS", self.max_connections.to_string()),
            ("STOP_TIMEOUT", self.stop_timeout.to_string()),
            ("MAX_STREAMS", self.quotas.max_streams.to_string()),
            ("MAX_STREAMS_PER_ACCOUNT", optional(self.quotas.max_streams_per_account)),
            ("MAX_STREAMS_PER_KEY", optional(self.quotas.max_streams_per_key)),
            ("MAX_STORED_BYTES", self.quotas.max_stored_bytes.to_string()),
            ("MAX_REPLAYS", self.quotas.max_replays.to_string()),
            ("MAX_PARTIAL_HEADS", self.quotas.max_partial_heads.to_string()),
            (
                "MAX_PARTIAL_HEADS_PER_ADDRESS",
                self.quotas.max_partial_heads_per_address.to_string(),
            ),
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
