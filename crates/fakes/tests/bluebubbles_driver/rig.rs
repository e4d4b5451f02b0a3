//! A BlueBubbles server, a driver with its ledger, and what the server of the link would have of them.

use std::{path::Path, sync::Arc, time::Duration};

use switchboard_bridge::{
    Asked, Driver, FileClient, KnownOutcome, Ledgered, LineStatus,
    drivers::{BlueBubbles, BlueBubblesOptions, BlueBubblesPace, BlueBubblesWebhook},
};
use switchboard_fakes::bluebubbles::{Mac, Server};
use switchboard_model::{
    File, Timestamp,
    id::Id,
    line::{LineService, OfflineReason},
    link::{
        CarriedLine, Content, Inbound, InboundUpdate, LinkedFile, Outcome, ReceivedEntry, SendItem,
    },
};
use tempfile::TempDir;

use crate::link_files::Files;

pub(crate) const LINE: &str = "+15550999999";
/// One more line on the same server.
pub(crate) const OTHER: &str = "+15550999998";
pub(crate) const ANN: &str = "+15550100001";
pub(crate) const BOB: &str = "+15550100002";
pub(crate) const PASSWORD: &str = "secret";
/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) driver: Option<Arc<Ledgered<BlueBubbles>>>,
    pub(crate) line: CarriedLine,
    pub(crate) files: Arc<Files>,
    /// Everything that was told of the line so far.
    pub(crate) told: Vec<Inbound>,
    pub(crate) with_webhook: bool,
    client: FileClient,
    after: Option<String>,
    data: TempDir,
    start: Option<Timestamp>,
    order: i64,
}

/// In a hurry, as the stand-in is.
fn pace() -> BlueBubblesPace {
    let ms = Duration::from_millis;
    BlueBubblesPace {
        poll: ms(50),
        unsettled: ms(20),
        joins_within: ms(600),
        owned_within: ms(1_500),
        fills_within: ms(150),
        told_after: ms(30),
        watched: ms(3_000),
        health: ms(100),
        away: ms(50),
        probe: ms(300),
        after_script: ms(150),
        silent_after: ms(500),
        action_spacing: ms(2),
    }
}

impl Rig {
    /// A line on a healthy Mac.
    pub(crate) async fn new() -> Self {
        Self::on(|_| ()).await
    }

    /// A line on a Mac without the private API.
    pub(crate) async fn scripts() -> Self {
        Self::on(|mac| {
            mac.private_api = false;
            mac.helper_connected = false;
        })
        .await
    }

    pub(crate) async fn on(change: impl FnOnce(&mut Mac)) -> Self {
        let mut rig = Self::idle(change).await;
        rig.start().await;
        rig.online().await;
        rig
    }

    /// The same, and no driver runs yet.
    pub(crate) async fn idle(change: impl FnOnce(&mut Mac)) -> Self {
        let server = Server::start(PASSWORD).await.unwrap();
        server.mac(change);
        let files = Arc::new(Files::default());
        let line = carried(LINE);
        Self {
            client: files.serve().await,
            server,
            driver: None,
            line,
            files,
            told: Vec::new(),
            with_webhook: false,
            after: None,
            data: tempfile::tempdir().unwrap(),
            start: None,
            order: 0,
        }
    }

    /// From when on messages count that were there before.
    pub(crate) fn start_at(&mut self, start: Timestamp) {
        self.start = Some(start);
    }

    pub(crate) async fn start(&mut self) {
        self.start_with(PASSWORD).await;
    }

    pub(crate) async fn start_with(&mut self, password: &str) {
        let mut options = BlueBubblesOptions::new(self.server.url().parse().unwrap(), password);
        options.pace = pace();
        if self.with_webhook {
            let listen = "127.0.0.1:0".parse().unwrap();
            options.webhook = Some(BlueBubblesWebhook { listen, url: None });
        }
        let connector = BlueBubbles::new(options).unwrap();
        let driver = open(connector, self.data.path(), self.start).await;
        self.driver = Some(driver);
    }

    pub(crate) fn driver(&self) -> &Ledgered<BlueBubbles> {
        self.driver.as_deref().unwrap()
    }

