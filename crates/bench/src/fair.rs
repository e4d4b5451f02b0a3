//! `fair`: how fast healthy webhooks drain a backlog when others hang, refuse, cut or trickle, beside how
//! fast they drain the same alone. No endpoint is known at the start: which of them are good has to be found out.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use switchboard_client::CreateWebhook;
use switchboard_model::EventKind;
use switchboard_testkit::{
    LINE, Receiver,
    receiver::{Behaviour, Cut},
};
use tokio::net::TcpListener;

use crate::{
    Options, cpu,
    machine::Machine,
    report::{Figure, Report, Round, Series},
    world::World,
};

/// Endpoints that answer 200 at once.
const HEALTHY: usize = 9;
/// Endpoints that nobody listens at.
const REFUSING: usize = 3;
/// Events of the backlogs of a round, for each second that a measurement is to take. Nine webhooks get each of them:
/// more or less what goes out.
const EVENTS_A_SECOND: usize = 2000;
/// The pause between two bytes of an answer that trickles.
const TRICKLE: Duration = Duration::from_secs(1);
/// How long a backlog may take.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) async fn run(options: &Options, machine: Machine) -> anyhow::Result<Report> {
    let events = EVENTS_A_SECOND * usize::try_from(options.seconds)? / 2;
    let (mut alone, mut among) = (Series::default(), Series::default());
    for round in options.rounds() {
        // In this order: a machine that becomes slower, or faster, favours neither.
        for with_bad in [false, true, true, false] {
            let series = if with_bad { &mut among } else { &mut alone };
            series.push(drain(options, events, with_bad).await?);
        }
        options.tell(round, among.percent_of(&alone), "% of their rate alone so far");
    }
    let rate = |series: &Series| series.median(|round| round.per_second);
    Ok(Report {
        benchmark: "fair",
        machine,
        rounds: options.rounds,
        rows: vec![
            alone.row("nine healthy webhooks alone"),
            among.row("the same among eleven bad ones"),
        ],
        figures: vec![
            Figure::plain("nine healthy webhooks alone", rate(&alone), "/s"),
            Figure::plain("the same among eleven bad ones", rate(&among), "/s"),
            Figure::plain("of their rate alone", among.percent_of(&alone), "%").at_least(90.0),
        ],
    })
}

/// Lets a server that starts find so many events for each webhook, and says how fast the healthy
/// ones got all of theirs.
async fn drain(options: &Options, events: usize, with_bad: bool) -> anyhow::Result<Round> {
    let world = World::unlinked(options).await?;
    let mut healthy = Vec::new();
    for _ in 0..HEALTHY {
        healthy.push(Receiver::counting().await);
    }
    let mut bad = Vec::new();
    let mut urls: Vec<_> = healthy.iter().map(Receiver::url).collect();
    if with_bad {
        let hang = || Behaviour::Stall;
        let cut = || Behaviour::Cut(Cut::InHead);
        let trickle = || Behaviour::Drip { every: TRICKLE };
        let kinds = [hang(), hang(), hang(), hang(), hang(), cut(), cut(), trickle()];
        for behaviour in kinds {
            let receiver = Receiver::counting().await;
            receiver.set(behaviour);
            urls.push(receiver.url());
            bad.push(receiver);
        }
        for _ in 0..REFUSING {
            // The port is free again at once.
            let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
            urls.push(format!("http://127.0.0.1:{port}/hook"));
        }
    }
    for url in urls {
        let webhook = CreateWebhook::new(LINE, url, [EventKind::MessageReceived]);
        world.tenant.client.create_webhook(&webhook).await?;
    }
    let mut stopped = world.stop().await;
    stopped.backlog(events).await?;
    let early: u64 = healthy.iter().map(Receiver::count).sum();
    ensure!(early == 0, "a delivery came before the server was started");
    let world = stopped.start().await;
    let before = cpu::by_name()?;
    let times = try_join_all(healthy.iter().map(async |receiver| {
        receiver.wait_for_count(1, PATIENCE).await?;
        let first = Instant::now();
        receiver.wait_for_count(events as u64, PATIENCE).await?;
        anyhow::Ok((first, Instant::now()))
    }))
    .await?;
    let used = cpu::between(&before, &cpu::by_name()?);
    world.server.stop().await;
    drop(bad);
    let first = times.iter().map(|(first, _)| *first).min().context("there are some")?;
    let last = times.iter().map(|(_, last)| *last).max().context("there are some")?;
    let count = events as f64 * HEALTHY as f64;
    let rate = count / last.duration_since(first).as_secs_f64();
    Ok(Round::rate(rate).cpu(used, count as u64))
}
