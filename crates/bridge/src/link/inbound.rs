//! What happens on the phones, on its way to the server: one pump for each line.
//!
//! The promise: entries arrive in order, without a gap, over any number of sockets. The bridge
//! keeps nothing for it: the server's committed place is where the pump begins, and the
//! next batch is read only after the last one is committed. What is about a message does not overtake
//! the report that the message was sent: the server would not know what it is about.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use switchboard_model::{
    Line,
    causes::chain,
    id::Id,
    link::{
        BridgeFrame, CarriedLine, Inbound, InboundUpdate, MAX_BATCH, MAX_FRAME_BYTES, ReceivedEntry,
    },
    throttle::Throttle,
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::sleep,
};
use tracing::{error, warn};

use super::{
    LinkError,
    items::Items,
    session::{Outgoing, encode},
};
use crate::{
    driver::{Driver, HistoryBatch},
    files::FileClient,
};

/// How long a pump waits after its driver could not read the history.
const RETRY: Duration = Duration::from_secs(2);
/// How often it is said that it can't.
const UNREADABLE_EVERY: Duration = Duration::from_secs(60);

/// The server's answer to a batch.
struct Ack {
    position: String,
    results: Vec<ReceivedEntry>,
}

/// The pumps of one socket.
pub(super) struct Pumps {
    driver: Arc<dyn Driver>,
    items: Arc<Items>,
    files: FileClient,
    out: Outgoing,
    running: HashMap<Id<Line>, (mpsc::Sender<Ack>, AbortHandle)>,
    tasks: JoinSet<LinkError>,
    /// One for each line that another bridge carries.
    standing_by: JoinSet<()>,
}

impl Pumps {
    pub(super) fn new(
        driver: Arc<dyn Driver>,
        items: Arc<Items>,
        files: FileClient,
        out: Outgoing,
    ) -> Self {
        Self {
            driver,
            items,
            files,
            out,
            running: HashMap::new(),
            tasks: JoinSet::new(),
            standing_by: JoinSet::new(),
        }
    }

    /// Pumps exactly those of these lines that the bridge carries: another one tells of a line for which this one stands
    /// by. One that runs already keeps its own place, which is never behind.
    pub(super) fn assign_lines(&mut self, mut lines: Vec<CarriedLine>) {
        self.stand_by(&lines);
        lines.retain(|line| line.role.is_active());
        self.running.retain(|id, (_, task)| {
            let stays = lines.iter().any(|line| line.id == *id);
            if !stays {
                task.abort();
            }
            stays
        });
        for line in lines {
            if self.running.contains_key(&line.id) {
                continue;
            }
            // One batch is on its way at a time, so there is one answer at most.
            let (acks, inbox) = mpsc::channel(1);
            let pump = Pump {
                driver: Arc::clone(&self.driver),
                items: Arc::clone(&self.items),
                files: self.files.clone(),
                out: self.out.clone(),
                line_id: line.id,
                inbox,
                unreadable: Throttle::new(UNREADABLE_EVERY),
            };
            let task = self.tasks.spawn(pump.run(line.position));
            self.running.insert(line.id, (acks, task));
        }
    }

    fn stand_by(&mut self, lines: &[CarriedLine]) {
        self.standing_by.abort_all();
        // What has ended is not kept.
        while self.standing_by.try_join_next().is_some() {}
        for line in lines.iter().filter(|line| !line.role.is_active()) {
            let (driver, files, line) = (Arc::clone(&self.driver), self.files.clone(), line.id);
            self.standing_by.spawn(async move { driver.stand_by(line, &files).await });
        }
    }

    /// Takes the server's answer to the pump that waits for it.
    pub(super) fn received(
        &self,
        line_id: Id<Line>,
        position: String,
        results: Vec<ReceivedEntry>,
    ) -> Result<(), LinkError> {
        match self.running.get(&line_id) {
            Some((acks, _)) => acks
                .try_send(Ack { position, results })
                .map_err(|_| LinkError::Protocol("an answer to no inbound batch")),
            // The line is carried no longer; its batch was under way.
            None => Ok(()),
        }
    }

