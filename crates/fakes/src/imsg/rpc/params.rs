//! Parameters, read strictly (rpc.md, "Transport"): unknown keys are refused, nothing is converted.

use serde_json::{Map, Value};
use switchboard_model::Timestamp;

use super::failure::Failure;
use crate::imsg::time;

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Params(Map<String, Value>);

impl Params {
    /// Takes the parameters if all are known. Each of `known` is a name, and behind `|` its other spellings.
    pub(crate) fn read(given: &Map<String, Value>, known: &[&str]) -> Result<Self, Failure> {
        let mut named = Map::new();
        for (key, value) in given {
            let spelled =
                known.iter().find(|spellings| spellings.split('|').any(|name| name == key));
            let Some(name) = spelled.and_then(|spellings| spellings.split('|').next()) else {
                return Err(Failure::params(format!("unknown parameter: {key}")));
            };
            if named.insert(name.to_owned(), value.clone()).is_some() {
                return Err(Failure::params(format!("{name} is given twice")));
            }
        }
        Ok(Self(named))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.get(name, "an integer", Value::as_i64)
    }

    pub(crate) fn bool(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.get(name, "a boolean", Value::as_bool)
    }

    pub(crate) fn str(&self, name: &str) -> Result<Option<&str>, Failure> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| Failure::params(format!("{name} must be a string")))
    }

    /// A text that must be there and not empty.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Failure> {
        let text = self.str(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| Failure::params(format!("{name} is required")))
    }

    /// An integer within bounds.
    pub(crate) fn bounded(
        &self,
        name: &str,
        default: i64,
        bounds: [i64; 2],
    ) -> Result<i64, Failure> {
        let value = self.int(name)?.unwrap_or(default);
        if (bounds[0]..=bounds[1]).contains(&value) {
            Ok(value)
        } else {
            Err(Failure::params(format!("{name} must be in {}...{}", bounds[0], bounds[1])))
        }
    }

    pub(crate) fn strings(&self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        self.get(name, "an array of strings", |value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        })
    }

    pub(crate) fn array(&self, name: &str) -> Result<Option<Vec<Value>>, Failure> {
        self.get(name, "an array", |value| value.as_array().cloned())
    }

    pub(crate) fn date(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        let text = self.str(name)?;
        let read = |text| {
            time::parse(text).ok_or_else(|| Failure::params(format!("{name} must be ISO 8601")))
        };
        text.map(read).transpose()
    }

    fn get<T>(
        &self,
        name: &str,
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| Failure::params(format!("{name} must be {what}")))
    }
}
