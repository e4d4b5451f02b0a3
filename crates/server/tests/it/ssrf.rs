//! The SSRF guard through the front door: whatever a webhook's URL says, nobody is dialled who must
//! not be. 127.0.0.2 and ::1 are forbidden, listen, and count who comes; where somebody may be
//! dialled it is 127.0.0.1, which plays the internet.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use switchboard_client::CreateWebhook;
use switchboard_model::{Code, EventKind::MessageReceived, time::Clock};
use switchboard_server::Resolver;
use switchboard_store::WaitingWebhook;
use switchboard_testkit::{
    LINE, Receiver, Setup, TestClock, TestServer, eventually,
    receiver::{Behaviour, Reply},
};
use tokio::net::TcpListener;

use crate::{
    call::{Call, assert_refused},
    deliveries::next_retry,
};

const CONTACT: &str = "+15550100002";
const PATIENCE: Duration = Duration::from_secs(10);

/// Where nobody may connect to.
struct Forbidden {
    port: u16,
    came: Arc<AtomicUsize>,
}

impl Forbidden {
    async fn listen() -> Self {
        let came = Arc::new(AtomicUsize::new(0));
        let v4 = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = v4.local_addr().unwrap().port();
        let mut listeners = vec![v4];
        // Not every machine has IPv6.
        listeners.extend(TcpListener::bind(format!("[::1]:{port}")).await);
        for listener in listeners {
            let came = Arc::clone(&came);
            tokio::spawn(async move {
                while listener.accept().await.is_ok() {
                    came.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        Self { port, came }
    }

    fn count(&self) -> usize {
        self.came.load(Ordering::Acquire)
    }
}

/// Names that mean what a test wants: one answer after another, the last one for ever.
#[derive(Debug, Default)]
struct Names {
    answers: HashMap<String, Vec<Vec<IpAddr>>>,
    asked: Mutex<HashMap<String, usize>>,
}

impl Names {
    fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

#[async_trait::async_trait]
impl Resolver for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut asked = self.asked.lock().unwrap();
        let times = asked.entry(name.to_owned()).or_default();
        let answers = self.answers.get(name).ok_or(io::ErrorKind::NotFound)?;
        let answer = answers[(*times).min(answers.len() - 1)].clone();
        *times += 1;
        Ok(answer)
    }
}

/// As in production, but for http.
fn guarded(setup: Setup) -> Setup {
    setup.strict_webhooks().config(|config| config.webhook_allow_http = true)
}

/// The one address of the receivers is allowed.
fn but_one(setup: Setup) -> Setup {
    guarded(setup)
        .config(|config| config.webhook_allow_networks = vec!["127.0.0.1/32".parse().unwrap()])
}

/// Every way to write an address that is no one's business, and every trick to hide one. `PORT` is where
/// somebody listens.
const REFUSED: [&str; 89] = [
    // One address in every notation that some parser takes.
    "http://127.0.0.2:PORT/",
    "http://127.0.2:PORT/",
    "http://127.2:PORT/",
    "http://2130706434:PORT/",
    "http://0x7f000002:PORT/",
    "http://0X7F.0x0.0x0.0x2:PORT/",
    "http://0x7f.2:PORT/",
    "http://0177.0.0.2:PORT/",
    "http://017700000002:PORT/",
    "http://0000177.0000.0000.0002:PORT/",
    "http://127.0.0.2.:PORT/",
    "http://127.00.00.02:PORT/",
    "http://%31%32%37.0.0.2:PORT/",
    "http://127%2e0%2e0%2e2:PORT/",
    "http://１２７.0.0.2:PORT/",
    "http://①②⑦.0.0.2:PORT/",
    "http://127。0。0。2:PORT/",
    "http://127．0．0．2:PORT/",
    "http://\t127.0.0.2:PORT/",
    "ht\ntp://127.0.0.2:PORT/",
    " http://127.0.0.2:PORT/ ",
    "HTTP://127.0.0.2:PORT/",
    "http:127.0.0.2:PORT/",
    "http:/127.0.0.2:PORT/",
    "http:///127.0.0.2:PORT/",
    "http:\\\\127.0.0.2:PORT\\",
    // Other addresses of this machine, and none at all.
    "http://127.255.255.254:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0:PORT/",
    "http://0.1.2.3:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://db.localhost:PORT/",
    "http://ｌｏｃａｌｈｏｓｔ:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000::0001]:PORT/",
    "http://[::]:PORT/",
    // IPv4 inside IPv6.
    "http://[::ffff:127.0.0.2]:PORT/",
    "http://[::ffff:7f00:2]:PORT/",
    "http://[0:0:0:0:0:ffff:127.0.0.2]:PORT/",
    "http://[::127.0.0.2]:PORT/",
    "http://[::ffff:0:127.0.0.2]:PORT/",
    "http://[64:ff9b::127.0.0.2]:PORT/",
    "http://[64:ff9b::a00:1]:PORT/",
    "http://[64:ff9b:1::7f00:2]:PORT/",
    "http://[2002:7f00:2::]:PORT/",
    "http://[2002:a00:1::1]:PORT/",
    "http://[2001:0:7f00:2::1]:PORT/",
    // The rest of IPv6 that is not the internet.
    "http://[fc00::1]:PORT/",
    "http://[fd12:3456:789a::1]:PORT/",
    "http://[fe80::1]:PORT/",
    "http://[fe80::1%25lo]:PORT/",
    "http://[fec0::1]:PORT/",
    "http://[ff02::1]:PORT/",
    "http://[2001:db8::1]:PORT/",
    "http://[3fff::1]:PORT/",
    "http://[100::1]:PORT/",
    "http://[5f00::1]:PORT/",
    // The rest of IPv4 that is not the internet.
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://100.127.255.254/",
    "http://192.0.0.8/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    // Who is the host, and who the user?
    "http://example.com@127.0.0.2:PORT/",
    "http://127.0.0.1:PORT@127.0.0.2:PORT/",
    "http://user:password@example.com/",
    "http://127.0.0.2:PORT\\@example.com/",
    "http://127.0.0.2:PORT#@example.com/",
    "http://127.0.0.2:PORT?@example.com/",
    // Other schemes, and other services.
    "file:///etc/passwd",
    "gopher://127.0.0.2:PORT/_",
    "ftp://127.0.0.2:PORT/",
    "//127.0.0.2:PORT/",
    "http://example.com:22/",
    "http://example.com:25/",
    "http://example.com:0/",
];

#[tokio::test]
async fn no_notation_names_a_forbidden_address() {
    let forbidden = Forbidden::listen().await;
    let server = guarded(Setup::new()).start().await;
    let tenant = server.tenant(LINE).await;
    for url in REFUSED {
        let url = url.replace("PORT", &forbidden.port.to_string());
        let body = serde_json::json!({ "from": LINE, "url": url, "events": ["message.received"] });
        let answer = Call::post("/v1/webhooks", &body).key(&tenant.key).send(&server.url).await;
        assert_refused(&url, &answer, Code::InvalidParameterValue, Some("url"));
    }
    assert!(tenant.client.webhooks("").await.unwrap().value.data.is_empty());
    server.text(LINE, CONTACT, "Is anybody there?").await;
    server.stop().await;
    assert_eq!(forbidden.count(), 0);
}

/// The same URLs in a database that was written under another policy.
#[tokio::test]
async fn what_was_allowed_before_is_not_dialled_now() {
    let forbidden = Forbidden::listen().await;
    let clock = TestClock::now();
    let permissive = |setup: Setup| {
        setup.config(|config| {
            config.webhook_allow_http = true;
            config.webhook_allow_networks =
                ["0.0.0.0/0", "::/0"].map(|all| all.parse().unwrap()).to_vec();
        })
    };
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = permissive(setup).start().await;
    let tenant = server.tenant(LINE).await;
    let mut made = 0;
    for url in REFUSED {
        let url = url.replace("PORT", &forbidden.port.to_string());
        let wanted = CreateWebhook::new(LINE, &url, [MessageReceived]);
        made += usize::from(tenant.client.create_webhook(&wanted).await.is_ok());
    }
    assert!(made > 60, "{made} were made while they were allowed");
    let server = server.restart_with(guarded).await;
    server.text(LINE, CONTACT, "Is anybody there?").await;
    // Every first attempt has failed when every second one is planned.
    eventually("all are planned anew", async || {
        let (waiting, _) = server.store.waiting_webhooks(None).await.unwrap();
        let planned = clock.now()..=clock.now() + Duration::from_secs(7);
        let is_planned = |one: &WaitingWebhook| {
            !one.has_untried && one.retry_at.is_some_and(|at| planned.contains(&at))
        };
        (waiting.len() == made && waiting.iter().all(is_planned)).then_some(())
    })
    .await;
    server.stop().await;
    assert_eq!(forbidden.count(), 0);
}

const GOOD: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A server whose names mean this, with a webhook for each, under test time.
async fn with_names(
    names: &[(&str, Vec<Vec<IpAddr>>)],
    port: u16,
) -> (TestServer, Arc<TestClock>, Arc<Names>) {
    let answers = names.iter().map(|(name, answers)| ((*name).to_owned(), answers.clone()));
    let names = Arc::new(Names { answers: answers.collect(), asked: Mutex::default() });
    let clock = TestClock::now();
    let setup = Setup::new()
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .resolver(Arc::clone(&names) as Arc<dyn Resolver>);
    let server = but_one(setup).start().await;
    let tenant = server.tenant(LINE).await;
    for name in names.answers.keys() {
        let url = format!("http://{name}:{port}/hook");
        let wanted = CreateWebhook::new(LINE, &url, [MessageReceived]);
        tenant.client.create_webhook(&wanted).await.unwrap();
    }
    (server, clock, names)
}

/// Moves the clock on from retry to retry until each name was asked for so often.
async fn attempted(server: &TestServer, clock: &TestClock, names: &Names, times: usize) {
    eventually("all are attempted", async || {
        let now = clock.now();
        if let Some(next) = next_retry(server).await {
            clock.advance(next.since(now));
        }
        names.answers.keys().all(|name| names.asked(name) >= times).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_name_is_dialled_only_where_it_is_allowed() {
    let forbidden = Forbidden::listen().await;
    let names = [
        "127.0.0.2",
        "::1",
        "::ffff:127.0.0.2",
        "::127.0.0.2",
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "fd00::1",
        "fe80::1",
        "64:ff9b::7f00:2",
        "2002:7f00:2::1",
        "2001:0:7f00:2::1",
    ];
    let named: Vec<_> = (0..names.len()).map(|number| format!("n{number}.example")).collect();
    let mut table: Vec<(&str, Vec<Vec<IpAddr>>)> =
        named.iter().zip(names).map(|(name, ip)| (name.as_str(), vec![ips(&[ip])])).collect();
    table.push(("several.example", vec![ips(&["127.0.0.2", "::1", "10.0.0.1"])]));
    table.push(("nothing.example", vec![Vec::new()]));
    let (server, clock, names) = with_names(&table, forbidden.port).await;
    server.text(LINE, CONTACT, "Is anybody there?").await;
    // Who is asked for the second time has been attempted once.
    attempted(&server, &clock, &names, 2).await;
    server.stop().await;
    assert_eq!(forbidden.count(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let forbidden = Forbidden::listen().await;
    // The same port at the allowed address. Its answers end the connection: each attempt asks anew.
    let allowed = TcpListener::bind(SocketAddr::new(GOOD, forbidden.port)).await.unwrap();
    let reached = Arc::new(AtomicUsize::new(0));
    tokio::spawn({
        let reached = Arc::clone(&reached);
        async move {
            while let Ok((stream, _)) = allowed.accept().await {
                reached.fetch_add(1, Ordering::AcqRel);
                drop(stream);
            }
        }
    });
    // Good when it is asked first, and then never again; and the other way round; and both at once.
    let bad = || ips(&["127.0.0.2"]);
    let table = [
        ("rebinds.example", vec![vec![GOOD], bad(), bad()]),
        ("settles.example", vec![bad(), bad(), vec![GOOD]]),
        ("both.example", vec![ips(&["127.0.0.2", "127.0.0.1", "::1"])]),
    ];
    let (server, clock, names) = with_names(&table, forbidden.port).await;
    server.text(LINE, CONTACT, "Is anybody there?").await;
    attempted(&server, &clock, &names, 3).await;
    server.stop().await;
    assert_eq!(forbidden.count(), 0);
    assert!(reached.load(Ordering::Acquire) >= 4, "what is allowed is dialled");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let forbidden = Forbidden::listen().await;
    let server = but_one(Setup::new()).start().await;
    let tenant = server.tenant(LINE).await;
    let location = format!("http://127.0.0.2:{}/", forbidden.port);
    let mut receivers = Vec::new();
    for status in [301, 302, 303, 307, 308] {
        let receiver = Receiver::start().await;
        receiver.set(Behaviour::Answer(Reply::new(status).header("location", &location)));
        let wanted = CreateWebhook::new(LINE, receiver.url(), [MessageReceived]);
        tenant.client.create_webhook(&wanted).await.unwrap();
        receivers.push(receiver);
    }
    server.text(LINE, CONTACT, "Is anybody there?").await;
    for receiver in &receivers {
        receiver.wait_for(1, PATIENCE).await.unwrap();
    }
    // All have failed: what is due next are the retries.
    eventually("all are planned anew", async || {
        let (waiting, _) = server.store.waiting_webhooks(None).await.unwrap();
        let is_planned = |one: &WaitingWebhook| !one.has_untried && one.retry_at.is_some();
        (!waiting.is_empty() && waiting.iter().all(is_planned)).then_some(())
    })
    .await;
    server.stop().await;
    assert_eq!(forbidden.count(), 0);
}
