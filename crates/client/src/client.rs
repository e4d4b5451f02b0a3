//! The client of `/v1`, and the builder of all clients.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Url, redirect};
use serde_json::Value;
use switchboard_model::{idempotency, secret};

use crate::{
    admin::AdminClient,
    answer::{Observer, RawAnswer, Seen},
    body::Body,
    error::{Error, Result},
    simulator::SimulatorClient,
    transport::{Again, Transport},
};

/// How long a call may take, answer read to its end: as the common SDK has it (§1).
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an upload may take: 100 MB, the largest file by default, at 200 kB a second.
pub const DEFAULT_UPLOAD_TIMEOUT: Duration = Duration::from_secs(500);

/// Calls `/v1` with an API key. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) transport: Transport,
}

impl Client {
    /// A client of the server at `base_url` (`http://127.0.0.1:8080`; a `/v1` at its end is
    /// forgiven) with the settings of [`ClientBuilder`].
    ///
    /// # Errors
    /// [`Error::Setup`] for what is no URL or no key, [`Error::Build`] as [`ClientBuilder::build`].
    pub fn new(base_url: &str, key: &str) -> Result<Self> {
        ClientBuilder::new(base_url).key(key).build()
    }

    /// A client that sends no Authorization header.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn without_key(base_url: &str) -> Result<Self> {
        ClientBuilder::new(base_url).build()
    }

    /// Begins to set up a client.
    pub fn builder(base_url: &str) -> ClientBuilder {
        ClientBuilder::new(base_url)
    }

    /// The same client, whose POSTs carry this Idempotency-Key: 1–255 visible ASCII characters.
    /// The server does such a call once in 24 hours, however often it is made, and gives the
    /// first answer again (§10). The key counts per path: a file may be uploaded and a message
    /// sent under the same key.
    ///
    /// # Errors
    /// [`Error::Setup`] for what is no such key.
    pub fn with_idempotency_key(&self, key: &str) -> Result<Self> {
        const WRONG: Error = Error::Setup("an Idempotency-Key has 1 to 255 visible characters");
        if !idempotency::is_valid(key) {
            return Err(WRONG);
        }
        let key = HeaderValue::from_str(key).map_err(|_| WRONG)?;
        let transport = Transport { idempotency_key: Some(key), ..self.transport.clone() };
        Ok(Self { transport })
    }

    /// Sends exactly this and returns what comes, unchecked: for tests of what goes wrong.
    /// The key is sent along unless `headers` has an Authorization of its own. Nothing else
    /// is added, no Content-Type either.
    ///
    /// # Errors
    /// [`Error::Transport`], [`Error::TooLarge`], [`Error::Setup`] for what is no header.
    pub async fn request(
        &self,
        method: Method,
        path_and_query: &str,
        body: Option<Bytes>,
        headers: &[(&str, &str)],
    ) -> Result<RawAnswer> {
        let mut request = self.transport.request(method, path_and_query.to_owned(), Again::Never);
        request.headers = header_map(headers)?;
        request.body = body.map_or(Body::Nothing, Body::Bytes);
        self.transport.exchange(&mut request).await
    }

    /// As [`Client::request`], with this JSON as the body and the Content-Type that goes with it.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn request_json(
        &self,
        method: Method,
        path_and_query: &str,
        body: &Value,
    ) -> Result<RawAnswer> {
        let headers = [("content-type", "application/json")];
        self.request(method, path_and_query, Some(body.to_string().into()), &headers).await
    }
}

/// Sets up a client.
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    base_url: String,
    bearer: Option<Result<HeaderValue, ()>>,
    timeout: Duration,
    upload_timeout: Duration,
    observer: Option<Observer>,
    retries: u32,
}

