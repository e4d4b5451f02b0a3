//! What comes in, from the phone's inbox to the ledger.
//!
//! A line begins at a time, and what is older then is history: it is noted as known before anything is told. From then on whatever
//! is new in the inbox is told, however old its stamp: it was late.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use switchboard_model::{
    Line, Timestamp, causes::chain, id::Id, link::CarriedLine, throttle::Throttle,
};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{
    AndroidSms,
    api::ApiError,
    health::Phone,
    inbound::Entry,
    inbox::{Extent, LATE, Seen},
    sims,
    wire::InboxItem,
};
use crate::{
    connector::Context,
    ledger::{Beginnings, Cursor, LedgerError, Observation, Recorded, now},
};

/// The name of its place in the ledger.
const SOURCE: &str = "android-sms";
/// How often it is said that nothing can be read.
const UNREADABLE_EVERY: std::time::Duration = std::time::Duration::from_secs(60);
/// How often an inbox that still grows is counted after a refresh.
const COUNTS: usize = 15;

/// How far the inbox is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// When it was last read.
    read_at: i64,
    /// The lines that began.
    lines: BTreeMap<String, Beginning>,
}

/// Where a line begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Beginning {
    /// What is stamped before is history, if it was there when the line began.
    since: i64,
    /// The phone whose history is noted; none yet.
    phone: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What is known while it is observed.
#[derive(Default)]
struct Observer {
    place: Option<Place>,
    seen: Seen,
    /// The phone and its cards as of the last read.
    phone: Option<Arc<Phone>>,
}

impl AndroidSms {
    /// Reads what comes in, for ever.
    pub(super) async fn observe(&self, context: &Context) {
        let mut observer = Observer::default();
        let unreadable = Throttle::new(UNREADABLE_EVERY);
        let (mut phone, mut lines) = (self.phone.subscribe(), context.lines.clone());
        loop {
            let carried = Arc::clone(&lines.borrow_and_update());
            let now = phone.borrow_and_update().clone();
            // Of a line that nobody has given yet nothing can be told, and nothing may be passed over.
            if let Some(now) = now
                && !carried.is_empty()
                && carried.iter().all(|line| now.cards.contains_key(&line.handle))
                && let Err(problem) = self.catch_up(context, &mut observer, &now, &carried).await
            {
                // What was missed meanwhile may stand in the phone's own store alone.
                observer.seen.forget();
                self.look.notify_one();
                if let Some(held_back) = unreadable.pass(std::time::Instant::now()) {
                    warn!(problem = chain(&problem), held_back, "the phone's inbox can't be read");
                }
            }
            let changed = async {
                tokio::select! {
                    Ok(()) = phone.changed() => {}
                    Ok(()) = lines.changed() => {}
                }
            };
            let _ = timeout(self.options.pace.inbox, changed).await;
        }
    }

    async fn catch_up(
        &self,
        context: &Context,
        observer: &mut Observer,
        phone: &Arc<Phone>,
        lines: &[CarriedLine],
    ) -> Result<(), ReadError> {
        let mut place = match observer.place.take() {
            Some(place) => place,
            None => self.begin(context, lines).await?,
        };
        let identity = phone.device.identity();
        let beginnings = context.beginnings().await?;
        let begins = place.begin(lines, &beginnings);
        if begins {
            let cursor = Some((SOURCE, place.cursor(&identity)));
            context
                .ledger
                .record(Recorded { observations: Vec::new(), cursor, ..Recorded::default() })
                .await?;
        }
        if observer.phone.as_ref() != Some(phone) || begins {
            observer.seen.forget();
            observer.phone = Some(Arc::clone(phone));
        }
        // What came to a line whose card is not there can't be told from what came to others.
        let has_card = |line: &&CarriedLine| matches!(phone.cards.get(&line.handle), Some(Ok(_)));
        let new_here = place.new_on(&identity, lines.iter().filter(has_card));
        let extent = match new_here.is_empty() {
            true => observer.seen.next(&self.options.pace),
            false => Extent::All,
        };
        let began_at = now();
        // Only what can be late is read of the time before the last read.
        let since = (Timestamp(place.read_at) - LATE).min(place.first_of(&new_here));
        if extent != Extent::Newest {
            self.refresh(since, !new_here.is_empty()).await?;
        }
        let found = self.read_inbox(&mut observer.seen, extent, since).await?;
        let is_whole = extent != Extent::Newest || !found.is_empty();
        let told = self.sort_out(context, &mut place, phone, lines, found, &new_here).await?;
        if is_whole {
            place.read_at = began_at.0;
            let cursor = Some((SOURCE, place.cursor(&identity)));
            context
                .ledger
                .record(Recorded { observations: told, cursor, ..Recorded::default() })
                .await?;
        }
        observer.place = Some(place);
        Ok(())
    }