    /// Gives the line to the driver, and waits until it takes items.
    pub(crate) async fn online(&self) {
        self.driver().assign_lines(vec![self.line.clone()]).await;
        self.status(|status| status.online).await;
    }

    /// Gives the driver one more line.
    pub(crate) async fn add_line(&self, handle: &str) -> CarriedLine {
        let line = carried(handle);
        self.driver().assign_lines(vec![self.line.clone(), line.clone()]).await;
        line
    }

    /// What came to another line, once it is so many.
    pub(crate) async fn texts_of(&self, line: &CarriedLine, count: usize) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let reading = self.driver().history(line.id, None, 50, &self.client);
            let batch = tokio::time::timeout_at(deadline, reading).await.expect("it is told");
            let texts = texts(&batch.unwrap().entries);
            if texts.len() >= count {
                return texts;
            }
            assert!(tokio::time::Instant::now() < deadline, "told so far: {texts:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn status(&self, is: impl Fn(&LineStatus) -> bool) -> LineStatus {
        let mut statuses = self.driver().statuses();
        let waiting = async {
            loop {
                let now = statuses.borrow_and_update().get(&self.line.id).cloned();
                if let Some(status) = now.filter(|status| is(status)) {
                    return status;
                }
                statuses.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(DEADLINE, waiting).await;
        waited.unwrap_or_else(|_| panic!("the line is {:?}", self.driver().statuses().borrow()))
    }

    pub(crate) async fn reason(&self, online: bool, reason: Option<OfflineReason>) {
        self.status(|status| status.online == online && status.reason == reason).await;
    }

    /// Ends the driver as a kill does, wherever it is.
    pub(crate) async fn kill(&mut self) {
        let driver = self.driver.take().unwrap();
        let weak = Arc::downgrade(&driver);
        drop(driver);
        while weak.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        self.start().await;
        self.online().await;
    }

    pub(crate) fn item(&mut self, to: &str, content: Content) -> SendItem {
        self.order += 1;
        SendItem {
            id: Id::generate(),
            order: self.order,
            line_id: self.line.id,
            chat_id: Id::generate(),
            identifier: to.to_owned(),
            is_group: to.contains(";+;"),
            content,
        }
    }

    pub(crate) async fn send(&mut self, to: &str, content: Content) -> Outcome {
        let item = self.item(to, content);
        self.hand_over(item).await
    }

    pub(crate) async fn hand_over(&self, item: SendItem) -> Outcome {
        let sending = self.driver().send(item, &self.client);
        tokio::time::timeout(DEADLINE, sending).await.expect("an outcome")
    }

    /// As [`Rig::hand_over`], in the background, for a driver that is to die.
    pub(crate) fn hand_over_apart(&self, item: SendItem) -> tokio::task::JoinHandle<Outcome> {
        let (driver, files) = (Arc::clone(self.driver.as_ref().unwrap()), self.client.clone());
        tokio::spawn(async move { driver.send(item, &files).await })
    }

    pub(crate) async fn text(&mut self, to: &str, text: &str) -> Outcome {
        self.send(to, text_of(text)).await
    }

    /// The guid of a text that is sent.
    pub(crate) async fn sent(&mut self, to: &str, text: &str) -> String {
        match self.text(to, text).await {
            Outcome::Sent { guid, .. } => guid,
            other => panic!("not sent: {other:?}"),
        }
    }

    pub(crate) async fn reconcile(&self, item: &SendItem) -> KnownOutcome {
        let asked = Asked { id: item.id, claimed: Some(1) };
        let mut known = self.driver().reconcile(&[asked]).await.unwrap();
        known.remove(&item.id).unwrap()
    }

    /// What turns out later of unknown outcomes.
    pub(crate) async fn resolved(&self) -> Outcome {
        let none = std::collections::HashSet::new();
        let resolved = tokio::time::timeout(DEADLINE, self.driver().resolved(&none)).await;
        resolved.expect("the truth")[0].outcome.clone()
    }

    /// Takes what is told until this holds of all that was.
    pub(crate) async fn told_until(&mut self, so: impl Fn(&[Inbound]) -> bool) {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while !so(&self.told) {
            let reading =
                self.driver().history(self.line.id, self.after.as_deref(), 50, &self.client);
            let batch = match tokio::time::timeout_at(deadline, reading).await {
                Ok(Ok(batch)) => batch,
                // A file that can't be had now; the link asks again as well.
                Ok(Err(_)) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
                Err(_) => panic!("told so far: {:#?}", self.told),
            };
            let results =
                vec![ReceivedEntry { chat_id: None, message_id: None }; batch.entries.len()];
            self.driver().received(self.line.id, &batch, &results).await;
            self.after = Some(batch.position);
            self.told.extend(batch.entries);
        }
    }

    /// A contact says something more and is heard: what came before was read by then.
    pub(crate) async fn quiet(&mut self) {
        let word = format!("that was all {}", self.told.len());
        self.server.contact_writes("+15550100099", &word);
        self.told_until(|told| texts(told).contains(&word)).await;
        self.told
            .retain(|one| !matches!(one, Inbound::Message(m) if m.text.as_deref() == Some(&word)));
    }

    /// Waits for a message that came in.
    pub(crate) async fn hears(&mut self, text: &str) {
        self.told_until(|told| texts(told).iter().any(|one| one == text)).await;
    }

    /// Waits for a change of this message.
    pub(crate) async fn changes(
        &mut self,
        guid: &str,
        is: impl Fn(&InboundUpdate) -> bool,
    ) -> InboundUpdate {
        let fits = |one: &Inbound| match one {
            Inbound::Update(update) if update.message_guid == guid && is(update) => {
                Some(update.clone())
            }
            _ => None,
        };
        self.told_until(|told| told.iter().any(|one| fits(one).is_some())).await;
        self.told.iter().find_map(fits).unwrap()
    }

    pub(crate) fn own(&self) -> Vec<String> {
        let own = |one: &Inbound| match one {
            Inbound::Own(own) => Some(own.text.clone().unwrap_or_default()),
            _ => None,
        };
        self.told.iter().filter_map(own).collect()
    }

    /// How often a contact's phone shows this.
    pub(crate) fn shown(&self, person: &str, text: &str) -> usize {
        let shown = self.server.received_by(person);
        shown.iter().filter(|one| one.text.as_deref() == Some(text)).count()
    }

    /// A file that can be sent.
    pub(crate) fn file(&self, name: &str, mime_type: &str, bytes: &[u8]) -> LinkedFile {
        let file_id: Id<File> = Id::generate();
        self.files.keep(file_id, bytes);
        LinkedFile {
            file_id,
            filename: Some(name.to_owned()),
            mime_type: mime_type.to_owned(),
            size: bytes.len() as u64,
            transcription: None,
            original: None,
        }
    }
}

fn carried(handle: &str) -> CarriedLine {
    CarriedLine {
        id: Id::generate(),
        handle: handle.parse().unwrap(),
        service: LineService::Auto,
        position: None,
        role: switchboard_model::link::LineRole::Active,
        since: None,
    }
}

async fn open(
    connector: BlueBubbles,
    dir: &Path,
    start: Option<Timestamp>,
) -> Arc<Ledgered<BlueBubbles>> {
    // The ledger of one that was killed is free once its last thread has ended.
    let mut connector = Some(connector);
    let deadline = std::time::Instant::now() + DEADLINE;
    loop {
        assert!(std::time::Instant::now() < deadline, "the ledger is not free");
        if switchboard_bridge::ledger::Ledger::open(dir).is_ok()
            && let Some(connector) = connector.take()
        {
            let driver = Ledgered::start(connector, dir, start).unwrap();
            driver.welcomed("mac", 1).await.unwrap();
            return driver;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) fn text_of(text: &str) -> Content {
    Content::Message {
        text: Some(text.to_owned()),
        attachments: Vec::new(),
        is_audio_message: false,
        reply_to_guid: None,
    }
}

pub(crate) fn texts(told: &[Inbound]) -> Vec<String> {
    let text = |one: &Inbound| match one {
        Inbound::Message(message) => message.text.clone(),
        _ => None,
    };
    told.iter().filter_map(text).collect()
}

#[expect(clippy::disallowed_methods, reason = "the stand-in's clock is the machine's")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}
