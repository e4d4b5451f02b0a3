//! The invariants: everything that was handed in, held against everything that can be seen.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::Duration,
};

use switchboard_model::{
    Message, OutboxItem,
    id::Id,
    outbox::{ATTEMPTS_USED_UP, EXPIRED, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};
use switchboard_testkit::{
    Receiver, eventually, eventually_within,
    receiver::{Delivery, NotTrue},
};

use super::load::{All, Answered, CONTACTS};
use crate::process::Ready;

/// A phone shows its newest 10,000: with more than that the invariants could not be checked.
const MOST_PER_PHONE: usize = 10_000;

/// How long a breaker may hold the deliveries to the good endpoint back after the last fault, which it has by then met too.
const BREAKERS: Duration = Duration::from_secs(180);

/// What answers are lost by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LostBy {
    /// The server dies, and what it was asked with it.
    Death,
    /// The connection is cut. The server goes on with what it was asked, beside what it is asked next.
    Cut,
}

/// What can be counted, and what is wrong.
pub(crate) struct Invariants {
    lost_by: LostBy,
    counts: Vec<(&'static str, usize)>,
    wrong: Vec<String>,
}

/// What the world outside has seen.
struct Seen {
    items: HashMap<Id<OutboxItem>, OutboxItem>,
    /// Newest first, of all contacts.
    messages: Vec<Message>,
    /// By contact, oldest first.
    phones: HashMap<&'static str, Vec<String>>,
    deliveries: Vec<Delivery>,
    told: Told,
}

/// The ids of deliveries, for each resource that an event was about.
#[derive(Default)]
struct Told {
    received: Subjects,
    sent: Subjects,
    failed: Subjects,
    /// The outbox item of each message.sent.
    sent_items: HashSet<String>,
}

type Subjects = HashMap<String, HashSet<String>>;

impl Told {
    fn of(deliveries: &[Delivery]) -> Self {
        let mut told = Self::default();
        for delivery in deliveries {
            let body = delivery.json();
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let subjects = match body["event"].as_str().unwrap() {
                "message.received" => &mut told.received,
                "message.sent" => {
                    told.sent_items.insert(text(&body["data"]["outbox_id"]));
                    &mut told.sent
                }
                "message.failed" => &mut told.failed,
                other => panic!("an event that nobody asked for: {other}"),
            };
            let subject = subjects.entry(text(&body["data"]["id"])).or_default();
            subject.insert(text(&body["delivery_id"]));
        }
        told
    }

    fn count(&self) -> usize {
        let all = [&self.received, &self.sent, &self.failed];
        all.iter().flat_map(|subjects| subjects.values()).map(HashSet::len).sum()
    }
}

impl Invariants {
    /// Waits until all is settled, and checks the invariants. `verify` judges the signatures of each delivery.
    pub(crate) async fn check_all(
        ready: &Ready,
        all: All,
        receiver: &Receiver,
        lost_by: LostBy,
        verify: impl Fn(&Delivery) -> Result<(), NotTrue>,
    ) -> Self {
        let seen = Seen::once_settled(ready, &all, receiver).await;
        let mut invariants = Self { lost_by, counts: Vec::new(), wrong: Vec::new() };
        invariants.sends(&all, &seen);
        invariants.phones(&all, &seen);
        invariants.inbound(&all, &seen);
        invariants.events(&seen, verify);
        invariants
    }

