//! The error catalogue (§3): every mistake that a client can be told of.

use std::{borrow::Cow, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of mistake it is; the `type` of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorType {
    /// The caller is not known.
    AuthenticationError,
    /// The caller is known and may not do this.
    AuthorizationError,
    /// The request itself is wrong.
    InvalidRequestError,
    /// What the request names does not exist for this caller.
    NotFoundError,
    /// Too many requests.
    RateLimitError,
    /// The server's own fault.
    ApiError,
}

macro_rules! catalogue {
    ($($(#[doc = $help:literal])+ $variant:ident = ($kind:ident, $status:literal, $name:literal),)+) => {
        /// The `code` of an error: one row of the catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[doc = $help])+ #[serde(rename = $name)] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as clients read it: `missing_api_key`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The `type` that goes with it.
            pub fn error_type(self) -> ErrorType {
                match self { $(Self::$variant => ErrorType::$kind),+ }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// One line that says when it is given.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($help),+).trim_start()),+ }
            }
        }
    };
}

// A macro, because five facts about each of forty codes must not drift apart.
catalogue! {
    /// The request has no Authorization header.
    MissingApiKey = (AuthenticationError, 401, "missing_api_key"),
    /// The key has the wrong form, is unknown, was revoked or has expired.
    InvalidApiKey = (AuthenticationError, 401, "invalid_api_key"),
    /// The key lacks the scope of this endpoint.
    InsufficientScope = (AuthorizationError, 403, "insufficient_scope"),
    /// The key is restricted to other lines.
    LineNotAccessible = (AuthorizationError, 403, "line_not_accessible"),
    /// The activation code has not been texted to the sandbox line yet.
    SandboxNotActivated = (AuthorizationError, 403, "sandbox_not_activated"),
    /// The key belongs to no account.
    SandboxRequiresOwner = (AuthorizationError, 403, "sandbox_requires_owner"),
    /// A query parameter or body field is missing.
    MissingRequiredParameter = (InvalidRequestError, 400, "missing_required_parameter"),
    /// A value is not acceptable.
    InvalidParameterValue = (InvalidRequestError, 400, "invalid_parameter_value"),
    /// The body is not JSON, or not an object.
    InvalidJson = (InvalidRequestError, 400, "invalid_json"),
    /// A file was sent with no bytes.
    EmptyFile = (InvalidRequestError, 400, "empty_file"),
    /// The line cannot do this.
    AdvancedFeaturesRequired = (InvalidRequestError, 400, "advanced_features_required"),
    /// On the sandbox line, the recipient is not the paired phone.
    SandboxContactMismatch = (InvalidRequestError, 400, "sandbox_contact_mismatch"),
    /// Nobody in this chat has messaged the line yet.
    ContactHasNotMessaged = (InvalidRequestError, 403, "contact_has_not_messaged"),
    /// No such line for this account.
    LineNotFound = (NotFoundError, 404, "line_not_found"),
    /// No such chat on this line.
    ChatNotFound = (NotFoundError, 404, "chat_not_found"),
    /// No such message in this chat.
    MessageNotFound = (NotFoundError, 404, "message_not_found"),
    /// No such outbox item for this account.
    OutboxItemNotFound = (NotFoundError, 404, "outbox_item_not_found"),
    /// No such webhook for this account.
    WebhookNotFound = (NotFoundError, 404, "webhook_not_found"),
    /// No such file for this account.
    FileNotFound = (NotFoundError, 404, "file_not_found"),
    /// No such delivery for this account.
    DeliveryNotFound = (NotFoundError, 404, "delivery_not_found"),
    /// No such replay for this account.
    ReplayNotFound = (NotFoundError, 404, "replay_not_found"),
    /// The hourly limit of the key is used up, or the loop limit of the line; wait for the seconds of Retry-After.
    RateLimitExceeded = (RateLimitError, 429, "rate_limit_exceeded"),
    /// The sandbox messages of this UTC day are used up; they reset at midnight UTC.
    SandboxQuotaExceeded = (RateLimitError, 429, "sandbox_quota_exceeded"),
    /// No such path.
    EndpointNotFound = (NotFoundError, 404, "endpoint_not_found"),
    /// The path exists, but not with this method; the Allow header names those that do.
    MethodNotAllowed = (InvalidRequestError, 405, "method_not_allowed"),
    /// The file is larger than this server takes.
    FileTooLarge = (InvalidRequestError, 413, "file_too_large"),
    /// The body is larger than this server takes.
    RequestTooLarge = (InvalidRequestError, 413, "request_too_large"),
    /// The body comes in a form that this server does not read.
    UnsupportedMediaType = (InvalidRequestError, 415, "unsupported_media_type"),
    /// The first request with this Idempotency-Key is still in flight; wait for the seconds of Retry-After.
    IdempotencyInProgress = (InvalidRequestError, 409, "idempotency_in_progress"),
    /// This Idempotency-Key was used with another body.
    IdempotencyMismatch = (InvalidRequestError, 422, "idempotency_mismatch"),
    /// The operator named an account, key or bridge that does not exist. Only /admin gives it.
    ResourceNotFound = (NotFoundError, 404, "resource_not_found"),
    /// What the operator wants to create exists. Only /admin gives it.
    ResourceExists = (InvalidRequestError, 409, "resource_exists"),
    /// The server failed; the request id finds the reason in its log.
    InternalError = (ApiError, 500, "internal_error"),
    /// The server can't take this now; wait for the seconds of Retry-After.
    ServiceUnavailable = (ApiError, 503, "service_unavailable"),
}

/// One mistake, as the client reads it: code, a message that names the thing and
/// the next step, and the parameter exactly as the caller wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", .code.as_str())]
pub struct Problem {
    /// Which row of the catalogue.
    pub code: Code,
    /// One sentence for a person.
    pub message: Cow<'static, str>,
    /// The parameter at fault, if one is.
    pub param: Option<Cow<'static, str>>,
    /// For 409 of a request in flight, 429 and 503: how many seconds to wait, at least 1.
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem with no parameter.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), param: None, retry_after: None }
    }

    /// Names the parameter at fault.
    #[must_use]
    pub fn param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says how many seconds to wait; 0 is told as 1.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// A body field is missing.
    pub fn missing_field(field: &'static str) -> Self {
        Self::new(Code::MissingRequiredParameter, format!("The '{field}' field is required."))
            .param(field)
    }

    /// A query parameter is missing.
    pub fn missing_query(name: &'static str) -> Self {
        let message = format!("The '{name}' query parameter is required.");
        Self::new(Code::MissingRequiredParameter, message).param(name)
    }

    /// A value is not acceptable: "The 'limit' parameter must be …".
    pub fn invalid_value(param: &'static str, must: impl fmt::Display) -> Self {
        Self::new(Code::InvalidParameterValue, format!("The '{param}' value {must}.")).param(param)
    }
}

