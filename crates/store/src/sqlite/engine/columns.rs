//! How the values of the model lie in columns. What can't be read back is
//! [`StoreError::Unreadable`], never a guess.

use std::{any::type_name, fmt::Display};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, de::DeserializeOwned};
use switchboard_model::{
    EventKind, Handle,
    chat::Service,
    delivery::DeliveryStatus,
    id::{Id, Kind},
    line::{DriverKind, LineService},
    outbox::OutboxStatus,
    replay::ReplayStatus,
    webhook::DisabledReason,
};

use super::outage;
use crate::StoreError;

/// A value that lies as its text: ids and handles.
pub(in crate::sqlite) struct Text<T>(pub(in crate::sqlite) T);

impl<T: Display> ToSql for Text<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

impl<T: Stored> FromSql for Text<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        T::stored(value.as_str()?).map(Self).ok_or_else(unreadable::<T>)
    }
}

/// What is read back from its text.
pub(in crate::sqlite) trait Stored: Sized {
    fn stored(text: &str) -> Option<Self>;
}

impl<K: Kind> Stored for Id<K> {
    fn stored(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// As it was stored: an older version took more numbers than the parser of now.
impl Stored for Handle {
    fn stored(text: &str) -> Option<Self> {
        Some(Self::received(text))
    }
}

/// A value that lies as JSON: lists, and what is sent.
pub(in crate::sqlite) struct Json<T>(pub(in crate::sqlite) T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(&self.0)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(text.into())
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(|_| unreadable::<T>())
    }
}

/// A value that lies as the name that the model gives it.
pub(in crate::sqlite) struct Name<T>(pub(in crate::sqlite) T);

/// What has a name, and is found by it.
pub(in crate::sqlite) trait Named: Copy {
    fn name(self) -> &'static str;
    fn named(name: &str) -> Option<Self>;
}

impl<T: Named> ToSql for Name<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.name().into())
    }
}

impl<T: Named> FromSql for Name<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        T::named(value.as_str()?).map(Self).ok_or_else(unreadable::<T>)
    }
}

impl Named for Service {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for LineService {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for DriverKind {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for EventKind {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for OutboxStatus {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for DeliveryStatus {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for DisabledReason {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for ReplayStatus {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

/// Names the type and not the value: values may be a phone number or a secret, and errors are logged.
fn unreadable<T>() -> FromSqlError {
    FromSqlError::Other(format!("not a {}", type_name::<T>()).into())
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::FromSqlConversionFailure(column, _, source) => {
                Self::Unreadable { what: format!("column {column}: {source}") }
            }
            rusqlite::Error::InvalidColumnType(_, name, found) => {
                Self::Unreadable { what: format!("column {name} is {found}") }
            }
            error => match outage::of(&error) {
                Some(outage) => Self::Unavailable { outage, source: Box::new(error) },
                None => Self::Database(Box::new(error)),
            },
        }
    }
}
