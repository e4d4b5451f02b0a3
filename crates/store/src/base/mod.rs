//! What the stores share beside their promises: how values are named, sealed and bounded, and who is told of commits.
//! No SQL, and no type of a database.

pub(crate) mod attachments;
pub(crate) mod bounded;
pub(crate) mod context;
pub(crate) mod deliveries;
pub(crate) mod line_usage;
pub(crate) mod loops;
pub(crate) mod names;
pub(crate) mod occurrences;
pub(crate) mod open_item;
pub(crate) mod outcomes;
pub(crate) mod post_commit;
pub(crate) mod seal;
pub(crate) mod secret_key;
pub(crate) mod told;
pub(crate) mod vitals;