    /// The place of the ledger; a new one is written down before anything is read.
    async fn begin(&self, context: &Context, lines: &[CarriedLine]) -> Result<Place, LedgerError> {
        let known = context.ledger.cursor(SOURCE).await?;
        let known = known.and_then(|cursor| serde_json::from_str::<Place>(&cursor.place).ok());
        if let Some(place) = known {
            return Ok(place);
        }
        let beginnings = context.beginnings().await?;
        let start = noted(beginnings.first_of(lines));
        let mut place = Place { read_at: start.0, lines: BTreeMap::new() };
        place.begin(lines, &beginnings);
        let cursor = Some((SOURCE, place.cursor("")));
        context
            .ledger
            .record(Recorded { observations: Vec::new(), cursor, ..Recorded::default() })
            .await?;
        Ok(place)
    }

    /// Has the app look into the phone's own store: what came while it did not run stands there alone.
    async fn refresh(&self, since: Timestamp, must_be_whole: bool) -> Result<(), ApiError> {
        match self.api.refresh(since, now()).await {
            Ok(()) => {}
            Err(error @ ApiError::Refused(..)) => {
                // It may not read the store, or is too old to be asked.
                warn!(%error, "the app does not read the phone's own store of texts");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        if !must_be_whole {
            return Ok(());
        }
        // It goes on after its answer. What it finds later of a line that begins would count as late.
        let mut count = self.api_count(since).await?;
        for _ in 0..COUNTS {
            sleep(self.options.pace.refresh).await;
            let again = self.api_count(since).await?;
            if again == count {
                break;
            }
            count = again;
        }
        Ok(())
    }

    async fn api_count(&self, since: Timestamp) -> Result<usize, ApiError> {
        self.count_inbox((now() - LATE).min(since)).await
    }

    /// What of it is to be told. History of the lines that begin here is noted.
    async fn sort_out(
        &self,
        context: &Context,
        place: &mut Place,
        phone: &Phone,
        lines: &[CarriedLine],
        found: Vec<InboxItem>,
        new_here: &[String],
    ) -> Result<Vec<(Id<Line>, Observation)>, LedgerError> {
        let is_only_card = phone.has_one_card();
        let (mut told, mut history, mut strangers) = (Vec::new(), Vec::new(), 0);
        for item in &found {
            let line = sims::line_of(lines, &phone.cards, is_only_card, item.sim_number);
            let Some(line) = line else {
                strangers += 1;
                continue;
            };
            let country = self.options.country;
            let entry = Entry { item, device: &phone.device.id, is_only_card, line, country };
            let Some(observation) = entry.observation() else { continue };
            let name = line.id.to_string();
            let since = place.lines.get(&name).map_or(0, |line| line.since);
            if item.created_at.0 < since && new_here.contains(&name) {
                history.push((line.id, observation.key));
            } else {
                told.push((line.id, observation));
            }
        }
        if strangers > 0 {
            info!(strangers, "texts for SIM cards that are no lines are passed over");
        }
        let identity = phone.device.identity();
        for name in new_here {
            if let Some(line) = place.lines.get_mut(name) {
                line.phone = Some(identity.clone());
            }
        }
        if !new_here.is_empty() {
            let cursor = (SOURCE, place.cursor(&identity));
            context.ledger.pass_over(history, Some(cursor)).await?;
        }
        Ok(told)
    }
}

/// When a line began; now if that was never noted.
fn noted(began: Timestamp) -> Timestamp {
    if began.0 > 0 { began.min(now()) } else { now() }
}

impl Place {
    /// Lines that were never seen begin. True if there is one.
    fn begin(&mut self, lines: &[CarriedLine], beginnings: &Beginnings) -> bool {
        let before = self.lines.len();
        for line in lines {
            let begins = || Beginning { since: noted(beginnings.of(line.id).at).0, phone: None };
            self.lines.entry(line.id.to_string()).or_insert_with(begins);
        }
        self.lines.len() > before
    }

    /// When the first of these began.
    fn first_of(&self, names: &[String]) -> Timestamp {
        let lines = names.iter().filter_map(|name| self.lines.get(name));
        Timestamp(lines.map(|line| line.since).min().unwrap_or(i64::MAX))
    }

    /// Those of the lines whose history on this phone is not noted.
    fn new_on<'a>(
        &self,
        identity: &str,
        lines: impl Iterator<Item = &'a CarriedLine>,
    ) -> Vec<String> {
        let is_new = |name: &String| {
            self.lines.get(name).is_none_or(|line| line.phone.as_deref() != Some(identity))
        };
        lines.map(|line| line.id.to_string()).filter(is_new).collect()
    }

    fn cursor(&self, identity: &str) -> Cursor {
        let place = serde_json::to_string(self).unwrap_or_default();
        Cursor { identity: identity.to_owned(), place }
    }
}
