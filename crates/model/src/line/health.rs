//! How a line is used, beside the numbers that Apple and carriers bear (§4). Guidance: nothing is refused for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{lenient, schema, time::Timestamp};

/// Messages that a line may send in a minute: one a second.
pub const PER_MINUTE: u64 = 60;
/// Messages that it may send in a day to contacts who have been silent for longer than [`SILENT_MS`].
pub const TO_SILENT: u64 = 200;
/// For how long a contact is silent who has not written, in milliseconds.
pub const SILENT_MS: u64 = 24 * 3_600_000;
/// Messages that one contact may have left unanswered.
pub const UNANSWERED: u64 = 5;
/// Messages that it may send for each one that it gets.
pub const SENT_FOR_ONE: u64 = 10;
/// Contacts who may write to it for the first time in a day.
pub const NEW_CONTACTS: u64 = 1000;

/// How a line was used since midnight UTC.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LineHealth {
    /// The midnight.
    pub since: Timestamp,
    /// Messages that it sent.
    #[schemars(example = 120)]
    pub sent: u64,
    /// Messages that it got.
    #[schemars(example = 80)]
    pub received: u64,
    /// Messages that it sent in the busiest minute; 60 are one a second.
    #[schemars(example = 9)]
    pub busiest_minute: u64,
    /// Messages that it sent to contacts who had not written for 24 hours; 200 are borne.
    #[schemars(example = 14)]
    pub to_silent: u64,
    /// Contacts who wrote to it for the first time; 1,000 are borne.
    #[schemars(example = 6)]
    pub new_contacts: u64,
    /// Contacts who have left more than 5 messages unanswered, whenever these were sent; counted up to 1,000.
    #[schemars(example = 0)]
    pub unanswered_contacts: u64,
    /// Which of these numbers are over what is borne.
    #[serde(default, deserialize_with = "lenient::names")]
    #[schemars(schema_with = "schema::guidance")]
    pub over: Vec<Guidance>,
}

impl LineHealth {
    /// The same, with what is over.
    #[must_use]
    pub fn judged(mut self) -> Self {
        let is_over = |guidance: &Guidance| match guidance {
            Guidance::Throughput => self.busiest_minute > PER_MINUTE,
            Guidance::SilentContacts => self.to_silent > TO_SILENT,
            Guidance::Unanswered => self.unanswered_contacts > 0,
            // A first few are no campaign.
            Guidance::Ratio => self.sent > SENT_FOR_ONE * self.received.max(1),
            Guidance::NewContacts => self.new_contacts > NEW_CONTACTS,
        };
        self.over = Guidance::ALL.into_iter().filter(is_over).collect();
        self
    }
}

/// A number that is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guidance {
    /// One message a second.
    Throughput,
    /// 200 messages a day to contacts who have been silent for 24 hours.
    SilentContacts,
    /// Five unanswered messages to one contact.
    Unanswered,
    /// Ten messages out for one in.
    Ratio,
    /// 1,000 new contacts a day.
    NewContacts,
}

impl Guidance {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Throughput, Self::SilentContacts, Self::Unanswered, Self::Ratio, Self::NewContacts];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::SilentContacts => "silent_contacts",
            Self::Unanswered => "unanswered",
            Self::Ratio => "ratio",
            Self::NewContacts => "new_contacts",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_borne_is_borne_to_the_last() {
        let borne = LineHealth {
            sent: 1000,
            received: 100,
            busiest_minute: 60,
            to_silent: 200,
            new_contacts: 1000,
            ..LineHealth::default()
        };
        assert_eq!(borne.clone().judged().over, []);
        let over = LineHealth {
            sent: 1001,
            busiest_minute: 61,
            to_silent: 201,
            new_contacts: 1001,
            unanswered_contacts: 1,
            ..borne
        };
        assert_eq!(over.judged().over, Guidance::ALL);
        for (sent, is_over) in [(10, false), (11, true)] {
            let cold = LineHealth { sent, ..LineHealth::default() };
            assert_eq!(cold.judged().over.contains(&Guidance::Ratio), is_over);
        }
        for one in Guidance::ALL {
            assert_eq!(serde_json::to_value(one).unwrap(), one.as_str());
        }
    }
}
