//! One socket, from its hello to its end.
//!
//! Reader, writer and the teller of line statuses are futures of one task, and the first that ends
//! ends the socket. The reader never waits for the writer, so two full pipes can't lock each other.

use std::{sync::Arc, time::Duration};

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use serde::Serialize;
use switchboard_model::{
    OutboxItem,
    id::Id,
    link::{
        BridgeFrame, CarriedLine, ClaimEpochs, MAX_BATCH, MAX_FRAME_BYTES, OLDEST_PROTOCOL,
        Outcome, PROTOCOL, READ_BYTES, Reconciled, ReconciledState, ServerFrame,
    },
};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, interval_at, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        self,
        client::IntoClientRequest,
        http::{StatusCode, header::AUTHORIZATION},
        protocol::{Message, WebSocketConfig},
    },
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    BridgeConfig, LinkError,
    in_flight::cut_error,
    inbound::Pumps,
    items::Items,
    resolved::Resolved,
    state::{self, LinkTeller},
};
use crate::driver::{Asked, Driver, KnownOutcome, LineStatuses};

/// How long the server may take to accept the socket, and then to say welcome.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the driver may take to say what came of earlier items, and to take up its lines.
const DRIVER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the server is pinged.
const PING_EVERY: Duration = Duration::from_secs(15);
/// How long the server may be silent (it answers pings) before it counts as dead.
const DEAD_AFTER: Duration = Duration::from_secs(45);
/// How long a bridge that stops waits for what runs to finish and be settled.
const WIND_DOWN: Duration = Duration::from_secs(2);
/// How long the closing of a socket may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The most encoded frames that wait for the writer.
const OUTGOING_FRAMES: usize = 16;

/// Where encoded frames wait for the writer.
pub(super) type Outgoing = mpsc::Sender<String>;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Reader = SplitStream<Socket>;
type Writer = SplitSink<Socket, Message>;

/// Dials and serves one socket. `Ok` when the bridge was told to stop.
pub(super) async fn run(
    config: &BridgeConfig,
    driver: &Arc<dyn Driver>,
    items: &Arc<Items>,
    state: &LinkTeller,
    stop: &CancellationToken,
) -> Result<(), LinkError> {
    let opening = async {
        let (mut writer, mut reader) = dial(config).await?.split();
        let Welcomed { epoch, lines, reconcile } =
            greet(driver.as_ref(), items, &mut writer, &mut reader).await?;
        assign_lines(driver.as_ref(), lines.clone()).await?;
        welcomed(driver.as_ref(), config, epoch).await?;
        let known = items.reconcile(&reconcile.items);
        let answer = answer_reconcile(driver.as_ref(), known, &reconcile.claimed).await?;
        writer.send(Message::text(answer)).await.map_err(LinkError::socket)?;
        // Only now: an answer that never left is given by a process that has not resumed.
        items.welcome();
        Ok((writer, reader, lines))
    };
    let (mut writer, mut reader, lines) = match Box::pin(stop.run_until_cancelled(opening)).await {
        Some(opened) => opened?,
        None => return Ok(()),
    };
    info!(lines = lines.len(), "linked to the server");
    state::linked(state, &lines, crate::ledger::now());

    let (out, outgoing) = mpsc::channel(OUTGOING_FRAMES);
    let mut pumps =
        Pumps::new(Arc::clone(driver), Arc::clone(items), config.files.clone(), out.clone());
    pumps.assign_lines(lines);
    let resolved = Resolved::default();
    // One at a time: the next is asked for once this is answered.
    let (more, asked) = mpsc::channel(1);
    let ended = tokio::select! {
        ended = read(&mut reader, driver.as_ref(), items, &mut pumps, &resolved, &more, state) => ended,
        ended = reconcile_more(driver.as_ref(), items, asked, &out) => ended,
        ended = resolved.tell(driver.as_ref(), items, &out) => ended,
        ended = write(&mut writer, outgoing, items) => ended,
        ended = tell_statuses(driver.as_ref(), items, &out) => ended,
        () = wind_down(items, stop) => Ok(()),
    };
    drop(pumps);
    // Best effort: the server sees the socket end either way.
    let _ = timeout(CLOSE_TIMEOUT, writer.close()).await;
    ended
}

async fn dial(config: &BridgeConfig) -> Result<Socket, LinkError> {
    let mut request = config.url.as_str().into_client_request().map_err(LinkError::dial)?;
    request.headers_mut().insert(AUTHORIZATION, config.authorization.clone());
    let limits = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES));
    let dialling = connect_async_with_config(request, Some(limits), true);
    match timeout(HANDSHAKE_TIMEOUT, dialling).await {
        Ok(Ok((socket, _response))) => Ok(socket),
        Ok(Err(tungstenite::Error::Http(response)))
            if response.status() == StatusCode::UNAUTHORIZED =>
        {
            Err(LinkError::TokenRefused)
        }
        Ok(Err(error)) => Err(LinkError::dial(error)),
        Err(_elapsed) => Err(LinkError::Slow("the server did not accept the socket in time")),
    }
}

