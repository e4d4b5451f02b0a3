//! The carried lines, what they can do, and what goes wrong on them.
//!
//! Faults are for the moment: a restart ends them. What they did (a refusal, a lost report) is in the
//! journal like everything else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use switchboard_model::{
    Handle, Line,
    id::Id,
    line::Capability,
    link::CarriedLine,
    simulator::{Fault, FaultMode},
};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
};

use crate::driver::{LineStatus, LineStatuses};

/// How long a slow item takes when nothing else is said.
const SLOW_DEFAULT: Duration = Duration::from_secs(1);

/// What a line can do without the advanced features.
const PLAIN: [Capability; 4] =
    [Capability::Attachments, Capability::NewChats, Capability::Groups, Capability::Replies];

const GOOD: Fault = Fault { mode: FaultMode::None, after: None, count: None };

/// The carried lines with their faults.
pub(super) struct Lines {
    by_id: Mutex<HashMap<Id<Line>, CarriedPhone>>,
    statuses: watch::Sender<LineStatuses>,
    /// Whether the server has ever said which lines there are.
    known: watch::Sender<bool>,
}

struct CarriedPhone {
    handle: Handle,
    /// Whether it has the advanced features. The journal knows; here it is as told.
    advanced: bool,
    /// Wakes whoever reads this line's history: it grew, or the line is back.
    wake: Arc<Notify>,
    fault: Fault,
    /// Which setting of the fault this is: a timer of an earlier one has no say.
    turn: u64,
    /// Brings a line back that is away for a time.
    comes_back: Option<AbortHandle>,
}

impl Drop for CarriedPhone {
    fn drop(&mut self) {
        if let Some(timer) = &self.comes_back {
            timer.abort();
        }
    }
}

