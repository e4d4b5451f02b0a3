//! What an operation of the API is: a method, a path, and what its caller must show.

use http::Method;
use switchboard_model::Scope;

/// What a caller must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// An API key with this scope.
    Key(Scope),
    /// Any valid API key.
    AnyKey,
    /// A URL that this server has signed.
    SignedUrl,
    /// Nothing.
    Public,
    /// The operator's token.
    Operator,
    /// A bridge's token.
    Bridge,
}

/// One operation: a method and a path, and what its caller must show.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path; no segment of it varies (§1: look-ups are by query parameter).
    pub path: &'static str,
    /// What the caller must show.
    pub access: Access,
    /// Whether it is there only with the simulator.
    pub simulator: bool,
}
