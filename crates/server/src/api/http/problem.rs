//! How errors reach the client: every variant of every inner error is matched once, here.

use axum::response::{IntoResponse, Response};
use switchboard_model::{
    Code, Problem, Scope, Timestamp,
    causes::chain,
    sandbox::{self, DAILY_LIMIT},
    simulator::SimulatorError,
};
use switchboard_store::{Outage, Refusal, StoreError};

use crate::outage::Storage;

/// A handler's error: what the client is told, and what only the log is told.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) problem: Problem,
    /// The chain of internal errors, for the log; none when it is the client's mistake.
    pub(crate) cause: Option<String>,
    /// What was out, if that is why.
    pub(crate) outage: Option<(Storage, Outage)>,
}

/// Seconds after which a client should try again when the server is too busy.
const BUSY_RETRY_AFTER: u64 = 1;
/// Seconds after which it should when storage is out, which lasts until somebody makes room.
const OUTAGE_RETRY_AFTER: u64 = 5;
/// What a client is asked to wait until a replay of its account may be done, in seconds.
const REPLAYS_RETRY_AFTER: u64 = 30;

impl Failure {
    /// 500, with no reason for the client.
    pub(crate) fn internal() -> Self {
        let message = "The server failed. Try again; the request_id finds the reason in its log.";
        Problem::new(Code::InternalError, message).into()
    }

    fn unavailable(message: &'static str) -> Problem {
        Problem::new(Code::ServiceUnavailable, message).retry_after(BUSY_RETRY_AFTER)
    }

    /// 503: what must be kept can't be, and nothing of the request was; or nobody knows whether it was.
    pub(crate) fn outage(storage: Storage, outage: Outage, error: &dyn std::error::Error) -> Self {
        let message = match (storage, outage) {
            (_, Outage::DiskFull) => {
                "The server can keep nothing now: its disk is full. Nothing was done. Try again later."
            }
            (_, Outage::CommitUnknown) => {
                "The server lost its database while it kept this, and can't say whether it was done. Repeat it with the same Idempotency-Key, or look whether it was done."
            }
            (Storage::Files, _) => {
                "The server can't reach its files now. Nothing was done. Try again later."
            }
            (Storage::Database | Storage::Simulator, _) => {
                "The server can't reach its storage now. Nothing was done. Try again later."
            }
        };
        let problem =
            Problem::new(Code::ServiceUnavailable, message).retry_after(OUTAGE_RETRY_AFTER);
        Self { problem, cause: Some(chain(error)), outage: Some((storage, outage)) }
    }

    /// As the error says it at this time: the sandbox's day has an end, and so has a line's rest.
    pub(crate) fn at(error: StoreError, now: Timestamp) -> Self {
        let until = match &error {
            StoreError::Refused(Refusal::SandboxQuotaExceeded) => Some(sandbox::end_of_day(now)),
            StoreError::Refused(Refusal::LoopLimit { until, .. }) => Some(*until),
            _ => None,
        };
        let mut failure = Self::from(error);
        if let Some(until) = until {
            let wait = until.since(now).as_millis().div_ceil(1000);
            let seconds = u64::try_from(wait).unwrap_or(u64::MAX);
            failure.problem = failure.problem.retry_after(seconds);
        }
        failure
    }

    /// The same failure, about this parameter.
    pub(crate) fn param(mut self, param: &'static str) -> Self {
        if self.problem.param.is_some() {
            self.problem = self.problem.param(param);
        }
        self
    }

    /// As the error says it, but `refusal` is about this parameter: not every endpoint calls it the same.
    pub(crate) fn about(error: StoreError, refusal: &Refusal, param: &'static str) -> Self {
        let is_this = matches!(&error, StoreError::Refused(other) if other == refusal);
        let mut failure = Self::from(error);
        if is_this {
            failure.problem = failure.problem.param(param);
        }
        failure
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problem, cause: None, outage: None }
    }
}