/// What a welcome says.
struct Welcomed {
    epoch: i64,
    lines: Vec<CarriedLine>,
    reconcile: Reconcile,
}

/// Items that the server asks for, and on which links they were claimed.
struct Reconcile {
    items: Vec<Id<OutboxItem>>,
    claimed: ClaimEpochs,
}

async fn greet(
    driver: &dyn Driver,
    items: &Items,
    writer: &mut Writer,
    reader: &mut Reader,
) -> Result<Welcomed, LinkError> {
    let hello = BridgeFrame::Hello {
        protocol: PROTOCOL,
        oldest_protocol: Some(OLDEST_PROTOCOL),
        driver: driver.kind(),
        accounts: driver.accounts().await,
        software: format!("switchboard-bridge/{}", env!("CARGO_PKG_VERSION")),
        resumed: items.was_welcomed(),
    };
    writer.send(Message::text(encode(&hello))).await.map_err(LinkError::socket)?;
    match timeout(HANDSHAKE_TIMEOUT, next_frame(reader)).await {
        Ok(Ok(ServerFrame::Welcome { epoch, lines, reconcile: items, claimed, .. })) => {
            Ok(Welcomed { epoch, lines, reconcile: Reconcile { items, claimed } })
        }
        Ok(Ok(ServerFrame::Bye { reason, retry, superseded })) => {
            Err(LinkError::bye(reason, retry, superseded))
        }
        Ok(Ok(_)) => Err(LinkError::Protocol("something else before its welcome")),
        Ok(Err(error)) => Err(error),
        Err(_elapsed) => Err(LinkError::Slow("the server did not say welcome in time")),
    }
}

async fn assign_lines(driver: &dyn Driver, lines: Vec<CarriedLine>) -> Result<(), LinkError> {
    timeout(DRIVER_TIMEOUT, driver.assign_lines(lines))
        .await
        .map_err(|_elapsed| LinkError::Slow("the driver did not take up its lines in time"))
}

/// The driver notes that the link begins, before anything can come of it.
async fn welcomed(driver: &dyn Driver, config: &BridgeConfig, epoch: i64) -> Result<(), LinkError> {
    timeout(DRIVER_TIMEOUT, driver.welcomed(&config.bridge, epoch))
        .await
        .map_err(|_elapsed| LinkError::Slow("the driver did not note the link in time"))?
        .map_err(LinkError::Reconcile)
}

/// What came of the items that the server asks for, before anything new is begun: what is known here of some, and what the
/// driver knows of the others.
async fn answer_reconcile(
    driver: &dyn Driver,
    (mut answers, unknown): (Vec<Reconciled>, Vec<Id<OutboxItem>>),
    claimed: &ClaimEpochs,
) -> Result<String, LinkError> {
    if !unknown.is_empty() {
        let asked = |id: &Id<OutboxItem>| Asked { id: *id, claimed: claimed.get(id).copied() };
        let asked: Vec<_> = unknown.iter().map(asked).collect();
        let outcomes = timeout(DRIVER_TIMEOUT, driver.reconcile(&asked))
            .await
            .map_err(|_elapsed| LinkError::Slow("the driver did not reconcile items in time"))?
            .map_err(LinkError::Reconcile)?;
        answers.extend(unknown.into_iter().map(|id| {
            let state = match outcomes.get(&id) {
                Some(KnownOutcome::NeverStarted) => ReconciledState::NeverStarted,
                Some(KnownOutcome::Finished(outcome)) => {
                    let mut outcome = outcome.clone();
                    cut_error(&mut outcome);
                    ReconciledState::Finished { outcome }
                }
                None => ReconciledState::Finished { outcome: Outcome::Unknown },
            };
            Reconciled { id, state }
        }));
    }
    Ok(encode(&BridgeFrame::Reconciled { items: answers }))
}

/// Answers what else the server asks for. Nothing is handed out before that is done, and the reader goes on meanwhile.
async fn reconcile_more(
    driver: &dyn Driver,
    items: &Items,
    mut asked: mpsc::Receiver<Reconcile>,
    out: &Outgoing,
) -> Result<(), LinkError> {
    while let Some(Reconcile { items: ids, claimed }) = asked.recv().await {
        let answer = answer_reconcile(driver, items.reconcile_more(&ids), &claimed).await?;
        out.send(answer).await.map_err(|_| LinkError::Closed)?;
    }
    Err(LinkError::Closed)
}

