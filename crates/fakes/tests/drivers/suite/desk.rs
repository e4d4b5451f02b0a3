//! A line of one mode with its people, and what tests ask of all of them.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_bridge::drivers::BlueBubblesWebhook;
use switchboard_client::Client;
use switchboard_fakes::imsg::{Helper, MacOs, Settings};
use switchboard_model::{Message, OutboxItem, id::Id, line::Capability, outbox::OutboxStatus};
use switchboard_testkit::{Setup, eventually};

use super::{
    Mode,
    phones::{Phones, Shown, Simulated},
    table::Can,
};
use crate::rig::{Carrier, LINE, Rig};

/// The least that the app on an Android phone takes: so long may a text wait there.
const SHORT_TTL: Duration = Duration::from_secs(5);

/// A line, its people, and what it can do.
pub(super) struct Desk {
    pub(super) mode: Mode,
    pub(super) can: Can,
    pub(super) rig: Rig<()>,
    pub(super) phones: Box<dyn Phones>,
}

impl Desk {
    pub(super) async fn open(mode: Mode) -> Self {
        Self::furnish(mode, |carrier| carrier).await
    }

    /// The same with a line that is contact-first.
    pub(super) async fn contact_first(mode: Mode) -> Self {
        Self::furnish(mode, Carrier::contact_first).await
    }

    async fn furnish(mode: Mode, change: impl FnOnce(Carrier) -> Carrier) -> Self {
        let can = mode.can();
        if let Mode::Simulator | Mode::SimulatorPlain = mode {
            let folder = tempfile::tempdir().unwrap();
            let (carrier, simulator) = Carrier::simulator(&folder.path().join("phones.jsonl"));
            let server = Setup::new().unlinked().phones(simulator).start().await;
            let phones = server.phones();
            let rig = Rig::on(server, change(carrier)).await;
            if mode == Mode::SimulatorPlain {
                phones.capabilities(LINE, false).await.unwrap();
            }
            let desk = Self { mode, can, rig, phones: Box::new(Simulated::new(phones, folder)) };
            return desk.ready().await;
        }
        let (carrier, phones): (_, Box<dyn Phones>) = match mode {
            Mode::Imsg | Mode::ImsgMacos26 | Mode::ImsgWithoutHelper => {
                let macos =
                    if mode == Mode::ImsgMacos26 { MacOs::Tahoe26 } else { MacOs::Sequoia15 };
                let (carrier, mac) = Carrier::imsg(Settings { macos, ..Settings::default() });
                if mode == Mode::ImsgWithoutHelper {
                    mac.set_helper(Helper::Absent);
                }
                (carrier, Box::new(mac))
            }
            Mode::AndroidSms => {
                let (carrier, phone) =
                    Carrier::android(|_| {}, |options| options.pace.ttl = SHORT_TTL).await;
                (carrier, Box::new(phone))
            }
            _ => {
                let private = mode == Mode::Bluebubbles;
                let webhook =
                    BlueBubblesWebhook { listen: "127.0.0.1:0".parse().unwrap(), url: None };
                let (carrier, server) = Carrier::bluebubbles(
                    |mac| {
                        (mac.private_api, mac.helper_connected) = (private, private);
                        if mode == Mode::BluebubblesScriptsMacos26 {
                            "26.1.0".clone_into(&mut mac.os_version);
                        }
                    },
                    |options| options.webhook = Some(webhook),
                )
                .await;
                (carrier, Box::new(server))
            }
        };
        let server = Setup::new().unlinked().start().await;
        let desk = Self { mode, can, rig: Rig::on(server, change(carrier)).await, phones };
        desk.ready().await
    }

    /// Waits until the line says what it can do.
    async fn ready(self) -> Self {
        eventually("the line can do what it should", async || {
            let line = self.client().lines().await.unwrap().value.data.remove(0);
            (line.capabilities == self.can.does).then_some(())
        })
        .await;
        self
    }

    pub(super) async fn close(mut self) {
        for delivery in self.rig.receiver.received() {
            delivery.verify(&self.rig.secret).expect("both signatures verify");
        }
        self.rig.stop().await;
        self.rig.server.stop().await;
    }

    pub(super) fn client(&self) -> &Client {
        &self.rig.client
    }

    /// A contact writes and is heard.
    pub(super) async fn hears(&self, from: &str, text: &str) -> Message {
        self.phones.writes(from, text).await;
        self.rig.message(from, text).await
    }

    /// A text is sent to the end.
    pub(super) async fn sends(&self, to: &str, text: &str) -> Message {
        let item = self.rig.sent(to, text).await;
        assert_eq!((item.status, item.error), (OutboxStatus::Sent, None), "{text}");
        self.rig.message(to, text).await
    }

    /// An item that was accepted is done.
    pub(super) async fn done(&self, id: Id<OutboxItem>) -> OutboxItem {
        let item = self.rig.ended(id).await;
        assert_eq!((item.status, &item.error), (OutboxStatus::Sent, &None), "{}", item.payload);
        item
    }

    /// What a contact's phone shows of the line's texts of this kind.
    pub(super) async fn shown(&self, person: &str, text: &str) -> Vec<Shown> {
        let shown = self.phones.shown(person).await.into_iter();
        shown.filter(|one| one.text == text).collect()
    }

    /// Waits until an event has come whose data is so, and answers the data.
    pub(super) async fn told(&self, event: &str, so: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{event} is told"), async || self.all_told(event).into_iter().find(&so))
            .await
    }

    pub(super) fn all_told(&self, event: &str) -> Vec<Value> {
        let received = self.rig.receiver.received();
        let of_it = received.iter().map(|one| one.json()).filter(|one| one["event"] == event);
        of_it.map(|mut one| one["data"].take()).collect()
    }

    /// Posts something that needs a capability which the line lacks: it is refused with the contract's error, and no phone
    /// shows anything new.
    pub(super) async fn is_refused(&self, path: &str, body: Value, lacks: Capability) {
        assert!(!self.can.does(lacks), "{:?} can do it: {lacks:?}", self.mode);
        let before = self.phones.shown(crate::rig::ANN).await;
        let answer = self.client().request_json(http::Method::POST, path, &body).await.unwrap();
        let message = format!(
            "This line cannot {}; it needs a bridge with the advanced features. GET /v1/lines shows what each line can do.",
            lacks.deed()
        );
        let error = json!({
            "type": "invalid_request_error", "code": "advanced_features_required", "message": message,
        });
        assert_eq!((answer.status, &answer.body["error"]), (400, &error), "{path} {body}");
        assert_eq!(self.phones.shown(crate::rig::ANN).await, before);
    }
}
