//! How a text leaves the phone: from the queue to Android, and what Android says of it later.

use std::{sync::Arc, time::Duration};

use super::{
    device::{App, CarriedOut, Device},
    outbox::Step,
    settings::SendFault,
};

impl Device {
    /// Sends what is in the queue, one message after another, for as long as the phone exists.
    pub(super) async fn work(self: Arc<Self>) {
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            let pause = self.look(|app| app.timing.hand_over);
            tokio::time::sleep(pause).await;
            let Some(id) = self.look(|app| app.next()) else {
                let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
                continue;
            };
            self.process(&id);
        }
    }

    /// One message: too late, or to Android, and then its states come by themselves.
    fn process(self: &Arc<Self>, id: &str) {
        let ways = self.change(|app| {
            let now = app.now();
            let Some(message) = app.outgoing_mut(id) else { return Vec::new() };
            message.begun = true;
            let late = message.valid_until.is_some_and(|until| until < now);
            let count = message.recipients.len();
            let mut ways = Vec::new();
            for recipient in 0..count {
                if late {
                    app.advance(id, recipient, Step::Failed, Some("TTL expired"));
                    continue;
                }
                let fault = app.send_faults.pop_front();
                ways.extend(app.begin(id, recipient, fault).map(|way| (recipient, way)));
            }
            ways
        });
        for (recipient, fault) in ways {
            let (device, id) = (Arc::clone(self), id.to_owned());
            tokio::spawn(async move { device.follow(&id, recipient, fault).await });
        }
    }

    async fn follow(self: Arc<Self>, id: &str, recipient: usize, fault: Option<SendFault>) {
        let timing = self.look(|app| app.timing.clone());
        tokio::time::sleep(timing.sent).await;
        // What Android says to a killed app is lost.
        if !self.look(|app| app.running) {
            return;
        }
        match &fault {
            Some(SendFault::NoReport) => return,
            Some(SendFault::Refused(why) | SendFault::PartRefused(why)) => {
                let why = format!("Send result: {why}");
                self.change(|app| app.advance(id, recipient, Step::Failed, Some(&why)));
                return;
            }
            _ => self.change(|app| app.advance(id, recipient, Step::Sent, None)),
        }
        tokio::time::sleep(timing.delivered).await;
        match &fault {
            Some(SendFault::NoReceipt) => {}
            Some(SendFault::RefusedLater(why)) => {
                let why = format!("Delivery result: {why}");
                self.change(|app| app.advance(id, recipient, Step::Failed, Some(&why)));
            }
            _ => {
                let report =
                    self.look(|app| app.outgoing(id).is_some_and(|message| message.report));
                if report {
                    self.change(|app| app.advance(id, recipient, Step::Delivered, None));
                }
            }
        }
    }
}

impl App {
    /// Hands a recipient's message to Android. Answers how it goes on, if it does.
    fn begin(
        &mut self,
        id: &str,
        recipient: usize,
        fault: Option<SendFault>,
    ) -> Option<Option<SendFault>> {
        let sim = self.outgoing(id).and_then(|message| message.sim).unwrap_or(1);
        if sim > self.sims.len() {
            self.advance(id, recipient, Step::Failed, Some("Can't send message: SIM not found"));
            return None;
        }
        match &fault {
            Some(SendFault::NotBegun(why)) => {
                let why = format!("Can't send message: {why}");
                self.advance(id, recipient, Step::Failed, Some(&why));
                return None;
            }
            Some(SendFault::KilledBeforeNote) => {
                self.carry_out(id, recipient, false);
                self.running = false;
                if let Some(message) = self.outgoing_mut(id) {
                    message.begun = false;
                }
                return None;
            }
            Some(SendFault::Refused(_)) => {}
            Some(SendFault::PartRefused(_)) => self.carry_out(id, recipient, true),
            Some(SendFault::Twice) => {
                self.carry_out(id, recipient, false);
                self.carry_out(id, recipient, false);
            }
            Some(SendFault::RefusedLater(_)) => self.note_only(id, recipient),
            Some(SendFault::NoReceipt | SendFault::NoReport) | None => {
                self.carry_out(id, recipient, false);
            }
        }
        self.advance(id, recipient, Step::Processed, None);
        Some(fault)
    }

    /// Android sent it, and it never arrives.
    fn note_only(&mut self, id: &str, recipient: usize) {
        let Some(message) = self.outgoing(id) else { return };
        let Some(of) = message.recipients.get(recipient) else { return };
        let done = CarriedOut {
            id: id.to_owned(),
            to: of.number.clone(),
            text: message.content.text(),
            sim: message.sim.unwrap_or(1),
        };
        self.carried_out.push(done);
    }
}
