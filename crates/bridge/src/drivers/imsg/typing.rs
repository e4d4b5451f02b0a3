//! What imsg says unasked, besides that there is something to read.

use serde_json::Value;
use switchboard_model::{
    Handle,
    link::{CarriedLine, Inbound, InboundChat, InboundTyping},
};

use super::{Imsg, chats::is_group, rpc::Chat};
use crate::{
    connector::Context,
    ledger::{Observation, Recorded, now},
};

impl Imsg {
    /// Hears who types, and when a subscription ends.
    pub(super) async fn hear(&self, context: &Context) {
        let mut pushed = self.pushed.lock().await;
        while let Some(said) = pushed.recv().await {
            match &*said.method {
                "bridge.event" => self.hear_event(context, &said.params).await,
                "watch.overflow" | "error" | "bridge.events.overflow" | "bridge.events.error" => {
                    self.watch_anew.notify_one();
                }
                _ => {}
            }
        }
    }

    async fn hear_event(&self, context: &Context, params: &Value) {
        let event = &params["event"];
        let is_typing = match event["event"].as_str() {
            Some("started-typing") => true,
            Some("stopped-typing") => false,
            _ => return,
        };
        let Some(guid) = event["data"]["chatGuid"].as_str() else { return };
        // Of a group nobody says who it is.
        let Some(chat) = self.chat_named(guid).await else { return };
        let lines = std::sync::Arc::clone(&context.lines.borrow());
        let line = match &**lines {
            [only] => Some(only),
            _ => typing_line(&lines, &chat),
        };
        let Some(line) = line else { return };
        let handle = Handle::received(&chat.identifier);
        let at = now();
        let what = Inbound::Typing(InboundTyping {
            chat: InboundChat::Contact { handle: handle.clone() },
            handle,
            is_typing,
            at,
        });
        let key = format!("typing:{}", uuid::Uuid::now_v7());
        let observations = vec![(line.id, Observation::new(key, what))];
        // It is of the moment: what can't be written down is not told.
        let _ = context.ledger.record(Recorded { observations, ..Recorded::default() }).await;
    }

    async fn chat_named(&self, guid: &str) -> Option<Chat> {
        let chat = self.chat_by_guid(guid).await?;
        let of_two =
            !is_group(&chat.guid, &chat.identifier, chat.is_group, chat.participants.len());
        of_two.then_some(chat)
    }
}

fn typing_line<'a>(lines: &'a [CarriedLine], chat: &Chat) -> Option<&'a CarriedLine> {
    let named = chat.last_addressed_handle.as_deref()?;
    let handle = Handle::received(named);
    lines.iter().find(|line| line.handle == handle)
}