/// Carries the failure out to the envelope, which knows the request's id.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(refusal) => refused(&refusal).into(),
            StoreError::Overloaded => {
                Self::unavailable("The server has too much to do. Try again in a moment.").into()
            }
            StoreError::Closed => Self::unavailable("The server is stopping. Try again.").into(),
            StoreError::Unavailable { outage, .. } => {
                Self::outage(Storage::Database, outage, &error)
            }
            error @ (StoreError::Database(_)
            | StoreError::Unreadable { .. }
            | StoreError::Open { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::SecretKey { .. }
            | StoreError::Fenced
            | StoreError::InUse { .. }) => Self { cause: Some(chain(&error)), ..Self::internal() },
        }
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let (code, message) = match refusal {
        Refusal::AccountNotFound => {
            (Code::ResourceNotFound, "There is no account with this id.".into())
        }
        Refusal::KeyNotFound => (Code::ResourceNotFound, "There is no key with this id.".into()),
        Refusal::BridgeNotFound => {
            (Code::ResourceNotFound, "There is no active bridge with this id.".into())
        }
        Refusal::BridgeExists => (Code::ResourceExists, "A bridge has this name already.".into()),
        Refusal::BridgeOfAnotherDriver => {
            (Code::InvalidParameterValue, "The bridge has another driver than the line.".into())
        }
        Refusal::StandbyCarries => (
            Code::InvalidParameterValue,
            "The standby must be another bridge than the one that carries the line, and the line must have one."
                .into(),
        ),
        Refusal::LineHasBridge => (
            Code::InvalidParameterValue,
            "Another bridge carries the line. Make the bridge its standby, and let that take the line over.".into(),
        ),
        Refusal::LineNotFound => return line_not_found(),
        Refusal::LineExists => (Code::ResourceExists, "A line has this handle already.".into()),
        Refusal::ChatNotFound => return chat_not_found(),
        Refusal::ContactHasNotMessaged => (
            Code::ContactHasNotMessaged,
            "Cannot send to a contact who has not messaged this line first.".into(),
        ),
        Refusal::MessageNotFound => return message_not_found(),
        Refusal::FileNotFound => (Code::FileNotFound, "There is no file with this id.".into()),
        Refusal::NotAudio => (
            Code::InvalidParameterValue,
            "The file is no voice memo: it must be m4a, aac, mp3, wav, caf or aiff.".into(),
        ),
        Refusal::AdvancedFeaturesRequired { missing } => (
            Code::AdvancedFeaturesRequired,
            format!(
                "This line cannot {}; it needs a bridge with the advanced features. GET /v1/lines \
                 shows what each line can do.",
                missing.deed()
            ),
        ),
        Refusal::LoopLimit { limit, until } => (
            Code::RateLimitExceeded,
            format!(
                "This line has answered this contact {} times within {} seconds, the most it may (its loop_limit is \
                 {limit}): it looks as if two programs answered each other. It can write to this contact again from {} \
                 on, in Unix milliseconds. Let a person look into the chat before.",
                limit.answers(),
                limit.window().as_secs(),
                until.0
            ),
        ),
        Refusal::SandboxNotActivated => (
            Code::SandboxNotActivated,
            "The sandbox is not activated: text the activation code of POST /v1/sandbox to the \
             sandbox line first."
                .into(),
        ),
        Refusal::SandboxContactMismatch => (
            Code::SandboxContactMismatch,
            "On the sandbox line you can write only to the phone that is paired with your account."
                .into(),
        ),
        Refusal::SandboxQuotaExceeded => (
            Code::SandboxQuotaExceeded,
            format!(
                "Your account has sent its {DAILY_LIMIT} sandbox messages of this UTC day. It can \
                 send again after midnight UTC."
            ),
        ),
        Refusal::SandboxExists => {
            (Code::ResourceExists, "This server has a sandbox line already.".into())
        }
        Refusal::IdempotencyMismatch => (
            Code::IdempotencyMismatch,
            "This Idempotency-Key was used with another body. Take a new key for a new request."
                .into(),
        ),
        Refusal::WebhookNotFound => return webhook_not_found(),
        Refusal::DeliveryNotFound => return delivery_not_found(),
        Refusal::LineNotAccessible => {
            (Code::LineNotAccessible, "This key is restricted to other lines.".into())
        }
        Refusal::WebhookForAllLines => (
            Code::LineNotAccessible,
            "This webhook is for every line, and this key is restricted to some.".into(),
        ),
        Refusal::InsufficientScope { scope } => return lacks(*scope),
        Refusal::WebhookDisabled => (
            Code::InvalidParameterValue,
            "The webhook is disabled or deleted. PATCH /v1/webhooks with 'is_active': true enables it."
                .into(),
        ),
        Refusal::TooManyReplays { max } => (
            Code::InvalidParameterValue,
            format!("{max} replays of this webhook are running, the most there may be. Wait for one."),
        ),
        Refusal::TooManyReplaysOfAccount { max } => (
            Code::RateLimitExceeded,
            format!(
                "As many replays of this account are running as may be (--max-replays: {max}). Wait for one."
            ),
        ),
        Refusal::StorageFull { max, stored } => (
            Code::FileTooLarge,
            format!(
                "With this file and others on their way the account would have more than {max} bytes stored, the \
                 most it may have (--max-stored-bytes); {stored} are stored. Uploads that no message uses go after \
                 a day; or ask the operator of this server for more."
            ),
        ),
        Refusal::TooManyWebhooks { max } => (
            Code::InvalidParameterValue,
            format!("The account has {max} webhooks, the most it may have. Delete one first."),
        ),
    };
    let problem = Problem::new(code, message);
    match refusal {
        Refusal::AccountNotFound => problem.param("account_id"),
        Refusal::KeyNotFound | Refusal::BridgeNotFound => problem.param("id"),
        Refusal::WebhookDisabled | Refusal::TooManyReplays { .. } => problem.param("id"),
        Refusal::TooManyReplaysOfAccount { .. } => problem.retry_after(REPLAYS_RETRY_AFTER),
        Refusal::BridgeExists => problem.param("name"),
        Refusal::BridgeOfAnotherDriver | Refusal::StandbyCarries | Refusal::LineHasBridge => {
            problem.param("bridge_id")
        }
        Refusal::LineExists => problem.param("handle"),
        Refusal::ContactHasNotMessaged | Refusal::LoopLimit { .. } => problem.param("to"),
        Refusal::FileNotFound | Refusal::NotAudio => problem.param("attachments"),
        Refusal::SandboxContactMismatch => problem.param("to"),
        Refusal::SandboxExists => problem.param("is_sandbox"),
        _ => problem,
    }
}

