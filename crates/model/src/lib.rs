//! What things are, true with no computer at hand: no I/O, no SQL, no HTTP.
//!
//! Every word of the product has one module here, and the same word names its
//! table, its JSON, its route and its page. The section numbers in these docs
//! (`§3`) are those of the HTTP contract that Switchboard speaks.

mod base32;
mod lenient;

pub mod account;
pub mod bridge;
pub mod causes;
pub mod chat;
pub mod delivery;
pub mod event;
pub mod file;
pub mod handle;
pub mod id;
pub mod idempotency;
pub mod key;
pub mod line;
pub mod link;
pub mod message;
pub mod outbox;
pub mod page;
pub mod problem;
pub mod reaction;
pub mod receipt;
pub mod replay;
pub mod retry;
pub mod sandbox;
pub mod schema;
pub mod scope;
pub mod secret;
pub mod signature;
pub mod simulator;
pub mod text;
pub mod throttle;
pub mod time;
pub mod typing;
pub mod webhook;

pub use account::Account;
pub use bridge::Bridge;
pub use chat::Chat;
pub use delivery::{Attempt, Delivery};
pub use event::EventKind;
pub use file::File;
pub use handle::Handle;
pub use key::Key;
pub use line::Line;
pub use message::{Attachment, Message};
pub use outbox::OutboxItem;
pub use problem::{Code, Problem};
pub use reaction::{Reaction, ReactionType};
pub use receipt::ReadReceipt;
pub use replay::Replay;
pub use sandbox::Sandbox;
pub use scope::{Scope, Scopes};
pub use time::Timestamp;
pub use typing::TypingIndicator;
pub use webhook::Webhook;
