//! Headers that a request has once: of two, a proxy in front of the server could take the other one.

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use switchboard_model::{Code, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const X_FILENAME: HeaderName = HeaderName::from_static("x-filename");

/// The headers, and how they are written to people.
static SINGLE: [(HeaderName, &str); 5] = [
    (AUTHORIZATION, "Authorization"),
    (CONTENT_TYPE, "Content-Type"),
    (IDEMPOTENCY_KEY, "Idempotency-Key"),
    (X_FILENAME, "X-Filename"),
    (LAST_EVENT_ID, "Last-Event-ID"),
];

/// Refuses a request that has one of them more than once.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), Problem> {
    // Almost no request has any header twice.
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    for (header, name) in &SINGLE {
        if headers.get_all(header).iter().nth(1).is_some() {
            let message = format!("Send one {name} header, not several.");
            return Err(Problem::new(Code::InvalidParameterValue, message).param(*name));
        }
    }
    Ok(())
}
