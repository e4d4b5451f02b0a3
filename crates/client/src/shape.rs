//! The shapes of the contract (§6), checked on every answer before it becomes a value.
//!
//! The promise: no field that clients need is missing, none is null where only absence is
//! allowed. The common SDK takes such an answer for a failure and sends the message three
//! times, so this is checked by a table that can be held against the contract line by line,
//! not left to what the model's types happen to bear.

mod operator;
mod phones;
mod table;

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use operator::*;
pub use phones::*;
pub use table::*;

/// Whether a field must be there, and whether it may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Always there, never null.
    Always,
    /// Always there, perhaps null: `next_cursor`.
    AlwaysOrNull,
    /// An "ext" field that is always there, but only where Switchboard answers.
    Ours,
    /// The contract's "null": may be null or absent.
    Nullable,
    /// The contract's "opt": may be absent, never null.
    Optional,
    /// Must not be there: a secret in a list.
    Never,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A string.
    Text,
    /// True or false.
    Bool,
    /// A whole number, 0 or more.
    Number,
    /// Unix milliseconds, as a whole number.
    Millis,
    /// An id with this prefix.
    Id(&'static str),
    /// `req_` and 12 or more hex digits.
    RequestId,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A list of these.
    List(&'static Kind),
    /// A list of some of these strings. A newer server may have more of them.
    Names(&'static [&'static str]),
    /// An object of this shape.
    Object(&'static Shape),
    /// Any object.
    AnyObject,
}

/// One field of a shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be there.
    pub presence: Presence,
}

/// A resource's fields.
#[derive(Debug, PartialEq)]
pub struct Shape {
    /// The word of the contract.
    pub name: &'static str,
    /// A shape whose fields it has too.
    pub base: Option<&'static Shape>,
    /// Its own fields.
    pub fields: &'static [Field],
}

/// What to do with fields and names that the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// A newer server may send them: they are left out.
    Ignored,
    /// The contract does not have them.
    Refused,
}

const fn always(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Always }
}

const fn always_or_null(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::AlwaysOrNull }
}

const fn ours(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Ours }
}

const fn nullable(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Nullable }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Optional }
}

const fn never(name: &'static str) -> Field {
    Field { name, kind: Kind::Text, presence: Presence::Never }
}

const fn shape(name: &'static str, fields: &'static [Field]) -> Shape {
    Shape { name, base: None, fields }
}

const fn extended(name: &'static str, base: &'static Shape, fields: &'static [Field]) -> Shape {
    Shape { name, base: Some(base), fields }
}

/// Where an answer breaks its shape, and how. Names fields, never their values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{resource}{path} {what}")]
pub struct Misshape {
    resource: &'static str,
    path: String,
    what: Cow<'static, str>,
}

impl Misshape {
    pub(crate) fn new(resource: &'static str, what: impl Into<Cow<'static, str>>) -> Self {
        Self { resource, path: String::new(), what: what.into() }
    }

    fn within(mut self, resource: &'static str, step: &str) -> Self {
        self.resource = resource;
        self.path.insert_str(0, step);
        self
    }
}

impl Shape {
    /// All fields, those of the base first.
    pub fn all_fields(&self) -> impl Iterator<Item = &'static Field> {
        self.base.map_or(&[][..], |base| base.fields).iter().chain(self.fields)
    }

    fn names(&self, name: &str) -> bool {
        self.all_fields().any(|field| field.name == name)
    }
}

/// Checks a resource inside something else: a row of a list, the data of an event.
///
/// # Errors
/// [`Misshape`] says what the contract does not allow.
pub fn check(shape: &'static Shape, value: &Value, unknown: Unknown) -> Result<(), Misshape> {
    check_object(shape, value, unknown, None)
}

/// Checks a resource that is an answer: at top level, plus `request_id` (§1).
///
/// # Errors
/// As [`check`].
pub fn check_answer(
    shape: &'static Shape,
    value: &Value,
    unknown: Unknown,
) -> Result<(), Misshape> {
    check_object(shape, value, unknown, Some(&REQUEST_ID))
}

/// Checks a list and each of its rows (§1).
///
/// # Errors
/// As [`check`].
pub fn check_list(row: &'static Shape, value: &Value, unknown: Unknown) -> Result<(), Misshape> {
    check_answer(&LIST, value, unknown)?;
    if value["has_more"] != Value::Bool(value["next_cursor"].is_string()) {
        return Err(Misshape::new("list", "has_more and next_cursor contradict each other"));
    }
    let rows = value["data"].as_array().map_or(&[][..], Vec::as_slice);
    for (at, one) in rows.iter().enumerate() {
        check(row, one, unknown).map_err(|wrong| wrong.within("list", &format!(".data[{at}]")))?;
    }
    Ok(())
}

/// Checks an error answer (§1).
///
/// # Errors
/// As [`check`].
pub fn check_error(value: &Value, unknown: Unknown) -> Result<(), Misshape> {
    check_answer(&ERROR_ENVELOPE, value, unknown)
}

