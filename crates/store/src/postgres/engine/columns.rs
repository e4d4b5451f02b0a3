//! How the values of the model lie in columns. What can't be read back is
//! [`StoreError::Unreadable`](crate::StoreError::Unreadable), never a guess.

use std::{any::type_name, error::Error, fmt, fmt::Display, marker::PhantomData, str::FromStr};

use serde::{Serialize, de::DeserializeOwned};
use switchboard_model::{
    Handle,
    id::{Id, Kind},
};
use tokio_postgres::{
    Row,
    types::{FromSql, IsNull, ToSql, Type, accepts, private::BytesMut, to_sql_checked},
};

use crate::base::{names::Named, seal::Sealed};

type Failure = Box<dyn Error + Sync + Send>;

/// An id as it lies: a `uuid`, which sorts as it does. What kind it is, the column knows.
pub(in crate::postgres) struct Bits<K> {
    bytes: [u8; 16],
    kind: PhantomData<fn() -> K>,
}

pub(in crate::postgres) fn bits<K: Kind>(id: Id<K>) -> Bits<K> {
    Bits { bytes: id.to_bits().to_be_bytes(), kind: PhantomData }
}

/// Ids as a `uuid[]`.
pub(in crate::postgres) fn bits_of<K: Kind>(ids: &[Id<K>]) -> Vec<Bits<K>> {
    ids.iter().copied().map(bits).collect()
}

impl<K: Kind> Bits<K> {
    pub(in crate::postgres) fn id(self) -> Id<K> {
        Id::from_bits(u128::from_be_bytes(self.bytes))
    }
}

impl<K> fmt::Debug for Bits<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.bytes))
    }
}

impl<K> ToSql for Bits<K> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        out.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }
    accepts!(UUID);
    to_sql_checked!();
}

impl<'a, K> FromSql<'a> for Bits<K> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        let bytes = raw.try_into().map_err(|_| unreadable::<Self>())?;
        Ok(Self { bytes, kind: PhantomData })
    }
    accepts!(UUID);
}

/// The ids of a `uuid[]` that may be null.
pub(in crate::postgres) fn ids<K: Kind>(row: &Row, column: usize) -> Column<Option<Vec<Id<K>>>> {
    let ids: Option<Vec<Bits<K>>> = row.try_get(column)?;
    Ok(ids.map(|ids| ids.into_iter().map(Bits::id).collect()))
}

/// What a column holds.
pub(in crate::postgres) type Column<T> = Result<T, tokio_postgres::Error>;

/// A handle as it was stored.
pub(in crate::postgres) struct StoredHandle(pub(in crate::postgres) Handle);

impl<'a> FromSql<'a> for StoredHandle {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(Handle::received(<&str>::from_sql(of, raw)?)))
    }
    accepts!(TEXT);
}

/// A value that lies as JSON: lists, and what is sent.
#[derive(Debug)]
pub(in crate::postgres) struct Json<T>(pub(in crate::postgres) T);

impl<T: Serialize + fmt::Debug> ToSql for Json<T> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        out.extend_from_slice(&serde_json::to_vec(&self.0)?);
        Ok(IsNull::No)
    }
    accepts!(TEXT);
    to_sql_checked!();
}

impl<'a, T: DeserializeOwned> FromSql<'a> for Json<T> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        serde_json::from_slice(raw).map(Self).map_err(|_| unreadable::<T>())
    }
    accepts!(TEXT);
}

/// A value that lies as the text that it shows itself as, and is read from.
#[derive(Debug)]
pub(in crate::postgres) struct Shown<T>(pub(in crate::postgres) T);

impl<T: Display + fmt::Debug> ToSql for Shown<T> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        self.0.to_string().to_sql(of, out)
    }
    accepts!(TEXT);
    to_sql_checked!();
}

impl<'a, T: FromStr> FromSql<'a> for Shown<T> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        <&str>::from_sql(of, raw)?.parse().map(Self).map_err(|_| unreadable::<T>())
    }
    accepts!(TEXT);
}

/// A value that lies as the name that the model gives it.
pub(in crate::postgres) struct Name<T>(pub(in crate::postgres) T);

impl<T> fmt::Debug for Name<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(type_name::<T>())
    }
}

impl<T: Named> ToSql for Name<T> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        self.0.name().to_sql(of, out)
    }
    accepts!(TEXT);
    to_sql_checked!();
}

impl<'a, T: Named> FromSql<'a> for Name<T> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        T::named(<&str>::from_sql(of, raw)?).map(Self).ok_or_else(unreadable::<T>)
    }
    accepts!(TEXT);
}

/// A number, which lies as a `bigint`.
#[derive(Debug)]
pub(in crate::postgres) struct Number<T>(pub(in crate::postgres) T);

impl<T: TryInto<i64> + Copy + fmt::Debug> ToSql for Number<T> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        // What is larger is as good as the largest.
        self.0.try_into().unwrap_or(i64::MAX).to_sql(of, out)
    }
    accepts!(INT8);
    to_sql_checked!();
}

impl<'a, T: TryFrom<i64>> FromSql<'a> for Number<T> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        T::try_from(i64::from_sql(of, raw)?).map(Self).map_err(|_| unreadable::<T>())
    }
    accepts!(INT8);
}

/// A digest of 32 bytes.
#[derive(Debug)]
pub(in crate::postgres) struct Digest(pub(in crate::postgres) [u8; 32]);

impl ToSql for Digest {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
    accepts!(BYTEA);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Digest {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        raw.try_into().map(Self).map_err(|_| unreadable::<Self>())
    }
    accepts!(BYTEA);
}

/// The secrets of a webhook, from the columns `secret`, `previous_secret`, `previous_until`.
pub(in crate::postgres) fn sealed(
    row: &Row,
    [current, previous, previous_until]: [usize; 3],
) -> Column<Sealed> {
    Ok(Sealed {
        current: row.try_get(current)?,
        previous: row.try_get(previous)?,
        previous_until: row.try_get(previous_until)?,
    })
}

/// Names the type and not the value: values may be a phone number or a secret, and errors are logged.
fn unreadable<T>() -> Failure {
    format!("not a {}", type_name::<T>()).into()
}
