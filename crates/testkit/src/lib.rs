//! What exists so that a test can be short.

pub mod receiver;

pub use receiver::Receiver;
