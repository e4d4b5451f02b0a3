//! JSON bodies: one object, bounded, read field by field in the order of the contract.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use axum::{
    body::HttpBody,
    extract::{FromRef, FromRequest, Request},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use switchboard_model::{
    Code, Problem,
    id::{Id, Kind},
    time::Clock,
};

use super::{names::id_of, problem::Failure};
use crate::{clock::within, json::without_lone_surrogates};

/// How long a client has to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// A JSON object. Unknown fields are ignored (§7); null is the same as missing.
#[derive(Debug)]
pub(crate) struct Body {
    fields: Map<String, Value>,
    raw: Bytes,
}

impl Body {
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

    /// These fields must be there, in this order.
    pub(crate) fn has_all(&self, names: &[&'static str]) -> Result<(), Problem> {
        names.iter().try_for_each(|name| self.required(name).map(drop))
    }

    /// An id of this kind that must be there.
    pub(crate) fn id<K: Kind>(&self, name: &'static str) -> Result<Id<K>, Problem> {
        id_of(text(self.required(name)?, name)?, name)
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
    let Some(text) = value.as_str() else {
        check_readable(value, name)?;
        return Err(Problem::invalid_value(name, "must be a text"));
    };
    if text.contains('\0') {
        return Err(Problem::invalid_value(name, "must not contain NUL characters"));
    }
    Ok(text)
}

/// A value that must be a list of texts.
pub(crate) fn texts<'a>(value: &'a Value, name: &'static str) -> Result<Vec<&'a str>, Problem> {
    let must = || Problem::invalid_value(name, "must be a list of texts");
    check_readable(value, name)?;
    value
        .as_array()
        .ok_or_else(must)?
        .iter()
        .map(|one| if one.is_string() { text(one, name) } else { Err(must()) })
        .collect()
}

/// A body whose bytes tell two requests apart.
pub(crate) trait RawBody: Send {
    /// The bytes that came.
    fn raw(&self) -> &[u8];
}

impl RawBody for Body {
    fn raw(&self) -> &[u8] {
        &self.raw
    }
}

impl<S> FromRequest<S> for Body
where
    S: Send + Sync,
    BodyLimits: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        check_form(request.headers())?;
        let raw = read(request, &BodyLimits::from_ref(state)).await?;
        let fields = parse(&raw)?;
        Ok(Self { fields, raw })
    }
}

/// The fields of a JSON object. What is wrong within one field is that field's mistake: it is told in the field's
/// turn, and of a field that is ignored never.
fn parse(raw: &[u8]) -> Result<Map<String, Value>, Problem> {
    let bytes = without_marks(raw);
    let invalid = |message| Problem::new(Code::InvalidJson, message);
    if bytes.is_empty() {
        return Err(invalid("The body is empty. Send a JSON object: {…}.".into()));
    }
    if is_form(bytes) {
        let message = "The body is a form, not JSON. Send a JSON object: {…}. With curl: \
                       -H 'Content-Type: application/json' -d '{…}'.";
        return Err(invalid(message.into()));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(invalid("The body must be a JSON object: {…}.".into())),
        Err(error) => match std::str::from_utf8(bytes) {
            Ok(text) => match serde_json::from_str(text) {
                Ok(FieldByField(fields)) => Ok(fields),
                Err(_) => Err(invalid(format!(
                    "The body is not JSON: mistake at line {} column {}.",
                    error.line(),
                    error.column()
                ))),
            },
            Err(error) => Err(invalid(format!(
                "The body is not JSON in UTF-8: mistake after {} bytes.",
                error.valid_up_to()
            ))),
        },
    }
}

/// A body without byte order marks and white space before it: RFC 8259 §8.1 lets a reader pass over a mark, and programs
/// of Windows write it.
fn without_marks(mut bytes: &[u8]) -> &[u8] {
    const BOM: &[u8] = b"\xef\xbb\xbf";
    loop {
        bytes = bytes.trim_ascii_start();
        match bytes.strip_prefix(BOM) {
            Some(rest) => bytes = rest,
            None => return bytes,
        }
    }
}

/// Whether a body is `name=value`, as curl sends it and no JSON begins.
fn is_form(bytes: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.%+*[]".contains(byte);
    let name = bytes.iter().take_while(|byte| is_part(byte)).count();
    name > 0 && bytes[0] != b'[' && bytes.get(name) == Some(&b'=')
}

/// An object of which some field can't be read: all others are as they are, and that one is [`unreadable`]. Of a
/// value that is not looked into only the grammar is checked.
struct FieldByField(Map<String, Value>);

impl<'de> Deserialize<'de> for FieldByField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = FieldByField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldByField, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    // A name that can't be read is none that is asked for.
                    let Ok(name) = serde_json::from_str::<String>(name.get()) else { continue };
                    let read = serde_json::from_str(value.get());
                    fields.insert(name, read.unwrap_or_else(|_| unreadable(value.get())));
                }
                Ok(FieldByField(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// The name in an object that stands for a value that can't be read. Whoever sends such an object is told the
/// same.
const UNREADABLE: &str = "\0unreadable";

/// What stands for a value that can't be read: no reader of a field takes an object.
fn unreadable(raw: &str) -> Value {
    let must = match without_lone_surrogates(raw) {
        Cow::Owned(_) => "must not have half a surrogate pair: send whole characters, as UTF-8",
        Cow::Borrowed(_) => "must be readable: a number is too large, or lists are too deep",
    };
    Value::from_iter([(UNREADABLE, must)])
}

/// Refuses what stands for a value that can't be read.
fn check_readable(value: &Value, name: &'static str) -> Result<(), Problem> {
    match value.get(UNREADABLE).and_then(Value::as_str) {
        Some(must) => Err(Problem::invalid_value(name, must)),
        None => Ok(()),
    }
}

/// A body that says nothing, whatever it is: only its bytes, to tell two requests apart.
#[derive(Debug)]
pub(crate) struct Unread(Bytes);

impl RawBody for Unread {
    fn raw(&self) -> &[u8] {
        &self.0
    }
}

impl<S> FromRequest<S> for Unread
where
    S: Send + Sync,
    BodyLimits: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        read(request, &BodyLimits::from_ref(state)).await.map(Self)
    }
}

/// What bounds a body that is read as a whole.
#[derive(Debug, Clone)]
pub(crate) struct BodyLimits {
    pub(crate) max_bytes: u64,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The whole body, if it is not too large and comes in time.
async fn read(request: Request, limits: &BodyLimits) -> Result<Bytes, Failure> {
    let most = usize::try_from(limits.max_bytes).unwrap_or(usize::MAX);
    let too_large = || {
        let message = format!("The body is larger than the {most} bytes allowed.");
        Problem::new(Code::RequestTooLarge, message)
    };
    let body = request.into_body();
    // What announces its length is refused before it is sent.
    if body.size_hint().lower() > limits.max_bytes {
        return Err(too_large().into());
    }
    let reading = Limited::new(body, most).collect();
    let invalid = |message: &'static str| Problem::new(Code::InvalidJson, message);
    let read = within(&*limits.clock, BODY_TIMEOUT, reading).await;
    match read.ok_or_else(|| invalid("The body did not arrive in time."))? {
        Ok(bytes) => Ok(bytes.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large().into()),
        Err(_) => Err(invalid("The body ended before all of it had arrived.").into()),
    }
}

/// Refuses a body that says it is something else. What HTTP clients say when nobody told them
/// (a form, plain text) is taken: the hosted service takes it, and programs rely on it.
fn check_form(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |message: &'static str| Err(Problem::new(Code::UnsupportedMediaType, message));
    if headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
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
