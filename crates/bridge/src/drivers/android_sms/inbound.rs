//! What an entry of the inbox is to the server. No I/O.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use switchboard_model::{
    Handle,
    chat::Service,
    handle::Country,
    link::{CarriedLine, Inbound, InboundChat, InboundMessage},
};

use super::wire::{InboxItem, Kind, Part};
use crate::ledger::{Observation, ObservedFile};

/// What the app writes where an MMS has neither a text nor a subject.
const NO_TEXT: &str = "MMS content";
/// How the parts of an MMS are laid out: it is no file.
const LAYOUT: &str = "application/smil";

/// What stands in the inbox, and on which phone.
pub(super) struct Entry<'a> {
    pub(super) item: &'a InboxItem,
    /// The phone's id.
    pub(super) device: &'a str,
    /// Whether the phone has no other card.
    pub(super) is_only_card: bool,
    pub(super) line: &'a CarriedLine,
    /// Where numbers without a country are from.
    pub(super) country: Option<Country>,
}

impl Entry<'_> {
    /// The message; none if it is nothing for people.
    pub(super) fn observation(&self) -> Option<Observation> {
        let item = self.item;
        let (text, files) = match item.kind {
            Kind::Text => (Some(item.content_preview.clone()), Vec::new()),
            Kind::Mms => {
                let files: Vec<_> =
                    item.attachments.iter().filter_map(|one| self.file(one)).collect();
                let is_text = !files.is_empty() && item.content_preview == NO_TEXT;
                ((!is_text).then(|| item.content_preview.clone()), files)
            }
            Kind::MmsNotice | Kind::Other => return None,
        };
        let sender = self.sender();
        let message = InboundMessage {
            guid: self.guid(),
            chat: InboundChat::Contact { handle: sender.clone() },
            sender,
            text: text.filter(|text| !text.is_empty()),
            sent_at: item.created_at,
            service: Service::Sms,
            reply_to_guid: None,
            attachments: Vec::new(),
            is_audio_message: false,
        };
        Some(Observation { key: self.key(), what: Inbound::Message(message), files })
    }

    /// What makes it this very text. Neither the phone nor the card stands in it: the same text in an app that was installed
    /// anew, or beside a second card, is the same.
    pub(super) fn key(&self) -> String {
        let item = self.item;
        let kind = if item.kind == Kind::Mms { "mms" } else { "text" };
        format!("{kind}:{}:{}:{}", self.sender(), item.created_at.0, item.content_preview)
    }

    /// Who wrote. Phones are told many numbers as they are dialled within the country.
    fn sender(&self) -> Handle {
        let country = self.country.or_else(|| self.line.handle.country());
        Handle::received_in(&self.item.sender, country)
    }

    /// The app's own number of a text is of 32 bits, and other in each of its ways to tell of it.
    fn guid(&self) -> String {
        let item = self.item;
        if item.kind == Kind::Mms {
            let number = item.id.rsplit(':').next().unwrap_or_default();
            return format!("{}mms{number}", self.device);
        }
        // Some phones leave the card out in one of the ways.
        let sim = match item.sim_number {
            Some(number) if !self.is_only_card => number.to_string(),
            _ => "-".to_owned(),
        };
        let mut digest = Sha256::new();
        let stamp = item.created_at.0.to_string();
        for part in [self.device, &sim, &item.sender, &stamp, &item.content_preview] {
            // Where one part ends and the next begins must be certain.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        let mut guid = "sms:".to_owned();
        for byte in digest.finalize() {
            let _ = write!(guid, "{byte:02x}");
        }
        guid
    }

    fn file(&self, part: &Part) -> Option<ObservedFile> {
        let mime_type = part.content_type.clone().filter(|one| !one.is_empty());
        if mime_type.as_deref() == Some(LAYOUT) {
            return None;
        }
        let number = match &part.part_id {
            serde_json::Value::String(number) => number.clone(),
            number => number.to_string(),
        };
        Some(ObservedFile {
            source: format!("{}/{number}", self.item.id),
            filename: part.name.clone(),
            mime_type: mime_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            transcription: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use switchboard_model::{id::Id, line::LineService};

    use super::*;

    fn line() -> CarriedLine {
        CarriedLine {
            id: Id::new(uuid::Uuid::now_v7()),
            handle: Handle::received("+14155550199"),
            service: LineService::Sms,
            position: None,
            role: switchboard_model::link::LineRole::Active,
            since: None,
        }
    }

    fn observed(item: serde_json::Value, device: &str, is_only_card: bool) -> Option<Observation> {
        let (line, item) = (line(), serde_json::from_value(item).unwrap());
        Entry { item: &item, device, is_only_card, line: &line, country: None }.observation()
    }

    fn text(sim: Option<u32>, sender: &str) -> serde_json::Value {
        json!({"id": "text:-1", "type": "SMS", "sender": sender, "simNumber": sim,
               "contentPreview": "Thanks", "createdAt": "2026-03-01T09:20:41.000+01:00"})
    }

    fn message(observation: &Observation) -> &InboundMessage {
        let Inbound::Message(message) = &observation.what else { panic!("no message") };
        message
    }

    #[test]
    fn a_text_is_the_same_however_the_card_is_told() {
        let one = observed(text(Some(1), "4155550123"), "phone", true).unwrap();
        let other = observed(text(None, "4155550123"), "phone", true).unwrap();
        assert_eq!(message(&one).guid, message(&other).guid);
        assert_eq!(message(&one).sender.as_str(), "+14155550123");
        // In an app that was installed anew it has another guid, and is known all the same.
        let again = observed(text(Some(1), "+14155550123"), "phone again", false).unwrap();
        assert_ne!(message(&one).guid, message(&again).guid);
        assert_eq!(one.key, again.key);
    }

    #[test]
    fn who_can_not_be_dialled_writes_too() {
        for name in ["72345", "AMAZON"] {
            let told = observed(text(Some(1), name), "phone", true).unwrap();
            assert_eq!(message(&told).sender.as_str(), name);
        }
    }

    #[test]
    fn an_mms_is_its_content_and_not_its_notice() {
        let mms = |kind: &str, preview: &str| {
            json!({"id": "mms:7", "type": kind, "sender": "+14155550123", "simNumber": 1,
                   "contentPreview": preview, "createdAt": "2026-03-01T09:20:41.000+01:00",
                   "attachments": [{"partId": 1, "contentType": "application/smil"},
                                   {"partId": 2, "contentType": "image/png", "name": "a.png"}]})
        };
        assert!(observed(mms("MMS", "look"), "phone", true).is_none());
        assert!(observed(mms("DATA_SMS", "6162"), "phone", true).is_none());
        let told = observed(mms("MMS_DOWNLOADED", "look"), "phone", true).unwrap();
        assert_eq!((&*message(&told).guid, told.files.len()), ("phonemms7", 1));
        assert_eq!((&*told.files[0].source, &*told.files[0].mime_type), ("mms:7/2", "image/png"));
        let told = observed(mms("MMS_DOWNLOADED", NO_TEXT), "phone", true).unwrap();
        assert_eq!(message(&told).text, None);
    }
}
