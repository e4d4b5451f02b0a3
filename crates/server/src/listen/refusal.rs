//! The answers that hyper gives by itself, in the envelope.
//!
//! A request whose head can't be read never reaches the router: hyper answers it with a bare 400, 414 or 431 and
//! closes the connection, and has no hook for that. [`Refusals`] stands between hyper and the stream and puts an
//! answer of ours in the place of such a head. It can't take an answer of the router for one: hyper asks the stream
//! to flush when it has nothing left to write, so what is first written after that, with no exchange begun since and
//! none under way, is hyper's own.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{Request, Response, StatusCode};
use hyper::service::Service;
use pin_project_lite::pin_project;
use switchboard_model::{Code, Problem};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::unread;
use crate::{
    api::http::envelope, guarded::Guarded, metrics::RequestCounts, requests::UnderWayBody,
};

/// How long, and for how many bytes, a client that was refused is listened to: a connection that is closed while it
/// still sends is reset, and it never gets to read why.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_DRAINED: usize = 1024 * 1024;
/// What a client begins with that knows HTTP/2 only (RFC 9113 §3.4).
const HTTP_2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// The exchanges of one connection: requests that reached the router.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    begun: AtomicU64,
    ended: AtomicU64,
    /// What is written from now on is another protocol's.
    upgraded: AtomicBool,
}

impl Exchanges {
    fn begin(self: &Arc<Self>) -> Exchange {
        self.begun.fetch_add(1, Ordering::AcqRel);
        Exchange(Arc::clone(self))
    }

    /// How many there were, if none is under way.
    fn all_ended(&self) -> Option<u64> {
        let (begun, ended) =
            (self.begun.load(Ordering::Acquire), self.ended.load(Ordering::Acquire));
        (begun == ended && !self.upgraded.load(Ordering::Acquire)).then_some(begun)
    }
}

/// One exchange; dropped when the whole answer is in hyper's hands.
#[derive(Debug)]
pub(super) struct Exchange(Arc<Exchanges>);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

/// A service whose exchanges are counted.
pub(super) struct Counted<S> {
    pub(super) service: S,
    pub(super) exchanges: Arc<Exchanges>,
}

impl<S, B> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<UnderWayBody>>,
{
    type Response = Response<ExchangeBody>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<B>) -> Self::Future {
        let exchange = Some(self.exchanges.begin());
        Answering { answer: self.service.call(request), exchange }
    }
}

pin_project! {
    /// An answer that is being made.
    pub(super) struct Answering<F> {
        #[pin]
        answer: F,
        exchange: Option<Exchange>,
    }
}

impl<F, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<UnderWayBody>, E>>,
{
    type Output = Result<Response<ExchangeBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.answer.poll(cx))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(exchange) = &this.exchange
        {
            exchange.0.upgraded.store(true, Ordering::Release);
        }
        let exchange = this.exchange.take();
        Poll::Ready(Ok(response.map(|body| Guarded::new(body, exchange))))
    }
}

/// An answer's body, which ends its exchange.
pub(super) type ExchangeBody = Guarded<UnderWayBody, Option<Exchange>>;

/// A stream on which hyper's own answers are in the envelope.
pub(super) struct Refusals<S> {
    stream: S,
    exchanges: Arc<Exchanges>,
    counts: Arc<RequestCounts>,
    /// How many exchanges there had been when hyper last had nothing left to write, if none was under way.
    quiet_after: Option<u64>,
    /// What of a refusal is still to be written.
    refusal: Bytes,
    /// A request was refused: what its client still sends is read until then.
    drain: Option<(Pin<Box<Sleep>>, usize)>,
    was_read: bool,
    /// The beginning of what was read since the last exchange: a head that is not complete.
    head: Vec<u8>,
    shut_down: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Refusals<S> {
    pub(super) fn new(stream: S, exchanges: Arc<Exchanges>, counts: Arc<RequestCounts>) -> Self {
        let (refusal, quiet_after) = (Bytes::new(), Some(0));
        Self {
            stream,
            exchanges,
            counts,
            quiet_after,
            refusal,
            drain: None,
            was_read: false,
            head: Vec::new(),
            shut_down: false,
        }
    }

    /// Whether hyper writes these bytes for itself; then a refusal goes out in their place.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        let quiet = self.quiet_after.take();
        let head = std::mem::take(&mut self.head);
        if quiet.is_none() || quiet != self.exchanges.all_ended() {
            return false;
        }
        let refusal = refusal(bytes, &head);
        let is_one = refusal.is_some();
        if let Some((problem, date)) = refusal {
            self.refuse(&problem, date);
        }
        is_one
    }

