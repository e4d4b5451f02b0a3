//! Requests to a BlueBubbles server.
//!
//! The promises: the password stands in every address and in no error; no error carries a text of the server, for
//! texts of messages stand in those; and only what certainly never left this machine is called unreachable.

use std::{fmt, time::Duration};

use futures_util::StreamExt;
use reqwest::{Client, RequestBuilder, Response, multipart::Form, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes. A page of messages stands in one.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// The server.
pub(super) struct Api {
    client: Client,
    /// Each send has a connection of its own: one that was kept may be dead, and nobody could tell whether a request was
    /// still read on it.
    sends: Client,
    base: Url,
    password: String,
}

/// Why there is no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// There was no connection: nothing has left this machine.
    #[error("the BlueBubbles server can't be reached")]
    Unreachable,
    /// It may have the request or not.
    #[error("the BlueBubbles server did not answer")]
    Broken,
    /// The server itself says no.
    #[error("the BlueBubbles server answered with status {}", .0.status)]
    Refused(Refused),
    /// Something else has answered in its place, such as a tunnel: that says nothing of what the server knows, has or did.
    #[error("something else than the BlueBubbles server answered, with status {0}")]
    NotTheServer(u16),
    /// The answer can't be read.
    #[error("the BlueBubbles server's answer can't be read")]
    Unreadable,
}

/// An answer of the server's own that says no. Its texts are only compared, never shown.
pub(super) struct Refused {
    /// The status.
    pub(super) status: u16,
    /// The server's name for the kind of error.
    pub(super) kind: String,
    /// What the server says for people.
    pub(super) message: String,
    /// What went wrong within.
    pub(super) text: String,
    /// What came with it.
    pub(super) data: Value,
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("status", &self.status).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    /// The server repeats it in each answer.
    #[serde(rename = "status")]
    _status: u16,
    #[serde(default = "none")]
    data: Option<T>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

fn none<T>() -> Option<T> {
    None
}

/// What comes with a page.
#[derive(Deserialize, Default)]
pub(super) struct Metadata {
    /// How many there are in all.
    #[serde(default)]
    pub(super) total: Option<i64>,
}

#[derive(Deserialize)]
struct ErrorEnvelope {
    /// The server repeats it in each answer.
    status: u16,
    #[serde(default)]
    message: String,
    error: ErrorObject,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

type Result<T> = std::result::Result<T, ApiError>;

impl Api {
    /// The server at this address.
    pub(super) fn new(base: Url, password: &str) -> std::result::Result<Self, reqwest::Error> {
        let client = |builder: reqwest::ClientBuilder| {
            let mut builder = builder
                .connect_timeout(CONNECT_TIMEOUT)
                // The password stands in the address: it goes to the server and to nobody else.
                .no_proxy()
                .redirect(redirect::Policy::none());
            if base.scheme() == "http" {
                builder = builder.tls_certs_only([]);
            }
            builder.build()
        };
        Ok(Self {
            client: client(Client::builder())?,
            sends: client(Client::builder().pool_max_idle_per_host(0))?,
            password: password.trim().to_owned(),
            base,
        })
    }

    /// Asks for what stands under this path.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        within: Duration,
    ) -> Result<T> {
        let request = self.client.get(self.url(path, query)?);
        Ok(answer(request, within).await?.0)
    }

    /// Asks with a body.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &Value,
        within: Duration,
    ) -> Result<(T, Metadata)> {
        answer(self.client.post(self.url(path, &[])?).json(body), within).await
    }

    /// Has something done that must not be done twice.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &Value,
        within: Duration,
    ) -> Result<T> {
        Ok(answer(self.sends.post(self.url(path, &[])?).json(body), within).await?.0)
    }

    /// As [`Api::send`], with a file.
    pub(super) async fn send_form<T: DeserializeOwned>(
        &self,
        path: &[&str],
        form: Form,
        within: Duration,
    ) -> Result<T> {
        Ok(answer(self.sends.post(self.url(path, &[])?).multipart(form), within).await?.0)
    }

    /// Removes what stands under this path.
    pub(super) async fn delete(&self, path: &[&str], within: Duration) -> Result<()> {
        let request = self.client.delete(self.url(path, &[])?);
        answer::<Value>(request, within).await.map(|_| ())
    }

    /// The bytes that stand under this path, as they come.
    pub(super) async fn bytes(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        within: Duration,
    ) -> Result<Response> {
        let request = self.client.get(self.url(path, query)?);
        let response = timeout(within, request.send()).await.map_err(|_| ApiError::Broken)?;
        let response = response.map_err(of_request)?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url> {
        let mut url = self.base.clone();
        // An address without a path can't be given one; options refuse such.
        url.path_segments_mut()
            .map_err(|()| ApiError::Unreachable)?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        url.query_pairs_mut().clear().extend_pairs(query).append_pair("password", &self.password);
        Ok(url)
    }
}

async fn answer<T: DeserializeOwned>(
    request: RequestBuilder,
    within: Duration,
) -> Result<(T, Metadata)> {
    timeout(within, async {
        let response = request.send().await.map_err(of_request)?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let body = body(response).await?;
        // The parser's own message may quote a message.
        let envelope: Envelope<T> =
            serde_json::from_slice(&body).map_err(|_| ApiError::Unreadable)?;
        let data = match envelope.data {
            Some(data) => data,
            None => serde_json::from_value(Value::Null).map_err(|_| ApiError::Unreadable)?,
        };
        Ok((data, envelope.metadata.unwrap_or_default()))
    })
    .await
    .map_err(|_elapsed| ApiError::Broken)?
}

#[expect(clippy::needless_pass_by_value, reason = "its texts end here: the address stands in them")]
fn of_request(error: reqwest::Error) -> ApiError {
    if error.is_connect() { ApiError::Unreachable } else { ApiError::Broken }
}

async fn refused(response: Response) -> ApiError {
    let status = response.status().as_u16();
    let parsed = match body(response).await {
        Ok(body) => serde_json::from_slice::<ErrorEnvelope>(&body).ok(),
        Err(_) => None,
    };
    let is_servers = |one: &ErrorEnvelope| one.status == status && !one.error.kind.is_empty();
    let Some(envelope) = parsed.filter(is_servers) else { return ApiError::NotTheServer(status) };
    ApiError::Refused(Refused {
        status,
        kind: envelope.error.kind,
        message: envelope.message,
        text: envelope.error.message,
        data: envelope.data,
    })
}

async fn body(response: Response) -> Result<Vec<u8>> {
    let mut chunks = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::Broken)?;
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(ApiError::Unreadable);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_and_a_password_stand_in_an_address_as_they_are() {
        let base = "http://mini.local:1234/bb/".parse().unwrap();
        let api = Api::new(base, " pass word&x ").unwrap();
        let url = api.url(&["chat", "any;-;+1555/1", "typing"], &[("a", "b")]).unwrap();
        assert_eq!(
            url.as_str(),
            "http://mini.local:1234/bb/api/v1/chat/any;-;+1555%2F1/typing?a=b&password=pass+word%26x"
        );
    }

    #[test]
    fn an_error_shows_nothing_of_the_answer() {
        let refused = Refused {
            status: 500,
            kind: "iMessage Error".to_owned(),
            message: "secret".to_owned(),
            text: "secret".to_owned(),
            data: Value::from("secret"),
        };
        let error = ApiError::Refused(refused);
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
