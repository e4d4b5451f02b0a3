//! GET, POST and DELETE /v1/sandbox (§11).

use switchboard_model::Sandbox;

use crate::{Answer, Client, Result};

impl Client {
    /// The sandbox as the key's account sees it.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn sandbox(&self) -> Result<Answer<Sandbox>> {
        self.transport.get("/v1/sandbox", &[]).await
    }

    /// Makes sure that there is a code to text, or a paired phone. Doing it again changes nothing.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn ensure_sandbox(&self) -> Result<Answer<Sandbox>> {
        self.transport.post_nothing("/v1/sandbox", 200).await
    }

    /// Ends the pairing and rolls a new code. Never repeated by itself: somebody may already
    /// have paired a phone with the code of the first time.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn reset_sandbox(&self) -> Result<Answer<Sandbox>> {
        self.transport.delete_once("/v1/sandbox").await
    }
}
