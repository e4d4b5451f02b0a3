//! Why a delivery fails tells a webhook's owner nothing of the names and ports inside.

use std::{collections::HashSet, io, net::IpAddr, sync::Arc};

use switchboard_client::{CreateWebhook, Deliveries};
use switchboard_model::EventKind::MessageReceived;
use switchboard_server::Resolver;
use switchboard_testkit::{LINE, Receiver, Setup, eventually, receiver::Behaviour};
use tokio::net::TcpListener;

use crate::world::CONTACT;

/// Names inside: some are there, one is not.
#[derive(Debug)]
struct Inside;

#[async_trait::async_trait]
impl Resolver for Inside {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let ip = |text: &str| Ok(vec![text.parse().unwrap()]);
        match name {
            "private.internal" => ip("10.1.2.3"),
            "metadata.internal" => ip("169.254.169.254"),
            "closed.internal" | "open.internal" => ip("127.0.0.1"),
            "empty.internal" => Ok(Vec::new()),
            _ => Err(io::Error::other(format!("failed to lookup {name} at 10.0.0.53: NXDOMAIN"))),
        }
    }
}

#[tokio::test]
async fn names_and_ports_inside_look_alike() {
    let setup = Setup::new().resolver(Arc::new(Inside) as Arc<dyn Resolver>);
    let setup = setup.config(|config| {
        // Only loopback is allowed: there one port refuses, and nothing else of the inside is.
        config.webhook_allow_networks = vec!["127.0.0.1/32".parse().unwrap()];
    });
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let urls = [
        "http://missing.internal/".to_owned(),
        "http://empty.internal/".to_owned(),
        "http://private.internal/".to_owned(),
        "http://metadata.internal/latest/meta-data".to_owned(),
        format!("http://closed.internal:{closed}/"),
        format!("http://127.0.0.1:{closed}/"),
    ];
    for url in &urls {
        let webhook = CreateWebhook::new(LINE, url, [MessageReceived]);
        tenant.client.create_webhook(&webhook).await.unwrap();
    }
    server.text(LINE, CONTACT, "Is anybody there?").await;
    let failed = eventually("all have failed", async || {
        let all = tenant.client.deliveries(&Deliveries::default()).all(100).await.unwrap();
        let failed = all.iter().filter(|one| one.error.is_some()).count() == urls.len();
        failed.then_some(all)
    })
    .await;
    let told: HashSet<_> = failed
        .iter()
        .flat_map(|one| {
            one.attempts.iter().map(|attempt| attempt.error.clone()).chain([one.error.clone()])
        })
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let told = told.into_iter().next().flatten().unwrap();
    for word in
        ["10.", "127.", "169.", "lookup", "NXDOMAIN", "refused", "resolve", "dns", "os error"]
    {
        assert!(!told.contains(word), "{told}");
    }
    // And what is tried by hand.
    let webhooks = tenant.client.webhooks("").await.unwrap().value.data;
    for webhook in webhooks {
        let came = tenant.client.test_webhook(webhook.id).await.unwrap().value;
        assert_eq!(came.error.as_deref(), Some(told.as_str()), "{}", webhook.url);
    }
    // Who is reached and says nothing good is told so.
    let receiver = Receiver::start().await;
    receiver.set(Behaviour::status(500));
    let webhook = CreateWebhook::new(LINE, receiver.url(), [MessageReceived]);
    let webhook = tenant.client.create_webhook(&webhook).await.unwrap().value;
    let came = tenant.client.test_webhook(webhook.id).await.unwrap().value;
    assert_eq!(came.error.as_deref(), Some("the endpoint answered 500"));
    server.stop().await;
}
