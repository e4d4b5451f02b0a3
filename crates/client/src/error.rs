//! What can go wrong with a call. No error shows a key, a URL's query or a body.

use std::borrow::Cow;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use switchboard_model::Code;

use crate::{retry, transport::MAX_ANSWER_BYTES};

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server understood and refused.
    #[error("{status} {}: {}", .problem.code_text, .problem.message)]
    Api {
        /// What is wrong, as the contract's catalogue has it.
        problem: Box<Refusal>,
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
    /// A download or a live stream fell silent for too long.
    #[error("the server fell silent")]
    Silent,
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
    #[error("the answer is longer than {MAX_ANSWER_BYTES} bytes, or than the caller allows")]
    TooLarge,
    /// The file to be uploaded can't be read.
    #[error("the file to be uploaded can't be read")]
    File(#[source] std::io::Error),
    /// The client itself was set up or called with what can't be sent.
    #[error("{0}")]
    Setup(&'static str),
    /// The HTTP client could not be built, for instance because no root certificates are installed.
    #[error("the HTTP client can't be built")]
    Build(#[source] reqwest::Error),
}

/// What a server says when it refuses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// Which row of the contract's catalogue; none for a code that it does not have, as
    /// another or a newer server may give.
    #[serde(skip)]
    pub code: Option<Code>,
    /// The code as it came.
    #[serde(rename = "code")]
    pub code_text: String,
    /// The kind of mistake as it came: `invalid_request_error`.
    #[serde(rename = "type")]
    pub error_type: String,
    /// One sentence for a person.
    pub message: String,
    /// The parameter at fault, as the caller wrote it.
    pub param: Option<String>,
}

impl Error {
    /// The code of a refusal; none if it is another kind of error, or a code that the contract
    /// does not have.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Api { problem, .. } => problem.code,
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
        match self {
            Self::Transport(error) => error.is_timeout(),
            Self::Silent => true,
            _ => false,
        }
    }

    /// Whether the same call may fare better later: no answer, 429, 5xx, or the first request
    /// with the same Idempotency-Key still in flight. A POST without an Idempotency-Key may
    /// have done its work all the same.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport(error) => !error.is_builder(),
            Self::Silent => true,
            Self::Api { status, .. } | Self::Shape { status, .. } => {
                retry::is_temporary(*status, self.code())
            }
            Self::TooLarge | Self::File(_) | Self::Setup(_) | Self::Build(_) => false,
        }
    }

    /// For 429 and 503: how many seconds the server asks to wait.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Api { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Where an answer breaks the contract. Names fields, never their values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misshape(Cow<'static, str>);

impl Misshape {
    pub(crate) fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self(what.into())
    }
}

/// Takes a value out of what came.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Misshape> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (path, why) = (error.path(), error.inner().to_string());
        // Other words of serde's repeat the value.
        let what = if why.starts_with("missing field") { &why } else { "is of another kind" };
        Misshape::new(format!("{path}: {what}"))
    })
}

/// A URL's query holds phone numbers; errors end in logs.
pub(crate) fn transport(error: reqwest::Error) -> Error {
    Error::Transport(error.without_url())
}
