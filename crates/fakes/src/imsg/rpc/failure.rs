//! Errors of imsg, with the data that goes with each (rpc.md, "Transport").

use serde_json::{Value, json};

/// How a request failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub code: i64,
    pub message: &'static str,
    pub data: Value,
}

/// What a send was carried by, as `transport` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Helper,
    AppleScript,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Helper => "bridgeV2",
            Self::AppleScript => "appleScript",
        }
    }
}

impl Failure {
    fn text(code: i64, message: &'static str, data: impl Into<String>) -> Self {
        Self { code, message, data: data.into().into() }
    }

    pub(crate) fn parse(detail: impl Into<String>) -> Self {
        Self::text(-32700, "Parse error", detail)
    }

    pub(crate) fn invalid_request(detail: &str) -> Self {
        Self::text(-32600, "Invalid Request", detail)
    }

    pub(crate) fn no_method(method: &str) -> Self {
        Self::text(-32601, "Method not found", method)
    }

    pub(crate) fn params(detail: impl Into<String>) -> Self {
        Self::text(-32602, "Invalid params", detail)
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::text(-32603, "Internal error", detail)
    }

    pub(crate) fn busy(detail: &str) -> Self {
        Self::text(-32000, "Server busy", detail)
    }

    /// -32002.
    pub(crate) fn database(path: &str, detail: &str) -> Self {
        let data = json!({ "path": path, "detail": detail, "retryable": true });
        Self { code: -32002, message: "Database unavailable", data }
    }

    /// -32003, of helper methods that only read.
    pub(crate) fn helper(message: &'static str) -> Self {
        let detail =
            "The bridge is not started. Run imsg launch explicitly before using bridge methods.";
        Self { code: -32003, message, data: json!({ "detail": detail, "retryable": true }) }
    }

    /// `not_started`: -32603, and not -32001.
    pub(crate) fn not_started(transport: Transport, operation: &str, detail: &str) -> Self {
        let data = delivery(true, "not_started", transport, operation, detail);
        Self { code: -32603, message: "Delivery failed before dispatch", data }
    }

    /// `may_have_completed`.
    pub(crate) fn uncertain(transport: Transport, operation: &str, detail: &str) -> Self {
        let data = delivery(false, "may_have_completed", transport, operation, detail);
        Self { code: -32001, message: "Delivery outcome unknown", data }
    }

    /// `still_in_flight`.
    pub(crate) fn in_flight(transport: Transport, operation: &str, detail: &str) -> Self {
        let data = delivery(false, "still_in_flight", transport, operation, detail);
        Self { code: -32001, message: "Delivery outcome unknown", data }
    }

    /// -32004 with the delivery object of the operation that blocks the lane.
    pub(crate) fn lane_blocked(mut earlier: Value) -> Self {
        earlier["detail"] =
            "an earlier operation is still in flight; this request was not started".into();
        Self { code: -32004, message: "Mutation lane blocked", data: earlier }
    }

    /// Whether it proves that nothing was dispatched.
    pub(crate) fn proves_unsent(&self) -> bool {
        self.data["retry_safe"] == true
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "code": self.code, "message": self.message, "data": self.data })
    }
}

fn delivery(
    retry_safe: bool,
    disposition: &str,
    transport: Transport,
    operation: &str,
    detail: &str,
) -> Value {
    json!({
        "retry_safe": retry_safe,
        "disposition": disposition,
        "transport": transport.name(),
        "operation": operation,
        "detail": detail,
    })
}