    /// Waits for a pump that breaks the link.
    pub(super) async fn broken(&mut self) -> LinkError {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(broken)) => return broken,
                Some(Err(ended)) if ended.is_cancelled() => {}
                Some(Err(_panic)) => return LinkError::Panic,
                None => std::future::pending().await,
            }
        }
    }
}

struct Pump {
    driver: Arc<dyn Driver>,
    items: Arc<Items>,
    files: FileClient,
    out: Outgoing,
    line_id: Id<Line>,
    inbox: mpsc::Receiver<Ack>,
    /// That the history can't be read is said once in a while only.
    unreadable: Throttle,
}

impl Pump {
    async fn run(mut self, mut position: Option<String>) -> LinkError {
        loop {
            let (batch, frame) = self.next(position.as_deref()).await;
            if batch.entries.iter().any(is_about_a_message) {
                self.items.sent_are_settled(self.line_id).await;
            }
            if self.out.send(frame).await.is_err() {
                return LinkError::Closed;
            }
            let Some(ack) = self.inbox.recv().await else { return LinkError::Closed };
            if ack.position != batch.position || ack.results.len() != batch.entries.len() {
                return LinkError::Protocol("an answer that does not fit its inbound batch");
            }
            self.driver.received(self.line_id, &batch, &ack.results).await;
            position = Some(batch.position);
        }
    }

    /// The next batch, as large as a frame can hold.
    async fn next(&self, after: Option<&str>) -> (HistoryBatch, String) {
        let mut limit = MAX_BATCH;
        loop {
            let mut batch = self.read(after, limit).await;
            let frame = encode(&self.frame(&batch));
            if frame.len() <= MAX_FRAME_BYTES {
                return (batch, frame);
            }
            if batch.entries.len() > 1 {
                limit = batch.entries.len() / 2;
                continue;
            }
            // No phone sends such a text. Without it the line would stand still for ever.
            error!(line = %self.line_id, "a message larger than a frame arrives without its text");
            for entry in &mut batch.entries {
                match entry {
                    Inbound::Message(message) => {
                        message.text = None;
                        for file in &mut message.attachments {
                            file.transcription = None;
                        }
                    }
                    Inbound::Own(own) => {
                        own.text = None;
                        for file in &mut own.attachments {
                            file.transcription = None;
                        }
                    }
                    Inbound::Update(InboundUpdate { edit: Some(edit), .. }) => edit.text = None,
                    _ => {}
                }
            }
            let frame = encode(&self.frame(&batch));
            return (batch, frame);
        }
    }

    async fn read(&self, after: Option<&str>, limit: usize) -> HistoryBatch {
        loop {
            match self.driver.history(self.line_id, after, limit, &self.files).await {
                Ok(batch) if !batch.entries.is_empty() => return batch,
                Ok(_) => warn!(line = %self.line_id, "the driver gave an empty batch"),
                Err(error) => {
                    if let Some(held_back) = self.unreadable.pass(Instant::now()) {
                        warn!(line = %self.line_id, error = chain(&error), held_back, "the line's history can't be read");
                    }
                }
            }
            sleep(RETRY).await;
        }
    }

    fn frame(&self, batch: &HistoryBatch) -> BridgeFrame {
        BridgeFrame::Inbound {
            line_id: self.line_id,
            position: batch.position.clone(),
            entries: batch.entries.clone(),
        }
    }
}

/// Whether the server must know a message to know what this is about.
fn is_about_a_message(entry: &Inbound) -> bool {
    match entry {
        Inbound::Reaction(_) | Inbound::Update(_) => true,
        Inbound::Message(_)
        | Inbound::Own(_)
        | Inbound::Typing(_)
        | Inbound::Read(_)
        | Inbound::Group { .. }
        | Inbound::Unreadable => false,
    }
}
