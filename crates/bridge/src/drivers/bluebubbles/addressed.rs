//! Which line a row belongs to, by the own address that it came to or went out by.
//!
//! No answer of the server has that address, but its conditions are SQL of Messages' own database: it is asked which rows
//! name this one. An Apple ID has several, and a chat changes from one to another, so the chat's last address says nothing of
//! a row.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;
use switchboard_model::{Handle, Line, id::Id, link::CarriedLine};

use super::{
    BlueBubbles,
    api::ApiError,
    query::{Condition, that},
    rows::line_of_chat,
    wire::{Chat, Row},
};

/// The most rows that are asked for at once.
const AT_ONCE: usize = 500;
/// The most rows that are remembered.
const REMEMBERED: usize = 20_000;
/// A text for people, as Messages writes addresses: `E:me@example.com`, `P:+15550100001`, or the same without what it begins
/// with.
const BARE: &str = "CASE WHEN lower(substr(trim(message.destination_caller_id), 1, 2)) IN ('e:', 'p:') \
    THEN substr(trim(message.destination_caller_id), 3) ELSE trim(message.destination_caller_id) END";

/// What a row names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Line(Id<Line>),
    /// An address that is no line's.
    Another,
    /// None.
    Nobody,
}

/// What is known of rows, as long as the lines are the same.
#[derive(Default)]
pub(super) struct Addressed(Mutex<Known>);

#[derive(Default)]
struct Known {
    lines: Arc<Vec<CarriedLine>>,
    rows: HashMap<i64, Named>,
}

impl Addressed {
    /// Another database numbers its rows anew.
    pub(super) fn forget(&self) {
        self.with(|known| known.rows.clear());
    }

    fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn of(&self, lines: &Arc<Vec<CarriedLine>>, row: i64) -> Option<Named> {
        self.with(|known| {
            known.rows.get(&row).copied().filter(|_| Arc::ptr_eq(&known.lines, lines))
        })
    }

    fn learn(&self, lines: &Arc<Vec<CarriedLine>>, rows: impl IntoIterator<Item = (i64, Named)>) {
        self.with(|known| {
            if !Arc::ptr_eq(&known.lines, lines) || known.rows.len() > REMEMBERED {
                *known = Known { lines: Arc::clone(lines), rows: HashMap::new() };
            }
            known.rows.extend(rows);
        });
    }
}

impl BlueBubbles {
    /// Finds out what rows name, all at once.
    pub(super) async fn learn_addresses(
        &self,
        lines: &Arc<Vec<CarriedLine>>,
        rows: &[Row],
    ) -> Result<(), ApiError> {
        let is_new =
            |row: &&Row| row.chat().is_some() && self.addressed.of(lines, row.row).is_none();
        let rows: Vec<i64> = rows.iter().filter(is_new).map(|row| row.row).collect();
        for rows in rows.chunks(AT_ONCE) {
            let found = match self.named_by(lines, rows).await {
                Ok(found) => found,
                // Before there was such a column nothing named an address.
                Err(ApiError::Refused(refused)) if refused.text.contains("no such column") => {
                    rows.iter().map(|row| (*row, Named::Nobody)).collect()
                }
                Err(error) => return Err(error),
            };
            self.addressed.learn(lines, found);
        }
        Ok(())
    }

    async fn named_by(
        &self,
        lines: &[CarriedLine],
        rows: &[i64],
    ) -> Result<HashMap<i64, Named>, ApiError> {
        let mut found: HashMap<i64, Named> =
            rows.iter().map(|row| (*row, Named::Another)).collect();
        let mut ask = async |condition: Condition, named: Named| {
            let them = self.rows(&[condition], false).await?;
            found.extend(them.iter().map(|row| (row.row, named)));
            Ok::<_, ApiError>(found.values().all(|one| *one != Named::Another))
        };
        for line in lines {
            if ask(names(&line.handle, rows), Named::Line(line.id)).await? {
                return Ok(found);
            }
        }
        let nobody = "message.ROWID IN (:...rows) AND trim(coalesce(message.destination_caller_id, '')) = ''";
        ask(that(nobody, json!({"rows": rows})), Named::Nobody).await?;
        Ok(found)
    }

    /// The line that a row belongs to, and whether its address is named. An own row that names another address belongs to the
    /// only line if it was sent from here, for Messages itself chooses the address that a message goes out by.
    pub(super) async fn line_of<'a>(
        &self,
        lines: &'a Arc<Vec<CarriedLine>>,
        row: &Row,
        chat: &Chat,
    ) -> Result<Option<(&'a CarriedLine, bool)>, ApiError> {
        self.learn_addresses(lines, std::slice::from_ref(row)).await?;
        let named = self.addressed.of(lines, row.row).unwrap_or(Named::Nobody);
        Ok(match (named, &***lines) {
            (Named::Line(id), lines) => {
                lines.iter().find(|line| line.id == id).map(|line| (line, true))
            }
            (Named::Nobody, lines) => line_of_chat(lines, chat).map(|line| (line, true)),
            (Named::Another, [only]) if row.is_own() => Some((only, false)),
            (Named::Another, _) => None,
        })
    }
}

/// Of these rows, those that name this address; a number perhaps with signs, and without its country.
fn names(handle: &Handle, rows: &[i64]) -> Condition {
    /// Fewer digits are no number of a person.
    const LEAST: usize = 7;
    let name = handle.as_str();
    if !name.starts_with('+') {
        let is_it = format!("message.ROWID IN (:...rows) AND lower({BARE}) = :own");
        return that(is_it, json!({"rows": rows, "own": name.to_lowercase()}));
    }
    let without = |sql: String, sign: &str| format!("replace({sql}, {sign}, '')");
    let signs = ["' '", "'('", "')'", "'-'", "'.'", "char(160)"];
    let number = signs.into_iter().fold(BARE.to_owned(), without);
    let is_it = format!(
        "message.ROWID IN (:...rows) AND ({number} = :own OR ({number} NOT GLOB '*[^0-9]*' \
         AND length(ltrim({number}, '0')) >= {LEAST} AND :digits LIKE '%' || ltrim({number}, '0')))"
    );
    that(is_it, json!({"rows": rows, "own": name, "digits": &name[1..]}))
}
