//! /admin/v1: what the operator makes and takes away. The same envelopes and errors as /v1.

pub(crate) mod accounts;
pub(crate) mod bridges;
pub(crate) mod keys;
pub(crate) mod lines;

use switchboard_model::{
    Problem,
    id::{Id, Kind},
    text,
};

use super::http::{
    body::{self, Body},
    names::id_of,
};

/// The longest name or label.
const MAX_NAME_CHARS: usize = 200;

/// A required name, neither blank nor too long.
fn name(body: &Body) -> Result<String, Problem> {
    let text = body::text(body.required("name")?, "name")?;
    check_name(text, "name")
}

fn check_name(name: &str, param: &'static str) -> Result<String, Problem> {
    let trimmed = text::trim(name);
    if trimmed.is_empty() || trimmed.chars().count() > MAX_NAME_CHARS {
        let must = format_args!("must be 1 to {MAX_NAME_CHARS} characters, not only spaces");
        return Err(Problem::invalid_value(param, must));
    }
    Ok(trimmed.to_owned())
}

/// An optional id of this kind.
fn optional_id<K: Kind>(body: &Body, param: &'static str) -> Result<Option<Id<K>>, Problem> {
    body.optional_text(param)?.map(|text| id_of(text, param)).transpose()
}
