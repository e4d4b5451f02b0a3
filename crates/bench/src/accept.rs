//! `accept`: a durable `POST /v1/messages` with all its checks, beside a route that only echoes.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    Options,
    bare::Bare,
    cpu,
    load::{Load, LoadResult, Pace, Template},
    machine::Machine,
    report::{Figure, Report, Round, Series},
    world::World,
};

/// Connections that each wait for their answer before they ask again.
pub(crate) const CONNECTIONS: usize = 64;

pub(crate) async fn run(options: &Options, machine: Machine) -> anyhow::Result<Report> {
    let (world, bare) = (World::unlinked(options).await?, Bare::start().await?);
    let requests = world.sends()?;
    let ceiling = flat_out(bare.address, &requests, 200, options);
    let accept = flat_out(world.address()?, &requests, 201, options);

    // The first connections, pages and allocations are nobody's figures.
    for load in [&ceiling, &accept] {
        Load { duration: Duration::from_secs(1), ..load.clone() }.run().await?;
    }
    let (mut ceilings, mut accepts) = (Series::default(), Series::default());
    for round in options.rounds() {
        ceilings.push(measure(&ceiling).await?);
        accepts.push(measure(&accept).await?);
        options.tell(round, accepts.percent_of(&ceilings), "% of the ceiling so far");
    }
    world.server.stop().await;
    Ok(Report {
        benchmark: "accept",
        machine,
        rounds: options.rounds,
        rows: vec![
            ceilings.row("ceiling: bare axum echo"),
            accepts.row("durable POST /v1/messages"),
        ],
        figures: vec![
            Figure::plain("of the ceiling", accepts.percent_of(&ceilings), "%").at_least(40.0),
            Figure::plain("the same by processor time", accepts.percent_of_cost(&ceilings), "%"),
            Figure::plain("p99", accepts.median(|round| round.p99_ms), "ms").below(10.0),
        ],
    })
}

/// As much as goes over all connections.
pub(crate) fn flat_out(
    address: SocketAddr,
    requests: &Arc<[Template]>,
    expected: u16,
    options: &Options,
) -> Load {
    Load {
        address,
        requests: Arc::clone(requests),
        expected,
        connections: CONNECTIONS,
        pace: Pace::Flat,
        duration: options.duration(),
    }
}

/// Makes a run and counts what each thread has used for it.
pub(crate) async fn measure(load: &Load) -> anyhow::Result<Round> {
    let before = cpu::by_name()?;
    let outcome = load.run().await?;
    Ok(Round::new(outcome.elapsed, &outcome.latency)
        .cpu(used(&before, &outcome)?, outcome.latency.len()))
}

/// What was used since `before`, the generator's threads included, which have ended.
pub(crate) fn used(
    before: &BTreeMap<String, Duration>,
    outcome: &LoadResult,
) -> anyhow::Result<BTreeMap<String, Duration>> {
    let mut used = cpu::between(before, &cpu::by_name()?);
    used.insert("load".to_owned(), outcome.cpu);
    Ok(used)
}
