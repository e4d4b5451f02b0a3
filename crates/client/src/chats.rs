//! GET /v1/chats.

use switchboard_model::Chat;

use crate::{Client, Pages};

impl Client {
    /// The chats of the line `from` (a handle or `ln_…`), latest activity first.
    pub fn chats(&self, from: impl Into<String>) -> Pages<'_, Chat> {
        Pages::new(&self.transport, "/v1/chats", vec![("from", from.into())])
    }
}
