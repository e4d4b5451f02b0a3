#![allow(missing_docs, clippy::all, clippy::print_stdout, clippy::unwrap_used)]
use std::{sync::Arc, time::Instant};
use switchboard_model::{*, id::Id, chat::*, line::*, link::*, secret::SecretHash};
use switchboard_store::{*, sqlite::*};
const NOW: Timestamp = Timestamp(1_700_000_000_000);
#[tokio::main]
async fn main() {
    let dir = std::path::PathBuf::from(format!("/dev/shm/hot{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&dir.join("a.db"), SqliteOptions::default()).unwrap());
    let bridge = store.ensure_simulator_bridge(SecretHash([1; 32]), NOW).await.unwrap().id;
    let account = store.create_account("a".into(), NOW).await.unwrap().id;
    let line = store.create_line(NewLine { account_id: account, handle: "+15550100001".parse().unwrap(), label: None, service: LineService::Auto, driver: DriverKind::Simulator, bridge_id: None, contact_first: false, is_sandbox: false }).await.unwrap().line.id;
    store.create_webhook(NewWebhook { id: Id::generate(), account_id: account, line_ids: None, url: "https://e.com".into(), events: vec![EventKind::MessageSent, EventKind::MessageReceived], secret: webhook::WebhookSecret::from_random([1;32]) }, None, NOW).await.unwrap();
    let n = 40_000usize;
    let t = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { for i in 0..n/64 {
            let to: Handle = format!("+1555{:07}", (task*1000+i) % 2000 + 100_0000).parse().unwrap();
            let a = Accept { id: Id::generate(), account_id: account, line_id: line, to: Recipient::Contact(to), content: NewContent::Message { text: Some("hello there".into()), attachment: None, reply_to: None }, payload: serde_json::value::RawValue::from_string(r#"{"from":"+15550100001","to":"+15550100002","text":"hello there"}"#.into()).unwrap() };
            store.accept(a, None, NOW).await.unwrap();
        }});
    }
    while tasks.join_next().await.is_some() {}
    println!("accept  {:.2} us", t.elapsed().as_secs_f64()*1e6/n as f64);
    let (mut claim, mut settle, mut m) = (0.0, 0.0, 0);
    loop {
        let t = Instant::now();
        let items = store.claim(bridge, line, vec![], 128, NOW).await.unwrap();
        claim += t.elapsed().as_secs_f64();
        if items.is_empty() { break; }
        let reports: Vec<_> = items.iter().map(|i| { m += 1; SettleReport { id: i.id, counts_as_attempt: true, outcome: Outcome::Sent { guid: format!("guid-{m:030}"), sent_at: NOW, service: Service::IMessage } } }).collect();
        let t = Instant::now();
        store.settle(bridge, reports, NOW, NOW).await.unwrap();
        settle += t.elapsed().as_secs_f64();
    }
    println!("claim   {:.2} us\nsettle  {:.2} us", claim*1e6/m as f64, settle*1e6/m as f64);
    let mut rec = 0.0;
    for b in 0..n/128 {
        let entries = (0..128).map(|i| { let h: Handle = format!("+1555{:07}", (b*128+i) % 2000 + 100_0000).parse().unwrap();
            Inbound::Message(InboundMessage { guid: format!("in-{:030}", b*128+i), chat: InboundChat::Contact { handle: h.clone() }, sender: h, text: Some("hello you".into()), sent_at: NOW, service: Service::IMessage, reply_to_guid: None, attachments: vec![], is_audio_message: false }) }).collect();
        let t = Instant::now();
        store.receive(bridge, line, "1".into(), entries, NOW, NOW).await.unwrap();
        rec += t.elapsed().as_secs_f64();
    }
    println!("receive {:.2} us", rec*1e6/n as f64);
    std::fs::remove_dir_all(dir).unwrap();
}
