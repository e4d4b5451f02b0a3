//! What happens in Messages, read row by row from the place in the ledger.
//!
//! A row is told once it is settled: it stands in a chat and its body has come. What comes after it waits for that, for half a
//! minute at most. An own row of which nobody can say yet whether it was sent from here holds nothing up: its number is
//! kept with the place, and it is read again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use switchboard_model::{Line, causes::chain, id::Id, throttle::Throttle};
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, warn};

use super::{
    BlueBubbles,
    api::ApiError,
    changes::Asked,
    late::Watched,
    query::{PAGE, that},
    reached::{Found, MAX_WAITING},
    read::{ReadError, Reading},
    rows::Meaning,
    wire::Row,
};
use crate::{
    connector::Context,
    drivers::watermark::Watermark,
    ledger::{Observation, Recorded, now},
};

/// The name of its place in the ledger.
const SOURCE: &str = "bluebubbles";
/// How often it is said that nothing can be read.
const UNREADABLE_EVERY: Duration = Duration::from_secs(60);
/// So near to the end a row may be a new one, however old its date is.
const NEAR: i64 = 50;
/// A row that is younger may be a new one.
const YOUNG: Duration = Duration::from_secs(10 * 60);
/// The most rows that are known to be unreadable.
const MAX_UNREADABLE: usize = 64;

/// What is known while it is observed.
#[derive(Default)]
pub(super) struct Observer {
    pub(super) reached: Option<Watermark>,
    /// Since when rows wait to be settled.
    unsettled: HashMap<i64, Instant>,
    /// Since when own rows wait for what is under way.
    unowned: HashMap<i64, Instant>,
    /// Rows that the server can't show.
    unreadable: Vec<i64>,
    /// Rows that are read again for a while, by their number.
    pub(super) watched: BTreeMap<i64, Watched>,
    /// What it was asked of changes.
    pub(super) asked: Asked,
    /// Whether the place was read from the ledger.
    began: bool,
}

/// How a look has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Settled,
    Unsettled,
}

impl BlueBubbles {
    /// Reads what happens, for ever.
    pub(super) async fn observe(&self, context: &Context) {
        let mut observer = Observer::default();
        let unreadable = Throttle::new(UNREADABLE_EVERY);
        let (mut lines, mut mac) = (context.lines.clone(), self.mac.subscribe());
        loop {
            // Of a line that nobody has given yet nothing can be told, and nothing may be passed over.
            if lines.borrow_and_update().is_empty() || mac.borrow_and_update().is_none() {
                tokio::select! {
                    changed = lines.changed() => if changed.is_err() { return },
                    changed = mac.changed() => if changed.is_err() { return },
                }
                continue;
            }
            let pause = match self.look(context, &mut observer).await {
                Ok(look) => {
                    self.trouble(|troubles| troubles.locked = false);
                    if look == Look::Settled { self.pace().poll } else { self.pace().unsettled }
                }
                Err(problem) => {
                    if let Some(held_back) = unreadable.pass(std::time::Instant::now()) {
                        warn!(problem = chain(&problem), held_back, "Messages can't be read");
                    }
                    self.unreadable(&problem);
                    // What was not written down is told again.
                    observer.asked.forget();
                    self.pace().poll
                }
            };
            self.listen_for_silence();
            // However much is told: what comes in between is read with the next look.
            sleep(self.pace().unsettled.min(pause) / 10).await;
            let _ = timeout(pause, self.news.notified()).await;
        }
    }

    fn unreadable(&self, problem: &ReadError) {
        match problem {
            ReadError::Api(ApiError::Refused(refused)) if refused.status == 500 => {
                self.trouble(|troubles| troubles.locked = true);
            }
            ReadError::Api(error) => self.lost(error),
            ReadError::Ledger(_) => {}
        }
    }

