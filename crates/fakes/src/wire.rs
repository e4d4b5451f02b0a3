//! HTTP on loopback that can misbehave.
//!
//! A request that was read is carried out to its end even if the client hangs up, as in the originals
//! (Node, Ktor, Go); only a stopped server ends what it was doing.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The longest body that is read: 1 GB, as the originals take.
const MAX_BODY_BYTES: usize = 1 << 30;

/// What goes wrong with a request on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The connection is closed before anything is done.
    CutBefore,
    /// All is done, then the connection is closed without an answer.
    CutAfter,
    /// All is done, then the connection is closed in the middle of the answer.
    CutWithin,
    /// Nothing is done and no answer ever comes; the connection stays open.
    NeverBefore,
    /// All is done and no answer ever comes; the connection stays open.
    NeverAfter,
    /// Nothing is done for this long; then the request is carried out and answered.
    SlowBefore(Duration),
    /// All is done at once and answered this much later.
    SlowAfter(Duration),
    /// A tunnel answers with this status and a page of its own; the server never sees the request.
    TunnelBefore(u16),
    /// The server does all, and the tunnel answers with this status and a page of its own.
    TunnelAfter(u16),
}

/// A request that came, without its query: passwords stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path, as it was sent.
    pub path: String,
    /// Its body, byte for byte.
    pub body: Bytes,
}

/// The most requests that are kept; older ones go.
const MAX_SEEN: usize = 100_000;

#[derive(Debug)]
struct Rule {
    method: Option<Method>,
    path: String,
    times: usize,
    trouble: Trouble,
}

/// Which requests go wrong, and what came.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
}

impl Troubles {
    /// The next `times` requests whose path contains this meet the trouble.
    pub(crate) fn add(&self, method: Option<Method>, path: &str, times: usize, trouble: Trouble) {
        lock(&self.rules).push(Rule { method, path: path.to_owned(), times, trouble });
    }

