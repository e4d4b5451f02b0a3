//! Secrets of the server itself.

use crate::Result;

/// Secrets of the server itself.
#[async_trait::async_trait]
pub trait ServerSecrets: Send + Sync {
    /// The secret with which file URLs are signed; the one given if there was none.
    async fn file_url_secret(&self, fresh: [u8; 32]) -> Result<[u8; 32]>;

    /// The secret by which the cursors of lists are known; the one given if there was none.
    async fn cursor_secret(&self, fresh: [u8; 32]) -> Result<[u8; 32]>;
}
