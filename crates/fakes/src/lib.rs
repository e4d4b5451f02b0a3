//! Stand-ins for the programs beside real phones: what they answer, when, and how they fail. Each is written from the
//! documentation of its original by somebody who did not write the driver that it judges, and knows nothing of any driver.
//!
//! What a stand-in promises: it tells what each contact's phone really shows, so that a test can prove that nothing
//! was sent twice; and it misbehaves exactly when it is told to. Used by tests only.

pub mod android_sms;
pub mod bluebubbles;
pub mod conversions;
pub mod imsg;
mod program;
mod stamp;
pub mod wire;
