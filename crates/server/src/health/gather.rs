//! What is not counted as it happens but looked at when somebody asks: lines and their items, the store, the disk.

use std::collections::BTreeMap;

use prometheus_client::registry::Unit;
use switchboard_model::line::OfflineReason;
use switchboard_store::{COMMIT_SECONDS, LineFigures, ReasonFigures};

use super::{DriverReport, Monitor, lines::OverGuidance};
use crate::{
    link::Skipped,
    metrics::{Figure, Labels, Metrics, Value, buckets},
    telemetry,
};

impl Monitor {
    /// All of it. What the store is asked for is left out while it does not answer, and `store_up` says so.
    pub(crate) async fn figures(&self, store_answers: bool) -> Vec<Figure> {
        let lines = self.last.lines.look(&*self.store).await;
        let up = u64::from(store_answers && lines.is_ok());
        let mut figures = vec![Figure::gauge("store_up", "Whether the database answers").level(up)];
        figures.extend(self.metrics.requests.show());
        if let Ok(lines) = lines {
            figures.extend(of_lines(self.drivers(&lines)));
            figures.extend(of_reasons(&lines));
        }
        if let Ok(over) = self.last.guidance.look(&*self.store, self.clock.now()).await {
            figures.push(of_guidance(over));
        }
        figures.extend(of_messages(&self.metrics));
        figures.push(of_links(&self.links.skipped));
        figures.extend(of_the_store(self));
        figures.extend(of_the_process(self));
        figures
    }
}

fn of_lines(report: BTreeMap<&'static str, DriverReport>) -> [Figure; 5] {
    let by = |driver: &'static str| -> Labels { vec![("driver", driver.into())] };
    let mut lines = Figure::gauge("lines", "Active lines");
    let mut online = Figure::gauge("lines_online", "Lines that take items now");
    let mut offline = Figure::gauge(
        "lines_offline_with_pending",
        "Lines that are offline while something waits for them",
    );
    let mut pending = Figure::gauge("outbox_pending", "Items that wait for their line");
    let mut oldest = Figure::gauge(
        "outbox_oldest_pending_age",
        "For how long the oldest of the items that wait for their line does",
    )
    .unit(Unit::Seconds);
    let level = |value: u64| Value::Level(value as f64);
    for (driver, of) in report {
        lines = lines.with(by(driver), level(of.lines));
        online = online.with(by(driver), level(of.online));
        offline = offline.with(by(driver), level(of.offline_with_pending));
        pending = pending.with(by(driver), level(of.pending));
        let age = Value::Level(of.oldest_pending_age_ms as f64 / 1000.0);
        oldest = oldest.with(by(driver), age);
    }
    [lines, online, offline, pending, oldest]
}

/// Why lines are not as they should be, by what their bridges say: every reason, so that each is shown from the
/// beginning.
fn of_reasons(lines: &LineFigures) -> [Figure; 2] {
    let mut offline = Figure::gauge("lines_offline", "Lines that take no items now, by reason");
    let mut warned = Figure::gauge(
        "lines_warned",
        "Lines that take items and are not as they should be, by reason",
    );
    let reasons = || std::iter::once(None).chain(OfflineReason::ALL.map(Some));
    for driver in lines.drivers.iter().map(|figures| figures.driver) {
        for reason in reasons() {
            let name = reason.map_or("unknown", OfflineReason::as_str);
            let labels = || vec![("driver", driver.as_str().into()), ("reason", name.into())];
            let level = |online| {
                let is_this = |one: &&ReasonFigures| {
                    (one.driver, one.online, one.reason) == (driver, online, reason)
                };
                let found = lines.reasons.iter().find(is_this);
                Value::Level(found.map_or(0.0, |figures| figures.lines as f64))
            };
            offline = offline.with(labels(), level(false));
            if reason.is_some() {
                warned = warned.with(labels(), level(true));
            }
        }
    }
    [offline, warned]
}

