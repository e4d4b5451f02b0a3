//! The drivers. What only one of them knows stays in its own folder.

mod imsg;
pub mod simulator;

pub use imsg::{Imsg, ImsgProgram};
