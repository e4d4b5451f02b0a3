//! GET /v1/lines.

use switchboard_model::{Line, page::List};

use crate::{Answer, Client, Result};

impl Client {
    /// The lines that the key may use, the sandbox line among them.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn lines(&self) -> Result<Answer<List<Line>>> {
        self.transport.get("/v1/lines", &[]).await
    }
}
