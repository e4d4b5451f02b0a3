//! A webhook sink: the stranger's server that deliveries go to.
//!
//! It promises to keep every request whole (head as parsed, body byte for byte, the instant
//! of its arrival) before it answers, and to misbehave exactly as it is told. It listens on
//! loopback only, on a port of its own, and stops when it is dropped.

mod delivery;
mod wire;

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinHandle, JoinSet},
    time::Instant,
};

pub use delivery::{Delivery, NotTrue};
pub use wire::Cut;
use wire::{Wire, Wired};

/// The most deliveries that are kept; after them the receiver only counts, and
/// [`Receiver::received`] panics rather than show less than came.
pub const MAX_KEPT: usize = 500_000;

/// The longest body that is read; a longer one is answered 413 and not kept.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// What the receiver does with a request once it has read it.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Answers.
    Answer(Reply),
    /// Never answers; the connection stays open.
    Stall,
    /// Closes the connection.
    Cut(Cut),
    /// Answers 200, one byte of head and body at a time.
    Drip {
        /// The pause before each byte.
        every: Duration,
    },
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Behaviour {
    /// Answers 200 with nothing.
    pub fn ok() -> Self {
        Self::Answer(Reply::default())
    }

    /// Answers this status with nothing.
    pub fn status(status: u16) -> Self {
        Self::Answer(Reply::new(status))
    }
}

impl Reply {
    /// An answer with this status and nothing more.
    pub fn new(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a test names a status of 100 to 999");
        Self { status, ..Self::default() }
    }

    /// With `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header("retry-after", &seconds.to_string())
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a test names a header that can be sent");
        let value = HeaderValue::try_from(value).expect("a test gives a header that can be sent");
        self.headers.push((name, value));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// The deadline passed before the condition held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("after {within:?} the receiver has {received} deliveries, and the condition does not hold")]
pub struct TooLate {
    /// How long it was waited.
    pub within: Duration,
    /// How many deliveries there are.
    pub received: u64,
}

/// A webhook sink on loopback.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    keeps: bool,
    count: AtomicU64,
    kept: Mutex<Vec<Delivery>>,
    behaviour: Mutex<Script>,
    arrived: Notify,
}

#[derive(Debug)]
struct Script {
    /// For the next requests, one each.
    next: VecDeque<Behaviour>,
    /// For all after them.
    standing: Behaviour,
}

impl Receiver {
    /// Starts a receiver that keeps what it gets and answers 200.
    pub async fn start() -> Self {
        Self::listen(true).await
    }

    /// Starts a receiver that counts and keeps nothing: for benchmarks.
    pub async fn counting() -> Self {
        Self::listen(false).await
    }

