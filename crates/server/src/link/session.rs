//! One link, from `hello` to its end.
//!
//! Its parts run side by side in one task, and the first of them to end ends all. The reader
//! takes frames and puts them into bounded queues; a full queue makes the bridge wait. The settler commits
//! reports, as many as have gathered; the receiver commits inbound batches, one after another. The
//! claimer hands out items. The writer owns the sending half.
//!
//! What is committed is also made known, even if the link ends in that moment: both
//! happen in a task of their own, which nothing cancels ([`Session::settled`], [`Session::received`]).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::extract::ws::{Message as Frame, WebSocket};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use switchboard_model::{
    Bridge, Line, OutboxItem,
    id::Id,
    line::Capability,
    link::{BridgeFrame, Inbound, MAX_BATCH, PROTOCOL, ReceivedEntry, ServerFrame},
};
use switchboard_store::{SettleReport, StoreError};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::timeout,
};

use super::{
    Seat,
    flight::Flight,
    wire::{Ended, read, send_frames, settle_recalled, settle_report, write},
};
use crate::{
    api::problem::chain,
    app::{App, to_the_end},
};

/// How long a bridge has for its `hello`.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a bridge has for its answer to `recall`: it may have to ask Messages.
const RECALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a bridge has to hear why the link ends, and as long again for the socket to close: together
/// less than a newer link of the same bridge waits.
const FAREWELL: Duration = Duration::from_secs(1);
/// The longest that nobody looks for items: a wake-up may be lost with the request that was to give it.
const CLAIM_AT_LEAST_EVERY: Duration = Duration::from_secs(5);
/// Frames that wait to be written, or to be committed.
const QUEUE: usize = 64;
/// Reports of one transaction.
const SETTLE_BATCH: usize = 1024;

/// What the tasks of one link share.
struct Session<'a> {
    app: &'a Arc<App>,
    bridge: &'a Bridge,
    /// Whether only the connection was lost since the last link, and not the bridge.
    resumed: bool,
    flight: Mutex<Flight>,
    /// The items whose fate is asked for.
    asked: Vec<Id<OutboxItem>>,
    /// The lines that take items now.
    online: Mutex<HashSet<Id<Line>>>,
    /// What each line was last said to be able to do.
    capabilities: Mutex<HashMap<Id<Line>, Vec<Capability>>>,
    /// Items, lines or room to look for.
    wake: Arc<Notify>,
    /// Whether the answer to `recall` is committed: before that nothing is handed out.
    recalled: watch::Sender<bool>,
    out: mpsc::Sender<ServerFrame>,
}

/// Runs a link. Ends when the connection does, or when `seat` says so.
pub(super) async fn run(
    app: &Arc<App>,
    bridge: &Bridge,
    seat: &Seat,
    socket: WebSocket,
) -> Result<(), Ended> {
    let (mut sink, mut stream) = socket.split();
    let ended = match timeout(HELLO_TIMEOUT, read(&mut stream)).await {
        Ok(Ok(hello)) => match check_hello(bridge, &hello) {
            Ok(resumed) => carry(app, bridge, resumed, seat, &mut sink, &mut stream).await,
            Err(reason) => Ended::Refused(reason),
        },
        Ok(Err(ended)) => ended,
        Err(_) => Ended::Lost("no hello came"),
    };
    let (reason, retry) = match &ended {
        Ended::Gone => return Ok(()),
        Ended::Refused(reason) => (reason.clone(), false),
        Ended::Broken(reason) => (reason.clone(), true),
        Ended::Store(_) => ("the server's store failed".to_owned(), true),
        Ended::Lost(reason) | Ended::Closing(reason) => ((*reason).to_owned(), true),
    };
    // A courtesy: the bridge may be gone already.
    let _ = timeout(FAREWELL, write(&mut sink, &ServerFrame::Bye { reason, retry })).await;
    let _ = timeout(FAREWELL, sink.close()).await;
    match ended {
        Ended::Closing(_) => Ok(()),
        ended => Err(ended),
    }
}

