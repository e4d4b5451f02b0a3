//! S3, or what speaks like it: `s3://bucket/prefix`, and the rest in the usual AWS_… variables.

use std::{sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    path::Path,
    prefix::PrefixStore,
};
use switchboard_model::secret;
use url::Url;

/// How long one call may be tried, retries included: less than clients wait for an answer (§1).
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a call is tried again.
const RETRIES: usize = 3;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer, and each next part of one, may take. The whole of a download has no bound here: it
/// goes on as long as its reader does.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The bucket, as if the prefix were its root.
pub(super) fn open(url: &Url) -> object_store::Result<Arc<dyn ObjectStore>> {
    let client = ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_read_timeout(READ_TIMEOUT);
    let backoff = BackoffConfig { max_backoff: PATIENCE / 4, ..BackoffConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_client_options(client)
        .with_retry(RetryConfig { backoff, max_retries: RETRIES, retry_timeout: PATIENCE })
        .with_url(url.as_str());
    for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        // The environment may hold settings of other programs.
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, secret::bare(&value));
        }
    }
    let prefix = Path::from_url_path(url.path())?;
    Ok(Arc::new(PrefixStore::new(builder.build()?, prefix)))
}