/// What happens to one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultOutcome {
    Good,
    Away,
    Refused,
    Late(Duration),
    ReportLost,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            by_id: Mutex::default(),
            statuses: watch::Sender::new(LineStatuses::new()),
            known: watch::Sender::new(false),
        }
    }

    /// Carries exactly these; a line that stays keeps its fault.
    pub(super) fn assign_lines(
        &self,
        lines: &[CarriedLine],
        is_advanced: impl Fn(&Handle) -> bool,
    ) {
        let mut by_id = self.lock();
        by_id.retain(|id, _| lines.iter().any(|line| line.id == *id));
        for line in lines {
            let phone = by_id.entry(line.id).or_insert_with(|| CarriedPhone {
                handle: line.handle.clone(),
                advanced: true,
                wake: Arc::new(Notify::new()),
                fault: GOOD,
                turn: 0,
                comes_back: None,
            });
            phone.handle = line.handle.clone();
            phone.advanced = is_advanced(&line.handle);
        }
        self.publish(&by_id);
        self.known.send_replace(true);
    }

    /// Returns once the server has said which lines there are.
    pub(super) async fn known(&self) {
        // The sender is ours and lives as long as we do.
        let _ = self.known.subscribe().wait_for(|known| *known).await;
    }

    pub(super) fn statuses(&self) -> watch::Receiver<LineStatuses> {
        self.statuses.subscribe()
    }

    pub(super) fn id_of(&self, handle: &Handle) -> Option<Id<Line>> {
        self.lock().iter().find(|(_, phone)| phone.handle == *handle).map(|(id, _)| *id)
    }

    pub(super) fn handle_of(&self, id: Id<Line>) -> Option<Handle> {
        self.lock().get(&id).map(|phone| phone.handle.clone())
    }

    /// The handle of a line, whether its bridge is there, and what wakes its reader.
    pub(super) fn reader(&self, id: Id<Line>) -> Option<(Handle, bool, Arc<Notify>)> {
        let lines = self.lock();
        let phone = lines.get(&id)?;
        Some((phone.handle.clone(), phone.is_online(), Arc::clone(&phone.wake)))
    }

    /// What a line can do has changed.
    pub(super) fn set_advanced(&self, id: Id<Line>, advanced: bool) {
        let mut lines = self.lock();
        if let Some(phone) = lines.get_mut(&id) {
            phone.advanced = advanced;
        }
        self.publish(&lines);
    }

    pub(super) fn is_online(&self, id: Id<Line>) -> bool {
        self.lock().get(&id).is_some_and(CarriedPhone::is_online)
    }

    /// A line's history grew.
    pub(super) fn wake(&self, id: Id<Line>) {
        if let Some(phone) = self.lock().get(&id) {
            phone.wake.notify_one();
        }
    }

    /// By how much an item of this line may take longer than usual.
    pub(super) fn delay(&self, id: Id<Line>) -> Duration {
        self.lock().get(&id).map_or(Duration::ZERO, |phone| match phone.fault.mode {
            FaultMode::Slow => phone.fault.after.unwrap_or(SLOW_DEFAULT),
            _ => Duration::ZERO,
        })
    }

    /// What happens to the next item of a line. Counts it.
    pub(super) fn next_fault(&self, id: Id<Line>) -> FaultOutcome {
        let mut lines = self.lock();
        let Some(phone) = lines.get_mut(&id) else { return FaultOutcome::Away };
        let outcome = match phone.fault.mode {
            FaultMode::None => return FaultOutcome::Good,
            FaultMode::Offline => return FaultOutcome::Away,
            FaultMode::Reject => FaultOutcome::Refused,
            FaultMode::Slow => FaultOutcome::Late(phone.fault.after.unwrap_or(SLOW_DEFAULT)),
            FaultMode::LoseReport => FaultOutcome::ReportLost,
        };
        if let Some(left) = &mut phone.fault.count {
            *left = left.saturating_sub(1);
            if *left == 0 {
                phone.fault = GOOD;
            }
        }
        outcome
    }

    /// Makes a line go wrong, or right again. False if it is not carried.
    pub(super) fn set(self: &Arc<Self>, id: Id<Line>, mut fault: Fault) -> bool {
        if fault.count == Some(0) {
            fault.mode = FaultMode::None;
        }
        let mut lines = self.lock();
        let Some(phone) = lines.get_mut(&id) else { return false };
        if let Some(timer) = phone.comes_back.take() {
            timer.abort();
        }
        phone.turn += 1;
        if fault.mode == FaultMode::Offline
            && let Some(after) = fault.after
        {
            let (lines, turn) = (Arc::downgrade(self), phone.turn);
            let back = tokio::spawn(async move {
                tokio::time::sleep(after).await;
                if let Some(lines) = lines.upgrade() {
                    lines.come_back(id, turn);
                }
            });
            phone.comes_back = Some(back.abort_handle());
        }
        phone.fault = fault;
        phone.wake.notify_one();
        self.publish(&lines);
        true
    }

    fn come_back(&self, id: Id<Line>, turn: u64) {
        let mut lines = self.lock();
        if let Some(phone) = lines.get_mut(&id)
            && phone.turn == turn
        {
            phone.comes_back = None;
            phone.fault = GOOD;
            phone.wake.notify_one();
        }
        self.publish(&lines);
    }

    fn publish(&self, lines: &HashMap<Id<Line>, CarriedPhone>) {
        let now: LineStatuses = lines
            .iter()
            .map(|(id, phone)| {
                let can: &[_] = if phone.advanced { &Capability::ALL } else { &PLAIN };
                (*id, LineStatus { online: phone.is_online(), capabilities: can.to_vec() })
            })
            .collect();
        self.statuses.send_if_modified(|statuses| {
            let changed = *statuses != now;
            *statuses = now;
            changed
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id<Line>, CarriedPhone>> {
        // Each change under this lock is a plain assignment: none can be left half done.
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CarriedPhone {
    fn is_online(&self) -> bool {
        self.fault.mode != FaultMode::Offline
    }
}
