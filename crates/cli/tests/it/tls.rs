//! Webhooks over TLS: HTTP/2 where the endpoint speaks it, one connection for many deliveries, and nothing for an
//! endpoint that can't prove its name.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response, Version};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use switchboard_client::{ContactText, CreateWebhook, Deliveries};
use switchboard_model::EventKind;
use switchboard_testkit::eventually;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::process::{ANY_PORT, Dev};

const TEXTS: usize = 20;

/// What came to an endpoint.
#[derive(Debug, Default)]
struct Came {
    connections: AtomicUsize,
    versions: Mutex<Vec<Version>>,
}

impl Came {
    fn versions(&self) -> Vec<Version> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An endpoint that speaks these protocols over TLS, its certificate in a file, and what comes to it.
async fn endpoint(dir: &Path, protocols: &[&str]) -> (String, Arc<Came>) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("endpoint.pem"), own.cert.pem()).unwrap();
    let chain = vec![CertificateDer::from(own.cert.der().to_vec())];
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let url = format!("https://localhost:{}/hook", listener.local_addr().unwrap().port());
    let came = Arc::new(Came::default());
    let seen = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let answer = service_fn(|request: Request<Incoming>| {
                    seen.versions
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(request.version());
                    async { Ok::<_, hyper::Error>(Response::new(String::new())) }
                });
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    (url, came)
}

async fn start(dir: &Path, trusted: Option<&Path>, url: &str) -> Dev {
    let mut command = Dev::command(dir, ANY_PORT);
    command.arg("--json").env_remove("SSL_CERT_DIR").env_remove("SSL_CERT_FILE");
    if let Some(trusted) = trusted {
        command.env("SSL_CERT_FILE", trusted);
    }
    let dev = Dev::ready(&mut command).await;
    let wanted = CreateWebhook::new(&dev.ready.line, url, [EventKind::MessageReceived]);
    dev.ready.client().create_webhook(&wanted).await.unwrap();
    dev
}

async fn text(dev: &Dev, number: usize) {
    let text = ContactText {
        line: dev.ready.line.clone(),
        from: format!("+1555016{number:04}"),
        text: Some("hello".into()),
        ..ContactText::default()
    };
    dev.ready.phones().text(&text).await.unwrap();
}

/// Sends one text, and when that has come, all others at once. Answers over how many connections they came.
async fn send_all(protocols: &[&str], version: Version) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let (url, came) = endpoint(dir.path(), protocols).await;
    let trusted = dir.path().join("endpoint.pem");
    let dev = start(&dir.path().join("data"), Some(&trusted), &url).await;
    text(&dev, 0).await;
    eventually("the first came", async || (came.versions().len() == 1).then_some(())).await;
    for number in 1..TEXTS {
        text(&dev, number).await;
    }
    eventually("all came", async || (came.versions().len() == TEXTS).then_some(())).await;
    assert_eq!(came.versions(), [version; TEXTS]);
    dev.stop().await;
    came.connections.load(Ordering::SeqCst)
}

#[tokio::test]
async fn deliveries_share_a_connection_of_http_2() {
    assert_eq!(send_all(&["h2", "http/1.1"], Version::HTTP_2).await, 1);
}

#[tokio::test]
async fn deliveries_take_turns_on_connections_of_http_1() {
    let connections = send_all(&["http/1.1"], Version::HTTP_11).await;
    assert!(connections < TEXTS, "{connections} connections for {TEXTS} deliveries");
}

#[tokio::test]
async fn an_endpoint_that_can_not_prove_its_name_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (url, came) = endpoint(dir.path(), &["h2", "http/1.1"]).await;
    let dev = start(&dir.path().join("data"), None, &url).await;
    text(&dev, 0).await;
    let client = dev.ready.client();
    let error = eventually("the first attempt has failed", async || {
        let all = client.deliveries(&Deliveries::default()).all(1).await.unwrap();
        all.first().and_then(|one| one.error.clone())
    })
    .await;
    let told = "the endpoint's TLS certificate is not trusted, not valid now, or not for this name";
    assert_eq!(error, told);
    let webhook = client.webhooks("").await.unwrap().value.data.remove(0);
    let tried = client.test_webhook(webhook.id).await.unwrap().value;
    assert_eq!(tried.error.as_deref(), Some(told));
    assert_eq!(came.versions(), []);
    dev.stop().await;
}
