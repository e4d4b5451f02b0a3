//! A Mac with Messages, and `imsg rpc` (openclaw/imsg, protocol version 1) on it.
//!
//! [`Mac`] is the machine: `chat.db`, Messages, the helper inside it, permissions and faults, and the phones of all
//! contacts. It lives in the test's process. [`Mac::program`] is what a driver spawns as `imsg`: a thin child that
//! carries its stdin and stdout to the Mac, so killing it is a real kill that the database survives. Lanes, poison,
//! limits and subscriptions are the child's, and end with it.
//!
//! ```no_run
//! use switchboard_fakes::imsg::{Fault, Mac, Stage};
//!
//! let mac = Mac::start();
//! let ann = mac.contact("+15550100001");
//! ann.writes("are you open?");
//! // … start the driver under test with `mac.program()` as its imsg …
//! mac.fault("send.tracked", Fault::StillInFlight { done_after: None });
//! mac.hold(Stage::Dispatched);
//! // … kill the child, let Messages go on …
//! mac.release();
//! assert!(ann.times_received("we are") <= 1);
//! ```
//!
//! Sections named in this module's comments are those of imsg's `docs/rpc.md`, `docs/send.md` and `docs/json.md`.

mod chat;
mod command;
mod contact;
mod database;
mod draft;
mod fault;
mod gate;
mod mac;
mod messages;
mod object;
mod pace;
mod phone;
mod program;
mod row;
mod rpc;
mod server;
mod settings;
mod state;
mod switches;
mod time;
pub mod wire;

pub use self::{
    chat::Chat,
    contact::{Contact, Owner},
    draft::Draft,
    fault::{Fault, Stage},
    gate::{Automation, Helper, Protection},
    mac::Mac,
    pace::Pace,
    phone::{Received, ReceivedFile},
    row::{File, Row},
    settings::{MacOs, Settings},
    state::Mutation,
};