    pub(crate) fn clear(&self) {
        lock(&self.rules).clear();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    fn note(&self, seen: Seen) {
        let mut all = lock(&self.seen);
        if all.len() == MAX_SEEN {
            all.drain(..MAX_SEEN / 2);
        }
        all.push(seen);
    }

    fn take(&self, method: &Method, path: &str) -> Option<Trouble> {
        let mut rules = lock(&self.rules);
        let at = rules.iter().position(|rule| {
            rule.method.as_ref().is_none_or(|wanted| wanted == method) && path.contains(&rule.path)
        })?;
        let trouble = rules[at].trouble.clone();
        rules[at].times = rules[at].times.saturating_sub(1);
        if rules[at].times == 0 {
            rules.remove(at);
        }
        Some(trouble)
    }
}

/// A lock whose holder died is as good as any: tests end there.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection is closed without an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

/// A port on loopback that serves a router, can be stopped and can come back on the same port.
pub(crate) struct Listener {
    at: SocketAddr,
    router: Router,
    troubles: Arc<Troubles>,
    run: Mutex<Run>,
}

/// From a start to a stop.
struct Run {
    life: CancellationToken,
    accepts: Option<JoinHandle<()>>,
}

impl Run {
    fn start(socket: TcpListener, router: &Router, troubles: &Arc<Troubles>) -> Self {
        let life = CancellationToken::new();
        let accepts =
            tokio::spawn(accept(socket, router.clone(), Arc::clone(troubles), life.clone()));
        Self { life, accepts: Some(accepts) }
    }
}

impl Listener {
    pub(crate) async fn start(router: Router, troubles: Arc<Troubles>) -> io::Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let at = socket.local_addr()?;
        let run = Run::start(socket, &router, &troubles);
        Ok(Self { at, router, troubles, run: Mutex::new(run) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// Closes the port and every connection, and ends what is being done.
    pub(crate) async fn stop(&self) {
        let accepts = {
            let mut run = lock(&self.run);
            run.life.cancel();
            run.accepts.take()
        };
        if let Some(accepts) = accepts {
            let _ = accepts.await;
        }
    }

    /// Ends when the server is stopped.
    pub(crate) fn life(&self) -> CancellationToken {
        lock(&self.run).life.clone()
    }

    pub(crate) async fn start_again(&self) -> io::Result<()> {
        self.stop().await;
        let socket = TcpListener::bind(self.at).await?;
        *lock(&self.run) = Run::start(socket, &self.router, &self.troubles);
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.run).life.cancel();
    }
}

async fn accept(
    socket: TcpListener,
    router: Router,
    troubles: Arc<Troubles>,
    life: CancellationToken,
) {
    loop {
        let stream = tokio::select! {
            () = life.cancelled() => return,
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        tokio::spawn(converse(stream, router.clone(), Arc::clone(&troubles), life.clone()));
    }
}

async fn converse(
    stream: TcpStream,
    router: Router,
    troubles: Arc<Troubles>,
    life: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let inner = life.clone();
    let service = service_fn(move |request| {
        answer(request, router.clone(), Arc::clone(&troubles), inner.clone())
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = life.cancelled() => {}
        _ = connection => {}
    }
}

async fn answer(
    request: Request<Incoming>,
    router: Router,
    troubles: Arc<Troubles>,
    life: CancellationToken,
) -> Result<Response, Cut> {
    let (head, body) = request.into_parts();
    let trouble = troubles.take(&head.method, head.uri.path());
    // A body that breaks off is a request that never was.
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|_| Cut)?.to_bytes();
    troubles.note(Seen {
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        body: body.clone(),
    });
    match trouble {
        Some(Trouble::CutBefore) => return Err(Cut),
        Some(Trouble::NeverBefore) => std::future::pending::<()>().await,
        Some(Trouble::SlowBefore(pause)) => tokio::time::sleep(pause).await,
        Some(Trouble::TunnelBefore(status)) => return Ok(tunnel(status)),
        _ => {}
    }
    // A task of its own: a client that hangs up does not undo what it has asked for.
    let request = Request::from_parts(head, Body::from(body));
    let done = tokio::spawn(async move {
        tokio::select! {
            () = life.cancelled() => None,
            response = router.oneshot(request) => response.ok(),
        }
    });
    let response = done.await.ok().flatten().ok_or(Cut)?;
    match trouble {
        Some(Trouble::CutAfter) => return Err(Cut),
        Some(Trouble::CutWithin) => return Ok(broken_off(response).await),
        Some(Trouble::NeverAfter) => std::future::pending::<()>().await,
        Some(Trouble::SlowAfter(pause)) => tokio::time::sleep(pause).await,
        Some(Trouble::TunnelAfter(status)) => return Ok(tunnel(status)),
        _ => {}
    }
    Ok(response)
}

/// What a tunnel shows when its far end is gone: a page, never the server's envelope.
fn tunnel(status: u16) -> Response {
    let mut response = Response::new(Body::from(format!(
        "<!DOCTYPE html><html><head><title>{status}</title></head><body><h1>Error {status}</h1></body></html>"
    )));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// The head and half of the body, and then the connection breaks.
async fn broken_off(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let half = bytes.slice(..bytes.len() / 2);
    // What was written before has to leave before the connection breaks.
    let broken = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Err(Cut)
    };
    let parts = stream::once(async { Ok(half) }).chain(stream::once(broken));
    Response::from_parts(head, Body::from_stream(parts))
}

/// A file that came in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its MIME type.
    pub mime_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// The fields and files of a multipart form; `None` if it is none.
pub(crate) async fn form(
    headers: &HeaderMap,
    body: Bytes,
) -> Option<(serde_json::Map<String, serde_json::Value>, std::collections::HashMap<String, File>)> {
    let boundary =
        multer::parse_boundary(headers.get(header::CONTENT_TYPE)?.to_str().ok()?).ok()?;
    let bytes = stream::iter([Ok::<_, io::Error>(body)]);
    let mut form = multer::Multipart::new(bytes, boundary);
    let (mut fields, mut files) = (serde_json::Map::new(), std::collections::HashMap::new());
    while let Some(field) = form.next_field().await.ok()? {
        let name = field.name()?.to_owned();
        if let Some(file) = field.file_name().map(str::to_owned) {
            let mime_type = field
                .content_type()
                .map_or_else(|| "application/octet-stream".to_owned(), ToString::to_string);
            let bytes = field.bytes().await.ok()?;
            files.insert(name, File { name: file, mime_type, bytes });
        } else {
            fields.insert(name, field.text().await.ok()?.into());
        }
    }
    Some((fields, files))
}
