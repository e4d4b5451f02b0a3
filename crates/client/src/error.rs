//! What can go wrong with a call. No error shows a key, a URL's query or a body.

use switchboard_model::{Code, problem::ErrorBody};

use crate::{shape::Misshape, transport::MAX_ANSWER_BYTES};

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server understood and refused.
    #[error("{status} {}: {}", .problem.code.as_str(), .problem.message)]
    Api {
        /// What is wrong, as the contract's catalogue has it.
        problem: ErrorBody,
        /// Finds the request in the server's log.
        request_id: String,
        /// The HTTP status.
        status: u16,
        /// For 429 and 503: how many seconds to wait.
        retry_after: Option<u64>,
    },
    /// No answer came: no connection, a time-out, or a connection lost on the way. Whether
    /// the server did the work is not known.
    #[error("no answer from the server")]
    Transport(#[source] reqwest::Error),
    /// An answer came that the contract does not allow.
    #[error("the answer breaks the contract (status {status})")]
    Shape {
        /// The HTTP status.
        status: u16,
        /// Where it breaks it, and how.
        #[source]
        misshape: Misshape,
    },
    /// The answer is longer than this client reads.
    #[error("the answer is longer than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
    /// The client itself was set up or called with what can't be sent.
    #[error("{0}")]
    Setup(&'static str),
    /// The HTTP client could not be built, for instance because no root certificates are installed.
    #[error("the HTTP client can't be built")]
    Build(#[source] reqwest::Error),
}

impl Error {
    /// The code of a refusal; none if it is another kind of error.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Api { problem, .. } => Some(problem.code),
            _ => None,
        }
    }

    /// The status of the answer, if one came.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } | Self::Shape { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the time ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Transport(error) if error.is_timeout())
    }
}

/// A URL's query holds phone numbers; errors end in logs.
pub(crate) fn transport(error: reqwest::Error) -> Error {
    Error::Transport(error.without_url())
}
