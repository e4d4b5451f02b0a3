//! The drivers. What only one of them knows stays in its own folder.

mod bluebubbles;
mod imsg;
pub mod simulator;

pub use bluebubbles::{
    BlueBubbles, BlueBubblesOptions, BlueBubblesPace, BlueBubblesWebhook, InvalidBlueBubbles,
};
pub use imsg::{Imsg, ImsgProgram};
