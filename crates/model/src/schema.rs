//! How the texts and numbers that resources are made of look in the API's documents. The rest is derived: the fields of a
//! resource, its docs and the examples beside them are what is published.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::{
    handle::Handle,
    id::{Id, Kind},
    line::{Capability, Guidance, OfflineReason},
    reaction::ReactionType,
    scope::{Scope, Scopes},
    time::Timestamp,
};

/// The rest of an id after its prefix, as [`crate::id`] writes it.
const ID_REST: &str = "[0-7][0-9a-hjkmnp-tv-z]{25}";
/// The rest of the ids in examples.
const EXAMPLE_REST: &str = "01ke7x3vqjf2mrb8n5c9t4ahzw";
/// The instant of the examples.
pub const EXAMPLE_MS: i64 = 1_767_225_600_000;

/// The URL of a file in the examples.
pub(crate) const FILE_URL: &str =
    "https://switchboard.example.com/files/download?id=file_…&expires=…&signature=…";

/// The request that became an item, in the examples.
pub(crate) fn request() -> Value {
    json!({ "from": "+15550100001", "to": "+15550100002", "text": "Until six." })
}

/// The id of this kind in the examples.
pub fn example_id<K: Kind>() -> String {
    format!("{}{EXAMPLE_REST}", K::PREFIX)
}

/// A schema that has no name, and stands wherever it is used.
macro_rules! inline {
    ($type:ty $(where $kind:ident: $bound:ident)?, $generator:pat => $schema:expr) => {
        impl$(<$kind: $bound>)? JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

inline!(Id<K> where K: Kind, _ => json_schema!({
    "type": "string",
    "pattern": format!("^{}{ID_REST}$", K::PREFIX),
    "examples": [example_id::<K>()],
}));
inline!(Timestamp, _ => json_schema!({
    "type": "integer",
    "format": "int64",
    "examples": [EXAMPLE_MS],
}));
inline!(Handle, _ => json_schema!({ "type": "string" }));
inline!(ReactionType, _ => json_schema!({ "type": "string" }));
inline!(Scopes, generator => Vec::<Scope>::json_schema(generator));

/// What a line can do. Not a list of names that are all: a newer bridge may have more.
pub(crate) fn capabilities(_: &mut SchemaGenerator) -> Schema {
    let all = Capability::ALL;
    json_schema!({
        "type": "array",
        "items": { "type": "string", "examples": all },
        "examples": [all],
    })
}

/// Why a line is not there. Not a list of names that are all, either.
pub(crate) fn offline_reason(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["string", "null"],
        "examples": std::iter::once(None).chain(OfflineReason::ALL.map(Some)).collect::<Vec<_>>(),
    })
}

/// What of a line's use is over what is borne. Not a list of names that are all.
pub(crate) fn guidance(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "string", "examples": Guidance::ALL },
        "examples": [[]],
    })
}

/// For a field that is always sent, but that the contract lets be absent.
pub(crate) fn may_be_absent<T>(_: &T) -> bool {
    true
}

/// The fields of another resource, by reference.
#[derive(Debug)]
pub struct Extends<T>(std::marker::PhantomData<T>);

inline!(Extends<T> where T: JsonSchema, generator => {
    json_schema!({ "allOf": [generator.subschema_for::<T>()] })
});

/// An object of which nothing is known.
pub(crate) type AnyObject = Map<String, Value>;
