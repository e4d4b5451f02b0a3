//! A desk of phones for the benchmarks of bridges: it takes every item at once, remembers when, and observes texts at a
//! pace. Around it are the real ledger and the real link.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use switchboard_bridge::{
    Attempt, Concurrency, Connector, Context, FetchError, FetchedFile, Health, LineStatus, Verdict,
    ledger::{Begun, Ledger, Observation, ObservedFile, Recorded},
};
use switchboard_model::{
    Handle, Timestamp,
    chat::Service,
    line::{Capability, DriverKind},
    link::{Content, Inbound, InboundChat, InboundMessage, Outcome, SendItem},
    time::Clock,
};
use switchboard_server::SystemClock;
use tokio::{sync::watch, time::interval};
use uuid::Uuid;

use crate::load::number_in;

/// Who writes to all lines.
pub(crate) const CONTACT: &str = "+15550130000";
/// How often each line gets a text.
const EVERY: Duration = Duration::from_secs(1);

/// What all desks of a run share.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// Whether texts come in.
    pub(crate) texting: AtomicBool,
    /// How many came in.
    pub(crate) texted: AtomicU64,
    /// When each numbered message was handed over.
    handed_over: Mutex<HashMap<u64, Instant>>,
    /// How many were handed over that had been before.
    pub(crate) twice: AtomicU64,
}

impl Noted {
    /// What was handed over since the last time, and when.
    pub(crate) fn take(&self) -> HashMap<u64, Instant> {
        std::mem::take(&mut *self.handed_over.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many were handed over since then.
    pub(crate) fn count(&self) -> usize {
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn hand_over(&self, item: &SendItem) -> Outcome {
        let Content::Message { text: Some(text), .. } = &item.content else {
            return Outcome::Failed { error: "Only texts are measured.".to_owned() };
        };
        let now = Instant::now();
        if let Some(number) = number_in(text) {
            let mut all = self.handed_over.lock().unwrap_or_else(PoisonError::into_inner);
            if all.insert(number, now).is_some() {
                self.twice.fetch_add(1, Ordering::Relaxed);
            }
        }
        Outcome::Sent {
            guid: Uuid::new_v4().to_string(),
            sent_at: SystemClock.now(),
            service: Service::IMessage,
            delivered_at: None,
        }
    }
}

/// One bridge's phones.
#[derive(Debug)]
pub(crate) struct Desk {
    noted: Arc<Noted>,
    health: watch::Sender<Health>,
}

impl Desk {
    pub(crate) fn new(noted: &Arc<Noted>) -> Self {
        let health = watch::Sender::new(Health::of_all(online()));
        Self { noted: Arc::clone(noted), health }
    }
}

/// A line that takes texts.
pub(crate) fn online() -> LineStatus {
    let capabilities = vec![Capability::NewChats, Capability::Attachments];
    LineStatus { online: true, capabilities, reason: None }
}

/// A text from the contact.
pub(crate) fn text(guid: String, sent_at: Timestamp) -> anyhow::Result<Inbound> {
    let contact: Handle = CONTACT.parse()?;
    Ok(Inbound::Message(InboundMessage {
        guid,
        chat: InboundChat::Contact { handle: contact.clone() },
        sender: contact,
        text: Some("Is the shop open on Sunday too?".to_owned()),
        sent_at,
        service: Service::IMessage,
        reply_to_guid: None,
        attachments: Vec::new(),
        is_audio_message: false,
    }))
}

#[async_trait::async_trait]
impl Connector for Desk {
    fn kind(&self) -> DriverKind {
        DriverKind::Imsg
    }

    fn concurrency(&self) -> Concurrency {
        Concurrency { bridge: 16, line: 1 }
    }

    fn send_timeout(&self, _item: &SendItem) -> Duration {
        Duration::from_secs(200)
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Each line has its own instant of the second.
    async fn run(&self, mut context: Context) {
        let lines = match context.lines.wait_for(|lines| !lines.is_empty()).await {
            Ok(lines) => Arc::clone(&lines),
            Err(_closed) => return,
        };
        let mut ticks = interval(EVERY / u32::try_from(lines.len()).unwrap_or(u32::MAX));
        for line in lines.iter().cycle() {
            ticks.tick().await;
            if !self.noted.texting.load(Ordering::Relaxed) {
                continue;
            }
            let guid = Uuid::new_v4().to_string();
            let Ok(text) = text(guid.clone(), SystemClock.now()) else { return };
            let observations = vec![(line.id, Observation::new(guid, text))];
            let recorded = Recorded { observations, ..Recorded::default() };
            if context.ledger.record(recorded).await.is_ok() {
                self.noted.texted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn send(&self, attempt: &Attempt, _ledger: &Ledger) -> Outcome {
        self.noted.hand_over(&attempt.item)
    }

    async fn verify(&self, _begun: &Begun, _ledger: &Ledger) -> Verdict {
        Verdict::Open
    }

    async fn fetch(&self, _file: &ObservedFile) -> Result<FetchedFile, FetchError> {
        Err(FetchError::Gone)
    }
}