async fn read(
    reader: &mut Reader,
    driver: &dyn Driver,
    items: &Arc<Items>,
    pumps: &mut Pumps,
    resolved: &Resolved,
    more: &mpsc::Sender<Reconcile>,
    state: &LinkTeller,
) -> Result<(), LinkError> {
    loop {
        let frame = tokio::select! {
            frame = next_frame(reader) => frame?,
            broken = pumps.broken() => return Err(broken),
        };
        match frame {
            ServerFrame::Send { items: given } => {
                if items.accept(given).is_err() {
                    return Err(LinkError::Protocol("more items than its window allows"));
                }
            }
            ServerFrame::Reconcile { items: asked, claimed } => {
                if more.try_send(Reconcile { items: asked, claimed }).is_err() {
                    return Err(LinkError::Protocol(
                        "more to reconcile before the last is answered",
                    ));
                }
            }
            ServerFrame::Settled { ids } => {
                items.settle(&ids);
                resolved.acknowledged(driver, &ids).await;
            }
            ServerFrame::Received { line_id, position, results } => {
                pumps.received(line_id, position, results)?;
            }
            ServerFrame::Lines { lines } => {
                assign_lines(driver, lines.clone()).await?;
                for line in lines.iter().filter(|line| !line.role.is_active()) {
                    // What is not begun is for the bridge that carries it now.
                    items.release_line(line.id);
                }
                state::lines_changed(state, &lines);
                pumps.assign_lines(lines);
            }
            ServerFrame::Bye { reason, retry, superseded } => {
                return Err(LinkError::bye(reason, retry, superseded));
            }
            ServerFrame::Welcome { .. } => {
                return Err(LinkError::Protocol("a second welcome"));
            }
            ServerFrame::Unreadable => {
                warn!("the server says what is not known here; that is passed over")
            }
        }
    }
}

async fn write(
    writer: &mut Writer,
    mut outgoing: mpsc::Receiver<String>,
    items: &Items,
) -> Result<(), LinkError> {
    let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    loop {
        let first = tokio::select! {
            frame = outgoing.recv() => match frame {
                Some(frame) => Some(Message::text(frame)),
                None => return Err(LinkError::Closed),
            },
            () = items.finished() => None,
            _ = ping.tick() => Some(Message::Ping(Default::default())),
        };
        if let Some(message) = first {
            writer.feed(message).await.map_err(LinkError::socket)?;
        }
        // Whatever is about to finish may do so: one large report costs far less than many small ones.
        tokio::task::yield_now().await;
        loop {
            while let Ok(frame) = outgoing.try_recv() {
                writer.feed(Message::text(frame)).await.map_err(LinkError::socket)?;
            }
            let reports = items.take_reports(MAX_BATCH);
            if reports.is_empty() {
                break;
            }
            let frame = encode(&BridgeFrame::Report { reports });
            writer.feed(Message::text(frame)).await.map_err(LinkError::socket)?;
        }
        writer.flush().await.map_err(LinkError::socket)?;
    }
}

/// Tells the server how the lines are, and gives back what waits for a line that went away.
async fn tell_statuses(
    driver: &dyn Driver,
    items: &Items,
    out: &Outgoing,
) -> Result<(), LinkError> {
    let mut statuses = driver.statuses();
    let mut told = LineStatuses::new();
    loop {
        let now = statuses.borrow_and_update().clone();
        for line_id in told.keys() {
            if !now.contains_key(line_id) {
                items.release_line(*line_id);
            }
        }
        for (line_id, status) in &now {
            if told.get(line_id) == Some(status) {
                continue;
            }
            if !status.online {
                items.release_line(*line_id);
            }
            let frame = encode(&BridgeFrame::Line {
                line_id: *line_id,
                online: status.online,
                capabilities: status.capabilities.clone(),
                reason: status.reason,
            });
            out.send(frame).await.map_err(|_| LinkError::Closed)?;
        }
        told = now;
        if statuses.changed().await.is_err() {
            // The driver has no more changes to tell.
            std::future::pending::<()>().await;
        }
    }
}

async fn wind_down(items: &Items, stop: &CancellationToken) {
    stop.cancelled().await;
    if timeout(WIND_DOWN, items.wind_down()).await.is_err() {
        warn!("stopped before every item was reported; the server will ask for them again");
    }
}

/// The next frame. Pings are answered, and any sign of life counts.
async fn next_frame(reader: &mut Reader) -> Result<ServerFrame, LinkError> {
    loop {
        let message = timeout(DEAD_AFTER, reader.next())
            .await
            .map_err(|_elapsed| LinkError::Slow("the server has been silent for too long"))?
            .ok_or(LinkError::Closed)?
            .map_err(LinkError::socket)?;
        match message {
            Message::Text(text) => {
                // The error's own text may quote the frame, and with it a message.
                return serde_json::from_str(&text)
                    .map_err(|_| LinkError::Protocol("a frame that this bridge can't read"));
            }
            Message::Close(_) => return Err(LinkError::Closed),
            Message::Binary(_) => return Err(LinkError::Protocol("a binary frame")),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

/// A frame as JSON.
pub(super) fn encode(frame: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(frame).expect("frames have text keys and plain values only")
}
