//! The simulator behind a real link to a fake server.

use std::{fs, path::Path, sync::Arc, time::Duration};

use switchboard_bridge::{Simulator, SimulatorOptions};
use switchboard_model::{
    Chat, Handle, Message,
    id::Id,
    link::{CarriedLine, Content, Inbound, Outcome, Report, SendItem},
    reaction::ReactionType,
    simulator::{
        ContactInChat, ContactReaction, ContactText, Fault, FaultMode, Phone, SimulatedPhones,
        SimulatedText, SimulatorError,
    },
};
use tempfile::TempDir;

use crate::{
    Ticks,
    fake_server::{FakeServer, Peer},
    item_of, line, soon,
};

pub(crate) const CONTACT: &str = "+15550100002";

pub(crate) struct Harness {
    pub(crate) folder: TempDir,
    pub(crate) line: CarriedLine,
    pub(crate) clock: Arc<Ticks>,
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) server: FakeServer,
}

pub(crate) fn open(folder: &Path, clock: &Arc<Ticks>) -> Arc<Simulator> {
    let options = SimulatorOptions {
        send_timeout: Duration::from_millis(100),
        ..SimulatorOptions::default()
    };
    Simulator::open(&folder.join("simulator.jsonl"), clock.clone(), options).unwrap()
}

pub(crate) fn handle(text: &str) -> Handle {
    text.parse().expect("a handle")
}

impl Harness {
    pub(crate) async fn new() -> (Self, Peer) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Ticks::default());
        let simulator = open(folder.path(), &clock);
        let server = FakeServer::start(simulator.clone()).await;
        let line = line();
        let (peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
        (Self { folder, line, clock, simulator, server }, peer)
    }

    /// Ends the simulator's process and starts another one, linked to another server.
    pub(crate) async fn restart(&mut self, peer: Peer) -> Peer {
        self.server.stop.cancel();
        soon(&mut self.server.bridge).await.unwrap().unwrap();
        drop(peer);
        self.simulator = open(self.folder.path(), &self.clock);
        self.server = FakeServer::start(self.simulator.clone()).await;
        self.server.welcome(std::slice::from_ref(&self.line), &[]).await.0
    }

    pub(crate) fn says(&self, from: &str, text: &str, chat_id: Option<Id<Chat>>) -> ContactText {
        ContactText {
            line: self.line.handle.clone(),
            from: handle(from),
            text: Some(text.to_owned()),
            chat_id,
            reply_to_guid: None,
            attachments: Vec::new(),
            is_audio_message: false,
        }
    }

    /// A contact texts, and the server takes it.
    pub(crate) async fn text(&mut self, peer: &mut Peer, text: ContactText) -> SimulatedText {
        self.taken(peer, self.simulator.text(text)).await.1.unwrap()
    }

    pub(crate) fn reacts(&self, from: &str, guid: &str, what: &str) -> ContactReaction {
        ContactReaction {
            line: self.line.handle.clone(),
            from: handle(from),
            message_guid: guid.to_owned(),
            reaction_type: ReactionType::parse(what).unwrap(),
            remove: false,
        }
    }

    pub(crate) async fn react(
        &self,
        peer: &mut Peer,
        reaction: ContactReaction,
    ) -> Result<Option<Id<Message>>, SimulatorError> {
        self.taken(peer, self.simulator.react(reaction)).await.1
    }

    pub(crate) fn contact(&self, from: &str, chat_id: Option<Id<Chat>>) -> ContactInChat {
        ContactInChat { line: self.line.handle.clone(), from: handle(from), chat_id }
    }

    /// What a contact does, once the server has it, and the batch in which it came.
    pub(crate) async fn taken<T>(
        &self,
        peer: &mut Peer,
        what: impl Future<Output = T>,
    ) -> (Vec<Inbound>, T) {
        let (result, (_, entries, _)) =
            soon(async { tokio::join!(what, peer.take_inbound()) }).await;
        (entries, result)
    }

    pub(crate) async fn fault(&self, mode: FaultMode, after: Option<Duration>, count: Option<u32>) {
        self.simulator.fault(&self.line.handle, Fault { mode, after, count }).await.unwrap();
    }

    pub(crate) async fn phone(&self, of: &str) -> Phone {
        self.simulator.phone(&handle(of)).await
    }

    pub(crate) async fn texts_on(&self, phone: &str) -> Vec<(String, String)> {
        let shown = self.phone(phone).await.messages;
        shown
            .into_iter()
            .map(|one| (one.from.as_str().to_owned(), one.text.unwrap_or_default()))
            .collect()
    }

    /// The reactions on a phone, as `(message's guid, sender, what)`.
    pub(crate) async fn reactions_on(&self, phone: &str) -> Vec<(String, String, String)> {
        let shown = self.phone(phone).await.reactions.into_iter();
        let shown = shown.map(|one| {
            let (from, what) = (one.reaction.from, one.reaction.reaction_type);
            (one.message_guid, from.as_str().to_owned(), what.to_string())
        });
        shown.collect()
    }

    /// Gives one item and waits for its report.
    pub(crate) async fn outcome_of(
        &self,
        peer: &mut Peer,
        to: &str,
        content: Content,
    ) -> (SendItem, Outcome) {
        let item = item_of(&self.line, Id::generate(), to, content);
        let outcome = self.give(peer, &item).await;
        (item, outcome)
    }

    pub(crate) async fn give(&self, peer: &mut Peer, item: &SendItem) -> Outcome {
        peer.give(std::slice::from_ref(item)).await;
        let [Report { id, outcome }] =
            <[Report; 1]>::try_from(peer.reports().await).expect("one report");
        assert_eq!(id, item.id);
        peer.settle(&[id]).await;
        outcome
    }

    /// Gives one text and waits for its report.
    pub(crate) async fn outcome(&self, peer: &mut Peer, to: &str) -> (SendItem, Outcome) {
        let item = crate::item(&self.line, Id::generate(), to, "x");
        let outcome = self.give(peer, &item).await;
        (item, outcome)
    }

    /// Sends a text and gives its guid.
    pub(crate) async fn sent(&self, peer: &mut Peer, to: &str) -> String {
        match self.outcome(peer, to).await.1 {
            Outcome::Sent { guid, .. } => guid,
            other => panic!("{other:?}"),
        }
    }

    /// The names in the folder of files that wait.
    pub(crate) fn waiting_files(&self) -> Vec<String> {
        let found = fs::read_dir(self.folder.path().join("simulator.files")).unwrap();
        found.map(|one| one.unwrap().file_name().into_string().unwrap()).collect()
    }
}
