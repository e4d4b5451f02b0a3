//! Figures that are gathered when somebody asks, as the encoder wants them.

use std::{borrow::Cow, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

/// All of one name.
#[derive(Debug)]
pub(crate) struct Figure {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    kind: MetricType,
    samples: Vec<(Labels, Value)>,
}

/// Names and values. No value is made by a caller: their number is bounded.
pub(crate) type Labels = Vec<(&'static str, Cow<'static, str>)>;

#[derive(Debug)]
pub(crate) enum Value {
    Count(u64),
    Sum(f64),
    Level(f64),
    Histogram {
        sum: f64,
        /// The upper end of each, and how many fell into it and none below.
        buckets: Vec<(f64, u64)>,
    },
}

impl Figure {
    pub(crate) fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: None, kind: MetricType::Gauge, samples: Vec::new() }
    }

    pub(crate) fn counter(name: &'static str, help: &'static str) -> Self {
        Self { kind: MetricType::Counter, ..Self::gauge(name, help) }
    }

    pub(crate) fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { kind: MetricType::Histogram, ..Self::gauge(name, help) }.unit(Unit::Seconds)
    }

    pub(crate) fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// One more, with these labels.
    pub(crate) fn with(mut self, labels: Labels, value: Value) -> Self {
        self.samples.push((labels, value));
        self
    }

    /// The only one.
    pub(crate) fn level(self, value: u64) -> Self {
        self.with(Vec::new(), Value::Level(value as f64))
    }

    pub(crate) fn count(self, value: u64) -> Self {
        self.with(Vec::new(), Value::Count(value))
    }
}

/// What was gathered.
#[derive(Debug)]
pub(crate) struct Gathered(pub(super) Vec<Figure>);

impl Collector for Gathered {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Figure { name, help, unit, kind, samples } in &self.0 {
            // What has no sample yet has no name either.
            if samples.is_empty() {
                continue;
            }
            let help = format!("{help}.");
            let mut encoder = encoder.encode_descriptor(name, &help, unit.as_ref(), *kind)?;
            for (labels, value) in samples {
                if labels.is_empty() {
                    value.encode(&mut encoder)?;
                } else {
                    value.encode(&mut encoder.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

impl Value {
    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => encoder.encode_counter::<NoLabelSet, _, f64>(count, None),
            Self::Sum(sum) => encoder.encode_counter::<NoLabelSet, _, f64>(sum, None),
            Self::Level(level) => encoder.encode_gauge(level),
            Self::Histogram { sum, buckets } => {
                let count = buckets.iter().map(|(_, count)| count).sum();
                encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            }
        }
    }
}
