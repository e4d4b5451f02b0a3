//! The stream under a connection: it counts what comes of heads, and fails when a write waits too long.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use switchboard_model::time::Clock;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::handover::Handover;
use crate::quota::heads::Head;

/// A client that takes nothing of its answer for so long loses its connection. Longer than the time after
/// which a live stream ends by itself: a reader that comes back in between still hears why.
const STALL: Duration = Duration::from_secs(60);

/// What the stream of a connection has in common with what is served on it.
pub(super) struct Wire {
    /// What has come of the next request's head.
    pub(super) head: Arc<Head>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) handover: Handover,
}

/// A stream whose writes fail when nothing can be written for [`STALL`].
pub(super) struct WriteTimeout {
    /// There until it is dropped.
    stream: Option<TcpStream>,
    wire: Arc<Wire>,
    /// The time-out; there only while a write waits.
    stalled: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl WriteTimeout {
    pub(super) fn new(stream: TcpStream, wire: Arc<Wire>) -> Self {
        Self { stream: Some(stream), wire, stalled: None }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn time_out(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let clock = &self.wire.clock;
        let stalled = self.stalled.get_or_insert_with(|| {
            let clock = Arc::clone(clock);
            Box::pin(async move { clock.sleep(STALL).await })
        });
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for WriteTimeout {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write(cx, bytes);
        self.time_out(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write_vectored(cx, bytes);
        self.time_out(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(TcpStream::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.head.was_last();
        self.stream()?.poll_shutdown(cx)
    }
}

impl AsyncRead for WriteTimeout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire.head.is_partial()?;
        let before = buffer.filled().len();
        ready!(self.stream()?.poll_read(cx, buffer))?;
        self.wire.head.came(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl Drop for WriteTimeout {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.wire.handover.give_back(stream);
        }
    }
}