    async fn look(&self, context: &Context, observer: &mut Observer) -> Result<Look, ReadError> {
        let known = match observer.reached.clone() {
            Some(reached) => Some(reached),
            None => context.ledger.cursor(SOURCE).await?.as_ref().and_then(Watermark::of),
        };
        let before = known.clone();
        let (beginnings, lines) = (context.beginnings().await?, context.lines.borrow().to_vec());
        let began = beginnings.first_of(&lines);
        let looked = self.look_at_database(known, began, &observer.unreadable).await?;
        let Found { newest, mut reached, is_another } = looked;
        if let Some(back) = reached.must_go_back(&beginnings, &lines) {
            let row = self.row_before(back.began, newest).await?;
            reached.go_back(&back, row);
        }
        if !observer.began || is_another {
            self.spread_anchors(&mut reached).await;
        }
        if !observer.began {
            // What was told just before the end may have changed since.
            observer.watch_tail(reached.row);
            observer.began = true;
        }
        if is_another {
            observer.unsettled.clear();
            observer.unowned.clear();
            observer.watched.clear();
        }
        if before.as_ref() != Some(&reached) {
            self.keep(context, observer, reached, Vec::new()).await?;
        } else {
            self.read_to.send_replace(reached.row);
            observer.reached = Some(reached);
        }
        let look = self.read_new(context, observer, newest).await?;
        let waiting = self.read_waiting(context, observer).await?;
        self.read_watched(context, observer).await?;
        self.read_changes(context, observer).await?;
        self.read_late_files(context).await?;
        self.history.say();
        let is_settled = look == Look::Settled && !waiting;
        Ok(if is_settled { Look::Settled } else { Look::Unsettled })
    }

    /// Writes down what was read, and how far.
    async fn keep(
        &self,
        context: &Context,
        observer: &mut Observer,
        reached: Watermark,
        observations: Vec<(Id<Line>, Observation)>,
    ) -> Result<(), ReadError> {
        let cursor = Some((SOURCE, reached.cursor()));
        context.ledger.record(Recorded { observations, cursor, ..Recorded::default() }).await?;
        self.read_to.send_replace(reached.row);
        observer.reached = Some(reached);
        Ok(())
    }

    /// Reads all rows up to the newest.
    async fn read_new(
        &self,
        context: &Context,
        observer: &mut Observer,
        newest: i64,
    ) -> Result<Look, ReadError> {
        loop {
            let Some(mut reached) = observer.reached.clone() else { return Ok(Look::Settled) };
            if reached.row >= newest {
                return Ok(Look::Settled);
            }
            let to = newest.min(reached.row + PAGE);
            // First those that stand nowhere: one that finds its chat meanwhile is then met twice, and not never.
            let mut page = self.readable(observer, reached.row, to, false).await?;
            page.retain(|row| row.chats.is_empty());
            let joined = self.readable(observer, reached.row, to, true).await?;
            page.retain(|row| !joined.iter().any(|one| one.row == row.row));
            page.extend(joined);
            page.sort_by_key(|row| row.row);
            let mut observations = Vec::new();
            let lines = Arc::clone(&context.lines.borrow());
            let beginnings = context.beginnings().await?;
            let is_history = |reached: &Watermark, row: &Row| {
                reached.is_history_of_all(row.created(), &beginnings, &lines)
            };
            let counts = |row: &Row| !is_history(&reached, row);
            let counting: Vec<Row> = page.iter().filter(|row| counts(row)).cloned().collect();
            self.learn_addresses(&lines, &counting).await?;
            let (mut look, found) = (Look::Settled, Instant::now());
            for row in &page {
                observer.unsettled.entry(row.row).or_insert(found);
            }
            for row in &page {
                if is_history(&reached, row) {
                    self.history.add();
                    reached.passed(row.row, &row.guid, row.created());
                    continue;
                }
                let waited =
                    observer.unsettled.get(&row.row).map_or(Duration::ZERO, Instant::elapsed);
                if self.is_unsettled(row, newest, waited) || reached.waiting.len() >= MAX_WAITING {
                    look = Look::Unsettled;
                    break;
                }
                observer.unsettled.remove(&row.row);
                if row.chats.is_empty() {
                    // Told now, a group's would stand in a chat of two.
                    error!("a message that stands in no chat is passed over");
                } else {
                    self.read_one(context, observer, &mut reached, row, &mut observations).await?;
                }
                reached.passed(row.row, &row.guid, row.created());
            }
            if look == Look::Settled {
                reached.row = to;
                observer.unsettled.clear();
            }
            if observer.reached.as_ref() != Some(&reached) {
                self.keep(context, observer, reached, observations).await?;
            }
            if look == Look::Unsettled {
                return Ok(look);
            }
        }
    }

