//! Files that could not be had when their message was told, whatever the link does meanwhile.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use switchboard_bridge::{
    Driver, FileClient, HistoryBatch, Ledgered,
    ledger::{Ledger, Observation, ObservedFile, Recorded},
};
use switchboard_model::{
    Timestamp,
    chat::Service,
    link::{CarriedLine, Inbound, InboundChat, InboundMessage, InboundUpdate, LinkedFile, Outcome},
};

use crate::{
    fake_driver::FakeDriver,
    fake_program::{FakeProgram, Readable},
    fake_server::FakeServer,
    line, soon,
};

struct Rig {
    driver: Arc<Ledgered<FakeProgram>>,
    ledger: Ledger,
    readable: Readable,
    line: CarriedLine,
    files: FileClient,
    _server: FakeServer,
    _dir: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "bytes").unwrap();
        let (ledger, readable) = (Arc::new(OnceLock::new()), Readable::default());
        let program = FakeProgram {
            ledger: Arc::clone(&ledger),
            outcome: |_| Outcome::Unknown,
            readable: Arc::clone(&readable),
            file,
        };
        let driver = Ledgered::start(program, dir.path(), Timestamp(0)).unwrap();
        let line = line();
        driver.assign_lines(vec![line.clone()]).await;
        crate::eventually(|| ledger.get().is_some()).await;
        let (fake, _started) = FakeDriver::new();
        let server = FakeServer::start(fake).await;
        let (ledger, files) = (ledger.get().unwrap().clone(), server.config.files().clone());
        Self { driver, ledger, readable, line, files, _server: server, _dir: dir }
    }

    fn can_read(&self, files: &[&'static str]) {
        *self.readable.lock().unwrap() = files.iter().copied().collect();
    }

    async fn observes(&self, key: &str, what: Inbound, files: &[&str]) {
        let file = |source: &&str| ObservedFile {
            source: (*source).to_owned(),
            filename: Some((*source).to_owned()),
            mime_type: "image/png".to_owned(),
            transcription: None,
        };
        let files = files.iter().map(file).collect();
        let observation = Observation { key: key.to_owned(), what, files };
        let observations = vec![(self.line.id, observation)];
        self.ledger.record(Recorded { observations, ..Recorded::default() }).await.unwrap();
    }

    /// What is told after this place, and the place after it; what was uploaded for an older link is forgotten.
    async fn told(&self, after: Option<&str>) -> HistoryBatch {
        self.driver.assign_lines(vec![self.line.clone()]).await;
        soon(self.driver.history(self.line.id, after, 10, &self.files)).await.unwrap()
    }

    /// Waits until so many observations wait.
    async fn waiting(&self, after: Option<&str>, count: usize) {
        soon(async {
            while self.ledger.waiting(self.line.id, after, 10).await.unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

fn chat() -> InboundChat {
    InboundChat::Contact { handle: "+15550100002".parse().unwrap() }
}

fn message() -> Inbound {
    Inbound::Message(InboundMessage {
        guid: "guid".to_owned(),
        chat: chat(),
        sender: "+15550100002".parse().unwrap(),
        text: Some("look".to_owned()),
        sent_at: Timestamp(1),
        service: Service::IMessage,
        reply_to_guid: None,
        attachments: Vec::new(),
        is_audio_message: false,
    })
}

fn update() -> Inbound {
    let update = InboundUpdate::of(chat(), "guid");
    Inbound::Update(InboundUpdate { attachments: Some(Vec::new()), ..update })
}

/// The names of the files that each entry tells; none of one that says nothing of files.
fn files_of(batch: &HistoryBatch) -> Vec<Option<Vec<&str>>> {
    fn of(entry: &Inbound) -> Option<&[LinkedFile]> {
        match entry {
            Inbound::Message(message) => Some(&message.attachments),
            Inbound::Update(update) => update.attachments.as_deref(),
            other => panic!("{other:?}"),
        }
    }
    let names =
        |entry| Some(of(entry)?.iter().filter_map(|file| file.filename.as_deref()).collect());
    batch.entries.iter().map(names).collect()
}

#[tokio::test]
async fn a_list_of_files_that_is_older_than_what_was_told_is_not_told() {
    let rig = Rig::new().await;
    // Of two files one can't be read, and the other has not come.
    rig.observes("message", message(), &["one"]).await;
    let first = rig.told(None).await;
    assert_eq!(files_of(&first), [Some(vec![])]);
    // The link breaks, the second file comes, and then both can be read.
    let place = Some(&*first.position);
    rig.observes("files", update(), &["one", "two"]).await;
    rig.can_read(&["one", "two"]);
    rig.waiting(place, 2).await;
    let all = Some(vec!["one", "two"]);
    let batch = rig.told(place).await;
    assert_eq!(files_of(&batch), [all.clone(), None]);
    // Of a batch that the server never had all is told once more.
    assert_eq!(files_of(&rig.told(place).await), [all, None]);
}

#[tokio::test]
async fn what_the_server_never_had_is_told_once_more_while_another_file_is_looked_for() {
    let rig = Rig::new().await;
    rig.observes("message", message(), &["one", "two"]).await;
    let first = rig.told(None).await;
    assert_eq!(files_of(&first), [Some(vec![])]);
    let place = Some(&*first.position);
    rig.can_read(&["one"]);
    rig.waiting(place, 1).await;
    for _ in 0..2 {
        assert_eq!(files_of(&rig.told(place).await), [Some(vec!["one"])]);
    }
}
