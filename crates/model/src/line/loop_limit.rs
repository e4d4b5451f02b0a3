//! How often a line may answer one contact: two programs that answer each other would never end.

use std::{fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The most answers of a limit.
const MAX_ANSWERS: u32 = 10_000;
/// The longest window: a day.
const MAX_SECONDS: u32 = 24 * 3600;

/// Answers that a line may give in one chat within so many seconds; then it must rest for as long. Reads and shows itself as
/// `10/60`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopLimit {
    answers: u32,
    seconds: u32,
}

/// Why a text is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be answers and seconds, such as 10/60: 1 to {MAX_ANSWERS} answers within 1 to {MAX_SECONDS} seconds"
)]
pub struct BadLoopLimit;

impl LoopLimit {
    /// Answers within the window.
    pub fn answers(self) -> u32 {
        self.answers
    }

    /// How long the window is, and the rest after it.
    pub fn window(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

impl FromStr for LoopLimit {
    type Err = BadLoopLimit;

    fn from_str(text: &str) -> Result<Self, BadLoopLimit> {
        let (answers, seconds) = text.split_once('/').ok_or(BadLoopLimit)?;
        let number = |text: &str, most| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number| digits && (1..=most).contains(number))
        };
        Ok(Self {
            answers: number(answers, MAX_ANSWERS).ok_or(BadLoopLimit)?,
            seconds: number(seconds, MAX_SECONDS).ok_or(BadLoopLimit)?,
        })
    }
}

impl fmt::Display for LoopLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.answers, self.seconds)
    }
}

impl Serialize for LoopLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LoopLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for LoopLimit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LoopLimit".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+/[0-9]+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_what_it_shows() {
        for text in ["10/60", "1/1", "10000/86400"] {
            let limit: LoopLimit = text.parse().unwrap();
            assert_eq!(limit.to_string(), text);
            assert_eq!(serde_json::to_value(limit).unwrap(), text);
            assert_eq!(serde_json::from_value::<LoopLimit>(text.into()).unwrap(), limit);
        }
        for text in [
            "", "10", "10/", "/60", "0/60", "10/0", "10001/60", "10/86401", "+1/60", "10/6e1",
            "1/2/3",
        ] {
            assert_eq!(text.parse::<LoopLimit>(), Err(BadLoopLimit), "{text}");
        }
    }
}
