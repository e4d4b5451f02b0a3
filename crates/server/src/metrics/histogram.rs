//! A histogram of durations that takes no lock: it is noted on every request.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::figures::Value;

/// The upper ends of what a request takes, in seconds.
pub(super) const REQUEST_SECONDS: [f64; 13] =
    [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Debug, Default)]
pub(super) struct RequestTimes {
    /// As [`REQUEST_SECONDS`], and one for what takes longer.
    counts: [AtomicU64; REQUEST_SECONDS.len() + 1],
    nanos: AtomicU64,
}

impl RequestTimes {
    pub(super) fn note(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = REQUEST_SECONDS.iter().position(|end| seconds <= *end);
        self.counts[bucket.unwrap_or(REQUEST_SECONDS.len())].fetch_add(1, Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn show(&self) -> Value {
        let counts = self.counts.each_ref().map(|count| count.load(Relaxed));
        let sum = Duration::from_nanos(self.nanos.load(Relaxed));
        buckets(&REQUEST_SECONDS, &counts, sum)
    }
}

/// A histogram of these ends, with one count more than there are ends.
pub(crate) fn buckets(ends: &[f64], counts: &[u64], sum: Duration) -> Value {
    let ends = ends.iter().copied().chain([f64::INFINITY]);
    Value::Histogram { sum: sum.as_secs_f64(), buckets: ends.zip(counts.iter().copied()).collect() }
}
