//! Names that only a newer server can mean: in a list they are left out, and alone such a name is none.

use serde::{
    Deserialize, Deserializer,
    de::{IntoDeserializer, value::Error},
};

use crate::scope::{Scope, Scopes};

/// Those that are known.
pub(crate) fn names<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'name> Deserialize<'name>,
{
    let names = Vec::<String>::deserialize(deserializer)?;
    Ok(names.iter().filter_map(|name| known(name)).collect())
}

/// Those that are texts.
pub(crate) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let values = Vec::<serde_json::Value>::deserialize(deserializer)?;
    let text = |value| match value {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    };
    Ok(values.into_iter().filter_map(text).collect())
}

/// Those scopes that are known.
pub(crate) fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scopes, D::Error> {
    names::<_, Scope>(deserializer).map(Scopes::from)
}

/// The name, if it is there and known.
pub(crate) fn name<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'name> Deserialize<'name>,
{
    let name = Option::<String>::deserialize(deserializer)?;
    Ok(name.and_then(|name| known(&name)))
}

fn known<T: for<'name> Deserialize<'name>>(name: &str) -> Option<T> {
    T::deserialize(IntoDeserializer::<Error>::into_deserializer(name)).ok()
}
