//! Frames on the wire, what they mean for the store, and why a link ends.

use std::{borrow::Cow, collections::HashMap, fmt, time::Duration};

use axum::extract::ws::{Message as Frame, WebSocket};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use switchboard_model::{
    Line, OutboxItem,
    causes::chain,
    id::Id,
    link::{
        BridgeFrame, Inbound, MAX_BATCH, MAX_FRAME_BYTES, Outcome, Reconciled, ReconciledState,
        Report, SendItem, ServerFrame,
    },
};
use switchboard_store::{SettleReport, StoreError};
use tokio::time::timeout;

use super::{
    bounds::bound_outcome,
    skipped::{Skip, Skipped},
};
use crate::json::without_lone_surrogates;

/// A link on which nothing came for so long is dead. Bridges ping every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// How long one frame may take to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a link ended.
#[derive(Debug)]
pub(super) enum LinkEnd {
    /// The bridge has closed the connection in good order.
    Gone,
    /// The connection broke, or nothing came for too long.
    Lost(&'static str),
    /// A frame can't be read or written.
    Broken(String),
    /// Wrong protocol, wrong driver, revoked: dialling again does not help.
    Refused(String),
    /// The server ends it; the bridge may dial again at once.
    Closing(&'static str),
    /// Another process of the server has a newer link of this bridge.
    Superseded,
    /// The store failed; the bridge repeats what was not acknowledged.
    Store(StoreError),
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the bridge has closed the link"),
            Self::Lost(reason) | Self::Closing(reason) => f.write_str(reason),
            Self::Broken(reason) | Self::Refused(reason) => f.write_str(reason),
            Self::Superseded => f.write_str("a newer link of this bridge has begun"),
            Self::Store(error) => f.write_str(&chain(error)),
        }
    }
}

impl From<StoreError> for LinkEnd {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced => Self::Superseded,
            error => Self::Store(error),
        }
    }
}

pub(super) fn settle_report(mut report: Report) -> SettleReport {
    bound_outcome(&mut report.outcome);
    SettleReport { id: report.id, outcome: report.outcome, counts_as_attempt: false }
}

/// What the answer to `reconcile` means for the items that were asked for; nothing for those that the driver
/// has now. Of one that the answer leaves out nobody knows anything. What was never begun was an
/// attempt if the bridge has died since, and none if only the connection was lost (`resumed`).
pub(super) fn settle_reconciled(
    asked: &[Id<OutboxItem>],
    answers: Vec<Reconciled>,
    resumed: bool,
) -> Vec<SettleReport> {
    let mut answers: HashMap<_, _> =
        answers.into_iter().map(|Reconciled { id, state }| (id, state)).collect();
    let settle = |id: &Id<OutboxItem>| {
        let (outcome, counts_as_attempt) = match answers.remove(id) {
            Some(ReconciledState::Running) => return None,
            Some(ReconciledState::NeverStarted) => (Outcome::Released, !resumed),
            Some(ReconciledState::Finished { mut outcome }) => {
                bound_outcome(&mut outcome);
                (outcome, false)
            }
            None => (Outcome::Unknown, false),
        };
        Some(SettleReport { id: *id, outcome, counts_as_attempt })
    };
    asked.iter().filter_map(settle).collect()
}

/// Items in frames that the bridge takes: no more than [`MAX_BATCH`] each, and no more bytes than it reads.
pub(super) fn send_frames(items: Vec<SendItem>) -> Vec<ServerFrame> {
    const MOST_BYTES: usize = MAX_FRAME_BYTES / 2;
    let mut frames = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for item in items {
        let more = item.most_bytes();
        if !batch.is_empty() && (bytes + more > MOST_BYTES || batch.len() == MAX_BATCH) {
            frames.push(ServerFrame::Send { items: std::mem::take(&mut batch) });
            bytes = 0;
        }
        bytes += more;
        batch.push(item);
    }
    if !batch.is_empty() {
        frames.push(ServerFrame::Send { items: batch });
    }
    frames
}

/// Later truth about items: sent or failed. What says neither is no truth, and changes nothing.
pub(super) fn resolved(reports: Vec<Report>) -> Vec<Report> {
    let is_truth = |report: &Report| {
        let Report { outcome, .. } = report;
        matches!(outcome, Outcome::Sent { .. } | Outcome::Failed { .. })
    };
    let bounded = |mut report: Report| {
        bound_outcome(&mut report.outcome);
        report
    };
    reports.into_iter().filter(is_truth).map(bounded).collect()
}

/// The next frame of the bridge.
pub(super) async fn read(
    stream: &mut SplitStream<WebSocket>,
    skipped: &Skipped,
) -> Result<BridgeFrame, LinkEnd> {
    loop {
        let next = timeout(SILENCE, stream.next()).await;
        match next.map_err(|_| LinkEnd::Lost("nothing came for too long"))? {
            Some(Ok(Frame::Text(text))) => {
                return parse(text.as_str(), skipped);
            }
            Some(Ok(Frame::Binary(_))) => {
                return Err(LinkEnd::Broken("frames must be text".to_owned()));
            }
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
            Some(Ok(Frame::Close(_))) | None => return Err(LinkEnd::Gone),
            Some(Err(_)) => return Err(LinkEnd::Lost("the connection broke")),
        }
    }
}