/// Judges `hello`; answers whether only the connection was lost since the last link.
fn check_hello(bridge: &Bridge, hello: &BridgeFrame) -> Result<bool, String> {
    let BridgeFrame::Hello { protocol, driver, software, resumed } = hello else {
        return Err("the first frame must be 'hello'".to_owned());
    };
    if *protocol != PROTOCOL {
        return Err(format!(
            "this server speaks version {PROTOCOL} of the link, the bridge version {protocol}; \
             use the same release of switchboard on both"
        ));
    }
    if *driver != bridge.driver {
        let (here, there) = (bridge.driver.as_str(), driver.as_str());
        return Err(format!("this token is for a bridge with driver '{here}', not '{there}'"));
    }
    tracing::debug!(bridge = %bridge.id, software, "hello");
    Ok(*resumed)
}

async fn carry(
    app: &Arc<App>,
    bridge: &Bridge,
    resumed: bool,
    seat: &Seat,
    sink: &mut SplitSink<WebSocket, Frame>,
    stream: &mut SplitStream<WebSocket>,
) -> Ended {
    let (out, outgoing) = mpsc::channel(QUEUE);
    let mut session = Session {
        app,
        bridge,
        resumed,
        asked: Vec::new(),
        flight: Mutex::default(),
        online: Mutex::default(),
        capabilities: Mutex::default(),
        wake: Arc::new(Notify::new()),
        recalled: watch::Sender::new(false),
        out,
    };
    if let Err(ended) = session.welcome(sink).await {
        return ended;
    }
    let (to_settle, reports) = mpsc::channel(QUEUE);
    let (to_receive, batches) = mpsc::channel(QUEUE);
    // Branches of one task, not tasks: they borrow the session and end together.
    let ended = tokio::select! {
        ended = session.write(outgoing, sink) => ended,
        ended = session.read(stream, to_settle, to_receive) => ended,
        ended = session.settle(reports) => ended,
        ended = session.receive(batches) => ended,
        ended = session.claim() => ended,
        ended = session.hold_claims() => ended,
        ended = session.follow(seat) => ended,
        () = seat.end.cancelled() => Ended::Closing("the server ends this link; dial again"),
    };
    app.hub.unwatch(&session.wake);
    session.announce_end().await;
    ended
}

