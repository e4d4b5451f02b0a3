//! One link, from `hello` to its end.
//!
//! Its parts run side by side in one task, and the first of them to end ends all. The reader
//! takes frames and puts them into bounded queues; a full queue makes the bridge wait. The settler commits
//! reports, as many as have gathered; the receiver commits inbound batches, one after another. The
//! claimer hands out items. The writer owns the sending half.
//!
//! What is committed is also made known, even if the link ends in that moment: both
//! happen in a task of their own, which nothing cancels (`commits`).

mod available;
mod claims;
mod commits;
mod hello;
mod lines;
mod reconcile;

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use available::once_available;
use axum::extract::ws::{Message as Frame, WebSocket};
use commits::{Batch, Settling};
use futures_util::{
    FutureExt as _, SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hello::Greeting;
use reconcile::{Asked, Page};
use switchboard_model::{
    Bridge, Line,
    id::Id,
    line::Capability,
    link::{BridgeFrame, LineRole, MAX_BATCH, ServerFrame},
};
use switchboard_store::{Link, OpenedLink, StoreError};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    Bridges, Registration,
    online::OnlineHere,
    send_window::SendWindow,
    skipped::Skip,
    wire::{LinkEnd, read, resolved, settle_reconciled, settle_report, write},
};
use crate::hub::{Hub, Woken};

/// How long a bridge has for its `hello`.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a bridge has to hear why the link ends, and as long again for the socket to close: together
/// less than a newer link of the same bridge waits.
const FAREWELL: Duration = Duration::from_secs(1);
/// Frames that wait to be written, or to be committed.
const QUEUE: usize = 64;

/// What the tasks of one link share.
struct Session<'a> {
    server: &'a Arc<Bridges>,
    bridge: &'a Bridge,
    /// What the store knows it by, once it is welcome.
    link: Link,
    /// What the bridge has said of itself.
    greeting: Greeting,
    window: Mutex<SendWindow>,
    /// The items whose outcome is asked for.
    asked: Mutex<Asked>,
    /// The lines that the bridge carries, or is the standby of.
    carried: Mutex<HashMap<Id<Line>, LineRole>>,
    /// Lines of which a batch was passed over: the bridge waits for an answer that does not come.
    unanswered: Mutex<HashSet<Id<Line>>>,
    /// The lines that take items now.
    online: OnlineHere,
    /// What each line was last said to be able to do.
    capabilities: Mutex<HashMap<Id<Line>, Vec<Capability>>>,
    /// Where there are items or room to look for.
    woken: Arc<Woken>,
    /// Pages of items to reconcile whose answer is not committed: before they are, nothing is handed out.
    to_reconcile: watch::Sender<usize>,
    out: mpsc::Sender<ServerFrame>,
}

/// Runs a link. Ends when the connection does, or when `registration` says so.
pub(super) async fn run(
    server: &Arc<Bridges>,
    bridge: &Bridge,
    registration: &Registration,
    socket: WebSocket,
) -> Result<(), LinkEnd> {
    let (mut sink, mut stream) = socket.split();
    let ended = match timeout(HELLO_TIMEOUT, read(&mut stream, &server.links.skipped)).await {
        Ok(Ok(hello)) => match hello::check(bridge, hello) {
            Ok(greeting) => {
                serve(server, bridge, greeting, registration, &mut sink, &mut stream).await
            }
            Err(reason) => LinkEnd::Refused(reason),
        },
        Ok(Err(ended)) => ended,
        Err(_) => LinkEnd::Lost("no hello came"),
    };
    let (reason, retry) = match &ended {
        LinkEnd::Gone => return Ok(()),
        LinkEnd::Refused(reason) => (reason.clone(), false),
        LinkEnd::Broken(reason) => (reason.clone(), true),
        LinkEnd::Store(_) => ("the server's store failed".to_owned(), true),
        LinkEnd::Lost(reason) | LinkEnd::Closing(reason) => ((*reason).to_owned(), true),
        LinkEnd::Superseded => (ended.to_string(), true),
    };
    // A courtesy: the bridge may be gone already.
    let superseded = matches!(ended, LinkEnd::Superseded);
    let bye = ServerFrame::Bye { reason, retry, superseded };
    let _ = timeout(FAREWELL, write(&mut sink, &bye)).await;
    let _ = timeout(FAREWELL, sink.close()).await;
    match ended {
        LinkEnd::Closing(_) | LinkEnd::Superseded => Ok(()),
        ended => Err(ended),
    }
}

