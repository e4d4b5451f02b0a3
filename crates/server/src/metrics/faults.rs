//! What went wrong in this process: panics, and log lines that were lost.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::counter::ConstCounter,
};

use crate::telemetry;

#[derive(Debug)]
pub(super) struct Faults;

impl Collector for Faults {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, count) in [
            ("panics", "Tasks, threads and requests that panicked", telemetry::panics()),
            (
                "log_lines_lost",
                "Log lines that standard error did not take in time",
                telemetry::dropped_lines(),
            ),
        ] {
            let counter = ConstCounter::new(count);
            let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}