impl Session<'_> {
    /// Tells the bridge its lines, and asks for the fate of what it was handed before.
    async fn welcome(&mut self, sink: &mut SplitSink<WebSocket, Frame>) -> Result<(), Ended> {
        let lines = self.app.store.carried_lines(self.bridge.id).await?;
        // It is back in time: what it holds must not run out while it is being asked. This write also waits
        // behind a last claim that the older link may have left with the store, so that the read sees it.
        let lease = self.app.clock.now() + self.app.config.claim_lease();
        self.app.store.extend_claims(self.bridge.id, lease).await?;
        let claims = self.app.store.claims_of(self.bridge.id).await?;
        let recall: Vec<_> = claims.iter().map(|item| item.id).collect();
        {
            let mut flight = self.flight();
            claims.iter().for_each(|item| flight.add(item));
        }
        self.app.hub.watch(lines.iter().map(|line| line.id), &self.wake);
        self.recalled.send_replace(recall.is_empty());
        self.asked.clone_from(&recall);
        write(sink, &ServerFrame::Welcome { lines, recall }).await
    }

    async fn write(
        &self,
        mut outgoing: mpsc::Receiver<ServerFrame>,
        sink: &mut SplitSink<WebSocket, Frame>,
    ) -> Ended {
        while let Some(frame) = outgoing.recv().await {
            if let Err(ended) = write(sink, &frame).await {
                return ended;
            }
        }
        Ended::Closing("nothing left to say")
    }

    async fn read(
        &self,
        stream: &mut SplitStream<WebSocket>,
        to_settle: mpsc::Sender<Settling>,
        to_receive: mpsc::Sender<Batch>,
    ) -> Ended {
        loop {
            let frame = match read(stream).await {
                Ok(frame) => frame,
                Err(ended) => return ended,
            };
            let queued = match frame {
                BridgeFrame::Report { reports } if reports.len() > MAX_BATCH => {
                    return Ended::Broken(format!("more than {MAX_BATCH} reports in a frame"));
                }
                BridgeFrame::Inbound { entries, .. } if entries.len() > MAX_BATCH => {
                    return Ended::Broken(format!("more than {MAX_BATCH} entries in a frame"));
                }
                BridgeFrame::Hello { .. } => {
                    return Ended::Broken("'hello' came twice".to_owned());
                }
                BridgeFrame::Recalled { items } => {
                    let reports = settle_recalled(&self.asked, items, self.resumed);
                    to_settle.send(Settling { reports, ends_recall: true }).await.is_ok()
                }
                BridgeFrame::Report { reports } => {
                    let reports = reports.into_iter().map(settle_report).collect();
                    to_settle.send(Settling { reports, ends_recall: false }).await.is_ok()
                }
                BridgeFrame::Inbound { line_id, position, entries } => {
                    to_receive.send(Batch { line_id, position, entries }).await.is_ok()
                }
                BridgeFrame::Line { line_id, online, capabilities } => {
                    if let Err(error) = self.line(line_id, online, capabilities).await {
                        return error.into();
                    }
                    true
                }
            };
            if !queued {
                return Ended::Closing("the link is ending");
            }
        }
    }

    /// A line went up or down, or can do something else now.
    async fn line(
        &self,
        line: Id<Line>,
        online: bool,
        capabilities: Vec<Capability>,
    ) -> Result<(), StoreError> {
        let known = lock(&self.capabilities).insert(line, capabilities.clone());
        if known.as_ref() != Some(&capabilities) {
            self.app.store.set_capabilities(self.bridge.id, line, capabilities).await?;
            self.app.directory.forget();
        }
        let changed =
            if online { lock(&self.online).insert(line) } else { lock(&self.online).remove(&line) };
        if changed {
            tracing::info!(%line, online, "line status");
            self.announce(line, online).await?;
        }
        if online {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Makes known that a line went up or down.
    async fn announce(&self, line: Id<Line>, online: bool) -> Result<(), StoreError> {
        let (app, bridge) = (Arc::clone(self.app), self.bridge.id);
        to_the_end(async move {
            let now = app.clock.now();
            let lease = app.deliver.lease_until(now);
            let committed = app.store.line_status(bridge, line, online, now, lease).await?;
            app.publish(committed);
            Ok(())
        })
        .await
    }

    /// The link has ended: its lines are down. Not when the server itself stops: it says nothing of the lines.
    async fn announce_end(&self) {
        if self.app.stopping.is_cancelled() {
            return;
        }
        let online = std::mem::take(&mut *lock(&self.online));
        for line in online {
            if let Err(error) = self.announce(line, false).await {
                tracing::warn!(%line, error = chain(&error), "line.status could not be made known");
            }
        }
    }

    /// Commits reports, and acknowledges them after that.
    async fn settle(&self, mut queue: mpsc::Receiver<Settling>) -> Ended {
        while let Some(Settling { reports: mut batch, mut ends_recall }) = queue.recv().await {
            while batch.len() < SETTLE_BATCH {
                let Ok(more) = queue.try_recv() else { break };
                batch.extend(more.reports);
                ends_recall |= more.ends_recall;
            }
            let ids: Vec<_> = batch.iter().map(|report| report.id).collect();
            if !batch.is_empty()
                && let Err(error) = self.settled(batch).await
            {
                return error.into();
            }
            {
                let mut flight = self.flight();
                ids.iter().for_each(|id| flight.remove(*id));
            }
            if ends_recall {
                self.recalled.send_replace(true);
            }
            self.wake.notify_one();
            for ids in ids.chunks(MAX_BATCH) {
                if self.send(ServerFrame::Settled { ids: ids.to_vec() }).await.is_err() {
                    return Ended::Closing("the link is ending");
                }
            }
        }
        Ended::Closing("the link is ending")
    }

    /// Commits inbound batches, and acknowledges them after that.
    async fn receive(&self, mut batches: mpsc::Receiver<Batch>) -> Ended {
        while let Some(Batch { line_id, position, entries }) = batches.recv().await {
            let results = match self.received(line_id, position.clone(), entries).await {
                Ok(results) => results,
                Err(error) => return error.into(),
            };
            let frame = ServerFrame::Received { line_id, position, results };
            if self.send(frame).await.is_err() {
                break;
            }
        }
        Ended::Closing("the link is ending")
    }

    /// Commits reports and makes known what came of them.
    async fn settled(&self, reports: Vec<SettleReport>) -> Result<(), StoreError> {
        let (app, bridge) = (Arc::clone(self.app), self.bridge.id);
        to_the_end(async move {
            let now = app.clock.now();
            let lease = app.deliver.lease_until(now);
            let committed = app.store.settle(bridge, reports, now, lease).await?;
            app.publish(committed);
            Ok(())
        })
        .await
    }

    /// Commits a batch and makes known what came in.
    async fn received(
        &self,
        line: Id<Line>,
        position: String,
        entries: Vec<Inbound>,
    ) -> Result<Vec<ReceivedEntry>, StoreError> {
        let (app, bridge) = (Arc::clone(self.app), self.bridge.id);
        to_the_end(async move {
            let now = app.clock.now();
            let lease = app.deliver.lease_until(now);
            let received = app.store.receive(bridge, line, position, entries, now, lease).await?;
            app.publish(received.committed);
            Ok(received.results)
        })
        .await
    }

    /// Hands out items: claims are committed before the bridge hears of them.
    async fn claim(&self) -> Ended {
        let mut recalled = self.recalled.subscribe();
        let answered = timeout(RECALL_TIMEOUT, recalled.wait_for(|done| *done))
            .await
            .is_ok_and(|recalled| recalled.is_ok());
        if !answered {
            // Claims of which nothing is known must not be held for ever by a link that says nothing.
            return Ended::Lost("no answer to recall came");
        }
        loop {
            let lines: Vec<_> = lock(&self.online).iter().copied().collect();
            let mut more = false;
            for line in lines {
                match self.claim_line(line).await {
                    Ok(claimed_all_there_was) => more |= !claimed_all_there_was,
                    Err(ended) => return ended,
                }
            }
            if !more {
                // Woken or not: then it is looked for all the same.
                let _ = timeout(CLAIM_AT_LEAST_EVERY, self.wake.notified()).await;
            }
        }
    }

    /// Hands out one batch of a line's items. Answers whether that was all there is, or all there is room for.
    async fn claim_line(&self, line: Id<Line>) -> Result<bool, Ended> {
        let (room, full_chats) = self.flight().room(line);
        let limit = room.min(MAX_BATCH);
        if limit == 0 {
            return Ok(true);
        }
        let lease = self.app.clock.now() + self.app.config.claim_lease();
        let items = self.app.store.claim(self.bridge.id, line, full_chats, limit, lease).await?;
        if items.is_empty() {
            return Ok(true);
        }
        let all = items.len() < limit;
        {
            let mut flight = self.flight();
            items.iter().for_each(|item| flight.add(item));
        }
        for frame in send_frames(items) {
            self.send(frame).await.map_err(|()| Ended::Closing("the link is ending"))?;
        }
        Ok(all)
    }

    /// While the link lives, so do its claims.
    async fn hold_claims(&self) -> Ended {
        let lease = self.app.config.claim_lease();
        loop {
            let now = self.app.clock.now();
            self.app.clock.sleep_until(now + lease / 3).await;
            let until = self.app.clock.now() + lease;
            if let Err(error) = self.app.store.extend_claims(self.bridge.id, until).await {
                return error.into();
            }
        }
    }

    /// Follows what the operator changes: lines that come, a bridge that is revoked.
    async fn follow(&self, seat: &Seat) -> Ended {
        loop {
            seat.changed.notified().await;
            let bridges = match self.app.store.bridges().await {
                Ok(bridges) => bridges,
                Err(error) => return error.into(),
            };
            let current = bridges.into_iter().find(|one| one.id == self.bridge.id);
            if current.is_none_or(|bridge| bridge.revoked_at.is_some()) {
                return Ended::Refused("this bridge was revoked".to_owned());
            }
            let lines = match self.app.store.carried_lines(self.bridge.id).await {
                Ok(lines) => lines,
                Err(error) => return error.into(),
            };
            self.app.hub.watch(lines.iter().map(|line| line.id), &self.wake);
            if self.send(ServerFrame::Lines { lines }).await.is_err() {
                return Ended::Closing("the link is ending");
            }
        }
    }

    async fn send(&self, frame: ServerFrame) -> Result<(), ()> {
        self.out.send(frame).await.map_err(|_| ())
    }

    fn flight(&self) -> std::sync::MutexGuard<'_, Flight> {
        lock(&self.flight)
    }
}

/// Reports on their way to the store.
struct Settling {
    reports: Vec<SettleReport>,
    /// Whether they answer `recall`: once they are committed, items may be handed out.
    ends_recall: bool,
}

/// An inbound batch on its way to the store.
struct Batch {
    line_id: Id<Line>,
    position: String,
    entries: Vec<Inbound>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
