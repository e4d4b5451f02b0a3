//! Two bridges of one line, from outside: who is handed what, and who may tell of it.

use std::{sync::Arc, time::Duration};

use switchboard_client::{CreateBridge, SendMessage};
use switchboard_model::{
    Code, OutboxItem, Timestamp,
    chat::Service,
    id::Id,
    line::DriverKind,
    link::{
        BridgeFrame, Inbound, InboundChat, InboundMessage, LineRole, Outcome, ReconciledState,
        Report, ServerFrame,
    },
    outbox::OutboxStatus,
};
use switchboard_testkit::{LINE, Setup, Tenant, TestClock, TestServer, eventually};

use crate::bridge::{Link, Mac};

const MAC: &str = "+15550100008";
const ANN: &str = "+15550100002";
const BOB: &str = "+15550100003";

/// A line with two bridges.
struct Pair {
    server: TestServer,
    tenant: Tenant,
    one: Mac,
    other: Mac,
    clock: Arc<TestClock>,
}

impl Pair {
    async fn make() -> Self {
        let clock = TestClock::now();
        let server = Setup::new().clock(Arc::<TestClock>::clone(&clock)).start().await;
        let tenant = server.tenant(LINE).await;
        let one = Mac::make(&server, &tenant, MAC).await;
        let bridge = CreateBridge { name: "second mac".to_owned(), driver: DriverKind::Imsg };
        let bridge = server.admin().create_bridge(&bridge).await.unwrap().value;
        let token = bridge.token.reveal().to_owned();
        let other = Mac { id: bridge.bridge.id, token, line: one.line.clone() };
        let set = server.admin().set_standby(one.line.id, Some(&other.id.to_string())).await;
        let set = set.unwrap().value;
        assert_eq!((set.bridge_id, set.standby_bridge_id), (Some(one.id), Some(other.id)));
        assert!(set.line.health.is_some(), "as each answer about a line");
        Self { server, tenant, one, other, clock }
    }

    /// A bridge that is linked and says that the line is ready.
    async fn linked(&self, mac: &Mac, role: LineRole) -> Link {
        let mut link = mac.dial(&self.server).await;
        assert_eq!(link.lines.iter().map(|line| line.role).collect::<Vec<_>>(), [role]);
        link.take(&self.one.line, &ReconciledState::NeverStarted).await;
        link
    }

    async fn send(&self, to: &str) -> Id<OutboxItem> {
        let message = SendMessage::text(MAC, to, "x");
        self.tenant.client.send_message(&message).await.unwrap().value.id
    }

    /// Whether this bridge carries the line.
    async fn carried_by(&self, mac: &Mac) -> Option<()> {
        let lines = self.server.admin().lines().await.unwrap().value.data;
        let line = lines.into_iter().find(|one| one.line.id == self.one.line.id)?;
        (line.bridge_id == Some(mac.id)).then_some(())
    }

    /// Waits until the line's standby is said to be ready, or not.
    async fn ready(&self, ready: bool) {
        eventually(&format!("the standby is ready: {ready}"), async || {
            let lines = self.server.admin().lines().await.unwrap().value.data;
            let line = lines.into_iter().find(|one| one.line.id == self.one.line.id)?;
            (line.standby_ready == Some(ready)).then_some(())
        })
        .await;
    }

    fn told(&self, position: &str, guid: &str) -> BridgeFrame {
        let handle: switchboard_model::Handle = ANN.parse().unwrap();
        let entries = vec![Inbound::Message(InboundMessage {
            guid: guid.to_owned(),
            chat: InboundChat::Contact { handle: handle.clone() },
            sender: handle,
            text: Some(guid.to_owned()),
            sent_at: Timestamp(0),
            service: Service::IMessage,
            reply_to_guid: None,
            attachments: Vec::new(),
            is_audio_message: false,
        })];
        BridgeFrame::Inbound { line_id: self.one.line.id, position: position.to_owned(), entries }
    }
}

/// What the bridge is to its line, as it is told next.
async fn next_role(link: &mut Link, role: LineRole) {
    loop {
        if let ServerFrame::Lines { lines } = link.next().await.expect("the link lives")
            && lines[0].role == role
        {
            return;
        }
    }
}

async fn received(link: &mut Link, at: &str) {
    loop {
        if let ServerFrame::Received { position, .. } = link.next().await.expect("the link lives") {
            assert_eq!(position, at);
            return;
        }
    }
}

#[tokio::test]
async fn a_standby_takes_over_when_the_other_is_away_and_nothing_is_handed_out_twice() {
    let pair = Pair::make().await;
    let mut one = pair.linked(&pair.one, LineRole::Active).await;
    let first = pair.send(ANN).await;
    assert_eq!(one.items().await[0].id, first);
    let mut other = pair.linked(&pair.other, LineRole::Standby).await;
    // It is not the standby's to tell.
    other.say(&pair.told("9", "too early")).await;
    drop(one);
    eventually("the line is down", async || {
        let lines = pair.tenant.client.lines().await.unwrap().value.data;
        lines.iter().any(|line| line.id == pair.one.line.id && !line.status.online).then_some(())
    })
    .await;
    let (behind, next) = (pair.send(ANN).await, pair.send(BOB).await);
    // The job may look between two moves of the clock, and then sleeps until a later one.
    eventually("the standby carries the line", async || {
        pair.clock.advance(Duration::from_secs(1));
        pair.carried_by(&pair.other).await
    })
    .await;
    // The batch that was passed over is told again, with a new link.
    other.bye().await;
    let mut other = pair.linked(&pair.other, LineRole::Active).await;
    // What the one before holds stays its own, and what follows in that chat waits for it.
    assert_eq!(other.items().await.iter().map(|item| item.id).collect::<Vec<_>>(), [next]);
    other.say(&pair.told("9", "now")).await;
    received(&mut other, "9").await;
    let guids = async || {
        let messages = pair.tenant.client.messages(MAC, ANN).all(10).await.unwrap_or_default();
        messages.into_iter().map(|message| message.guid).collect::<Vec<_>>()
    };
    assert_eq!(guids().await, ["now"]);

    // It comes back: it stands by, says what became of what it was handed, and tells of nothing else.
    let mut one = pair.one.dial(&pair.server).await;
    assert_eq!((one.lines[0].role, &*one.reconcile), (LineRole::Standby, &[first][..]));
    let (guid, service) = ("sent".to_owned(), Service::IMessage);
    let outcome = Outcome::Sent { guid, sent_at: Timestamp(0), service, delivered_at: None };
    one.take(&pair.one.line, &ReconciledState::Finished { outcome }).await;
    one.say(&pair.told("5", "refused")).await;
    assert_eq!(other.items().await.iter().map(|item| item.id).collect::<Vec<_>>(), [behind]);
    assert_eq!(pair.tenant.client.outbox(first).await.unwrap().value.status, OutboxStatus::Sent);
    assert_eq!(guids().await, ["sent", "now"]);
    drop((one, other));
    pair.server.stop().await;
}

