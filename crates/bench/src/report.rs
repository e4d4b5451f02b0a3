//! What a benchmark says: medians over its rounds, as a table for people or as one JSON object.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::machine::Machine;

/// One kind of work over all rounds.
#[derive(Debug, Default)]
pub(crate) struct Series(Vec<Round>);

/// One kind of work in one round.
#[derive(Debug)]
pub(crate) struct Round {
    /// Requests or messages a second.
    pub(crate) per_second: f64,
    /// Milliseconds.
    pub(crate) p50_ms: f64,
    /// Milliseconds.
    pub(crate) p99_ms: f64,
    /// Milliseconds.
    pub(crate) max_ms: f64,
    /// Microseconds of processor time for each of them, by the names of the threads.
    pub(crate) cpu_us: BTreeMap<String, f64>,
}

/// A series as it is shown: the medians of its rounds, and the maximum of all.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    what: &'static str,
    per_second: f64,
    #[serde(skip_serializing_if = "is_unknown")]
    p50_ms: f64,
    #[serde(skip_serializing_if = "is_unknown")]
    p99_ms: f64,
    #[serde(skip_serializing_if = "is_unknown")]
    max_ms: f64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cpu_us: BTreeMap<String, f64>,
}

/// A figure, and what it is to be if that was promised.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    what: &'static str,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
}

#[derive(Debug, Serialize)]
struct Target {
    is: &'static str,
    value: f64,
    met: bool,
}

/// All that a benchmark says.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) benchmark: &'static str,
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) figures: Vec<Figure>,
}

impl Round {
    /// From how long `latency` says each took, of so many in this time.
    pub(crate) fn new(elapsed: Duration, latency: &Histogram<u64>) -> Self {
        let ms = |quantile| latency.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            per_second: latency.len() as f64 / elapsed.as_secs_f64(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            max_ms: ms(1.0),
            cpu_us: BTreeMap::new(),
        }
    }

    /// Of which only the rate is known.
    pub(crate) fn rate(per_second: f64) -> Self {
        Self { per_second, p50_ms: 0.0, p99_ms: 0.0, max_ms: 0.0, cpu_us: BTreeMap::new() }
    }

    /// With the processor time of all of them.
    #[must_use]
    pub(crate) fn cpu(mut self, used: BTreeMap<String, Duration>, requests: u64) -> Self {
        let each = |used: Duration| used.as_secs_f64() * 1e6 / requests as f64;
        self.cpu_us = used.into_iter().map(|(name, used)| (name, each(used))).collect();
        self
    }
}

impl Series {
    pub(crate) fn push(&mut self, round: Round) {
        self.0.push(round);
    }

    /// The median over the rounds.
    pub(crate) fn median(&self, value: impl Fn(&Round) -> f64) -> f64 {
        median(self.0.iter().map(value).collect())
    }

    /// The median ratio of rates, in percent: round by round, because what disturbed one
    /// round of a series has disturbed its neighbour too.
    pub(crate) fn percent_of(&self, ceiling: &Self) -> f64 {
        let pairs = self.0.iter().zip(&ceiling.0);
        median(pairs.map(|(one, ceiling)| 100.0 * one.per_second / ceiling.per_second).collect())
    }

    /// What one of the ceiling's costs in processor time, in percent of what one of these
    /// does, generator included: hardly moved by others on the machine, and by waiting not at all.
    pub(crate) fn percent_of_cost(&self, ceiling: &Self) -> f64 {
        let cost = |series: &Self| series.median(|round| round.cpu_us.values().sum());
        100.0 * cost(ceiling) / cost(self)
    }

    pub(crate) fn row(&self, what: &'static str) -> Row {
        let names = self.0.iter().flat_map(|round| round.cpu_us.keys());
        let cpu = |name: &String| {
            let used = self.median(|round| round.cpu_us.get(name).copied().unwrap_or_default());
            (name.clone(), used)
        };
        Row {
            what,
            per_second: self.median(|round| round.per_second),
            p50_ms: self.median(|round| round.p50_ms),
            p99_ms: self.median(|round| round.p99_ms),
            max_ms: self.0.iter().map(|round| round.max_ms).fold(0.0, f64::max),
            cpu_us: names.map(cpu).filter(|(_, used)| *used >= 0.05).collect(),
        }
    }
}

/// Whether nobody has measured it: nothing takes no time.
fn is_unknown(ms: &f64) -> bool {
    *ms == 0.0
}

/// The middle of these, or what lies between the two that are in the middle; of none, 0.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count => (values[(count - 1) / 2] + values[count / 2]) / 2.0,
    }
}

impl Figure {
    /// A figure of which nothing was promised.
    pub(crate) fn plain(what: &'static str, value: f64, unit: &'static str) -> Self {
        Self { what, value, unit, target: None }
    }

    /// A figure that is to be this at least.
    pub(crate) fn at_least(self, target: f64) -> Self {
        let met = self.value >= target;
        Self { target: Some(Target { is: "at least", value: target, met }), ..self }
    }

    /// A figure that is to be below this.
    pub(crate) fn below(self, target: f64) -> Self {
        let met = self.value < target;
        Self { target: Some(Target { is: "below", value: target, met }), ..self }
    }
}

impl Report {
    /// Writes it: stdout is data.
    pub(crate) fn print(&self, json: bool) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        let written = if json {
            writeln!(out, "{}", serde_json::to_string(self)?)
        } else {
            self.table(&mut out)
        };
        match written {
            // Whoever has read enough may go.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    fn table(&self, out: &mut impl Write) -> io::Result<()> {
        let Machine { processors, load_before, file_system, sync_ms } = &self.machine;
        writeln!(out, "{}, the median of {} rounds", self.benchmark, self.rounds)?;
        writeln!(
            out,
            "{processors} processors, load {load_before} before; {file_system}, {sync_ms:.3} ms a sync\n"
        )?;
        if !self.rows.is_empty() {
            let (rate, p50, p99, max) = ("per s", "p50 ms", "p99 ms", "max ms");
            writeln!(out, "{:<44}{rate:>10}{p50:>9}{p99:>9}{max:>9}", "")?;
        }
        for Row { what, per_second, p50_ms, p99_ms, max_ms, cpu_us } in &self.rows {
            write!(out, "{what:<44}{per_second:>10.0}")?;
            if !is_unknown(max_ms) {
                write!(out, "{p50_ms:>9.2}{p99_ms:>9.2}{max_ms:>9.2}")?;
            }
            writeln!(out)?;
            if !cpu_us.is_empty() {
                let used: Vec<_> =
                    cpu_us.iter().map(|(name, used)| format!("{name} {used:.1}")).collect();
                writeln!(out, "  processor time of each, in µs: {}", used.join(", "))?;
            }
        }
        if !self.rows.is_empty() {
            writeln!(out)?;
        }
        for Figure { what, value, unit, target } in &self.figures {
            write!(out, "{what:<44}{value:>10.2} {unit:<6}")?;
            if let Some(Target { is, value, met }) = target {
                write!(out, " {is} {value}: {}", if *met { "met" } else { "MISSED" })?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_round_by_round() {
        let series = |rates: [f64; 3]| Series(rates.map(Round::rate).into());
        let percent = series([50.0, 10.0, 40.0]).percent_of(&series([100.0, 20.0, 100.0]));
        assert!((percent - 50.0).abs() < 1e-9);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(
            [vec![], vec![3.0], vec![9.0, 1.0], vec![4.0, 1.0, 2.0]].map(median),
            [0.0, 3.0, 5.0, 2.0]
        );
    }
}
