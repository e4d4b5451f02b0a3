//! The listener: connections with bounds on their number, on the time for their heads, on how long
//! nothing of an answer is taken, and on their farewell.

mod handover;
mod live;
mod refusal;
mod unread;
mod write_timeout;

use std::{
    convert::Infallible,
    future::{Future, pending, poll_fn},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use axum::Router;
use futures_util::FutureExt as _;
use handover::Handover;
use http::{Request, Response};
use http_body::Body as _;
use hyper::{
    body::Incoming,
    rt::{Sleep, Timer},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use live::Live;
use refusal::{Counted, Exchanges, Refusals};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use switchboard_model::time::Clock;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use write_timeout::{Wire, WriteTimeout};

use crate::{
    metrics::RequestCounts,
    quota::heads::{Head, Heads},
    requests::{CountedRouter, Requests, UnderWayBody},
};

/// How long a client has for the head of a request; an idle connection waits as long for the next.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// The most that is held of what a client sends or takes; the head of a request must fit in.
const MAX_BUFFER: usize = 64 * 1024;
/// How long connections have when the server stops and no request is under way on any of them.
const FAREWELL: Duration = Duration::from_secs(1);
/// The pause after the machine refused a connection: out of file descriptors, most often.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often is said that there are no connections to be had, while it lasts.
const WARNING_EVERY: Duration = Duration::from_secs(60);
/// The files that are left for all else but deliveries: the database, the log, bridges.
const RESERVED_FILES: u64 = 64;

/// So many connections, or as many as the machine lets this process have open beside so many deliveries in flight;
/// raises the soft limit of open files as far as needed and allowed. Warns if it is not enough.
pub(crate) fn within_file_limit(wanted: u32, deliveries: u32) -> usize {
    // As many again are kept open for the next deliveries.
    let for_deliveries = 2 * u64::from(deliveries);
    let needed = u64::from(wanted) + for_deliveries + RESERVED_FILES;
    let Rlimit { mut current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < needed) {
        let raised = Some(maximum.map_or(needed, |maximum| needed.min(maximum)));
        if setrlimit(Resource::Nofile, Rlimit { current: raised, maximum }).is_ok() {
            current = raised;
        }
    }
    let possible = possible_connections(wanted, for_deliveries, current);
    let why =
        "fewer connections are taken at once, because the limit of open files is low (ulimit -n)";
    if possible < u64::from(wanted) / 2 {
        tracing::warn!(max_connections = wanted, open_files = current, possible, "{why}");
    } else if possible < u64::from(wanted) {
        tracing::info!(max_connections = wanted, open_files = current, possible, "{why}");
    }
    usize::try_from(possible).unwrap_or(usize::MAX)
}

fn possible_connections(wanted: u32, for_deliveries: u64, open_files: Option<u64>) -> u64 {
    let files = open_files.unwrap_or(u64::MAX).saturating_sub(RESERVED_FILES);
    // Where there are few, each side gets its part.
    files.saturating_sub(for_deliveries.min(files / 4)).clamp(1, u64::from(wanted).max(1))
}

/// What is served, and how.
pub(crate) struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) max_connections: usize,
    pub(crate) connections: TaskTracker,
    /// The requests that are under way.
    pub(crate) under_way: Requests,
    /// Where answers are counted that are given without the router.
    pub(crate) counts: Arc<RequestCounts>,
    /// The heads that are not complete, of all listeners.
    pub(crate) heads: Arc<Heads>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: CancellationToken,
    /// How long requests that are under way have to end after `stop`.
    pub(crate) stop_timeout: Duration,
}

