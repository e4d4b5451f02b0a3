//! How the values of the model lie in columns. What can't be read back is
//! [`StoreError::Unreadable`], never a guess.

use std::{any::type_name, fmt::Display, marker::PhantomData, str::FromStr};

use rusqlite::{
    Row,
    types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef},
};
use serde::{Serialize, de::DeserializeOwned};
use switchboard_model::{
    Handle,
    id::{Id, Kind},
};

use super::outage;
use crate::{
    StoreError,
    base::{
        names::Named,
        seal::{NotSealed, Sealed},
    },
};

/// An id as it lies: its 16 bytes, which sort as it does. What kind it is, the column knows.
pub(in crate::sqlite) struct Bits<K> {
    bytes: [u8; 16],
    kind: PhantomData<fn() -> K>,
}

pub(in crate::sqlite) fn bits<K: Kind>(id: Id<K>) -> Bits<K> {
    Bits { bytes: id.to_bits().to_be_bytes(), kind: PhantomData }
}

impl<K: Kind> Bits<K> {
    pub(in crate::sqlite) fn id(self) -> Id<K> {
        Id::from_bits(u128::from_be_bytes(self.bytes))
    }
}

impl<K> ToSql for Bits<K> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.bytes)))
    }
}

impl<K> FromSql for Bits<K> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?.try_into().map_err(|_| unreadable::<Self>())?;
        Ok(Self { bytes, kind: PhantomData })
    }
}

/// Ids in a list, as SQL looks into it: JSON with the hexadecimal digits of each.
pub(in crate::sqlite) fn hex_list<K: Kind>(ids: &[Id<K>]) -> String {
    let digits: Vec<_> = ids.iter().map(|id| format!("\"{:032X}\"", id.to_bits())).collect();
    format!("[{}]", digits.join(","))
}

/// A handle as it was stored: an older version took more numbers than the parser of now.
pub(in crate::sqlite) struct StoredHandle(pub(in crate::sqlite) Handle);

impl FromSql for StoredHandle {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(Handle::received(value.as_str()?)))
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

/// A value that lies as the text that it shows itself as, and is read from.
pub(in crate::sqlite) struct Shown<T>(pub(in crate::sqlite) T);

impl<T: Display> ToSql for Shown<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

impl<T: FromStr> FromSql for Shown<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(|_| unreadable::<T>())
    }
}

/// A value that lies as the name that the model gives it.
pub(in crate::sqlite) struct Name<T>(pub(in crate::sqlite) T);

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

impl From<NotSealed> for rusqlite::Error {
    fn from(error: NotSealed) -> Self {
        Self::FromSqlConversionFailure(0, Type::Blob, Box::new(error))
    }
}

/// The secrets of a webhook, from the columns `secret`, `previous_secret`, `previous_until`.
pub(in crate::sqlite) fn sealed(
    row: &Row<'_>,
    [current, previous, previous_until]: [usize; 3],
) -> rusqlite::Result<Sealed> {
    Ok(Sealed {
        current: row.get(current)?,
        previous: row.get(previous)?,
        previous_until: row.get(previous_until)?,
    })
}
