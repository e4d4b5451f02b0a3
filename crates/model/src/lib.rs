//! What things are, true with no computer at hand: no I/O, no SQL, no HTTP.
//!
//! Every word of the product has one module here, and the same word names its
//! table, its JSON, its route and its page. The section numbers in these docs
//! (`§3`) are those of the HTTP contract that Switchboard speaks.

pub mod account;
pub mod bridge;
pub mod chat;
pub mod delivery;
pub mod event;
pub mod handle;
pub mod id;
pub mod key;
pub mod line;
pub mod link;
pub mod message;
pub mod outbox;
pub mod page;
pub mod problem;
pub mod retry;
pub mod scope;
pub mod secret;
pub mod signature;
pub mod simulator;
pub mod time;
pub mod webhook;

pub use account::Account;
pub use bridge::Bridge;
pub use chat::Chat;
pub use event::EventKind;
pub use handle::Handle;
pub use key::Key;
pub use line::Line;
pub use message::{Attachment, Message};
pub use outbox::OutboxItem;
pub use problem::{Code, Problem};
pub use scope::{Scope, Scopes};
pub use time::Timestamp;
pub use webhook::Webhook;
