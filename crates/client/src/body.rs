//! What a request carries: nothing, bytes, a file on disk, or a stream.
//!
//! What it promises: a file and a stream are sent as they are read, never whole in memory.

use std::{fmt, path::PathBuf};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_LENGTH};
use tokio_util::io::ReaderStream;

use crate::error::{Error, Result};

/// The body of a request, ready to be sent once or, most of them, again.
pub(crate) enum Body {
    Nothing,
    Bytes(Bytes),
    Path(PathBuf),
    /// Can be sent only once.
    Stream(reqwest::Body),
    /// A stream that was sent.
    Spent,
}

impl Body {
    /// Whether it is the same when it is sent again.
    pub(crate) fn can_be_repeated(&self) -> bool {
        !matches!(self, Self::Stream(_) | Self::Spent)
    }

    /// What is to be sent now. Tells the length of a file, so that a server can refuse one that
    /// is too large before it has come.
    pub(crate) async fn open(&mut self, headers: &mut HeaderMap) -> Result<Option<reqwest::Body>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Bytes(bytes) => Ok(Some(bytes.clone().into())),
            Self::Path(path) => {
                let file = tokio::fs::File::open(path).await.map_err(Error::File)?;
                let length = file.metadata().await.map_err(Error::File)?.len();
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
                Ok(Some(reqwest::Body::wrap_stream(ReaderStream::new(file))))
            }
            Self::Stream(_) => match std::mem::replace(self, Self::Spent) {
                Self::Stream(body) => Ok(Some(body)),
                _ => Ok(None),
            },
            Self::Spent => Err(Error::Setup("a stream can be sent only once")),
        }
    }
}

/// Shows what it is, never what it holds.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Path(_) => f.write_str("Path(…)"),
            Self::Stream(_) => f.write_str("Stream(…)"),
            Self::Spent => f.write_str("Spent"),
        }
    }
}
