//! `switchboard bridge run`: carries lines until it is stopped.

use clap::Args;
use switchboard_bridge::{Bridge, BridgeConfig, Refused};
use switchboard_server::telemetry;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    check::check,
    driver,
    log::Log,
    options::Options,
    secrets,
    standing::{Held, Teller},
};
use crate::commands::{data_dir, host::LAST_LINES, signals::StopSignals};

/// Carry lines until stopped
///
/// It dials the server and dials again for as long as it takes: nothing has to be reachable on this machine.
/// SIGTERM and SIGINT stop it in good order, a second one at once; what was under way is
/// finished, or asked for at the next start.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    options: Options,

    #[command(flatten)]
    log: Log,
}

pub(super) async fn run(run: Run) -> anyhow::Result<()> {
    let Run { options, log } = run;
    log.start()?;
    let done = Box::pin(carry(&options)).await;
    if let (Err(error), Some(_)) = (&done, &log.log_file) {
        // Standard error says it in any case; who looks into the file must find it there.
        tracing::error!("ended: {error:#}");
    }
    done
}

async fn carry(options: &Options) -> anyhow::Result<()> {
    for (option, safer) in secrets::in_plain_here() {
        tracing::warn!("{option} shows its secret to everybody on this machine; {safer} does not");
    }
    check(options)?;
    let dir = options.dir()?;
    let token = secrets::token(options, &dir)?;
    data_dir::prepare(&dir)?;
    let _held = Held::take(&dir).await?;
    let config = BridgeConfig::of_server(&options.server, &token)?;
    let server = config.url().to_string();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        driver = options.driver.as_str(),
        server,
        data_dir = %dir.display(),
        "starting"
    );
    // Before anything runs: whoever starts it may stop it at once.
    let signals = StopSignals::listen()?;
    let driver = driver::driver(options, &dir)?;
    let bridge = Bridge::new(config, driver.clone());
    let teller = Teller::new(dir, server, bridge.state(), &driver);
    let _teller = AbortOnDropHandle::new(tokio::spawn(teller.tell()));
    Ok(until_stopped(bridge, signals).await?)
}

async fn until_stopped(bridge: Bridge, mut signals: StopSignals) -> Result<(), Refused> {
    let stop = CancellationToken::new();
    let mut running = std::pin::pin!(bridge.run(stop.clone()));
    tokio::select! {
        ended = &mut running => return ended,
        signal = signals.come() => tracing::info!(signal, "stopping"),
    }
    stop.cancel();
    tokio::select! {
        ended = &mut running => ended,
        signal = signals.come_again() => {
            tracing::warn!(signal, "a second signal: ended at once; what was under way is asked for at the next start");
            telemetry::flush(LAST_LINES);
            std::process::exit(1);
        }
    }
}