/// The body of every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEnvelope {
    /// The mistake.
    pub error: ErrorBody,
    /// The request that made it.
    pub request_id: String,
}

/// The inner part of an [`ErrorEnvelope`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What kind of mistake.
    #[serde(rename = "type")]
    pub error_type: ErrorType,
    /// Which mistake.
    pub code: Code,
    /// One sentence for a person.
    pub message: String,
    /// The parameter at fault; left out when there is none, never null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

impl Problem {
    /// The answer's body, for this request.
    pub fn envelope(&self, request_id: String) -> ErrorEnvelope {
        ErrorEnvelope {
            error: ErrorBody {
                error_type: self.code.error_type(),
                code: self.code,
                message: self.message.clone().into_owned(),
                param: self.param.clone().map(Cow::into_owned),
            },
            request_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_json_and_help_agree() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.help().ends_with('.') && !code.help().starts_with(' '), "{code:?}");
            assert!((400..=503).contains(&code.status()));
        }
    }

    #[test]
    fn an_absent_param_is_left_out() {
        let text = serde_json::to_string(
            &Problem::new(Code::MissingApiKey, "Send a key.").envelope("req_1".into()),
        );
        assert_eq!(
            text.unwrap(),
            r#"{"error":{"type":"authentication_error","code":"missing_api_key","message":"Send a key."},"request_id":"req_1"}"#
        );
    }
}
