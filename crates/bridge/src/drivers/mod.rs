//! The drivers. What only one of them knows stays in its own folder.

pub mod simulator;
