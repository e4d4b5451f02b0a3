//! `inbound`: a contact's text to its signed `message.received` at the receiver, at a steady
//! 1,000 a second.

use switchboard_model::EventKind;

use crate::{
    Options,
    accept::{flat_out, measure},
    bare::Bare,
    life::whole_way,
    load::{Load, Pace},
    machine::Machine,
    report::{Figure, Report, Series},
    world::World,
};

/// Texts a second.
const RATE: u32 = 1000;

pub(crate) async fn run(options: &Options, machine: Machine) -> anyhow::Result<Report> {
    let (world, bare) = (World::linked(options).await?, Bare::start().await?);
    let (receiver, secret) = world.receiver(EventKind::MessageReceived).await?;
    let requests = world.texts()?;
    let paced = |load: Load| Load { pace: Pace::PerSecond(RATE), ..load };
    let ceiling = paced(flat_out(bare.address, &requests, 200, options));
    let text = paced(flat_out(world.address()?, &requests, 201, options));

    let brief = std::time::Duration::from_secs(1);
    Load { duration: brief, ..ceiling.clone() }.run().await?;
    whole_way(&Load { duration: brief, ..text.clone() }, &receiver, &secret).await?;
    let (mut ceilings, mut texts) = (Series::default(), Series::default());
    for round in options.rounds() {
        ceilings.push(measure(&ceiling).await?);
        texts.push(whole_way(&text, &receiver, &secret).await?);
        options.tell(round, texts.median(|round| round.p99_ms), "ms p99 so far");
    }
    world.server.stop().await;
    Ok(Report {
        benchmark: "inbound",
        machine,
        rounds: options.rounds,
        rows: vec![
            ceilings.row("ceiling: bare axum echo at 1000/s"),
            texts.row("text to message.received received"),
        ],
        figures: vec![
            Figure::plain("p50", texts.median(|round| round.p50_ms), "ms").below(5.0),
            Figure::plain("p99", texts.median(|round| round.p99_ms), "ms").below(25.0),
        ],
    })
}