    /// Keeps the beginning of a head, to say what is wrong with it.
    fn keep(&mut self, bytes: &[u8]) {
        if self.exchanges.all_ended().is_none() {
            // The body of a request, whose head could be read.
            self.head = Vec::new();
        } else {
            let room = unread::MAX_KEPT - self.head.len();
            self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn refuse(&mut self, problem: &Problem, date_line: Option<&str>) {
        self.refusal = envelope::outside(problem, date_line, &self.counts);
        self.drain = Some((Box::pin(tokio::time::sleep(DRAIN_TIMEOUT)), MAX_DRAINED));
    }

    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.refusal))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.refusal.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what a client that was refused still sends.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((end, left)) = &mut self.drain else { return Poll::Ready(()) };
        let mut buffer = [0; 8 * 1024];
        loop {
            if end.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut buffer);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            let count = buffer.filled().len();
            if read.is_err() || count == 0 || count > *left {
                return Poll::Ready(());
            }
            *left -= count;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Refusals<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_refusal(cx))?;
        if self.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_refusal(cx))?;
        // A head without a body is one slice.
        if let [head] = slices
            && self.replaces(head)
        {
            return Poll::Ready(Ok(head.len()));
        }
        (self.quiet_after, self.head) = (None, Vec::new());
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.quiet_after = self.exchanges.all_ended();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(cx))?;
        if !self.shut_down {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.shut_down = true;
        }
        ready!(self.poll_drain(cx));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Refusals<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if !std::mem::replace(&mut self.was_read, true)
            && buffer.filled()[before..].starts_with(HTTP_2_PREFACE)
        {
            // hyper would hang up without a word. To it, the client has.
            buffer.set_filled(before);
            let message = "This server speaks HTTP/1.1: ask without prior knowledge of HTTP/2.";
            self.refuse(&Problem::new(Code::InvalidParameterValue, message), None);
        }
        self.keep(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

/// What is answered in the place of hyper's to what was read, and its line with the date; none if these bytes are no
/// bare error of its own.
fn refusal<'a>(answer: &'a [u8], head: &[u8]) -> Option<(Problem, Option<&'a str>)> {
    let answer = std::str::from_utf8(answer).ok()?;
    let status = answer.strip_prefix("HTTP/1.")?.get(2..5)?;
    let problem = unread::problem(status, head)?;
    let date = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("date:"));
    Some((problem, date))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
          date: Sat, 28 Nov 2026 08:00:00 GMT\r\n\r\n";

    fn pair() -> (Refusals<DuplexStream>, Arc<Exchanges>, DuplexStream) {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let exchanges = Arc::new(Exchanges::default());
        (Refusals::new(near, Arc::clone(&exchanges), Arc::default()), exchanges, far)
    }

    /// All that the client gets until the server has hung up.
    async fn all(mut stream: Refusals<DuplexStream>, mut far: DuplexStream) -> String {
        let mut text = String::new();
        let (shut, read) = tokio::join!(stream.shutdown(), async {
            let read = far.read_to_string(&mut text).await;
            drop(far);
            read
        });
        shut.unwrap();
        read.unwrap();
        text
    }

    #[tokio::test]
    async fn a_bare_error_goes_out_in_the_envelope() {
        let (mut stream, exchanges, far) = pair();
        // An earlier exchange has ended and is flushed.
        let exchange = exchanges.begin();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        drop(exchange);
        stream.flush().await.unwrap();
        stream.write_all(BARE).await.unwrap();
        let text = all(stream, far).await;
        let (_, refusal) = text.split_once("\r\n\r\n").unwrap();
        assert!(refusal.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{refusal}");
        assert!(refusal.contains("\r\ndate: Sat, 28 Nov 2026 08:00:00 GMT\r\n"), "{refusal}");
        assert!(refusal.contains("\"code\":\"invalid_parameter_value\""), "{refusal}");
    }

    #[tokio::test]
    async fn an_answer_that_looks_like_one_is_left_alone() {
        // While the exchange is under way, when it has ended and its bytes come after that, and when its
        // end was not flushed.
        for case in 0..3 {
            let (mut stream, exchanges, far) = pair();
            stream.flush().await.unwrap();
            let exchange = exchanges.begin();
            match case {
                0 => {
                    stream.flush().await.unwrap();
                    stream.write_all(BARE).await.unwrap();
                    drop(exchange);
                }
                1 => {
                    drop(exchange);
                    stream.write_all(BARE).await.unwrap();
                }
                _ => {
                    stream.write_all(b"x").await.unwrap();
                    drop(exchange);
                    stream.write_all(BARE).await.unwrap();
                }
            }
            let text = all(stream, far).await;
            assert!(text.as_bytes().ends_with(BARE), "case {case}: {text}");
        }
    }

    #[tokio::test]
    async fn another_protocol_may_say_what_it_wants() {
        let (mut stream, exchanges, far) = pair();
        exchanges.upgraded.store(true, Ordering::Release);
        stream.flush().await.unwrap();
        stream.write_all(BARE).await.unwrap();
        assert_eq!(all(stream, far).await.as_bytes(), BARE);
    }
}
