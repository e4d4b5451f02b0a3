//! A look at the server's door, for whoever sets a bridge up: over the same TCP, TLS and HTTP as the link, and without
//! taking the link from a bridge that has it.
//!
//! The server judges the token first and the upgrade then. So a request for a WebSocket of a version that nobody
//! speaks is refused by every server, and how it is refused says all.

use std::{error::Error, io, time::Duration};

use tokio::time::timeout;
use tokio_tungstenite::{
    connect_async_with_config,
    tungstenite::{
        self,
        client::IntoClientRequest,
        http::{
            HeaderMap, HeaderValue, StatusCode,
            header::{AUTHORIZATION, DATE, SEC_WEBSOCKET_VERSION},
        },
    },
};

use super::BridgeConfig;

/// How long the server may take to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// A version of WebSocket that no server speaks.
const NO_VERSION: HeaderValue = HeaderValue::from_static("0");

/// What the server says at its door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Whether this bridge may come in.
    pub door: Door,
    /// The server's clock: the `Date` of its answer, as it stands there.
    pub date: Option<String>,
}

/// Whether a bridge may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The token is known, and a WebSocket comes through.
    Open {
        /// The oldest and the newest version of the link that the server speaks.
        protocols: (u32, u32),
    },
    /// The token is not known, or was revoked.
    TokenRefused,
    /// The token is known, but the request did not come as one for a WebSocket: a proxy in front does not pass that on.
    NoUpgrade,
    /// Something else answers there.
    Other(StatusCode),
}

/// Why nothing answered.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// The name is not known.
    #[error("its name is not known")]
    Name(#[source] io::Error),
    /// Nobody takes the connection.
    #[error("no connection")]
    Connect(#[source] io::Error),
    /// The other side could not prove its name, or speaks no TLS.
    #[error("no TLS")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
    /// No answer came in time.
    #[error("no answer within {} seconds", PROBE_TIMEOUT.as_secs())]
    Slow,
    /// What came is no HTTP.
    #[error("what answers there speaks no HTTP")]
    NoHttp,
}

impl BridgeConfig {
    /// Looks whether the server is there and would take this bridge. Changes nothing there.
    ///
    /// # Errors
    /// [`Unreachable`] if nothing answered.
    pub async fn probe(&self) -> Result<Probed, Unreachable> {
        let mut request =
            self.url.as_str().into_client_request().map_err(|_| Unreachable::NoHttp)?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(SEC_WEBSOCKET_VERSION, NO_VERSION);
        match timeout(PROBE_TIMEOUT, connect_async_with_config(request, None, true)).await {
            Err(_elapsed) => Err(Unreachable::Slow),
            Ok(Err(error)) => read(error),
            // It takes a WebSocket that there is not: no Switchboard.
            Ok(Ok(_)) => {
                Ok(Probed { door: Door::Other(StatusCode::SWITCHING_PROTOCOLS), date: None })
            }
        }
    }
}

fn read(error: tungstenite::Error) -> Result<Probed, Unreachable> {
    match error {
        tungstenite::Error::Http(answer) => Ok(Probed {
            door: door(answer.status(), answer.headers()),
            date: answer.headers().get(DATE).and_then(|date| Some(date.to_str().ok()?.to_owned())),
        }),
        tungstenite::Error::Tls(error) => Err(Unreachable::Tls(Box::new(error))),
        tungstenite::Error::Io(error) => Err(match error.kind() {
            // What rustls finds comes as the data of a stream that makes no sense.
            io::ErrorKind::InvalidData => Unreachable::Tls(Box::new(error)),
            _ if is_of_names(&error) => Unreachable::Name(error),
            _ => Unreachable::Connect(error),
        }),
        _ => Err(Unreachable::NoHttp),
    }
}

/// The resolver has no kind of error of its own.
fn is_of_names(error: &io::Error) -> bool {
    error.to_string().starts_with("failed to lookup address")
}

fn door(status: StatusCode, headers: &HeaderMap) -> Door {
    match (status, protocols(headers)) {
        (_, Some(protocols)) => Door::Open { protocols },
        (StatusCode::UNAUTHORIZED, None) => Door::TokenRefused,
        (StatusCode::BAD_REQUEST | StatusCode::UPGRADE_REQUIRED, None) => Door::NoUpgrade,
        (status, None) => Door::Other(status),
    }
}

/// `3` or `3-4`.
fn protocols(headers: &HeaderMap) -> Option<(u32, u32)> {
    let said = headers.get(switchboard_model::link::PROTOCOL_HEADER)?.to_str().ok()?;
    let (oldest, newest) = said.split_once('-').unwrap_or((said, said));
    Some((oldest.trim().parse().ok()?, newest.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_says_who_it_is() {
        let headers = |said: &str| {
            let mut headers = HeaderMap::new();
            let name = switchboard_model::link::PROTOCOL_HEADER;
            headers.insert(name, HeaderValue::from_str(said).unwrap());
            headers
        };
        let bad = StatusCode::BAD_REQUEST;
        assert_eq!(door(bad, &headers("3")), Door::Open { protocols: (3, 3) });
        assert_eq!(door(bad, &headers("4-7")), Door::Open { protocols: (4, 7) });
        assert_eq!(door(bad, &headers("x")), Door::NoUpgrade);
        let none = HeaderMap::new();
        assert_eq!(door(bad, &none), Door::NoUpgrade);
        assert_eq!(door(StatusCode::UNAUTHORIZED, &none), Door::TokenRefused);
        assert_eq!(door(StatusCode::NOT_FOUND, &none), Door::Other(StatusCode::NOT_FOUND));
    }
}
