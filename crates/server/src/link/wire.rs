//! Frames on the wire, what they mean for the store, and why a link ends.

use std::{fmt, time::Duration};

use axum::extract::ws::{Message as Frame, WebSocket};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use switchboard_model::link::{
    BridgeFrame, Outcome, RecallState, Recalled, Report, SendItem, ServerFrame,
};
use switchboard_store::{ClaimedItem, SettleReport, StoreError};
use tokio::time::timeout;

use crate::api::problem::chain;

/// A link on which nothing came for so long is dead. Bridges ping every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// How long one frame may take to be written.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a link ended.
#[derive(Debug)]
pub(super) enum Ended {
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
    /// The store failed; the bridge repeats what was not acknowledged.
    Store(StoreError),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the bridge has closed the link"),
            Self::Lost(reason) | Self::Closing(reason) => f.write_str(reason),
            Self::Broken(reason) | Self::Refused(reason) => f.write_str(reason),
            Self::Store(error) => f.write_str(&chain(error)),
        }
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

pub(super) fn settle_report(report: Report) -> SettleReport {
    SettleReport { id: report.id, outcome: report.outcome, counts_as_attempt: false }
}

/// What the answer to `recall` means for an item; none while the driver has it in hand.
pub(super) fn settle_recalled(recalled: Recalled) -> Option<SettleReport> {
    let Recalled { id, state } = recalled;
    match state {
        RecallState::InFlight => None,
        RecallState::NeverStarted => {
            Some(SettleReport { id, outcome: Outcome::Released, counts_as_attempt: true })
        }
        RecallState::Finished { outcome } => {
            Some(SettleReport { id, outcome, counts_as_attempt: false })
        }
    }
}

pub(super) fn send_item(item: ClaimedItem) -> SendItem {
    let ClaimedItem { id, line_id, chat_id, identifier, is_group, content } = item;
    SendItem { id, line_id, chat_id, identifier, is_group, content }
}

/// The next frame of the bridge.
pub(super) async fn read(stream: &mut SplitStream<WebSocket>) -> Result<BridgeFrame, Ended> {
    loop {
        let next = timeout(SILENCE, stream.next()).await;
        match next.map_err(|_| Ended::Lost("nothing came for too long"))? {
            Some(Ok(Frame::Text(text))) => {
                return serde_json::from_str(text.as_str())
                    .map_err(|error| Ended::Broken(format!("a frame can't be read: {error}")));
            }
            Some(Ok(Frame::Binary(_))) => {
                return Err(Ended::Broken("frames must be text".to_owned()));
            }
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
            Some(Ok(Frame::Close(_))) | None => return Err(Ended::Gone),
            Some(Err(_)) => return Err(Ended::Lost("the connection broke")),
        }
    }
}

pub(super) async fn write(
    sink: &mut SplitSink<WebSocket, Frame>,
    frame: &ServerFrame,
) -> Result<(), Ended> {
    let text = serde_json::to_string(frame)
        .map_err(|error| Ended::Broken(format!("a frame can't be written: {error}")))?;
    match timeout(WRITE_TIMEOUT, sink.send(Frame::Text(text.into()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ended::Lost("the connection broke")),
        Err(_) => Err(Ended::Lost("the bridge does not read")),
    }
}