    /// Every acknowledged send is sent, or failed for a reason that says what became of it.
    fn sends(&mut self, all: &All, seen: &Seen) {
        let shown: HashSet<&String> = seen.phones.values().flatten().collect();
        let (mut sent, mut unknown, mut never) = (0, 0, 0);
        let mut failed = BTreeMap::from(
            [MAY_HAVE_BEEN_HANDED_OVER, ATTEMPTS_USED_UP, EXPIRED].map(|reason| (reason, 0)),
        );
        for send in &all.sends {
            let is_shown = shown.contains(&send.text);
            let id = match &send.answered {
                Answered::Yes(id) => id,
                Answered::Unknown => {
                    unknown += 1;
                    continue;
                }
                Answered::Never => {
                    never += 1;
                    self.check(!is_shown, "never handed in and on the phone", &send.text);
                    continue;
                }
            };
            let item = &seen.items[id];
            let error = item.error.as_deref();
            self.check(item.payload["text"] == *send.text, "has another payload", &send.text);
            match (item.status, error.and_then(|error| failed.get_mut(error))) {
                (OutboxStatus::Sent, None) => {
                    sent += 1;
                    self.check(is_shown, "sent and not on the phone", &send.text);
                    let told = seen.told.sent_items.contains(&id.to_string());
                    self.check(told, "sent without message.sent", &send.text);
                }
                (OutboxStatus::Failed, Some(count)) => {
                    *count += 1;
                    let may = error == Some(MAY_HAVE_BEEN_HANDED_OVER);
                    self.check(may || !is_shown, "failed and on the phone", &send.text);
                    let told = seen.told.failed.contains_key(&id.to_string());
                    self.check(told, "failed without message.failed", &send.text);
                }
                _ => self.wrong.push(format!("unexplained: {item:?}")),
            }
        }
        let acknowledged = all.sends.len() - unknown - never;
        self.count("sends acknowledged", acknowledged);
        self.count("  sent", sent);
        self.count("  failed: may have been handed over", failed[MAY_HAVE_BEEN_HANDED_OVER]);
        self.count("  failed: attempts used up", failed[ATTEMPTS_USED_UP]);
        self.count("  failed: expired", failed[EXPIRED]);
        self.count("sends whose answer was lost", unknown);
        let lost = all.sends.iter().filter(|send| send.answered == Answered::Unknown);
        self.count("  of them on a phone", lost.filter(|send| shown.contains(&send.text)).count());
        self.count("sends that found no server", never);
    }

    /// No text is on a phone twice, and the texts of one sender are in the order of their sending: but for one whose
    /// answer was cut off, which may be accepted after the next.
    fn phones(&mut self, all: &All, seen: &Seen) {
        let place: HashMap<&str, usize> =
            all.sends.iter().enumerate().map(|(n, send)| (send.text.as_str(), n)).collect();
        let (mut twice, mut late) = (0, 0);
        for texts in seen.phones.values() {
            let mut shown = HashSet::new();
            // A sender's name is what stands before the number; its sends are in one piece in `all`.
            let mut last: HashMap<&str, usize> = HashMap::new();
            for text in texts {
                if !shown.insert(text) {
                    twice += 1;
                    self.wrong.push(format!("on the phone twice: {text}"));
                }
                let Some(at) = place.get(text.as_str()) else {
                    self.wrong.push(format!("nobody sent what is on the phone: {text}"));
                    continue;
                };
                if self.lost_by == LostBy::Cut && all.sends[*at].answered == Answered::Unknown {
                    continue;
                }
                let sender = text.split(": ").next().unwrap_or_default();
                if last.insert(sender, *at).is_some_and(|before| before > *at) {
                    late += 1;
                    self.wrong.push(format!("out of order: {text}"));
                }
            }
        }
        self.count("texts on phones", seen.phones.values().map(Vec::len).sum());
        self.count("  twice", twice);
        self.count("  out of order", late);
    }

    /// Every acknowledged text of a contact is one message.
    fn inbound(&mut self, all: &All, seen: &Seen) {
        let mut by_text: HashMap<&str, Vec<&Message>> = HashMap::new();
        for message in seen.messages.iter().filter(|message| !message.is_from_me) {
            by_text.entry(message.text.as_deref().unwrap()).or_default().push(message);
        }
        let (mut acknowledged, mut unknown, mut arrived, mut never) = (0, 0, 0, 0);
        for handed in &all.inbound {
            let messages = by_text.get(handed.text.as_str()).map_or(&[][..], Vec::as_slice);
            self.check(messages.len() <= 1, "is two messages", &handed.text);
            match &handed.answered {
                Answered::Yes(texted) => {
                    acknowledged += 1;
                    let same = messages.first().is_some_and(|message| {
                        message.guid == texted.guid
                            && texted.message_id.is_none_or(|id| id == message.id)
                    });
                    self.check(same, "acknowledged and no message", &handed.text);
                }
                Answered::Unknown => {
                    unknown += 1;
                    arrived += messages.len();
                }
                Answered::Never => {
                    never += 1;
                    self.check(messages.is_empty(), "never handed in and arrived", &handed.text);
                }
            }
        }
        self.count("inbound texts acknowledged", acknowledged);
        self.count("inbound texts whose answer was lost", unknown);
        self.count("  of them arrived", arrived);
        self.count("inbound texts that found no server", never);
    }