#[tokio::test]
async fn the_operator_lets_them_change_places_and_what_was_handed_out_stays() {
    let pair = Pair::make().await;
    let mut one = pair.linked(&pair.one, LineRole::Active).await;
    let mut other = pair.linked(&pair.other, LineRole::Standby).await;
    let ids = [pair.send(ANN).await, pair.send(ANN).await];
    let mut held = one.items().await;
    while held.len() < 2 {
        held.extend(one.items().await);
    }
    pair.ready(true).await;
    let taken = pair.server.admin().take_over_line(pair.one.line.id, false).await.unwrap().value;
    assert_eq!(
        (taken.bridge_id, taken.standby_bridge_id),
        (Some(pair.other.id), Some(pair.one.id))
    );
    assert!(taken.line.health.is_some(), "as each answer about a line");
    next_role(&mut one, LineRole::Standby).await;
    next_role(&mut other, LineRole::Active).await;
    let next = pair.send(ANN).await;
    // One was never begun, the other one is out.
    let released = Report { id: ids[1], outcome: Outcome::Released };
    let failed = Report { id: ids[0], outcome: Outcome::Failed { error: "no".to_owned() } };
    one.say(&BridgeFrame::Report { reports: vec![failed, released] }).await;
    let mut given = other.items().await;
    while given.len() < 2 {
        given.extend(other.items().await);
    }
    assert_eq!(given.iter().map(|item| item.id).collect::<Vec<_>>(), [ids[1], next]);
    // And back again, which is not said to be ready before it says so itself.
    pair.server.admin().take_over_line(pair.one.line.id, true).await.unwrap();
    next_role(&mut one, LineRole::Active).await;
    one.say(&pair.told("1", "after")).await;
    received(&mut one, "1").await;
    drop((one, other));
    pair.server.stop().await;
}

#[tokio::test]
async fn what_can_not_be_a_standby_is_refused() {
    let pair = Pair::make().await;
    let admin = pair.server.admin();
    let phone = CreateBridge { name: "phone".to_owned(), driver: DriverKind::AndroidSms };
    let phone = admin.create_bridge(&phone).await.unwrap().value.bridge.id.to_string();
    let active = pair.one.id.to_string();
    let line = pair.one.line.id;
    for (bridge, code) in [
        ("brg_x", Code::ResourceNotFound),
        (phone.as_str(), Code::InvalidParameterValue),
        (active.as_str(), Code::InvalidParameterValue),
    ] {
        let refused = admin.set_standby(line, Some(bridge)).await.unwrap_err();
        assert_eq!(refused.code(), Some(code), "{bridge}");
    }
    let nowhere = admin.take_over_line("ln_x", false).await.unwrap_err();
    assert_eq!(nowhere.code(), Some(Code::LineNotFound));
    assert_eq!(admin.set_standby(line, None).await.unwrap().value.standby_bridge_id, None);
    let alone = admin.take_over_line(line, true).await.unwrap_err();
    assert_eq!(alone.code(), Some(Code::InvalidParameterValue));
    pair.server.stop().await;
}

#[tokio::test]
async fn a_standby_that_is_not_ready_takes_over_only_if_that_is_meant() {
    let pair = Pair::make().await;
    let (admin, line) = (pair.server.admin(), pair.one.line.id);
    let one = pair.linked(&pair.one, LineRole::Active).await;
    pair.ready(false).await;
    let refused = async || {
        let refused = admin.take_over_line(line, false).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::InvalidParameterValue));
        let switchboard_client::Error::Api { problem, .. } = refused else { unreachable!() };
        assert_eq!(problem.param.as_deref(), Some("force"));
        assert!(problem.message.contains(&pair.other.id.to_string()), "{}", problem.message);
        pair.carried_by(&pair.one).await.expect("nothing has changed");
    };
    refused().await;
    let other = pair.linked(&pair.other, LineRole::Standby).await;
    pair.ready(true).await;
    // One that is gone is not ready any more.
    drop(other);
    pair.ready(false).await;
    refused().await;
    let taken = admin.take_over_line(line, true).await.unwrap().value;
    assert_eq!((taken.bridge_id, taken.standby_ready), (Some(pair.other.id), Some(false)));
    assert!(!taken.line.status.online);
    // Without a standby there is nothing to say.
    assert_eq!(admin.set_standby(line, None).await.unwrap().value.standby_ready, None);
    drop(one);
    pair.server.stop().await;
}
