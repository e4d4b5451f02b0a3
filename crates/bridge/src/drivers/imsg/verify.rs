//! What came of an attempt of which nobody has heard: Messages' own database is asked.
//!
//! That it has no such message proves nothing: the helper may still send it. So this never says that nothing was begun.

use std::time::Duration;

use serde_json::json;
use switchboard_model::link::{Content, InboundChat, Outcome};
use tracing::debug;

use super::{
    Imsg, READ_TIMEOUT,
    rpc::{Row, RpcError, SendStatus},
    send::{mark_row, sent_as},
};
use crate::{
    connector::Verdict,
    ledger::{Begun, Ledger, OwnRow},
};

/// Pages that are looked through for a message.
const PAGES: usize = 20;
/// Rows of each.
const PAGE: i64 = 500;
/// How often it is looked for a child.
const CHILD_POLL: Duration = Duration::from_millis(250);
/// How long a message that is on its way is watched.
const PENDING_POLL: Duration = Duration::from_secs(2);
/// How often.
const PENDING_POLLS: usize = 5;

impl Imsg {
    pub(super) async fn find_out(&self, begun: &Begun, ledger: &Ledger) -> Verdict {
        if !matches!(begun.item.content, Content::Message { .. }) {
            return Verdict::Open;
        }
        let found = loop {
            let found = match self.find_by_token(begun).await {
                Ok(None) => self.find_by_text(begun, ledger).await,
                found => found,
            };
            // After a start the child comes later than the question; whoever asks waits for so long as it will.
            match found {
                Err(RpcError::NotRunning | RpcError::Gone) => tokio::time::sleep(CHILD_POLL).await,
                found => break found,
            }
        };
        match found {
            Ok(verdict) => verdict.unwrap_or(Verdict::Open),
            Err(error) => {
                debug!(%error, "Messages can't be asked what came of an item");
                Verdict::Open
            }
        }
    }

    /// By the guid that a tracked send has in any case.
    async fn find_by_token(&self, begun: &Begun) -> Result<Option<Verdict>, RpcError> {
        let guid = begun.guid.clone().unwrap_or_else(|| begun.token.to_string());
        for _ in 0..PENDING_POLLS {
            let params = json!({"guid": guid});
            let status: SendStatus =
                self.child.ask("message.send_status", params, READ_TIMEOUT).await?;
            let Some(fields) = &status.status_fields else { return Ok(None) };
            if status.send_state == "failed" || fields.error != 0 {
                let error = format!("Messages could not deliver it (error {}).", fields.error);
                return Ok(Some(Verdict::Finished(Outcome::Failed { error })));
            }
            if matches!(&*status.send_state, "sent" | "delivered") {
                let sent = sent_as(&guid, begun.begun_at, status.service.as_deref());
                return Ok(Some(Verdict::Finished(sent)));
            }
            tokio::time::sleep(PENDING_POLL).await;
        }
        Ok(Some(Verdict::Open))
    }

    /// By what it says, among the own rows that came after it was begun. The ledger decides: it knows which are others'.
    async fn find_by_text(
        &self,
        begun: &Begun,
        ledger: &Ledger,
    ) -> Result<Option<Verdict>, RpcError> {
        let mut after = mark_row(begun.mark.as_deref());
        for _ in 0..PAGES {
            let page = self.page(after, PAGE).await?;
            for row in page.messages.iter().filter(|row| row.is_from_me && !row.is_reaction) {
                if let Some(own) = self.own_row(begun, ledger, row).await
                    && ledger.is_outcome_of(begun, own).await.unwrap_or(false)
                    && ledger.claim_message(begun.item.id, row.guid.clone()).await.unwrap_or(false)
                {
                    return Ok(Some(Verdict::Finished(sent_as(&row.guid, row.created_at, None))));
                }
            }
            after = page.next_rowid;
            if !page.has_more && page.messages.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    async fn own_row(&self, begun: &Begun, ledger: &Ledger, row: &Row) -> Option<OwnRow> {
        let line = begun.item.line_id;
        let group = match row.is_in_group() {
            true => ledger.group(line, row.group_names()).await.ok().flatten(),
            false => None,
        };
        let identifier = match row.chat(group) {
            InboundChat::Contact { handle } => handle.to_string(),
            InboundChat::Group { identifier, .. } => identifier,
        };
        Some(OwnRow {
            line,
            guid: row.guid.clone(),
            identifier,
            text: row.plain_text(),
            has_files: row.files().next().is_some(),
            sent_at: row.created_at,
            service: switchboard_model::chat::Service::IMessage,
        })
    }
}
