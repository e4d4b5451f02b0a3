//! What has worked and was not settled when the process was killed is settled at the next start, and not sent again.

use std::{fs, time::Duration};

use switchboard_client::Deliveries;
use switchboard_model::{
    Timestamp,
    chat::Service,
    delivery::{AttemptResult, DeliveryStatus, DueDelivery},
    id::Id,
    link::{Inbound, InboundChat, InboundMessage},
    time::{Clock, Now},
};
use switchboard_server::SystemClock;
use switchboard_store::Store;
use switchboard_testkit::{LINE, Receiver, Setup, Tenant};

use crate::{attempts::hook, world::CONTACT};

/// Bytes of one place in the file.
const PLACE: usize = 4096;

/// Lets texts come in while no server runs; answers their deliveries.
async fn receive(store: &dyn Store, tenant: &Tenant, texts: [&str; 3]) -> Vec<DueDelivery> {
    let bridge = store.bridges().await.unwrap()[0].id;
    let link = store.open_link(bridge, SystemClock.now()).await.unwrap().link;
    let text = |text: &str| {
        Inbound::Message(InboundMessage {
            guid: text.to_owned(),
            chat: InboundChat::Contact { handle: CONTACT.parse().unwrap() },
            sender: CONTACT.parse().unwrap(),
            text: Some(text.to_owned()),
            sent_at: Timestamp(0),
            service: Service::IMessage,
            reply_to_guid: None,
            attachments: Vec::new(),
            is_audio_message: false,
        })
    };
    let entries = texts.map(text).into();
    let now = SystemClock.now();
    let received = store.receive(link, tenant.line_id, "3".to_owned(), entries, now).await.unwrap();
    received.committed.deliveries
}

/// What an attempt leaves that has worked.
fn worked(delivery: &DueDelivery) -> Vec<u8> {
    let result = AttemptResult {
        seq: delivery.seq,
        delivery_id: delivery.id,
        webhook_id: delivery.webhook_id,
        url: delivery.url.clone(),
        attempts: 1,
        started_at: SystemClock.now(),
        duration_ms: 7,
        status: Some(204),
        answer: None,
        error: None,
        cause: None,
        next_attempt_at: None,
        finished_at: Now { wall: SystemClock.now(), steady: SystemClock.steady() },
    };
    let mut place = serde_json::to_vec(&result).unwrap();
    place.push(b'\n');
    place.resize(PLACE, 0);
    place
}

#[tokio::test]
async fn what_had_worked_before_a_kill_is_not_sent_again() {
    let server = Setup::new().unlinked().start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    hook(&tenant, &receiver).await;
    let file = server.data_dir().join("answered");
    let setup = server.shut_down().await;

    let store = setup.open_store().await;
    let due = receive(&*store, &tenant, ["first", "second", "third"]).await;
    store.close().await;
    // The places of the first and the third; between them one that was cut, and one of a delivery that nobody knows.
    let mut unknown = due[1].clone();
    unknown.id = Id::generate();
    let cut = [&worked(&due[1])[..40], &vec![0; PLACE - 40]].concat();
    let places = [worked(&due[0]), cut, worked(&unknown), worked(&due[2])].concat();
    fs::write(&file, places).unwrap();

    let server = setup.start().await;
    let received = receiver.wait_for(1, Duration::from_secs(20)).await.unwrap();
    assert_eq!(received[0].json()["data"]["text"], "second");
    let client = server.client(&tenant.key);
    let all = client.deliveries(&Deliveries::default()).all(10).await.unwrap();
    for settled in [&due[0], &due[2]] {
        let shown = all.iter().find(|one| one.id == settled.id).unwrap();
        assert_eq!(shown.status, DeliveryStatus::Delivered);
        assert_eq!((shown.attempts.len(), shown.attempts[0].status), (1, Some(204)));
    }
    assert_eq!(receiver.count(), 1, "and nothing else");
    server.stop().await;
}
