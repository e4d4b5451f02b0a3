//! Bodies as the server reads them: validators of `validatorjs` first, unknown fields ignored.

use std::collections::HashMap;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::header;
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use super::envelope::Refusal;
use crate::wire::{File, form};

/// The fields of a request, from JSON or from a form, and the form's files.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) fields: Map<String, Value>,
    pub(super) files: HashMap<String, File>,
}

impl<S: Sync> FromRequest<S> for Input {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let (head, body) = request.into_parts();
        let bytes: Bytes = body.collect().await.map_err(|_| Refusal::server("aborted"))?.to_bytes();
        let is_form = head
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("multipart/"));
        if is_form {
            let (fields, files) =
                form(&head.headers, bytes).await.ok_or_else(|| Refusal::server("bad form"))?;
            return Ok(Self { fields, files });
        }
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self { fields, files: HashMap::new() }),
            Ok(_) => Err(Refusal::bad_request("invalid JSON, only supports object and array")),
            Err(error) => Err(Refusal::bad_request(error.to_string())),
        }
    }
}

impl Input {
    /// A field that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A text that is there and not empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(Refusal::bad_request(format!("The {name} must be a string."))),
        }
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &str) -> Result<String, Refusal> {
        self.text(name)?
            .ok_or_else(|| Refusal::bad_request(format!("The {name} field is required.")))
    }

    /// A number from `min` to `max`; digits in a string will do.
    pub(super) fn number(&self, name: &str, min: i64, max: i64) -> Result<Option<i64>, Refusal> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => {
                number.as_i64().or_else(|| number.as_f64().map(|float| float as i64))
            }
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        match number {
            None => Err(Refusal::bad_request(format!("The {name} must be a number."))),
            Some(number) if number < min => {
                Err(Refusal::bad_request(format!("The {name} must be at least {min}.")))
            }
            Some(number) if number > max => {
                Err(Refusal::bad_request(format!("The {name} may not be greater than {max}.")))
            }
            number => Ok(number),
        }
    }

    /// One of these words.
    pub(super) fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<String>, Refusal> {
        match self.text(name)? {
            Some(word) if !words.contains(&word.as_str()) => {
                Err(Refusal::bad_request(format!("The selected {name} is invalid.")))
            }
            word => Ok(word),
        }
    }

    /// Words of a list, in lower case; a single string with commas will do.
    pub(super) fn words(&self, name: &str) -> Result<Vec<String>, Refusal> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => {
                Ok(list.iter().filter_map(Value::as_str).map(str::to_lowercase).collect())
            }
            Some(_) => Err(Refusal::bad_request(format!("The {name} must be an array."))),
        }
    }
}

/// The words of a query's `with`.
pub(super) fn with_words(with: Option<&str>) -> Vec<String> {
    with.unwrap_or_default()
        .split(',')
        .map(|word| word.trim().to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}