async fn serve(
    server: &Arc<Bridges>,
    bridge: &Bridge,
    greeting: Greeting,
    registration: &Registration,
    sink: &mut SplitSink<WebSocket, Frame>,
    stream: &mut SplitStream<WebSocket>,
) -> LinkEnd {
    let (out, outgoing) = mpsc::channel(QUEUE);
    let woken = Arc::new(Woken::default());
    let _watching = Watching { hub: &server.hub, woken: &woken };
    let mut session = Session {
        server,
        bridge,
        link: Link { bridge: bridge.id, epoch: 0 },
        greeting,
        asked: Mutex::default(),
        window: Mutex::default(),
        carried: Mutex::default(),
        unanswered: Mutex::default(),
        online: OnlineHere::new(&server.links.online, bridge.driver, bridge.id),
        capabilities: Mutex::default(),
        woken: Arc::clone(&woken),
        to_reconcile: watch::Sender::new(1),
        out,
    };
    // The welcome may have to wait for the store.
    let welcomed = tokio::select! {
        welcomed = session.welcome(sink) => welcomed,
        () = registration.end.cancelled() => return server.links.end(),
    };
    if let Err(ended) = welcomed {
        return ended;
    }
    let (to_settle, reports) = mpsc::channel(QUEUE);
    let (to_receive, batches) = mpsc::channel(QUEUE);
    // Branches of one task, not tasks: they borrow the session and end together.
    let carrying = async {
        tokio::select! {
            ended = session.write(outgoing, sink) => ended,
            ended = session.read(stream, to_settle, to_receive) => ended,
            ended = session.settle(reports) => ended,
            ended = session.receive(batches) => ended,
            ended = session.claim() => ended,
            ended = session.hold_claims() => ended,
            ended = session.follow(registration) => ended,
            () = registration.end.cancelled() => server.links.end(),
        }
    };
    // A panic ends the link like any other failure: its lines are down, and the bridge dials again.
    let ended = AssertUnwindSafe(carrying).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(bridge = %bridge.id, "a link panicked");
        LinkEnd::Broken("the server failed to serve the link".to_owned())
    });
    session.announce_end().await;
    ended
}

/// Ends what [`Hub::watch`] has begun, however the link ends.
struct Watching<'a> {
    hub: &'a Hub,
    woken: &'a Arc<Woken>,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.hub.unwatch(self.woken);
    }
}

