//! One file per command, named as its noun.

pub(crate) mod admin;
mod api;
pub(crate) mod bridge;
mod data_dir;
pub(crate) mod deliveries;
pub(crate) mod dev;
pub(crate) mod host;
pub(crate) mod serve;
mod signals;
pub(crate) mod webhooks;

use anyhow::Context as _;

/// Runs a command on the runtime that all of them use.
pub(crate) fn run(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime could not be started")?
        .block_on(command)
}
