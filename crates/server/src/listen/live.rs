//! Live streams, outside of hyper.
//!
//! hyper keeps 16 KiB of buffers for each connection, and a live stream hardly ever has anything in them. So a
//! connection that is to carry one is taken from hyper when its answer is known, and written from here: the head, and
//! the body in chunks (RFC 9112 §7.1). It is the last answer on its connection.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header};
use http_body::Body as _;
use switchboard_model::Timestamp;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::write_timeout::{Wire, WriteTimeout};
use crate::requests::{IsLive, UnderWayBody};

/// So much is gathered of events that are ready before it is written.
const FULL: usize = 16 * 1024;

/// Whether its answer may be written from here.
pub(super) fn may_be<B>(request: &Request<B>) -> bool {
    // An answer to HEAD has no body, and HTTP/1.0 has no chunks.
    request.method() == Method::GET && request.version() == Version::HTTP_11
}

pub(super) fn is_one<B>(response: &Response<B>) -> bool {
    response.extensions().get::<IsLive>().is_some()
}

/// A live stream on the connection that it has for itself; ready when it has ended.
pub(super) struct Live {
    stream: WriteTimeout,
    body: UnderWayBody,
    /// What is still to be written.
    out: Vec<u8>,
    written: usize,
    /// Nothing more is to come of the body.
    ended: bool,
}

impl Live {
    /// None if hyper has not given the stream back.
    pub(super) fn new(wire: Arc<Wire>, response: Response<UnderWayBody>) -> Option<Self> {
        let stream = wire.handover.stream()?;
        wire.head.was_last();
        let (mut head, body) = response.into_parts();
        head.headers.insert(header::DATE, date(wire.clock.now()));
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        let mut out = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
        write_headers(&mut out, &head.headers);
        let stream = WriteTimeout::new(stream, wire);
        Some(Self { stream, body, out, written: 0, ended: false })
    }

    /// Ready when the client has gone. What it sends is of no use.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = [MaybeUninit::uninit(); 512];
        loop {
            let mut buffer = ReadBuf::uninit(&mut buffer);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }

    /// Writes what is still to be written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let rest @ [_, ..] = &self.out[self.written..] {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        // A stream that waits holds nothing.
        (self.out, self.written) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Gathers what is ready of the body.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.ended && self.out.len() < FULL {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(frame)) => match frame.map_err(io::Error::other)?.into_data() {
                    Ok(data) if !data.is_empty() => write_chunk(&mut self.out, &data),
                    _ => {}
                },
                Poll::Ready(None) => {
                    self.ended = true;
                    self.out.extend(b"0\r\n\r\n");
                }
                Poll::Pending if self.out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write(cx))?;
            if self.ended {
                return Pin::new(&mut self.stream).poll_shutdown(cx);
            }
            ready!(self.poll_body(cx))?;
        }
    }
}

/// An IMF-fixdate (RFC 9110 §5.6.7), which has years of four digits.
fn date(now: Timestamp) -> HeaderValue {
    const LAST_MS: i64 = 253_402_300_799_999;
    let since_epoch = Duration::from_millis(now.millis().clamp(0, LAST_MS).unsigned_abs());
    let date = httpdate::fmt_http_date(UNIX_EPOCH + since_epoch);
    HeaderValue::try_from(date).expect("a date is ASCII")
}

fn write_headers(out: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend(part);
        }
    }
    out.extend(b"\r\n");
}

fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    out.extend(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend(data);
    out.extend(b"\r\n");
}

impl Future for Live {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_gone(cx).is_ready() {
            return Poll::Ready(());
        }
        // A connection that breaks is the client's business.
        self.poll_all(cx).map(|_| ())
    }
}
