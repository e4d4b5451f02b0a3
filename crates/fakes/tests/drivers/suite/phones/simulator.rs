//! Behind the simulator, by its own API.

use switchboard_client::{
    ContactFile, ContactInChat, ContactReaction, ContactText, SetFault, SimulatorClient,
};
use switchboard_model::simulator::{FaultMode, Phone};

use tempfile::TempDir;

use super::{Phones, Sample, Shown, ShownFile};
use crate::rig::LINE;

pub(crate) struct Simulated {
    client: SimulatorClient,
    /// Where the phones are kept.
    _folder: TempDir,
}

impl Simulated {
    pub(crate) fn new(client: SimulatorClient, folder: TempDir) -> Self {
        Self { client, _folder: folder }
    }

    async fn phone(&self, person: &str) -> Phone {
        self.client.phone(person).await.unwrap().value
    }

    async fn fault(&self, mode: FaultMode, count: Option<u32>) {
        let fault = SetFault { count, ..SetFault::new(LINE, mode) };
        self.client.fault(&fault).await.unwrap();
    }
}

fn file(sample: Sample) -> ContactFile {
    ContactFile::new(sample.mime_type, sample.bytes).filename(sample.name)
}

#[async_trait::async_trait]
impl Phones for Simulated {
    async fn writes(&self, from: &str, text: &str) {
        self.client.text(&ContactText::new(LINE, from, text)).await.unwrap();
    }

    async fn shown(&self, person: &str) -> Vec<Shown> {
        let chats = self.phone(person).await.messages.into_iter();
        let own = chats.filter(|one| one.from.as_str() == LINE);
        let shown = own.map(|one| Shown {
            guid: one.guid,
            text: one.text.unwrap_or_default(),
            files: one
                .attachments
                .into_iter()
                .map(|file| ShownFile {
                    name: file.filename.unwrap_or_default(),
                    sha256: file.sha256,
                })
                .collect(),
            reply_to: one.reply_to_guid,
            is_group: false,
            is_audio: one.is_audio_message,
        });
        shown.collect()
    }

    async fn replies(&self, from: &str, guid: &str, text: &str) -> bool {
        let text = ContactText {
            reply_to_guid: Some(guid.to_owned()),
            ..ContactText::new(LINE, from, text)
        };
        self.client.text(&text).await.unwrap();
        true
    }

    async fn sends_file(&self, from: &str, sample: Sample) -> bool {
        self.client.text(&ContactText::file(LINE, from, file(sample))).await.unwrap();
        true
    }

    async fn sends_memo(&self, from: &str, sample: Sample) -> bool {
        self.client.text(&ContactText::voice_memo(LINE, from, file(sample))).await.unwrap();
        true
    }

    async fn reacts(&self, from: &str, guid: &str, reaction: &str, add: bool) -> bool {
        let react = ContactReaction::new(LINE, from, guid, reaction);
        let react = if add { react } else { react.remove() };
        self.client.react(&react).await.unwrap();
        true
    }

    async fn reactions_on(&self, person: &str, guid: &str) -> Vec<String> {
        let all = self.phone(person).await.reactions.into_iter();
        let of_it =
            all.filter(|one| one.message_guid == guid && one.reaction.from.as_str() == LINE);
        of_it.map(|one| one.reaction.reaction_type.to_string()).collect()
    }

    async fn types(&self, from: &str, on: bool) -> bool {
        self.client.typing(&ContactInChat::new(LINE, from), on).await.unwrap();
        true
    }

    async fn sees_typing(&self, person: &str) -> bool {
        self.phone(person).await.typing.iter().any(|line| line.as_str() == LINE)
    }

    async fn sees_read(&self, person: &str) -> bool {
        !self.phone(person).await.read.is_empty()
    }

    /// It does so by itself.
    async fn delivers(&self, _guid: &str) -> bool {
        true
    }

    async fn reads(&self, from: &str, _guid: &str) -> bool {
        self.client.read(&ContactInChat::new(LINE, from)).await.unwrap();
        true
    }

    async fn edits(&self, guid: &str, text: &str) -> bool {
        self.client.edit(guid, text).await.unwrap();
        true
    }

    async fn unsends(&self, guid: &str) -> bool {
        self.client.unsend(guid).await.unwrap();
        true
    }

    async fn group(&self, name: &str, people: &[&str]) -> Option<String> {
        let group = self.client.group(LINE, Some(name), people).await.unwrap().value;
        Some(group.to_string())
    }

    async fn writes_in(&self, group: &str, from: &str, text: &str) {
        let text =
            ContactText { chat_id: Some(group.to_owned()), ..ContactText::new(LINE, from, text) };
        self.client.text(&text).await.unwrap();
    }

    async fn away(&self, away: bool) {
        self.fault(if away { FaultMode::Offline } else { FaultMode::None }, None).await;
    }

    async fn refuse_next(&self, _to: &str) {
        self.fault(FaultMode::Reject, Some(1)).await;
    }

    async fn lose_next(&self) -> bool {
        self.fault(FaultMode::LoseReport, Some(1)).await;
        false
    }
}
