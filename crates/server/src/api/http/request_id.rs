//! The id of a request: in its answer, in a header of it, and in every line of the log that it causes (§1).

use http::{HeaderName, HeaderValue};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LEN: usize = 36;

/// `req_` and 32 hex digits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId([u8; LEN]);

impl RequestId {
    pub(crate) fn new() -> Self {
        let mut text = [0; LEN];
        text[..4].copy_from_slice(b"req_");
        uuid::Uuid::now_v7().simple().encode_lower(&mut text[4..]);
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a prefix and hex digits are ASCII")
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("a prefix and hex digits are visible ASCII")
    }
}
