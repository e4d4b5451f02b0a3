//! What happens in Messages, read row by row from the place in the ledger.
//!
//! imsg's watch wakes; it is never what is told. A row is told once it is settled: it stands in a chat, its body and its files
//! have come, and whose it is, is known. What comes after it waits for that, for half a minute at most.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use switchboard_model::{
    causes::chain,
    line::OfflineReason,
    link::{CarriedLine, Inbound},
    throttle::Throttle,
};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error, warn};

use super::{
    Imsg, READ_TIMEOUT, SOURCE,
    child::Life,
    follow::follow_files,
    own::Own,
    reread::text_of,
    rows::{Meaning, line_of},
    rpc::{Row, RpcError},
};
use crate::{
    connector::Context,
    drivers::watermark::Watermark,
    ledger::{LedgerError, Observation, Recorded, now},
};

/// How often it is looked for new rows in any case.
const POLL: Duration = Duration::from_secs(5);
/// How often it is looked at a row that is not settled.
const UNSETTLED_POLL: Duration = Duration::from_millis(500);
/// How long a row may stand in no chat, or lack a file.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
/// How long a row may be empty.
const FILLS_WITHIN: Duration = Duration::from_secs(5);
/// Rows of a page.
const PAGE: i64 = 200;
/// How long the watch may say nothing of rows that were found.
const SILENT_AFTER: Duration = Duration::from_secs(30);
/// How often it is made sure that the database is still the same.
const SAME_EVERY: Duration = Duration::from_secs(30);
/// How often the watch is begun anew: it keeps to the file that it began with.
const WATCH_ANEW_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often it is said that nothing can be read.
const UNREADABLE_EVERY: Duration = Duration::from_secs(60);

/// How often the watch is begun anew at most because it says nothing.
const ANEW_AT_MOST_EVERY: Duration = Duration::from_secs(60);
/// What subscribes to rows, and to what the helper sees.
const WATCH: &str = "watch.subscribe";
const EVENTS: &str = "bridge.events.subscribe";

#[derive(Deserialize)]
struct Subscribed {
    subscription: i64,
}

