//! Stand-ins for the programs that drivers talk to, so that drivers can be judged without a Mac and
//! without a phone. Each speaks as its original does, faults included, and knows nothing of any driver.
//!
//! What a stand-in promises: it tells what each contact's phone really shows, so that a test can
//! prove that nothing was sent twice; and it misbehaves exactly when it is told to.

pub mod android_sms;
pub mod bluebubbles;
mod stamp;
pub mod wire;
