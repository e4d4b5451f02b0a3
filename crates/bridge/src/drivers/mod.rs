//! The drivers. What only one of them knows stays in its own folder.

mod android_sms;
mod bluebubbles;
mod imsg;
pub mod simulator;
mod watermark;

pub use android_sms::{AndroidSms, AndroidSmsOptions, AndroidSmsPace, InvalidAndroidSms};
pub use bluebubbles::{
    BlueBubbles, BlueBubblesOptions, BlueBubblesPace, BlueBubblesWebhook, InvalidBlueBubbles,
};
pub use imsg::{Imsg, ImsgProgram};
