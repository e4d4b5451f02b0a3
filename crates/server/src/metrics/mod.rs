//! What the operator watches: figures for Prometheus. Neither an account nor a URL is in them.

mod figures;
mod histogram;
mod messages;
mod process;
mod requests;
mod text;

use std::{fmt, sync::Arc, time::Duration};

use http::Method;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use switchboard_model::{Timestamp, delivery::AttemptResult};
use tokio_util::task::TaskTracker;

use figures::Gathered;
pub(crate) use figures::{Figure, Labels, Value};
pub(crate) use histogram::buckets;
pub(crate) use requests::{Counted, OTHER, RequestCounts};
pub(crate) use text::Format;

use crate::requests::Requests;

/// The upper ends of what an attempt takes, in seconds.
const ATTEMPT_SECONDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 60.0];
/// The upper ends of what an event takes to its delivery, in seconds: over all retries.
const DELIVERED_SECONDS: [f64; 18] = [
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0,
    21_600.0, 86_400.0, 172_800.0,
];

/// How an attempt was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Class {
    class: &'static str,
}

/// The classes of statuses from 200 on, and what is no answer.
const CLASSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "error"];

/// How deliveries stand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DeliveryLevels {
    /// Those that are due and not sent.
    pub(crate) due: u64,
    /// Those of them that a breaker holds back.
    pub(crate) held: u64,
    pub(crate) in_flight: u64,
    /// For how long the oldest of them is due, but for those whose endpoint fails or is slow.
    pub(crate) oldest_due_age: Duration,
    pub(crate) breakers_open: u64,
    pub(crate) webhooks_disabled: u64,
}

/// The figures of one server.
pub(crate) struct Metrics {
    registry: Registry,
    /// As [`CLASSES`].
    attempts: [Counter; 5],
    attempt_seconds: Histogram,
    delivered: Counter,
    failed: Counter,
    delivered_seconds: Histogram,
    due: Gauge,
    held: Gauge,
    in_flight: Gauge,
    oldest_due_age: Gauge<f64, std::sync::atomic::AtomicU64>,
    breakers_open: Gauge,
    webhooks_disabled: Gauge,
    pub(crate) requests: Arc<RequestCounts>,
    pub(crate) messages: messages::Messages,
    /// The connections of the main listener, and how many there may be.
    pub(crate) connections: TaskTracker,
    pub(crate) max_connections: usize,
    /// The requests on them.
    pub(crate) under_way: Requests,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// All at zero, for a server with these routes and so many connections at most.
    pub(crate) fn new(
        routes: impl IntoIterator<Item = (Method, &'static str)>,
        max_connections: usize,
    ) -> Self {
        let attempts = Family::<Class, Counter>::default();
        let metrics = Self {
            registry: Registry::with_prefix("switchboard"),
            // Made now, so that each is shown from the beginning.
            attempts: CLASSES.map(|class| attempts.get_or_create(&Class { class }).clone()),
            attempt_seconds: Histogram::new(ATTEMPT_SECONDS),
            delivered: Counter::default(),
            failed: Counter::default(),
            delivered_seconds: Histogram::new(DELIVERED_SECONDS),
            due: Gauge::default(),
            held: Gauge::default(),
            in_flight: Gauge::default(),
            oldest_due_age: Gauge::default(),
            breakers_open: Gauge::default(),
            webhooks_disabled: Gauge::default(),
            requests: Arc::new(RequestCounts::of(routes)),
            messages: messages::Messages::default(),
            connections: TaskTracker::new(),
            max_connections,
            under_way: Requests::default(),
        };
        metrics.register(attempts)
    }

    fn register(mut self, attempts: Family<Class, Counter>) -> Self {
        let all = &mut self.registry;
        all.register("deliveries_due", "Deliveries that are due and not sent", self.due.clone());
        all.register(
            "deliveries_held",
            "Deliveries that are due and wait for their endpoint to work again",
            self.held.clone(),
        );
        all.register("deliveries_in_flight", "Attempts under way", self.in_flight.clone());
        all.register_with_unit(
            "deliveries_oldest_due_age",
            "For how long the oldest delivery is due, but for those whose endpoint fails or is slow",
            Unit::Seconds,
            self.oldest_due_age.clone(),
        );
        all.register(
            "deliveries_delivered",
            "Deliveries that their endpoint has taken",
            self.delivered.clone(),
        );
        all.register(
            "deliveries_failed",
            "Deliveries that were given up: after their last attempt, or because their webhook was disabled or deleted",
            self.failed.clone(),
        );
        all.register("delivery_attempts", "Attempts by the class of their answer", attempts);
        all.register_with_unit(
            "delivery_attempt_duration",
            "From the start of an attempt to its end",
            Unit::Seconds,
            self.attempt_seconds.clone(),
        );
        all.register_with_unit(
            "event_to_delivered",
            "From the commit of an event, or its replay, to its delivery, over all attempts",
            Unit::Seconds,
            self.delivered_seconds.clone(),
        );
        all.register(
            "webhook_breakers_open",
            "Webhooks that get nothing but a probe now and then, because they only fail or ask for a pause",
            self.breakers_open.clone(),
        );
        all.register(
            "webhooks_disabled",
            "Webhooks that get nothing, by hand or because they failed too long or are gone",
            self.webhooks_disabled.clone(),
        );
        self
    }

    /// An attempt has ended, of a round of attempts that began then.
    pub(crate) fn attempted(&self, result: &AttemptResult, since: Timestamp) {
        let class = match result.status {
            Some(status @ 200..600) => usize::from(status / 100 - 2),
            _ => CLASSES.len() - 1,
        };
        self.attempts[class].inc();
        let took = Duration::from_millis(result.duration_ms);
        self.attempt_seconds.observe(took.as_secs_f64());
        if result.error.is_none() {
            self.delivered.inc();
            self.delivered_seconds.observe(result.finished_at.wall.since(since).as_secs_f64());
        } else if result.next_attempt_at.is_none() {
            self.failed.inc();
        }
    }

    /// So many deliveries of disabled webhooks were given up.
    pub(crate) fn given_up(&self, count: u64) {
        self.failed.inc_by(count);
    }

    /// Takes over how deliveries stand.
    pub(crate) fn stand(&self, levels: &DeliveryLevels) {
        let DeliveryLevels {
            due,
            held,
            in_flight,
            oldest_due_age,
            breakers_open,
            webhooks_disabled,
        } = *levels;
        for (gauge, value) in [
            (&self.due, due),
            (&self.held, held),
            (&self.in_flight, in_flight),
            (&self.breakers_open, breakers_open),
            (&self.webhooks_disabled, webhooks_disabled),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.oldest_due_age.set(oldest_due_age.as_secs_f64());
    }

    /// All of it as text, with what was gathered just now.
    pub(crate) fn show(&self, gathered: Vec<Figure>, format: Format) -> Result<String, fmt::Error> {
        let mut ours = Registry::with_prefix("switchboard");
        ours.register_collector(Box::new(Gathered(gathered)));
        let mut process = Registry::default();
        process.register_collector(Box::new(Gathered(process::figures())));
        format.show(&[&self.registry, &ours, &process])
    }
}
