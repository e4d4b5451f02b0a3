//! Queries of Messages' table of messages.
//!
//! Conditions are SQL of Messages' own database. None names the column of texts: the server makes a search by its
//! helper of one that does.

use serde_json::{Value, json};
use switchboard_model::Timestamp;

use super::{
    BlueBubbles, READ_TIMEOUT,
    api::ApiError,
    wire::{Row, rows},
};

/// The most rows that the server gives at once.
pub(super) const PAGE: i64 = 1000;
/// Pages of one question that are read at most.
const PAGES: i64 = 20;
/// From 1970 to 2001, from when on Messages counts, in milliseconds.
const APPLE_EPOCH: i64 = 978_307_200_000;

/// A condition with its arguments.
pub(super) struct Condition {
    statement: String,
    args: Value,
}

pub(super) fn that(statement: impl Into<String>, args: Value) -> Condition {
    Condition { statement: statement.into(), args }
}

/// An instant as Messages writes it.
pub(super) fn apple(at: Timestamp) -> i64 {
    at.millis().saturating_sub(APPLE_EPOCH).saturating_mul(1_000_000)
}

impl BlueBubbles {
    /// The rows for which all this holds, the oldest row first. With their chats only those that stand in one.
    pub(super) async fn rows(
        &self,
        conditions: &[Condition],
        with_chats: bool,
    ) -> Result<Vec<Row>, ApiError> {
        let mut found = Vec::new();
        for page in 0..PAGES {
            let values = self.query(conditions, with_chats, page * PAGE, PAGE).await?.0;
            let is_last = (values.len() as i64) < PAGE;
            found.extend(rows(values));
            if is_last {
                break;
            }
        }
        found.sort_by_key(|row| row.row);
        found.dedup_by_key(|row| row.row);
        Ok(found)
    }

    /// How many rows there are for which all this holds. None of them is looked at: one that the server can't show
    /// counts all the same.
    pub(super) async fn count(&self, conditions: &[Condition]) -> Result<i64, ApiError> {
        const BEHIND_ALL: i64 = 1_000_000_000;
        let (_, total) = self.query(conditions, false, BEHIND_ALL, 1).await?;
        total.ok_or(ApiError::Unreadable)
    }

    async fn query(
        &self,
        conditions: &[Condition],
        with_chats: bool,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<Value>, Option<i64>), ApiError> {
        let with: &[&str] = if with_chats { &["chats", "attachments"] } else { &[] };
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|one| json!({"statement": one.statement, "args": one.args}))
            .collect();
        let body = json!({
            "with": with, "where": conditions, "sort": "ASC", "offset": offset, "limit": limit,
        });
        let (values, metadata) = self.api.post(&["message", "query"], &body, READ_TIMEOUT).await?;
        Ok((values, metadata.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_counts_nanoseconds_since_2001() {
        assert_eq!(apple(Timestamp(978_307_200_001)), 1_000_000);
    }
}
