//! JSON bodies: one object, bounded, read field by field in the order of the contract.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::HttpBody,
    extract::{FromRequest, Request},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT},
};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};
use switchboard_model::{Code, Problem};

use crate::{api::problem::Failure, app::App};

/// How long a client has to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// The most bytes of a refused body that are read, and how long that may take. More than a file has by default.
const MAX_DRAINED: usize = 128 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A JSON object. Unknown fields are ignored (§7); null is the same as missing.
#[derive(Debug)]
pub(crate) struct Body {
    fields: Map<String, Value>,
    raw: Bytes,
}

impl Body {
    /// The bytes that came.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// A field that may be missing.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A field that must be there; an empty text is missing.
    pub(crate) fn required(&self, name: &'static str) -> Result<&Value, Problem> {
        self.field(name)
            .filter(|value| value.as_str() != Some(""))
            .ok_or_else(|| Problem::missing_field(name))
    }

    /// A text that may be missing; an empty one is missing.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        let text = self.field(name).map(|value| text(value, name)).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// A whole number that may be missing, within these bounds.
    pub(crate) fn optional_number(
        &self,
        name: &'static str,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, Problem> {
        let Some(value) = self.field(name) else { return Ok(None) };
        value.as_i64().filter(|number| bounds.contains(number)).map(Some).ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            Problem::invalid_value(
                name,
                format_args!("must be a whole number from {least} to {most}"),
            )
        })
    }

    /// A yes or no that may be missing.
    pub(crate) fn optional_bool(&self, name: &'static str) -> Result<Option<bool>, Problem> {
        let Some(value) = self.field(name) else { return Ok(None) };
        value
            .as_bool()
            .map(Some)
            .ok_or_else(|| Problem::invalid_value(name, "must be true or false"))
    }
}

/// A value that must be a text without NUL, which not every database can keep.
pub(crate) fn text<'a>(value: &'a Value, name: &'static str) -> Result<&'a str, Problem> {
    let text = value.as_str().ok_or_else(|| Problem::invalid_value(name, "must be a text"))?;
    if text.contains('\0') {
        return Err(Problem::invalid_value(name, "must not contain NUL characters"));
    }
    Ok(text)
}

/// A value that must be a list of texts.
pub(crate) fn texts<'a>(value: &'a Value, name: &'static str) -> Result<Vec<&'a str>, Problem> {
    let must = || Problem::invalid_value(name, "must be a list of texts");
    value
        .as_array()
        .ok_or_else(must)?
        .iter()
        .map(|one| if one.is_string() { text(one, name) } else { Err(must()) })
        .collect()
}

impl FromRequest<Arc<App>> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        check_form(request.headers())?;
        let bytes = read(request, app).await?;
        let invalid = |message: &'static str| Problem::new(Code::InvalidJson, message);
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self { fields, raw: bytes }),
            Ok(_) => Err(invalid("The body must be a JSON object: {…}.").into()),
            Err(error) => {
                let message = format!(
                    "The body is not JSON: mistake at line {} column {}.",
                    error.line(),
                    error.column()
                );
                Err(Problem::new(Code::InvalidJson, message).into())
            }
        }
    }
}

/// A body that says nothing, whatever it is: only its bytes, to tell two requests apart.
#[derive(Debug)]
pub(crate) struct Unread(pub(crate) Bytes);

impl FromRequest<Arc<App>> for Unread {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        read(request, app).await.map(Self)
    }
}

/// The whole body, if it is not too large and comes in time.
async fn read(request: Request, app: &App) -> Result<Bytes, Failure> {
    let most = usize::try_from(app.config.max_body).unwrap_or(usize::MAX);
    let too_large = || {
        let message = format!("The body is larger than the {most} bytes allowed.");
        Problem::new(Code::RequestTooLarge, message)
    };
    let body = request.into_body();
    // What announces its length is refused before it is sent.
    if body.size_hint().lower() > app.config.max_body {
        return Err(too_large().into());
    }
    let reading = Limited::new(body, most).collect();
    let invalid = |message: &'static str| Problem::new(Code::InvalidJson, message);
    let read = app.until(app.clock.now() + BODY_TIMEOUT, reading).await;
    match read.ok_or_else(|| invalid("The body did not arrive in time."))? {
        Ok(bytes) => Ok(bytes.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large().into()),
        Err(_) => Err(invalid("The body ended before all of it had arrived.").into()),
    }
}

/// A request's body, of which what nobody wants is read all the same, beside the answer: a client that
/// finds the connection closed while it writes never gets to read why. Ends by itself, and with the connection.
pub(crate) struct Unwanted {
    body: axum::body::Body,
    /// The client sends nothing before it is asked to, which the first look at the body does.
    waits_for_leave: bool,
    /// Nothing more comes, or nothing came when it was last looked for.
    silent: bool,
}

impl Unwanted {
    /// Wraps the body of a request, if there is one.
    pub(crate) fn watch(request: Request) -> Request {
        if request.body().is_end_stream() {
            return request;
        }
        let waits_for_leave = request.headers().contains_key(EXPECT);
        request.map(|body| axum::body::Body::new(Self { body, waits_for_leave, silent: false }))
    }
}

impl HttpBody for Unwanted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.waits_for_leave = false;
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.silent = !matches!(frame, Poll::Ready(Some(Ok(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Unwanted {
    fn drop(&mut self) {
        if self.silent || self.waits_for_leave || self.body.is_end_stream() {
            return;
        }
        let mut rest = Limited::new(std::mem::take(&mut self.body), MAX_DRAINED);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let reading = async { while let Some(Ok(_)) = rest.frame().await {} };
                let _ = tokio::time::timeout(DRAIN_TIMEOUT, reading).await;
            });
        }
    }
}

/// Refuses a body that says it is something else. What HTTP clients say when nobody told them
/// (a form, plain text) is taken: the hosted service takes it, and programs rely on it.
fn check_form(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |message: &'static str| Err(Problem::new(Code::UnsupportedMediaType, message));
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return refuse("Send the body without Content-Encoding.");
    }
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    if is_taken(value) {
        Ok(())
    } else {
        refuse("Send the body as JSON, with the header 'Content-Type: application/json'.")
    }
}

fn is_taken(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(
        essence.as_str(),
        "" | "application/json" | "text/json" | "text/plain" | "application/x-www-form-urlencoded"
    ) || (essence.starts_with("application/") && essence.ends_with("+json"))
}
