//! What happens in Messages, read row by row from the place in the ledger.
//!
//! imsg's watch wakes; it is never what is told. A row is told once it is settled: it stands in a chat, its body and its files
//! have come, and whose it is, is known. What comes after it waits for that, for half a minute at most.

use std::{collections::HashMap, time::Duration};

use serde_json::json;
use switchboard_model::{
    line::OfflineReason,
    link::{CarriedLine, InboundChat},
    throttle::Throttle,
};
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, warn};

use super::{
    Imsg, READ_TIMEOUT, SOURCE,
    child::Life,
    rows::{Meaning, is_history, line_of},
    rpc::{Chat, Row, RpcError},
    tail::Place,
};
use crate::{
    connector::Context,
    ledger::{LedgerError, Observation, Ownership, Recorded},
};

/// How often it is looked for new rows in any case.
const POLL: Duration = Duration::from_secs(5);
/// How often it is looked at a row that is not settled.
const UNSETTLED_POLL: Duration = Duration::from_millis(500);
/// How long a row may stand in no chat, or lack a file.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
/// How long a row may be empty.
const FILLS_WITHIN: Duration = Duration::from_secs(5);
/// How long an own row waits for what is under way.
const OWNED_WITHIN: Duration = Duration::from_secs(60);
/// Rows of a page.
const PAGE: i64 = 200;
/// How long the watch may say nothing of rows that were found.
const SILENT_AFTER: Duration = Duration::from_secs(30);
/// How often it is made sure that the database is still the same.
const SAME_EVERY: Duration = Duration::from_secs(30);
/// How often the watch is begun anew: it keeps to the file that it began with.
const WATCH_ANEW_EVERY: Duration = Duration::from_secs(60 * 60);
/// How much of the past is read again in a database that was put in another's place.
const OVERLAP: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// How often it is said that nothing can be read.
const UNREADABLE_EVERY: Duration = Duration::from_secs(60);

/// What to do with a row.
enum Reading {
    /// It is not settled: it and what follows wait.
    Hold,
    /// It says nothing.
    Pass,
    /// It says this.
    Told(Box<(CarriedLine, Observation)>),
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What is known while it is observed.
#[derive(Default)]
struct Observer {
    place: Option<Place>,
    /// Since when rows wait to be settled.
    unsettled: HashMap<i64, Instant>,
    /// Since when rows were found of which the watch said nothing.
    unheard: Option<Instant>,
    /// When the database was last found to be the same, and by which child.
    same: Option<(Life, Instant)>,
}

impl Imsg {
    /// Begins the watch at each start of the child, and anew once in a while.
    pub(super) async fn keep_watching(&self) {
        let mut life = self.child.life();
        loop {
            let now = *life.borrow_and_update();
            if let Life::Up(_) = now {
                let watch = json!({"include_reactions": true, "debounce_ms": 250});
                let begun = self
                    .child
                    .ask::<serde_json::Value>("watch.subscribe", watch, READ_TIMEOUT)
                    .await;
                let typing = match self.readiness.borrow().can("bridge.events.subscribe") {
                    true => Some(json!({})),
                    false => None,
                };
                if let Some(params) = typing {
                    let ask = "bridge.events.subscribe";
                    let _ = self.child.ask::<serde_json::Value>(ask, params, READ_TIMEOUT).await;
                }
                if let Err(error) = begun {
                    // Polling goes on without it.
                    warn!(%error, "imsg's watch can't be begun");
                    let _ = timeout(POLL, life.changed()).await;
                    continue;
                }
            }
            tokio::select! {
                _ = life.changed() => {}
                () = self.watch_anew.notified() => sleep(UNSETTLED_POLL).await,
                () = sleep(WATCH_ANEW_EVERY) => {}
            }
        }
    }