impl Session<'_> {
    /// Tells the bridge its lines, and asks for the outcome of what it was handed before.
    async fn welcome(&mut self, sink: &mut SplitSink<WebSocket, Frame>) -> Result<(), LinkEnd> {
        let store = &self.server.store;
        // It is back in time: what it holds must not run out while it is being asked.
        let opened = once_available("the link of a bridge could not be opened", || {
            let lease = self.server.clock.steady() + self.server.claim_lease;
            store.open_link(self.bridge.id, lease)
        })
        .await?;
        let OpenedLink { link, lines, claims } = opened;
        self.link = link;
        let (asked, Page { items: reconcile, claimed }) = Asked::of(&claims);
        {
            let mut window = self.window();
            claims.iter().for_each(|claim| window.add(&claim.item));
        }
        self.carry(&lines);
        let pages = asked.later.len() + usize::from(!reconcile.is_empty());
        self.to_reconcile.send_replace(pages);
        *lock(&self.asked) = asked;
        self.greeting.compare(self.bridge, &lines);
        let (protocol, epoch) = (self.greeting.protocol, link.epoch);
        let welcome = ServerFrame::Welcome { protocol, epoch, lines, reconcile, claimed };
        write(sink, &welcome).await
    }

    async fn write(
        &self,
        mut outgoing: mpsc::Receiver<ServerFrame>,
        sink: &mut SplitSink<WebSocket, Frame>,
    ) -> LinkEnd {
        while let Some(frame) = outgoing.recv().await {
            if let Err(ended) = write(sink, &frame).await {
                return ended;
            }
        }
        LinkEnd::Closing("nothing left to say")
    }

    async fn read(
        &self,
        stream: &mut SplitStream<WebSocket>,
        to_settle: mpsc::Sender<Settling>,
        to_receive: mpsc::Sender<Batch>,
    ) -> LinkEnd {
        loop {
            let frame = match read(stream, &self.server.links.skipped).await {
                Ok(frame) => frame,
                Err(ended) => return ended,
            };
            let queued = match frame {
                BridgeFrame::Report { reports } | BridgeFrame::Resolved { reports }
                    if reports.len() > MAX_BATCH =>
                {
                    return LinkEnd::Broken(format!("more than {MAX_BATCH} reports in a frame"));
                }
                BridgeFrame::Inbound { entries, .. } if entries.len() > MAX_BATCH => {
                    return LinkEnd::Broken(format!("more than {MAX_BATCH} entries in a frame"));
                }
                BridgeFrame::Hello { .. } => {
                    return LinkEnd::Broken("'hello' came twice".to_owned());
                }
                BridgeFrame::Reconciled { items } => {
                    let page = std::mem::take(&mut lock(&self.asked).now);
                    // What was not asked for answers nothing.
                    let settling = match page.is_empty() {
                        true => Settling::default(),
                        false => Settling::reconciled(settle_reconciled(
                            &page,
                            items,
                            self.greeting.resumed,
                        )),
                    };
                    to_settle.send(settling).await.is_ok()
                }
                BridgeFrame::Report { reports } => {
                    let reports = reports.into_iter().map(settle_report).collect();
                    to_settle.send(Settling::reported(reports)).await.is_ok()
                }
                BridgeFrame::Resolved { reports } => {
                    let ids = reports.iter().map(|report| report.id).collect();
                    to_settle.send(Settling::resolved(ids, resolved(reports))).await.is_ok()
                }
                BridgeFrame::Inbound { line_id, position, entries } => {
                    to_receive.send(Batch { line_id, position, entries }).await.is_ok()
                }
                BridgeFrame::Line { line_id, online, capabilities, reason } => {
                    if let Err(error) = self.line(line_id, (online, reason), capabilities).await {
                        return error.into();
                    }
                    true
                }
                BridgeFrame::Unreadable => {
                    tracing::warn!(bridge = %self.bridge.id, "a bridge says what is not known here; that is passed over");
                    self.server.links.skipped.note(Skip::Frame, 1);
                    true
                }
            };
            if !queued {
                return LinkEnd::Closing("the link is ending");
            }
        }
    }

    /// Follows what the operator changes: lines that come, a bridge that is revoked.
    async fn follow(&self, registration: &Registration) -> LinkEnd {
        loop {
            registration.changed.notified().await;
            let store = &self.server.store;
            let what = "the bridges could not be read";
            let bridges = match once_available(what, || store.bridges()).await {
                Ok(bridges) => bridges,
                Err(error) => return error.into(),
            };
            let current = bridges.into_iter().find(|one| one.id == self.bridge.id);
            if current.is_none_or(|bridge| bridge.revoked_at.is_some()) {
                return LinkEnd::Refused("this bridge was revoked".to_owned());
            }
            // Another process may have a newer link of it.
            let is_newest = || store.is_newest_link(self.link);
            match once_available(what, is_newest).await {
                Ok(true) => {}
                Ok(false) => return StoreError::Fenced.into(),
                Err(error) => return error.into(),
            }
            let carried = || store.carried_lines(self.bridge.id);
            let lines = match once_available(what, carried).await {
                Ok(lines) => lines,
                Err(error) => return error.into(),
            };
            if let Err(ended) = self.lines_changed(lines).await {
                return ended;
            }
        }
    }

    async fn send(&self, frame: ServerFrame) -> Result<(), ()> {
        self.out.send(frame).await.map_err(|_| ())
    }

    fn window(&self) -> std::sync::MutexGuard<'_, SendWindow> {
        lock(&self.window)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