/// Serves until `stop`; then finishes what is under way. Answers how many requests it had to cut.
pub(crate) async fn serve(listening: Listening) -> usize {
    let cut = CancellationToken::new();
    let most = listening.max_connections.min(Semaphore::MAX_PERMITS);
    let slots = Arc::new(Semaphore::new(most));
    // Nothing in it panics; were it to, a server that takes no connections must not stay.
    while AssertUnwindSafe(accept(&listening, &slots, &cut)).catch_unwind().await.is_err() {
        tracing::error!("a listener panicked, and goes on");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
    let Listening { listener, connections, under_way, stop_timeout, .. } = listening;
    drop(listener);
    connections.close();
    // A connection without a request may still be in the middle of a head: that is not waited for longer.
    let idle = async {
        tokio::time::sleep(FAREWELL.min(stop_timeout)).await;
        under_way.none().await;
    };
    let ended = async {
        tokio::select! {
            () = connections.wait() => {}
            () = idle => {}
        }
    };
    let left = match tokio::time::timeout(stop_timeout, ended).await {
        Ok(()) => 0,
        Err(_) => under_way.under_way(),
    };
    cut.cancel();
    left
}

/// Takes connections until `stop`.
async fn accept(listening: &Listening, slots: &Arc<Semaphore>, cut: &CancellationToken) {
    let Listening { listener, router, max_connections, connections, under_way, .. } = listening;
    let Listening { counts, heads, clock, stop, .. } = listening;
    let (mut refused, mut full) = (Rarely::default(), Rarely::default());
    loop {
        let slot = match Arc::clone(slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => {
                if full.is_due() {
                    tracing::warn!(
                        max_connections,
                        listener = listener.local_addr().ok().map(tracing::field::display),
                        "as many connections are open as may be; others wait until one ends"
                    );
                }
                let free = Arc::clone(slots).acquire_owned();
                let Some(Ok(slot)) = stop.run_until_cancelled(free).await else { return };
                slot
            }
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Answers are small and complete: waiting to fill a packet only makes them late.
                let _ = stream.set_nodelay(true);
                let head = heads.connect(peer.ip());
                let router = under_way.counted(router.clone(), peer, Arc::clone(&head));
                let (clock, handover) = (Arc::clone(clock), Handover::default());
                let wire = Arc::new(Wire { head, clock, handover });
                let serving = connection(stream, wire, router, Arc::clone(counts), stop.clone());
                let (cut, lives) = (cut.clone(), connections.clone());
                connections.spawn(async move {
                    let live = cut.run_until_cancelled(serving).await.flatten();
                    if let Some(live) = live {
                        // In a task of its own, which is as small as it is.
                        lives.spawn(async move {
                            cut.run_until_cancelled_owned(live).await;
                            drop(slot);
                        });
                    }
                });
            }
            Err(error) => {
                if refused.is_due() {
                    tracing::warn!(%error, "connections can't be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What lasts is said once in a while.
#[derive(Debug, Default)]
struct Rarely(Option<Instant>);

impl Rarely {
    /// Whether it is time to say it again. Then it counts as said.
    fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|at| at.elapsed() >= WARNING_EVERY);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }
}

/// Serves one connection, until it ends or is a live stream's. A connection that breaks is the client's business.
async fn connection(
    stream: TcpStream,
    wire: Arc<Wire>,
    router: CountedRouter,
    counts: Arc<RequestCounts>,
    stop: CancellationToken,
) -> Option<Live> {
    let inner = TowerToHyperService::new(router);
    let timer = HeadTimer { timer: TokioTimer::new(), head: Arc::clone(&wire.head) };
    let asked = Arc::clone(&wire);
    let service = service_fn(move |request: Request<Incoming>| {
        // At once, before a body is read: what hyper makes of the call is run later.
        asked.head.complete(request.body().size_hint().exact());
        let wire = live::may_be(&request).then(|| Arc::clone(&asked));
        let answer = inner.call(request);
        async move {
            let response = answer.await?;
            match wire {
                Some(wire) if live::is_one(&response) => {
                    wire.handover.give(response);
                    pending::<Result<_, Infallible>>().await
                }
                _ => Ok(response),
            }
        }
    });
    let exchanges = Arc::new(Exchanges::default());
    let stream = WriteTimeout::new(stream, Arc::clone(&wire));
    let stream = Refusals::new(stream, Arc::clone(&exchanges), counts);
    let service = Counted { service, exchanges };
    let serving = http1::Builder::new()
        .timer(timer)
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut serving = Box::pin(serving);
    let response = tokio::select! {
        response = until_live(serving.as_mut(), &wire.handover) => response,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            until_live(serving.as_mut(), &wire.handover).await
        }
    };
    // hyper gives the stream back when it is dropped.
    drop(serving);
    Live::new(wire, response?)
}

/// Returns when the connection has ended, or with the answer of a live stream that it is handed over for.
async fn until_live(
    mut serving: Pin<&mut impl Future>,
    handover: &Handover,
) -> Option<Response<UnderWayBody>> {
    poll_fn(|cx| match serving.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => handover.response().map_or(Poll::Pending, |it| Poll::Ready(Some(it))),
    })
    .await
}

/// hyper's timer of heads and of nothing else: it is set whenever the next head is looked for.
struct HeadTimer {
    timer: TokioTimer,
    head: Arc<Head>,
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.head.begins();
        self.timer.sleep(duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.head.begins();
        self.timer.sleep_until(deadline)
    }

    fn now(&self) -> Instant {
        self.timer.now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        self.head.begins();
        self.timer.reset(sleep, deadline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        assert_eq!(possible_connections(20_000, 1_024, None), 20_000);
        assert_eq!(possible_connections(20_000, 1_024, Some(65_536)), 20_000);
        assert_eq!(possible_connections(20_000, 100, Some(1_024)), 860);
        assert_eq!(possible_connections(20_000, 1_024, Some(1_024)), 720);
        assert_eq!(possible_connections(20_000, 1_024, Some(32)), 1);
    }
}