/// Checks a resource and takes the value out.
pub(crate) fn read<T: DeserializeOwned>(
    shape: &'static Shape,
    mut value: Value,
    unknown: Unknown,
) -> Result<T, Misshape> {
    if unknown == Unknown::Ignored {
        leave_out_unknown(shape, &mut value);
    }
    check(shape, &value, unknown)?;
    serde_json::from_value(value).map_err(|error| Misshape::new(shape.name, error.to_string()))
}

/// Leaves out the names that only a newer server can mean: those in a list, and one in a field that may be null.
pub(crate) fn leave_out_unknown(shape: &'static Shape, value: &mut Value) {
    for field in shape.all_fields() {
        let Some(value) = value.get_mut(field.name) else { continue };
        match (field.kind, value) {
            (Kind::Names(names), Value::Array(all)) => {
                all.retain(|one| one.as_str().is_none_or(|name| names.contains(&name)));
            }
            (Kind::OneOf(names), value)
                if field.presence == Presence::Nullable
                    && value.as_str().is_some_and(|name| !names.contains(&name)) =>
            {
                *value = Value::Null;
            }
            (Kind::Object(shape), value) => leave_out_unknown(shape, value),
            (Kind::List(Kind::Object(shape)), Value::Array(all)) => {
                all.iter_mut().for_each(|one| leave_out_unknown(shape, one));
            }
            _ => {}
        }
    }
}

fn check_object(
    shape: &'static Shape,
    value: &Value,
    unknown: Unknown,
    extra: Option<&'static Field>,
) -> Result<(), Misshape> {
    let map = value.as_object().ok_or_else(|| Misshape::new(shape.name, "is not an object"))?;
    for field in shape.all_fields().chain(extra) {
        check_field(field, map, unknown)
            .map_err(|wrong| wrong.within(shape.name, &format!(".{}", field.name)))?;
    }
    let known = |name: &str| shape.names(name) || extra.is_some_and(|extra| extra.name == name);
    match map.keys().find(|name| !known(name)) {
        Some(name) if unknown == Unknown::Refused => {
            Err(Misshape::new(shape.name, format!("has the unknown field {name:?}")))
        }
        _ => Ok(()),
    }
}

fn check_field(field: &Field, map: &Map<String, Value>, unknown: Unknown) -> Result<(), Misshape> {
    let wrong = |what| Err(Misshape::new("", what));
    match (map.get(field.name), field.presence) {
        (None, Presence::Always | Presence::AlwaysOrNull) => wrong("is missing"),
        (None, Presence::Ours) if unknown == Unknown::Refused => wrong("is missing"),
        (None, _) => Ok(()),
        (Some(_), Presence::Never) => wrong("must not be there"),
        (Some(Value::Null), Presence::AlwaysOrNull | Presence::Nullable) => Ok(()),
        (Some(Value::Null), _) => wrong("is null"),
        (Some(value), _) => check_kind(field.kind, value, unknown),
    }
}

fn check_kind(kind: Kind, value: &Value, unknown: Unknown) -> Result<(), Misshape> {
    let (fits, what) = match kind {
        Kind::Text => (value.is_string(), "is not a string"),
        Kind::Bool => (value.is_boolean(), "is not true or false"),
        Kind::Number => (value.is_u64(), "is not a whole number"),
        Kind::Millis => (value.is_i64(), "is not a time in whole milliseconds"),
        Kind::Id(prefix) => {
            let rest = value.as_str().and_then(|text| text.strip_prefix(prefix));
            (rest.is_some_and(|rest| !rest.is_empty()), "is not an id of the right kind")
        }
        Kind::RequestId => (value.as_str().is_some_and(is_request_id), "is not a request id"),
        Kind::OneOf(names) => (
            value.as_str().is_some_and(|text| names.contains(&text)),
            "is none of the names that the contract has",
        ),
        Kind::Names(names) => (
            value.as_array().is_some_and(|all| {
                let known = |name| unknown == Unknown::Ignored || names.contains(&name);
                all.iter().all(|one| one.as_str().is_some_and(known))
            }),
            "is not a list of names that the contract has",
        ),
        Kind::AnyObject => (value.is_object(), "is not an object"),
        Kind::Object(shape) => {
            return check(shape, value, unknown);
        }
        Kind::List(row) => {
            let Some(rows) = value.as_array() else {
                return Err(Misshape::new("", "is not a list"));
            };
            return rows.iter().enumerate().try_for_each(|(at, one)| {
                check_kind(*row, one, unknown).map_err(|wrong| wrong.within("", &format!("[{at}]")))
            });
        }
    };
    if fits { Ok(()) } else { Err(Misshape::new("", what)) }
}

fn is_request_id(text: &str) -> bool {
    text.strip_prefix("req_").is_some_and(|digits| {
        digits.len() >= 12 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}