    /// Every message has exactly one event, and every event reached the webhook, with true signatures.
    fn events(&mut self, seen: &Seen, verify: impl Fn(&Delivery) -> Result<(), NotTrue>) {
        let (told, messages) = (&seen.told, &seen.messages);
        for message in messages {
            let subjects = if message.is_from_me { &told.sent } else { &told.received };
            let deliveries = subjects.get(&message.id.to_string()).map_or(0, HashSet::len);
            self.check(deliveries == 1, "a message has not one delivery id", &message.id);
        }
        for (id, deliveries) in &told.failed {
            self.check(deliveries.len() == 1, "a failure has not one delivery id", id);
        }
        let events = told.received.len() + told.sent.len() + told.failed.len();
        let known = messages.len() + told.failed.len();
        self.check(events == known, "events and messages differ in number", &events);
        for delivery in &seen.deliveries {
            if let Err(error) = verify(delivery) {
                self.wrong.push(format!("a delivery does not verify: {error:?}"));
            }
        }
        let inbound = messages.iter().filter(|message| !message.is_from_me).count();
        self.count("messages received", inbound);
        self.count("  with message.received at the webhook", told.received.len());
        self.count("messages sent", messages.len() - inbound);
        self.count("  with message.sent at the webhook", told.sent.len());
        self.count("items with message.failed at the webhook", told.failed.len());
        self.count("deliveries", told.count());
        self.count("  attempts that arrived", seen.deliveries.len());
        self.count("  attempts beyond the first", seen.deliveries.len() - told.count());
    }

    fn count(&mut self, what: &'static str, count: usize) {
        self.counts.push((what, count));
    }

    fn check(&mut self, holds: bool, what: &str, about: &impl fmt::Display) {
        if !holds {
            self.wrong.push(format!("{what}: {about}"));
        }
    }

    /// Prints the counts.
    pub(crate) fn print(&self) {
        for (what, count) in &self.counts {
            println!("{what:<45} {count:>7}");
        }
        println!("{:<45} {:>7}", "WRONG", self.wrong.len());
    }

    /// Nothing is wrong, and enough has happened for that to mean something, on a busy machine too.
    pub(crate) fn assert_true(&self) {
        let first: Vec<_> = self.wrong.iter().take(20).collect();
        assert!(first.is_empty(), "{} are wrong, among them {first:#?}", self.wrong.len());
        for (what, least) in [
            ("sends acknowledged", 200),
            ("inbound texts acknowledged", 50),
            ("messages sent", 200),
        ] {
            let count = self.counts.iter().find(|(name, _)| *name == what).unwrap().1;
            assert!(
                count >= least,
                "only {count} {what}: the load was too light to prove anything"
            );
        }
    }
}

impl Seen {
    async fn once_settled(ready: &Ready, all: &All, receiver: &Receiver) -> Self {
        let items = items_once_final(ready, all).await;
        // Texts whose answer was lost are still under way, perhaps; they end in a message and its
        // event, too.
        let told_all = eventually_within(BREAKERS, "every message has its event", async || {
            let deliveries = receiver.received();
            let told = Told::of(&deliveries);
            let messages = messages(ready).await;
            let missing = messages.iter().any(|message| {
                let id = message.id.to_string();
                !told.received.contains_key(&id) && !told.sent.contains_key(&id)
            });
            let failed = items.values().any(|item| {
                item.status == OutboxStatus::Failed
                    && !told.failed.contains_key(&item.id.to_string())
            });
            (!missing && !failed).then_some((messages, deliveries))
        });
        let (messages, deliveries) = told_all.await;
        let mut phones = HashMap::new();
        for contact in CONTACTS {
            let shown = ready.phones().phone(contact).await.unwrap().value;
            assert!(shown.messages.len() < MOST_PER_PHONE, "too much load for the invariants");
            let texts = shown.messages.into_iter().map(|message| message.text.unwrap()).collect();
            phones.insert(contact, texts);
        }
        let told = Told::of(&deliveries);
        Self { items, messages, phones, deliveries, told }
    }
}

/// The acknowledged items, each sent or failed.
async fn items_once_final(ready: &Ready, all: &All) -> HashMap<Id<OutboxItem>, OutboxItem> {
    let client = ready.client();
    let mut items = HashMap::new();
    for send in &all.sends {
        let Answered::Yes(id) = send.answered else { continue };
        let item = eventually("the item is sent or failed", async || {
            let item = client.outbox(id).await.unwrap().value;
            let is_final = matches!(item.status, OutboxStatus::Sent | OutboxStatus::Failed);
            is_final.then_some(item)
        });
        items.insert(id, item.await);
    }
    items
}

/// All messages with all contacts.
async fn messages(ready: &Ready) -> Vec<Message> {
    let client = ready.client();
    let mut messages = Vec::new();
    for contact in CONTACTS {
        let pages = client.messages(&ready.line, contact).limit(100);
        messages.extend(pages.all(usize::MAX).await.unwrap());
    }
    messages
}