/// The key lacks this scope.
pub(crate) fn lacks(scope: Scope) -> Problem {
    let message = format!("This key lacks the scope '{}'.", scope.as_str());
    Problem::new(Code::InsufficientScope, message)
}

/// No such line for this account; another account's line is the same (§3).
pub(crate) fn line_not_found() -> Problem {
    Problem::new(
        Code::LineNotFound,
        "There is no line with this handle or id. GET /v1/lines lists yours.",
    )
    .param("from")
}

/// No such chat on this line.
pub(crate) fn chat_not_found() -> Problem {
    Problem::new(
        Code::ChatNotFound,
        "There is no such chat on this line. GET /v1/chats lists its chats.",
    )
    .param("to")
}

/// No such message: in this chat, where there is one.
pub(crate) fn message_not_found() -> Problem {
    let message = "There is no message with this id or guid here.";
    Problem::new(Code::MessageNotFound, message).param("reply_to")
}

/// No such webhook for this account.
pub(crate) fn webhook_not_found() -> Problem {
    Problem::new(
        Code::WebhookNotFound,
        "There is no webhook with this id. GET /v1/webhooks lists yours.",
    )
    .param("id")
}

/// No such delivery for this caller.
pub(crate) fn delivery_not_found() -> Problem {
    Problem::new(
        Code::DeliveryNotFound,
        "There is no delivery with this id. GET /v1/deliveries lists yours.",
    )
    .param("id")
}

/// No such replay for this caller.
pub(crate) fn replay_not_found() -> Problem {
    Problem::new(
        Code::ReplayNotFound,
        "There is no replay with this id. POST /v1/webhooks/replay makes one.",
    )
    .param("id")
}

impl From<SimulatorError> for Failure {
    fn from(error: SimulatorError) -> Self {
        match error {
            SimulatorError::LineNotFound => {
                Problem::new(Code::LineNotFound, "There is no simulated line with this handle.")
                    .param("line")
                    .into()
            }
            SimulatorError::ChatNotFound => Problem::new(
                Code::ChatNotFound,
                "There is no such chat on this line with this contact in it.",
            )
            .param("chat_id")
            .into(),
            SimulatorError::MessageNotFound => Problem::new(
                Code::MessageNotFound,
                "There is no message with this guid in a chat with this contact.",
            )
            .param("message_guid")
            .into(),
            SimulatorError::NotAContactsMessage => Problem::new(
                Code::MessageNotFound,
                "No contact has such a message on a simulated phone, or it was taken back.",
            )
            .param("guid")
            .into(),
            SimulatorError::NotLinked => {
                Self::unavailable("The simulator is not linked to the server. Try again.").into()
            }
            SimulatorError::Offline => {
                Self::unavailable("The line is offline. Try again when it is back.").into()
            }
            SimulatorError::Full => Self::unavailable(
                "The simulator holds no more: there are too many groups, or too much waits for the server.",
            )
            .into(),
            SimulatorError::Journal(ref cause) if cause.kind() != std::io::ErrorKind::Other => {
                Self::outage(Storage::Simulator, Outage::of_io(cause), &error)
            }
            // No error of the operating system: the simulator's own.
            error @ SimulatorError::Journal(_) => {
                Self { cause: Some(chain(&error)), ..Self::internal() }
            }
        }
    }
}