/// A frame of the bridge. What of its entries and reports can't be read is passed over: a bridge would tell it
/// again after each new link, and the line would stand still for ever.
fn parse(text: &str, skipped: &Skipped) -> Result<BridgeFrame, LinkEnd> {
    serde_json::from_str(text).or_else(|error| {
        let whole = without_lone_surrogates(text);
        part_by_part(&whole, skipped).ok_or_else(|| {
            // Not the error's own words: they may quote a text or a phone number.
            let (kind, column) = (error.classify(), error.column());
            LinkEnd::Broken(format!("a frame can't be read: {kind:?} at byte {column}"))
        })
    })
}

/// A frame of which some part can't be read, without that part.
fn part_by_part(text: &str, skipped: &Skipped) -> Option<BridgeFrame> {
    /// What all frames whose parts are read one by one have.
    #[derive(Deserialize)]
    struct Parts<'a> {
        #[serde(rename = "type")]
        kind: Cow<'a, str>,
        line_id: Option<Id<Line>>,
        position: Option<String>,
        online: Option<bool>,
        #[serde(borrow, default)]
        entries: Vec<&'a RawValue>,
        #[serde(borrow, default)]
        reports: Vec<&'a RawValue>,
        #[serde(borrow, default)]
        capabilities: Vec<&'a RawValue>,
        #[serde(borrow, default)]
        items: Vec<&'a RawValue>,
        #[serde(borrow, default)]
        reason: Option<&'a RawValue>,
    }

    fn readable<T: DeserializeOwned>(parts: &[&RawValue]) -> Vec<T> {
        parts.iter().filter_map(|part| serde_json::from_str(part.get()).ok()).collect()
    }

    /// As many of these as can be read; the others are counted.
    fn counted<T: DeserializeOwned>(parts: &[&RawValue], what: Skip, skipped: &Skipped) -> Vec<T> {
        let readable = readable(parts);
        skipped.note(what, parts.len() - readable.len());
        readable
    }

    /// A report of an item whose outcome can't be read.
    #[derive(Deserialize)]
    struct Named {
        id: Id<OutboxItem>,
    }

    let parts: Parts<'_> = serde_json::from_str(text).ok()?;
    tracing::warn!(frame = %parts.kind, "a bridge tells what can't be read; that is passed over");
    match &*parts.kind {
        "inbound" => {
            // Each entry has its answer, so none may be left out.
            let entry = |raw: &&RawValue| serde_json::from_str(raw.get());
            let entries = parts.entries.iter().map(|raw| entry(raw).unwrap_or(Inbound::Unreadable));
            Some(BridgeFrame::Inbound {
                line_id: parts.line_id?,
                position: parts.position?,
                entries: entries.collect(),
            })
        }
        kind @ ("report" | "resolved") => {
            let report = |raw: &&RawValue| {
                let unknown = |named: Named| Report { id: named.id, outcome: Outcome::Unknown };
                serde_json::from_str(raw.get()).ok().or_else(|| {
                    skipped.note(Skip::Report, 1);
                    serde_json::from_str(raw.get()).map(unknown).ok()
                })
            };
            let reports = parts.reports.iter().filter_map(report).collect();
            Some(match kind {
                "report" => BridgeFrame::Report { reports },
                _ => BridgeFrame::Resolved { reports },
            })
        }
        // Of what is left out nobody knows anything, and so it is settled.
        "reconciled" => {
            let items = counted(&parts.items, Skip::Report, skipped);
            Some(BridgeFrame::Reconciled { items })
        }
        "line" => {
            let reason = parts.reason.and_then(|raw| {
                let reason = serde_json::from_str(raw.get());
                reason.inspect_err(|_| skipped.note(Skip::Capability, 1)).ok().flatten()
            });
            Some(BridgeFrame::Line {
                line_id: parts.line_id?,
                online: parts.online?,
                capabilities: counted(&parts.capabilities, Skip::Capability, skipped),
                reason,
            })
        }
        _ => None,
    }
}

pub(super) async fn write(
    sink: &mut SplitSink<WebSocket, Frame>,
    frame: &ServerFrame,
) -> Result<(), LinkEnd> {
    let text = serde_json::to_string(frame)
        .map_err(|error| LinkEnd::Broken(format!("a frame can't be written: {error}")))?;
    match timeout(WRITE_TIMEOUT, sink.send(Frame::Text(text.into()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(LinkEnd::Lost("the connection broke")),
        Err(_) => Err(LinkEnd::Lost("the bridge does not read")),
    }
}
