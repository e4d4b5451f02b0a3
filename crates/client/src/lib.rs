//! The typed HTTP client: Switchboard's Rust SDK, used by the command line and by every
//! test of the server.
//!
//! What it promises: what a newer server adds breaks no program. It never repeats a call that could send a message twice, never follows a
//! redirect of the API, never reads an answer without end, and shows neither keys nor phone
//! numbers in its errors.
//!
//! ```no_run
//! # async fn example() -> Result<(), switchboard_client::Error> {
//! use switchboard_client::{Client, SendMessage};
//!
//! let client = Client::new("http://127.0.0.1:8080", "sk_live_…")?;
//! let accepted = client
//!     .send_message(&SendMessage::text("+15550100001", "+15550123456", "Hello"))
//!     .await?;
//! let item = client.outbox(accepted.value.id).await?;
//! # drop(item);
//! # Ok(())
//! # }
//! ```

mod admin;
mod answer;
mod audio_messages;
mod body;
mod chats;
mod client;
mod deliveries;
mod error;
mod event;
mod events;
mod files;
mod lines;
mod messages;
mod outbox;
mod page;
mod reactions;
mod receipts;
mod replays;
mod retry;
mod sandbox;
mod simulator;
mod sse;
mod transport;
mod typing;
pub mod webhook;
mod webhooks;

pub use admin::{
    AdminClient, CreateBridge, CreateKey, CreateLine, CreatedBridge, CreatedKey, KeyScopes,
    LineChanges,
};
pub use answer::{Answer, RateLimit, RawAnswer, Seen};
pub use audio_messages::SendAudioMessage;
pub use client::{Client, ClientBuilder, DEFAULT_TIMEOUT, DEFAULT_UPLOAD_TIMEOUT};
pub use deliveries::{Deliveries, RetriedDelivery};
pub use error::{Error, Misshape, Refusal, Result};
pub use event::Event;
pub use events::{EventStream, EventStreamBuilder, LiveEvent};
pub use files::{Download, Upload};
pub use messages::{Accepted, SendMessage};
pub use page::{Pages, Walk};
pub use reactions::SendReaction;
pub use replays::CreateReplay;
pub use simulator::{
    ContactFile, ContactInChat, ContactReaction, ContactText, FaultSet, SetFault, SimulatorClient,
};
pub use transport::MAX_ANSWER_BYTES;
pub use webhooks::{CreateWebhook, Deleted, UpdateWebhook};
