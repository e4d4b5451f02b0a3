//! Stand-ins for the programs beside real phones: what they answer, when, and how they fail. Each is written from the
//! documentation of its original by somebody who did not write the driver that it judges, and keeps a record of what
//! people's phones really showed.
//!
//! Used by tests only.

pub mod imsg;
