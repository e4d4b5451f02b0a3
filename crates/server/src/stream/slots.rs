//! The streams of one account, as its feed knows them: who waits, and for what.

use std::{ops::Range, sync::Arc, task::Waker};

use switchboard_store::EventPosition;

use super::shown::Shown;

/// What was read from a position on.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) after: EventPosition,
    /// Up to where it has all.
    pub(super) position: EventPosition,
    pub(super) events: Vec<Arc<Shown>>,
}

/// One stream.
#[derive(Debug, Default)]
pub(super) struct Slot {
    is_taken: bool,
    /// In which second of the heartbeat it is due.
    phase: u32,
    /// Whether a heartbeat is due.
    pub(super) beat: bool,
    /// Where it waits to read from, if it has fallen behind.
    pub(super) wants: Option<EventPosition>,
    /// What was read for it.
    pub(super) slice: Option<Arc<Slice>>,
    waker: Option<Waker>,
}

impl Slot {
    /// Wakes this one when there is something for it.
    pub(super) fn wait(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Slots {
    all: Vec<Slot>,
    free: Vec<u32>,
}

impl Slots {
    pub(super) fn take(&mut self, phase: u32) -> u32 {
        let slot = Slot { is_taken: true, phase, ..Slot::default() };
        if let Some(number) = self.free.pop() {
            self.all[number as usize] = slot;
            return number;
        }
        self.all.push(slot);
        u32::try_from(self.all.len() - 1).expect("there are fewer streams than file descriptors")
    }

    /// Answers whether nobody is left.
    pub(super) fn leave(&mut self, number: u32) -> bool {
        self.all[number as usize] = Slot::default();
        self.free.push(number);
        self.free.len() == self.all.len()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&mut self, number: u32) -> &mut Slot {
        &mut self.all[number as usize]
    }

    /// Whoever of these waits.
    pub(super) fn waiting(&mut self, range: Range<usize>) -> Vec<Waker> {
        let end = range.end.min(self.all.len());
        let slots = self.all.get_mut(range.start..end).unwrap_or_default();
        slots.iter_mut().filter_map(|slot| slot.waker.take()).collect()
    }

    /// Lets a heartbeat be due of those of these that are in this second, and answers who of them waits.
    pub(super) fn beat(&mut self, phase: u32, range: Range<usize>) -> Vec<Waker> {
        let end = range.end.min(self.all.len());
        let slots = self.all.get_mut(range.start..end).unwrap_or_default();
        let due = slots.iter_mut().filter(|slot| slot.is_taken && slot.phase == phase);
        due.filter_map(|slot| {
            slot.beat = true;
            slot.waker.take()
        })
        .collect()
    }

    /// Whether any of these still wants to read from this position.
    pub(super) fn any_wants(&self, position: EventPosition, numbers: &[u32]) -> bool {
        numbers.iter().any(|number| self.all[*number as usize].wants == Some(position))
    }

    /// Gives what was read from this position to those of these who want it, and answers who waits.
    pub(super) fn give(&mut self, slice: &Arc<Slice>, numbers: &[u32]) -> Vec<Waker> {
        let mut waiting = Vec::new();
        for number in numbers {
            let slot = &mut self.all[*number as usize];
            if slot.wants == Some(slice.after) {
                slot.wants = None;
                slot.slice = Some(Arc::clone(slice));
                waiting.extend(slot.waker.take());
            }
        }
        waiting
    }
}
