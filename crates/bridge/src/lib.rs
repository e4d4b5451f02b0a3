//! The process beside Messages: it dials the server, takes items, hands them to a driver, reports.
//!
//! [`Bridge`] keeps the link (`link/`) and knows nothing of Messages; a [`Driver`] knows
//! Messages and nothing of the link; it gets [`FileClient`] to fetch what it sends and to upload what came. The simulator ([`drivers::simulator`]) is a driver like
//! any other, so in development the whole way of a message is the real one.
//!
//! The promise of the two together: an item is handed over at most once, and of every item
//! that may have been handed over the server learns what came of it, over lost
//! sockets and killed processes; every inbound entry arrives, in order.

mod connector;
mod convert;
mod driver;
pub mod drivers;
mod files;
mod known;
pub mod ledger;
mod ledgered;
mod link;

pub use connector::{
    Attempt, Concurrency, Connector, Context, FetchError, FetchedFile, Health, OutgoingFile,
    Verdict,
};
pub use convert::{ConversionTools, Conversions, Form};
pub use driver::{
    Admission, Asked, Driver, DriverError, HistoryBatch, KnownOutcome, LineStatus, LineStatuses,
};
pub use drivers::simulator::{Simulator, SimulatorOptions};
pub use files::{DEFAULT_MAX_BYTES, FileClient, FileError};
pub use ledger::try_to_write;
pub use ledgered::Ledgered;
pub use link::{
    Bridge, BridgeConfig, Door, InvalidBridgeConfig, LinkState, Probed, Refused, Unreachable,
};