fn of_guidance(over: OverGuidance) -> Figure {
    let figure = Figure::gauge(
        "lines_over_guidance",
        "Lines that were used more today than Apple and carriers are known to bear",
    );
    over.into_iter().fold(figure, |figure, (guidance, lines)| {
        let labels = vec![("guidance", guidance.as_str().into())];
        figure.with(labels, Value::Level(lines as f64))
    })
}

fn of_messages(metrics: &Metrics) -> [Figure; 6] {
    let [received, sent, failed, unknown, resolved, loops] = metrics.messages.show();
    [
        Figure::counter("messages_received", "Messages that came in").count(received),
        Figure::counter("messages_sent", "Messages that were handed over").count(sent),
        Figure::counter("messages_failed", "Messages that were certainly not sent").count(failed),
        Figure::counter(
            "messages_unknown",
            "Messages of which nobody can say whether they were sent",
        )
        .count(unknown),
        Figure::counter(
            "messages_resolved",
            "Messages of which nobody could say whether they were sent, and then it turned out",
        )
        .count(resolved),
        Figure::counter(
            "loops_stopped",
            "Chats in which a line had to rest, because it had answered as often as its loop_limit lets it",
        )
        .count(loops),
    ]
}

fn of_links(skipped: &Skipped) -> Figure {
    let what = "What bridges said that this release can't read, and that was passed over";
    skipped
        .show()
        .into_iter()
        .fold(Figure::counter("link_skipped", what), |figure, (what, count)| {
            figure.with(vec![("what", what.into())], Value::Count(count))
        })
}

fn of_the_store(monitor: &Monitor) -> Vec<Figure> {
    let stats = monitor.store.stats();
    let commits = buckets(&COMMIT_SECONDS, &stats.commits.counts, stats.commits.sum);
    let mut figures = vec![
        Figure::gauge("store_write_queue_depth", "Commands that wait to be written")
            .level(stats.write_queue as u64),
        Figure::gauge("store_write_queue_limit", "Commands that may wait to be written")
            .level(stats.write_queue_max as u64),
        Figure::gauge("store_writer_up", "Whether the thread that writes is there")
            .level(u64::from(stats.writer_alive)),
        Figure::counter("store_commands", "Commands that were committed").count(stats.commands),
        Figure::counter("store_commit_failures", "Transactions that could not be committed")
            .count(stats.failed_commits),
        Figure::histogram("store_commit_duration", "What a transaction takes, with its commit")
            .with(Vec::new(), commits),
        Figure::gauge("store_database", "The database, without its write-ahead log")
            .unit(Unit::Bytes)
            .level(stats.database_bytes),
    ];
    if let Some(bytes) = stats.wal_bytes {
        figures.push(
            Figure::gauge("store_wal", "The write-ahead log of the database")
                .unit(Unit::Bytes)
                .level(bytes),
        );
    }
    if let Some(free) = monitor.limits.free_bytes() {
        figures.push(
            Figure::gauge("disk_free", "Room on the volume of the data directory")
                .unit(Unit::Bytes)
                .level(free),
        );
    }
    figures
}

fn of_the_process(monitor: &Monitor) -> [Figure; 7] {
    let version = vec![("version", env!("CARGO_PKG_VERSION").into())];
    let streams = monitor.streams.open();
    [
        Figure::gauge("build_info", "Which version this is").with(version, Value::Level(1.0)),
        Figure::gauge("event_streams", "Live streams that are open").level(streams),
        Figure::gauge("http_connections", "Connections that are open")
            .level(monitor.metrics.connections.len() as u64),
        Figure::gauge("http_connections_limit", "Connections that may be open")
            .level(monitor.metrics.max_connections as u64),
        Figure::gauge(
            "http_requests_in_flight",
            "Requests whose answer has not been taken to its end: live streams too",
        )
        .level(monitor.metrics.under_way.under_way() as u64),
        Figure::counter("panics", "Tasks, threads and requests that panicked")
            .count(telemetry::panics()),
        Figure::counter("log_lines_lost", "Log lines that standard error did not take in time")
            .count(telemetry::dropped_lines()),
    ]
}