impl ClientBuilder {
    /// No key, a time-out of 30 s, for uploads of 500 s, no observer, no retries.
    pub fn new(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            bearer: None,
            timeout: DEFAULT_TIMEOUT,
            upload_timeout: DEFAULT_UPLOAD_TIMEOUT,
            observer: None,
            retries: 0,
        }
    }

    /// The API key, or for the operator's clients the operator's token. A newline, quotes and spaces round
    /// it are left away.
    pub fn key(mut self, key: &str) -> Self {
        let key = secret::bare(key);
        self.bearer = Some(HeaderValue::from_str(&format!("Bearer {key}")).map_err(drop).map(
            |mut bearer| {
                // Keeps it out of every Debug output.
                bearer.set_sensitive(true);
                bearer
            },
        ));
        self
    }

    /// How long a call may take, answer read to its end. A download may take longer: this is
    /// how long it may pause.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long an upload may take, instead of [`ClientBuilder::timeout`].
    pub fn upload_timeout(mut self, timeout: Duration) -> Self {
        self.upload_timeout = timeout;
        self
    }

    /// Shows this every answer and every event of a stream before anything is made of it: for logs, measurements and
    /// tests. What it sees holds phone numbers and secrets.
    pub fn observe(mut self, observer: impl Fn(Seen<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Observer(Arc::new(observer)));
        self
    }

    /// How often a call is repeated after a lost connection, a time-out, a 429 or a 5xx, with
    /// pauses of about 0.5 s, 1 s, 2 s … A longer `Retry-After` is obeyed up to 30 s; above,
    /// the caller gets the refusal.
    ///
    /// * A GET is repeated.
    /// * A POST gets a random Idempotency-Key, the same for all its repetitions, so that the
    ///   server does the work once; it is also repeated while its first try is still in
    ///   flight. Only for servers that know that header (§10): another would send a message
    ///   once for each repetition.
    /// * The deletion of a webhook is repeated; when the webhook is gone at a repetition, it
    ///   counts as deleted.
    /// * The reset of the sandbox and the upload of a stream are never repeated.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The client of `/v1`.
    ///
    /// # Errors
    /// [`Error::Setup`] if the base is no HTTP URL or the key can't stand in a header;
    /// [`Error::Build`] if for `https` no root certificates are installed.
    pub fn build(self) -> Result<Client> {
        Ok(Client { transport: self.transport()? })
    }

    /// The client of `/admin/v1`; the key is the operator's token.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn build_admin(self) -> Result<AdminClient> {
        Ok(AdminClient { transport: self.transport()? })
    }

    /// The client of `/simulator/v1`; the key is the operator's token.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn build_simulator(self) -> Result<SimulatorClient> {
        Ok(SimulatorClient { transport: self.transport()? })
    }

    fn transport(self) -> Result<Transport> {
        let (base, url) = parse_base(&self.base_url)?;
        let bearer = match self.bearer {
            None => None,
            Some(Ok(bearer)) => Some(bearer),
            Some(Err(())) => return Err(Error::Setup("the key can't stand in a header")),
        };
        // An API answers where it is asked; a followed redirect would carry the key elsewhere.
        // The time of a whole call is measured call by call: a live stream has no end.
        let mut http = reqwest::Client::builder()
            .connect_timeout(self.timeout)
            .redirect(redirect::Policy::none());
        if is_loopback(&url) {
            http = http.no_proxy();
        }
        if url.scheme() == "http" {
            // TLS can't occur: spare the start the reading of the system's certificates, and
            // the failure on a machine that has none.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(Error::Build)?;
        Ok(Transport {
            http,
            base,
            bearer,
            observer: self.observer,
            retries: self.retries,
            timeout: self.timeout,
            upload_timeout: self.upload_timeout,
            idempotency_key: None,
        })
    }
}

/// The base without what the calls add, however the caller wrote it.
fn parse_base(text: &str) -> Result<(String, Url)> {
    const WRONG: Error = Error::Setup("the base must be an http or https URL with a host");
    let mut base = text.trim().trim_end_matches('/');
    for suffix in ["/admin/v1", "/simulator/v1", "/v1"] {
        base = base.strip_suffix(suffix).unwrap_or(base);
    }
    let url = Url::parse(base).map_err(|_| WRONG)?;
    let plain = url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err(WRONG);
    }
    Ok((base.trim_end_matches('/').to_owned(), url))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn header_map(headers: &[(&str, &str)]) -> Result<HeaderMap> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).map_err(|_| Error::Setup("no header's name"))?;
        let value = HeaderValue::try_from(*value).map_err(|_| Error::Setup("no header's value"))?;
        map.append(name, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_taken_as_people_write_it() {
        for (text, base) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            (" http://127.0.0.1:8080/v1/ ", "http://127.0.0.1:8080"),
            ("https://sb.example.org/simulator/v1", "https://sb.example.org"),
            ("https://example.org/sb/admin/v1", "https://example.org/sb"),
        ] {
            assert_eq!(parse_base(text).unwrap().0, base, "{text}");
        }
        for text in ["", "127.0.0.1:8080", "ftp://example.org", "http://x.org/?a=b", "file:///x"] {
            assert!(parse_base(text).is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_is_known_by_name_and_address() {
        for (text, expected) in [
            ("http://localhost:1", true),
            ("http://127.8.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example.org", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_client_does_not_show_its_key() {
        let client = Client::new("https://example.org", "sk_live_hush").unwrap();
        assert!(!format!("{client:?}").contains("hush"));
        let builder = ClientBuilder::new("https://example.org").key("sk_live_hush");
        assert!(!format!("{builder:?}").contains("hush"));
        assert!(matches!(Client::new("https://example.org", "a\nb"), Err(Error::Setup(_))));
    }
}
