//! A socket that misbehaves: the answers that HTTP libraries refuse to send are made below them.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// Where a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before the first byte of the answer.
    BeforeAnswer,
    /// Within its head.
    InHead,
    /// Within its body, after a head that says 200.
    InBody,
}

/// What the next answer of one connection suffers. Shared by the service, which knows what is
/// to happen, and the socket, which makes it so.
#[derive(Debug, Clone, Default)]
pub(super) struct Wire(Arc<Mutex<Mode>>);

#[derive(Debug, Clone, Copy, Default)]
enum Mode {
    #[default]
    Plain,
    Drip(Duration),
    Cut(Cut),
}

impl Wire {
    /// One byte at a time from now on, on this connection.
    pub(super) fn drip(&self, every: Duration) {
        self.set(Mode::Drip(every));
    }

    /// The next answer is cut.
    pub(super) fn cut(&self, cut: Cut) {
        self.set(Mode::Cut(cut));
    }

    /// Answers go out whole and at once.
    pub(super) fn plain(&self) {
        self.set(Mode::Plain);
    }

    fn set(&self, mode: Mode) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    fn mode(&self) -> Mode {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket.
#[derive(Debug)]
pub(super) struct Wired {
    stream: TcpStream,
    wire: Wire,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Wired {
    pub(super) fn new(stream: TcpStream, wire: Wire) -> Self {
        Self { stream, wire, pause: None }
    }
}

impl AsyncRead for Wired {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wired {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.wire.mode() {
            Mode::Plain => Pin::new(&mut self.stream).poll_write(cx, bytes),
            Mode::Drip(every) => {
                let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(every)));
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
                Pin::new(&mut self.stream).poll_write(cx, &bytes[..bytes.len().min(1)])
            }
            Mode::Cut(cut) => {
                // The library hands over a small answer in one piece, so half of it is known.
                let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
                let until = match (cut, head) {
                    (Cut::BeforeAnswer, _) => 0,
                    (Cut::InBody, Some(head)) => head + (bytes.len() - head) / 2,
                    (_, head) => head.unwrap_or(bytes.len()) / 2,
                };
                // The send buffer of a connection that waits for its answer is empty: this fits.
                let _ = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[..until]))?;
                Poll::Ready(Err(io::Error::other("told to cut the connection")))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
