//! `life`: a message from its acceptance through the simulator to its signed `message.sent` at
//! the receiver, all in this process: how many a second, and how long one takes.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use switchboard_model::{EventKind, webhook::WebhookSecret};
use switchboard_testkit::Receiver;

use crate::{
    Options,
    accept::{flat_out, measure, used},
    bare::Bare,
    cpu,
    load::{Load, LoadResult, Pace, histogram, note, number_in},
    machine::Machine,
    report::{Figure, Report, Round, Series},
    world::World,
};

/// Messages that may be under way: enough that nobody is idle, and not so many that what is
/// measured is a backlog.
const MOST_UNDER_WAY: u64 = 4096;
/// The pace at which the time of one message is measured.
const MODERATE: u32 = 500;
/// How long the last deliveries may take after the last send.
const PATIENCE: Duration = Duration::from_secs(60);
/// The receiver keeps half a million deliveries; no machine fills that in so many seconds.
const MOST_SECONDS: u64 = 15;

pub(crate) async fn run(options: &Options, machine: Machine) -> anyhow::Result<Report> {
    ensure!(options.seconds <= MOST_SECONDS, "life takes at most --seconds {MOST_SECONDS}");
    let (world, bare) = (World::linked(options).await?, Bare::start().await?);
    let (receiver, secret) = world.receiver(EventKind::MessageSent).await?;
    let requests = world.sends()?;
    let ceiling = flat_out(bare.address, &requests, 200, options);
    let send = flat_out(world.address()?, &requests, 201, options);
    let received = Arc::clone(&receiver);
    let done = Arc::new(move || received.count());
    let life = Load { pace: Pace::Ahead { most: MOST_UNDER_WAY, done }, ..send.clone() };
    let paced = |load: &Load| Load { pace: Pace::PerSecond(MODERATE), ..load.clone() };
    let (slow_ceiling, slow_life) = (paced(&ceiling), paced(&send));

    let brief = Duration::from_secs(1);
    Load { duration: brief, ..ceiling.clone() }.run().await?;
    whole_way(&Load { duration: brief, ..life.clone() }, &receiver, &secret).await?;
    let mut series: [Series; 4] = std::array::from_fn(|_| Series::default());
    for round in options.rounds() {
        series[0].push(measure(&ceiling).await?);
        series[1].push(whole_way(&life, &receiver, &secret).await?);
        series[2].push(measure(&slow_ceiling).await?);
        series[3].push(whole_way(&slow_life, &receiver, &secret).await?);
        options.tell(round, series[1].median(|round| round.per_second), "messages/s so far");
    }
    world.server.stop().await;
    let [ceilings, lives, slow_ceilings, slow_lives] = series;
    Ok(Report {
        benchmark: "life",
        machine,
        rounds: options.rounds,
        rows: vec![
            ceilings.row("ceiling: bare axum echo"),
            lives.row("POST to message.sent received, 4096 ahead"),
            slow_ceilings.row("bare axum echo at 500/s"),
            slow_lives.row("POST to message.sent received at 500/s"),
        ],
        figures: vec![
            Figure::plain("messages/s", lives.median(|round| round.per_second), "/s")
                .at_least(10_000.0),
            Figure::plain("of the ceiling", lives.percent_of(&ceilings), "%"),
            Figure::plain("p50 at 500/s", slow_lives.median(|round| round.p50_ms), "ms"),
            Figure::plain("p99 at 500/s", slow_lives.median(|round| round.p99_ms), "ms"),
        ],
    })
}

/// Makes a run and follows every request to its delivery: as many come as were sent, each of
/// them once, signed. The time runs from when a request was due to the arrival of its delivery.
pub(crate) async fn whole_way(
    load: &Load,
    receiver: &Receiver,
    secret: &WebhookSecret,
) -> anyhow::Result<Round> {
    receiver.clear();
    let before = cpu::by_name()?;
    let outcome = load.run().await?;
    let sent = outcome.latency.len();
    receiver.wait_for_count(sent, PATIENCE).await?;
    let used = used(&before, &outcome)?;
    let (latency, last) = follow(&outcome, receiver, secret)?;
    Ok(Round::new(last.duration_since(outcome.started), &latency).cpu(used, sent))
}

/// After the clock has stopped, because verifying is the receiver's work and done thrice here.
fn follow(
    outcome: &LoadResult,
    receiver: &Receiver,
    secret: &WebhookSecret,
) -> anyhow::Result<(Histogram<u64>, Instant)> {
    let mut begun: HashMap<u64, Instant> = outcome.begun.iter().copied().collect();
    let (mut latency, mut last) = (histogram(), outcome.started);
    for delivery in receiver.received() {
        let verified = delivery.verify(secret).context("a delivery is not true")?;
        let number = verified.data["text"].as_str().and_then(number_in);
        let number = number.context("a delivery is of no request")?;
        let due = begun.remove(&number).context("a delivery came twice, or of another run")?;
        let at = delivery.at.into_std();
        note(&mut latency, at.duration_since(due));
        last = last.max(at);
    }
    ensure!(begun.is_empty(), "{} requests have no delivery", begun.len());
    Ok((latency, last))
}