    /// Reads what happens, for ever.
    pub(super) async fn observe(&self, context: &Context) {
        let mut observer = Observer::default();
        let unreadable = Throttle::new(UNREADABLE_EVERY);
        let mut lines = context.lines.clone();
        loop {
            // Of a line that nobody has given yet nothing can be told, and nothing may be passed over.
            if lines.borrow_and_update().is_empty() {
                if lines.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let pause = match self.catch_up(context, &mut observer).await {
                Ok(true) => POLL,
                Ok(false) => UNSETTLED_POLL,
                Err(problem) => {
                    if let Some(held_back) = unreadable.pass(std::time::Instant::now()) {
                        warn!(%problem, held_back, "Messages can't be read");
                    }
                    POLL
                }
            };
            if let Ok(()) = timeout(pause, self.child.pushed.notified()).await {
                observer.unheard = None;
                self.warn_of(None);
            }
        }
    }

    /// Reads to the end. False if something is not settled.
    async fn catch_up(
        &self,
        context: &Context,
        observer: &mut Observer,
    ) -> Result<bool, ReadError> {
        self.find_place(context, observer).await?;
        let Some(mut place) = observer.place.clone() else { return Ok(true) };
        loop {
            let page = self.page(place.row, PAGE).await?;
            let (found, mut settled) = (!page.messages.is_empty(), true);
            let mut observations = Vec::new();
            for row in &page.messages {
                match self.read_row(context, observer, &place, row).await? {
                    Reading::Hold => {
                        settled = false;
                        break;
                    }
                    Reading::Pass => {}
                    Reading::Told(told) => observations.push((told.0.id, told.1)),
                }
                observer.unsettled.remove(&row.id);
                place.passed(row.id, &row.guid, row.created_at);
            }
            if settled {
                place.row = place.row.max(page.next_rowid);
            }
            if observer.place.as_ref() != Some(&place) {
                let cursor = Some((SOURCE, place.cursor()));
                context.ledger.record(Recorded { observations, cursor }).await?;
                observer.place = Some(place.clone());
                self.read_to.send_replace(place.row);
            }
            if found {
                self.listen_to_the_watch(observer);
            }
            if !settled || !(page.has_more || found) {
                return Ok(settled);
            }
        }
    }

    /// The place to read on from, in the database that is there now.
    async fn find_place(
        &self,
        context: &Context,
        observer: &mut Observer,
    ) -> Result<(), ReadError> {
        let life = *self.child.life().borrow();
        let is_fresh = |(of, at): (Life, Instant)| of == life && at.elapsed() < SAME_EVERY;
        if observer.place.is_some() && observer.same.is_some_and(is_fresh) {
            return Ok(());
        }
        let known = match observer.place.take() {
            Some(place) => Some(place),
            None => context.ledger.cursor(SOURCE).await?.as_ref().and_then(Place::of),
        };
        let place = match known {
            None => self.first_place(context).await?,
            Some(place) if self.is_the_same(&place).await? => place,
            Some(place) => {
                warn!("another database stands where Messages' was: what is new in it is read");
                self.chats.forget();
                observer.unsettled.clear();
                self.watch_anew.notify_one();
                let since = place.since.max(place.latest - OVERLAP);
                Place { row: 0, since, latest: place.latest, anchors: Vec::new() }
            }
        };
        self.read_to.send_replace(place.row);
        observer.place = Some(place);
        observer.same = Some((life, Instant::now()));
        Ok(())
    }

    /// Raises the alarm when rows come of which the watch says nothing.
    fn listen_to_the_watch(&self, observer: &mut Observer) {
        let since = *observer.unheard.get_or_insert_with(Instant::now);
        if since.elapsed() > SILENT_AFTER {
            self.warn_of(Some(OfflineReason::SilentWatch));
            self.watch_anew.notify_one();
        }
    }

    async fn read_row(
        &self,
        context: &Context,
        observer: &mut Observer,
        place: &Place,
        row: &Row,
    ) -> Result<Reading, ReadError> {
        if is_history(row, place.since) {
            return Ok(Reading::Pass);
        }
        let waited = observer.unsettled.entry(row.id).or_insert_with(Instant::now).elapsed();
        if row.chat_id == 0 {
            // It looks like a message of nobody's: told now, a group's would stand in a chat of two.
            if waited < SETTLES_WITHIN {
                return Ok(Reading::Hold);
            }
            error!("a message that stands in no chat is passed over");
            return Ok(Reading::Pass);
        }
        let of = self.chat(row.chat_id).await?;
        let lines = std::sync::Arc::clone(&context.lines.borrow());
        let Some(line) = line_of(&lines, row, of.as_ref()) else { return Ok(Reading::Pass) };
        let meaning = row.meaning();
        match meaning {
            Meaning::Other => return Ok(Reading::Pass),
            Meaning::Empty if waited < FILLS_WITHIN => return Ok(Reading::Hold),
            Meaning::Empty => return Ok(Reading::Pass),
            Meaning::Message if row.lacks_files() && waited < SETTLES_WITHIN => {
                return Ok(Reading::Hold);
            }
            Meaning::Message | Meaning::Reaction => {}
        }
        let group = match row.is_in_group() {
            true => match context.ledger.group(line.id, row.group_names()).await? {
                Some(group) => Some(group),
                None => return Ok(Reading::Pass),
            },
            false => None,
        };
        let chat = row.chat(group.clone());
        let told = match meaning {
            Meaning::Reaction => row.as_reaction(chat),
            _ if row.is_from_me => {
                return self.read_own(context, line, row, group, of.as_ref(), waited).await;
            }
            _ => {
                self.recent.note(row, line.id, &chat);
                self.follow_files(context, line, row, &chat).await?;
                Some(row.as_message(chat, of.as_ref()))
            }
        };
        Ok(told.map_or(Reading::Pass, |told| Reading::Told(Box::new((line.clone(), told)))))
    }

    async fn read_own(
        &self,
        context: &Context,
        line: &CarriedLine,
        row: &Row,
        group: Option<String>,
        of: Option<&Chat>,
        waited: Duration,
    ) -> Result<Reading, ReadError> {
        let chat = row.chat(group.clone());
        let identifier = match (&group, &chat) {
            (Some(group), _) => group.clone(),
            (None, InboundChat::Contact { handle }) => handle.to_string(),
            (None, InboundChat::Group { identifier, .. }) => identifier.clone(),
        };
        let whose = context.ledger.whose(row.as_own_row(line, identifier, of)).await?;
        if whose == Ownership::NotYet && waited < OWNED_WITHIN {
            return Ok(Reading::Hold);
        }
        self.recent.note(row, line.id, &chat);
        let now = crate::ledger::now();
        context.ledger.follow(row.guid.clone(), line.id, chat.clone(), now).await?;
        Ok(match whose {
            Ownership::Ours(_) => Reading::Pass,
            // If it turns out to be ours after all, its guid says so to the server.
            Ownership::Owners | Ownership::NotYet => {
                Reading::Told(Box::new((line.clone(), row.as_own(chat, of))))
            }
        })
    }
}