/// What to do with a row.
pub(super) enum Reading {
    /// It is not settled: it and what follows wait.
    Hold,
    /// It says nothing.
    Pass,
    /// It says this.
    Told(Box<(CarriedLine, Observation)>),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What is known while it is observed.
#[derive(Default)]
struct Observer {
    place: Option<Watermark>,
    /// Since when rows wait to be settled.
    unsettled: HashMap<i64, Instant>,
    /// Since when rows were found of which the watch said nothing.
    unheard: Option<Instant>,
    /// When the watch was begun anew for that.
    anew: Option<Instant>,
    /// Everything that was there at the start is read: from now on the watch should tell.
    is_level: bool,
    /// Anchors were taken from all over the database.
    has_spread: bool,
    /// When the database was last found to be the same, and by which child.
    same: Option<(Life, Instant)>,
}

impl Imsg {
    /// Begins the watch at each start of the child, and anew once in a while.
    pub(super) async fn keep_watching(&self) {
        let mut life = self.child.life();
        let mut readiness = self.readiness.subscribe();
        // What the child of this number is subscribed to.
        let mut subscribed: (Life, HashMap<&'static str, i64>) = (Life::Down, HashMap::new());
        loop {
            let now = *life.borrow_and_update();
            if subscribed.0 != now {
                subscribed = (now, HashMap::new());
            }
            if let Life::Up(_) = now {
                let hears = readiness.borrow_and_update().can(EVENTS);
                for (method, wanted) in [(WATCH, true), (EVENTS, hears)] {
                    if wanted && !subscribed.1.contains_key(method) {
                        match self.subscribe(method).await {
                            Ok(id) => drop(subscribed.1.insert(method, id)),
                            // Polling goes on without it.
                            Err(error) => debug!(%error, method, "imsg does not push"),
                        }
                    }
                }
            }
            let is_over = tokio::select! {
                _ = life.changed() => false,
                _ = readiness.changed() => false,
                () = self.watch_anew.notified() => true,
                () = sleep(WATCH_ANEW_EVERY) => true,
            };
            if is_over {
                for (_, id) in subscribed.1.drain() {
                    let params = json!({"subscription": id});
                    let _ =
                        self.child.ask::<Value>("watch.unsubscribe", params, READ_TIMEOUT).await;
                }
                // A source that fails at once, again and again, is not asked in a circle.
                sleep(UNSETTLED_POLL).await;
            }
        }
    }

    async fn subscribe(&self, method: &str) -> Result<i64, RpcError> {
        let params = match method {
            WATCH => json!({"include_reactions": true, "debounce_ms": 250}),
            _ => json!({}),
        };
        let begun: Subscribed = self.child.ask(method, params, READ_TIMEOUT).await?;
        Ok(begun.subscription)
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
                        warn!(problem = chain(&problem), held_back, "Messages can't be read");
                    }
                    POLL
                }
            };
            if let Ok(()) = timeout(pause, self.child.pushed.notified()).await {
                observer.unheard = None;
                self.take_back(OfflineReason::SilentWatch);
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
        self.history.say();
        let Some(mut place) = observer.place.clone() else { return Ok(true) };
        loop {
            let page = self.page(place.row, PAGE).await?;
            let (found, mut settled) = (!page.messages.is_empty(), true);
            let mut recorded = Recorded::default();
            for row in &page.messages {
                observer.unsettled.entry(row.id).or_insert_with(Instant::now);
            }
            for row in &page.messages {
                match self.read_row(context, observer, &place, row, &mut recorded).await? {
                    Reading::Hold => {
                        settled = false;
                        break;
                    }
                    Reading::Pass => {}
                    Reading::Told(told) => recorded.observations.push((told.0.id, told.1)),
                }
                observer.unsettled.remove(&row.id);
                place.passed(row.id, &row.guid, row.created_at);
            }
            if settled {
                place.row = place.row.max(page.next_rowid);
            }
            if observer.place.as_ref() != Some(&place) {
                recorded.cursor = Some((SOURCE, place.cursor()));
                context.ledger.record(recorded).await?;
                observer.place = Some(place.clone());
                self.read_to.send_replace(Some(place.row));
                if found && observer.is_level {
                    self.listen_to_the_watch(observer);
                }
            }
            if !settled || !(page.has_more || found) {
                observer.is_level |= settled;
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
        let (beginnings, lines) = (context.beginnings().await?, context.lines.borrow().to_vec());
        let must_go_back = |place: &Watermark| place.must_go_back(&beginnings, &lines);
        if observer.place.as_ref().is_some_and(|place| must_go_back(place).is_none())
            && observer.same.is_some_and(is_fresh)
        {
            return Ok(());
        }
        let known = match observer.place.take() {
            Some(place) => Some(place),
            None => context.ledger.cursor(SOURCE).await?.as_ref().and_then(Watermark::of),
        };
        let before = known.clone();
        let mut place = match known {
            None => {
                let began = beginnings.first_of(&lines);
                self.first_place(began, context.history_since.is_some()).await?
            }
            Some(mut place) => match self.is_the_same(&mut place).await? {
                true => place,
                false => {
                    warn!("another database stands where Messages' was: what is new in it is read");
                    self.chats.forget();
                    observer.unsettled.clear();
                    self.watch_anew.notify_one();
                    place.in_another(0)
                }
            },
        };
        if let Some(back) = must_go_back(&place) {
            let row = self.row_before(back.began).await?;
            place.go_back(&back, row);
        }
        if !observer.has_spread {
            self.spread_anchors(&mut place).await?;
            observer.has_spread = true;
        }
        if before.as_ref() != Some(&place) {
            // At once: whatever comes before the first row is read counts, over a restart too.
            let cursor = Some((SOURCE, place.cursor()));
            context.ledger.record(Recorded { cursor, ..Recorded::default() }).await?;
        }
        self.read_to.send_replace(Some(place.row));
        observer.place = Some(place);
        observer.same = Some((life, Instant::now()));
        Ok(())
    }

    /// Raises the alarm when rows come of which the watch says nothing.
    fn listen_to_the_watch(&self, observer: &mut Observer) {
        let since = *observer.unheard.get_or_insert_with(Instant::now);
        if since.elapsed() > SILENT_AFTER {
            self.warn_of(OfflineReason::SilentWatch);
            if observer.anew.is_none_or(|anew| anew.elapsed() > ANEW_AT_MOST_EVERY) {
                observer.anew = Some(Instant::now());
                self.watch_anew.notify_one();
            }
        }
    }

    async fn read_row(
        &self,
        context: &Context,
        observer: &mut Observer,
        place: &Watermark,
        row: &Row,
        recorded: &mut Recorded,
    ) -> Result<Reading, ReadError> {
        let beginnings = context.beginnings().await?;
        let lines = std::sync::Arc::clone(&context.lines.borrow());
        if place.is_history_of_all(row.created_at, &beginnings, &lines) {
            self.history.add();
            return Ok(Reading::Pass);
        }
        let waited = observer.unsettled.entry(row.id).or_insert_with(Instant::now).elapsed();
        if row.chat_id == 0 {
            // What Messages leaves of an own message that it did not send is empty and finds no chat, ever.
            let is_ghost = row.is_from_me && row.meaning() == Meaning::Empty;
            // It looks like a message of nobody's: told now, a group's would stand in a chat of two.
            if waited < if is_ghost { FILLS_WITHIN } else { SETTLES_WITHIN } {
                return Ok(Reading::Hold);
            }
            match is_ghost {
                true => debug!("what is left of an own message that was not sent is passed over"),
                false => error!("a message that stands in no chat is passed over"),
            }
            return Ok(Reading::Pass);
        }
        let of = self.chat(row.chat_id).await?;
        let (line, is_its) = match (line_of(&lines, row, of.as_ref()), &**lines) {
            (Some(line), _) => (line, true),
            // Messages itself chooses the address that a message goes out by.
            (None, [only]) if row.is_from_me => (only, false),
            _ => return Ok(Reading::Pass),
        };
        let began = beginnings.of(line.id);
        if place.is_history(row.created_at, began) {
            self.history.add();
            return Ok(Reading::Pass);
        }
        if row.comes_back(line) {
            return Ok(Reading::Pass);
        }
        let meaning = row.meaning();
        // What was written long ago has settled long ago.
        let age = waited.max(now().since(row.created_at));
        match meaning {
            Meaning::Other => return Ok(Reading::Pass),
            Meaning::Empty if age < FILLS_WITHIN => return Ok(Reading::Hold),
            Meaning::Empty => return Ok(Reading::Pass),
            Meaning::Message if row.lacks_files() && age < SETTLES_WITHIN => {
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
            // Those of the bridge before have no guid by which the server would know them.
            Meaning::Reaction if row.is_from_me && began.was_given_after(row.created_at) => None,
            Meaning::Reaction if row.is_from_me => {
                let own = Own { line, is_its, row, group, of: of.as_ref(), waited };
                return self.read_own_reaction(context, own).await;
            }
            Meaning::Reaction => {
                row.as_reaction(line, chat).map(|told| row.observation(Inbound::Reaction(told)))
            }
            _ if row.is_from_me => {
                let own = Own { line, is_its, row, group, of: of.as_ref(), waited };
                return self.read_own(context, own, recorded).await;
            }
            _ => {
                recorded.texts.extend(text_of(row, line, &chat));
                recorded.followed.extend(follow_files(line, row, &chat));
                Some(row.as_message(chat, of.as_ref()))
            }
        };
        Ok(told.map_or(Reading::Pass, |told| Reading::Told(Box::new((line.clone(), told)))))
    }
}