    fn is_unsettled(&self, row: &Row, newest: i64, waited: Duration) -> bool {
        // One that has stood there for long stays as it is, and there may be many.
        let is_young = row.row + NEAR > newest || row.created() > now() - YOUNG;
        if !is_young {
            return false;
        }
        if row.chats.is_empty() {
            return waited < self.pace().joins_within;
        }
        let lacks = || row.meaning() == Meaning::Empty || row.files().any(|file| file.may_come());
        waited < self.pace().fills_within && lacks()
    }

    async fn read_one(
        &self,
        context: &Context,
        observer: &mut Observer,
        reached: &mut Watermark,
        row: &Row,
        observations: &mut Vec<(Id<Line>, Observation)>,
    ) -> Result<(), ReadError> {
        let waited = observer.unowned.get(&row.row).map_or(Duration::ZERO, Instant::elapsed);
        let reading = self.read(context, row, waited).await?;
        if !matches!(reading, Reading::NotYet) {
            observer.unowned.remove(&row.row);
        }
        match reading {
            Reading::Pass => {}
            Reading::Ours => observer.watch(row, None),
            Reading::NotYet => {
                observer.unowned.entry(row.row).or_insert_with(Instant::now);
                reached.waiting.push(row.row);
            }
            Reading::Told(told) => {
                let (line, observation) = *told;
                if !row.is_own() {
                    self.heard.expect(row.created());
                }
                self.follow_files(context, &line, row, &observation).await?;
                observer.watch(row, Some(observation.files.len()));
                observations.push((line.id, observation));
            }
        }
        Ok(())
    }

    /// Rows in this range, oldest first: with chats those that stand in one, without all.
    async fn readable(
        &self,
        observer: &mut Observer,
        after: i64,
        to: i64,
        with_chats: bool,
    ) -> Result<Vec<Row>, ReadError> {
        let (mut rows, mut ranges) = (Vec::new(), vec![(after, to)]);
        while let Some((after, to)) = ranges.pop() {
            let mut range = vec![that(
                "message.ROWID > :after AND message.ROWID <= :to",
                json!({"after": after, "to": to}),
            )];
            if !with_chats {
                range.push(that(
                    "message.ROWID NOT IN (SELECT j.message_id FROM chat_message_join j)",
                    json!({}),
                ));
            }
            match self.rows(&range, with_chats).await {
                Ok(found) => rows.extend(found),
                Err(ApiError::Refused(refused)) if refused.status == 500 => {
                    if to - after > 1 {
                        let middle = after + (to - after) / 2;
                        ranges.extend([(middle, to), (after, middle)]);
                    } else {
                        self.give_up(observer, to).await?;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rows)
    }

    /// The server can't show one row. If it can show none at all, it is not the row.
    async fn give_up(&self, observer: &mut Observer, row: i64) -> Result<(), ReadError> {
        self.rows(&[that("message.ROWID = -1", json!({}))], false).await?;
        if !observer.unreadable.contains(&row) {
            error!("a message that BlueBubbles can't read is passed over");
            if observer.unreadable.len() >= MAX_UNREADABLE {
                observer.unreadable.remove(0);
            }
            observer.unreadable.push(row);
        }
        Ok(())
    }

    /// Reads own rows again of which it was not known whose they are. True if it still is not, of some.
    async fn read_waiting(
        &self,
        context: &Context,
        observer: &mut Observer,
    ) -> Result<bool, ReadError> {
        let Some(mut reached) = observer.reached.clone() else { return Ok(false) };
        if reached.waiting.is_empty() {
            return Ok(false);
        }
        let which = that("message.ROWID IN (:...rows)", json!({"rows": reached.waiting}));
        let rows = self.rows(&[which], true).await?;
        let waited = std::mem::take(&mut reached.waiting);
        let mut observations = Vec::new();
        for row in &rows {
            self.read_one(context, observer, &mut reached, row, &mut observations).await?;
        }
        let is_left = !reached.waiting.is_empty();
        if reached.waiting != waited {
            self.keep(context, observer, reached, observations).await?;
        }
        Ok(is_left)
    }
}

impl Observer {
    /// Whether what becomes of this row may be told: the row itself was.
    pub(super) fn is_told(&self, row: &Row, pause: Duration) -> bool {
        let Some(reached) = &self.reached else { return false };
        if row.row > reached.row || reached.waiting.contains(&row.row) {
            return false;
        }
        // What was sent from here the server must know first.
        !self.watched.get(&row.row).is_some_and(|one| row.is_own() && one.since.elapsed() < pause)
    }
}
