//! `drain`: a backlog of 100,000 deliveries to one receiver, found at the start of a server, beside
//! the same HTTP client firing bodies that are signed already.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use reqwest::header::HeaderMap;
use switchboard_model::{EventKind, webhook::WebhookSecret};
use switchboard_testkit::{Receiver, receiver::Delivery};

use crate::{
    Options, cpu,
    load::{histogram, note},
    machine::Machine,
    report::{Figure, Report, Round, Series},
    world::{Stopped, World},
};

/// Deliveries of one round.
const BACKLOG: usize = 100_000;
/// Requests that the ceiling has in flight: one for each contact, as the server has: one after another goes to each.
const IN_FLIGHT: usize = 64;
/// How long all may take to arrive.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn run(options: &Options, machine: Machine) -> anyhow::Result<Report> {
    let world = World::unlinked(options).await?;
    let (receiver, secret) = world.receiver(EventKind::MessageReceived).await?;
    let (mut ceilings, mut drains) = (Series::default(), Series::default());
    let mut stopped = world.stop().await;
    for round in options.rounds() {
        stopped.backlog(BACKLOG).await?;
        ensure!(receiver.count() == 0, "a delivery came before the server was started");
        let drained;
        (drained, stopped) = drain(stopped, &receiver, &secret).await?;
        let signed = receiver.received().first().context("a delivery came")?.clone();
        receiver.clear();
        ceilings.push(fire(&receiver, &signed).await?);
        receiver.clear();
        drains.push(drained);
        options.tell(round, drains.median(|round| round.per_second), "deliveries/s so far");
    }
    Ok(Report {
        benchmark: "drain",
        machine,
        rounds: options.rounds,
        rows: vec![
            ceilings.row("ceiling: the client alone, signed before"),
            drains.row("100,000 due, from start to arrival"),
        ],
        figures: vec![
            Figure::plain("deliveries/s", drains.median(|round| round.per_second), "/s")
                .at_least(15_000.0),
            Figure::plain("of the ceiling", drains.percent_of(&ceilings), "%"),
            Figure::plain("the same by processor time", drains.percent_of_cost(&ceilings), "%"),
        ],
    })
}

/// Starts the server on its backlog and waits until all has come, each once, signed.
async fn drain(
    stopped: Stopped,
    receiver: &Receiver,
    secret: &WebhookSecret,
) -> anyhow::Result<(Round, Stopped)> {
    let (before, started) = (cpu::by_name()?, Instant::now());
    let world = stopped.start().await;
    receiver.wait_for_count(BACKLOG as u64, PATIENCE).await?;
    let used = cpu::between(&before, &cpu::by_name()?);
    let (mut arrival, mut last, mut seen) = (histogram(), started, HashSet::new());
    for delivery in receiver.received() {
        delivery.verify(secret).context("a delivery is not true")?;
        let at = delivery.at.into_std();
        note(&mut arrival, at.duration_since(started));
        last = last.max(at);
        ensure!(seen.insert(delivery.delivery_id().map(str::to_owned)), "a delivery came twice");
    }
    ensure!(seen.len() == BACKLOG, "{} deliveries came of {BACKLOG}", seen.len());
    let round = Round::new(last.duration_since(started), &arrival).cpu(used, BACKLOG as u64);
    Ok((round, world.stop().await))
}

/// Sends a delivery that has come before as often as there are in the backlog, as it came.
async fn fire(receiver: &Receiver, signed: &Delivery) -> anyhow::Result<Round> {
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let mut headers = HeaderMap::new();
    for (name, value) in signed.headers() {
        if name != "host" && name != "content-length" {
            headers.insert(name.clone(), value.clone());
        }
    }
    let (url, next) = (receiver.url(), Arc::new(AtomicUsize::new(0)));
    let (before, started) = (cpu::by_name()?, Instant::now());
    let senders = (0..IN_FLIGHT).map(|_| {
        let (client, url, headers) = (client.clone(), url.clone(), headers.clone());
        let (body, next) = (signed.body.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let mut latency = histogram();
            while next.fetch_add(1, Ordering::Relaxed) < BACKLOG {
                let begun = Instant::now();
                let request = client.post(&url).headers(headers.clone()).body(body.clone());
                request.send().await?.bytes().await?;
                note(&mut latency, begun.elapsed());
            }
            Ok::<_, reqwest::Error>(latency)
        })
    });
    let mut latency = histogram();
    for one in try_join_all(senders).await? {
        latency.add(one?)?;
    }
    let elapsed = started.elapsed();
    let used = cpu::between(&before, &cpu::by_name()?);
    Ok(Round::new(elapsed, &latency).cpu(used, BACKLOG as u64))
}