    async fn listen(keeps: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback has a free port for a test");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State {
            keeps,
            count: AtomicU64::new(0),
            kept: Mutex::default(),
            behaviour: Mutex::new(Script { next: VecDeque::new(), standing: Behaviour::ok() }),
            arrived: Notify::new(),
        });
        let accepting = tokio::spawn(accept(listener, state.clone()));
        Self { address, state, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to give to a webhook.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// From the next request on, behaves like this; what was planned with [`Receiver::next`] is dropped.
    pub fn set(&self, behaviour: Behaviour) {
        *lock(&self.state.behaviour) = Script { next: VecDeque::new(), standing: behaviour };
    }

    /// Behaves like this for the next requests, one each, and as before after them.
    pub fn next(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        lock(&self.state.behaviour).next.extend(behaviours);
    }

    /// How many requests came whole.
    pub fn count(&self) -> u64 {
        self.state.count.load(Ordering::Acquire)
    }

    /// What came, in the order of arrival.
    ///
    /// # Panics
    /// If this receiver only counts, or more than [`MAX_KEPT`] came: it must not show less than came.
    pub fn received(&self) -> Vec<Delivery> {
        self.with_kept(<[_]>::to_vec)
    }

    /// Forgets what came, the count too.
    pub fn clear(&self) {
        let mut kept = lock(&self.state.kept);
        kept.clear();
        self.state.count.store(0, Ordering::Release);
    }

    /// Waits until at least `count` deliveries came, and returns all that did.
    ///
    /// # Errors
    /// [`TooLate`] if they did not come in time.
    ///
    /// # Panics
    /// As [`Receiver::received`].
    pub async fn wait_for(&self, count: usize, within: Duration) -> Result<Vec<Delivery>, TooLate> {
        self.wait_until(within, |kept| kept.len() >= count).await
    }

    /// Waits until the condition holds for all that came, and returns it.
    ///
    /// # Errors
    /// [`TooLate`] if it did not hold in time.
    ///
    /// # Panics
    /// As [`Receiver::received`].
    pub async fn wait_until(
        &self,
        within: Duration,
        condition: impl Fn(&[Delivery]) -> bool,
    ) -> Result<Vec<Delivery>, TooLate> {
        self.wait(within, || self.with_kept(|kept| condition(kept).then(|| kept.to_vec()))).await
    }

    /// Waits until at least `count` requests came; works with [`Receiver::counting`] too.
    ///
    /// # Errors
    /// [`TooLate`] if they did not come in time.
    pub async fn wait_for_count(&self, count: u64, within: Duration) -> Result<(), TooLate> {
        self.wait(within, || (self.count() >= count).then_some(())).await
    }

    async fn wait<T>(&self, within: Duration, holds: impl Fn() -> Option<T>) -> Result<T, TooLate> {
        let deadline = Instant::now() + within;
        loop {
            let mut arrived = pin!(self.state.arrived.notified());
            // Before the look, so that what arrives between look and wait is not missed.
            arrived.as_mut().enable();
            if let Some(held) = holds() {
                return Ok(held);
            }
            if tokio::time::timeout_at(deadline, arrived).await.is_err() {
                return Err(TooLate { within, received: self.count() });
            }
        }
    }

    fn with_kept<T>(&self, look: impl FnOnce(&[Delivery]) -> T) -> T {
        assert!(self.state.keeps, "this receiver only counts; use Receiver::start()");
        let kept = lock(&self.state.kept);
        assert!(
            kept.len() as u64 == self.count(),
            "more than {MAX_KEPT} deliveries came; use Receiver::counting()"
        );
        look(&kept)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The connections are children of this task and end with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that was gone before it was accepted is the sender's affair.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, state.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    // Without it an answer may wait 40 ms for the other side's delayed ACK.
    let _ = stream.set_nodelay(true);
    let wire = Wire::default();
    let wired = Wired::new(stream, wire.clone());
    let service = service_fn(move |request| {
        let (state, wire) = (state.clone(), wire.clone());
        async move { respond(request, &state, &wire).await }
    });
    // A connection that ends badly is what this receiver is for.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(wired), service).await;
}

async fn respond(
    request: Request<Incoming>,
    state: &State,
    wire: &Wire,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        return Ok(answer(Reply::new(413)));
    };
    let behaviour = state.record(head, body.to_bytes());
    let reply = match behaviour {
        Behaviour::Answer(reply) => {
            wire.plain();
            reply
        }
        Behaviour::Stall => std::future::pending().await,
        Behaviour::Cut(Cut::BeforeAnswer) => {
            return Err(io::Error::other("told to cut the connection"));
        }
        Behaviour::Cut(cut) => {
            wire.cut(cut);
            Reply::default().body("the half of this is never sent")
        }
        Behaviour::Drip { every } => {
            wire.drip(every);
            Reply::default().body("slow")
        }
    };
    Ok(answer(reply))
}

fn answer(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    response.headers_mut().extend(reply.headers);
    response
}

impl State {
    /// Keeps the request and takes the behaviour that it meets.
    fn record(&self, head: http::request::Parts, body: Bytes) -> Behaviour {
        let behaviour = {
            let mut script = lock(&self.behaviour);
            script.next.pop_front().unwrap_or_else(|| script.standing.clone())
        };
        if self.keeps {
            let mut kept = lock(&self.kept);
            if kept.len() < MAX_KEPT {
                kept.push(Delivery::new(head, body, &behaviour));
            }
            // Under the lock, so that whoever looks sees as many as are counted.
            self.count.fetch_add(1, Ordering::AcqRel);
        } else {
            self.count.fetch_add(1, Ordering::AcqRel);
        }
        self.arrived.notify_waiters();
        behaviour
    }
}

/// A test that panicked under a lock has its own message; do not bury it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
