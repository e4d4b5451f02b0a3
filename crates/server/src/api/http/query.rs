//! Query parameters, as callers really write them.

use axum::extract::FromRequestParts;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use switchboard_model::{
    Problem, Timestamp,
    page::{Cursor, CursorKey, Limit},
};

use super::problem::Failure;

/// The parameters of a request. Of a name that comes twice, the first counts.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    /// A parameter that may be missing; an empty one is missing.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|value| !value.is_empty())
    }

    /// Refuses these parameters if they are there and empty: a program that leaves one empty by mistake must not
    /// get more than it asked for.
    pub(crate) fn none_empty(&self, names: &[&'static str]) -> Result<(), Problem> {
        match names.iter().find(|name| self.first(name) == Some("")) {
            Some(name) => Err(Problem::invalid_value(name, "must not be empty")),
            None => Ok(()),
        }
    }

    /// All values of a parameter that may be repeated; empty ones are none.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that must be there and not empty.
    pub(crate) fn required(&self, name: &'static str) -> Result<&str, Problem> {
        self.optional(name).ok_or_else(|| Problem::missing_query(name))
    }

    /// A parameter that must be there, but may be empty.
    pub(crate) fn present(&self, name: &'static str) -> Result<&str, Problem> {
        self.first(name).ok_or_else(|| Problem::missing_query(name))
    }

    /// An instant, in Unix milliseconds.
    pub(crate) fn time(&self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let must = "must be a time in Unix milliseconds";
        let Some(text) = self.optional(name) else { return Ok(None) };
        text.parse::<i64>()
            .ok()
            .filter(|millis| *millis >= 0)
            .map(|millis| Some(Timestamp(millis)))
            .ok_or_else(|| Problem::invalid_value(name, must))
    }

    /// How many rows are wanted (§5).
    pub(crate) fn limit(&self) -> Result<Limit, Problem> {
        let Some(text) = self.first("limit") else { return Ok(Limit::default()) };
        Limit::parse(text)
            .ok_or_else(|| Problem::invalid_value("limit", "must be a whole number from 1 to 100"))
    }

    /// From where rows are wanted: a cursor of this very `list` (§5).
    pub(crate) fn cursor<const N: usize>(
        &self,
        key: &CursorKey,
        list: &str,
    ) -> Result<Option<Cursor<N>>, Problem> {
        let Some(text) = self.optional("cursor") else { return Ok(None) };
        Cursor::decode(text, key, list).map(Some).ok_or_else(|| {
            let must = "must be a next_cursor of this very list, with the same filters";
            Problem::invalid_value("cursor", must)
        })
    }
}

/// Percent-decodes. A `+` is a space, as in forms, except in front: there it is the plus of
/// a phone number that somebody forgot to encode, unless the encoded plus comes after it. What is no UTF-8 becomes U+FFFD, which no
/// parser of a parameter takes: so the mistake is told of the parameter it is in, in its turn.
fn decode(text: &str) -> String {
    let (plus, rest) = match text.strip_prefix('+') {
        Some(rest) if !rest.trim_start_matches('+').to_ascii_lowercase().starts_with("%2b") => {
            ("+", rest)
        }
        _ => ("", text),
    };
    let spaced = rest.replace('+', " ");
    format!("{plus}{}", percent_decode_str(&spaced).decode_utf8_lossy())
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_plus_is_a_plus() {
        for query in ["from=+15550100001", "from=%2B15550100001", "&&from=%2b15550100001&from=2"] {
            let query = Query::parse(query);
            assert_eq!(query.required("from").unwrap(), "+15550100001");
        }
        assert_eq!(decode("a+b%20c"), "a b c");
        // A form that begins with a space before the plus.
        assert_eq!(decode("+%2B1+555"), " +1 555");
        assert_eq!(decode("++%2b1"), "  +1");
    }

    #[test]
    fn what_is_no_text_is_no_value() {
        assert!(Query::parse("limit=%ff").limit().is_err());
        assert!(Query::parse("limit=%00").limit().is_err());
        assert_eq!(Query::parse("from=%ff").required("from").unwrap(), "\u{fffd}");
        assert!(Query::parse("from").required("from").is_err());
    }
}
