//! How the link is, for whoever runs the bridge: linked or not, since when, and what stands in the way.

use std::sync::Arc;

use switchboard_model::{Timestamp, link::CarriedLine};
use tokio::sync::watch;

/// How the link is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Since when the server has this bridge; none while it has not.
    pub linked_since: Option<Timestamp>,
    /// The lines that the server gave last.
    pub lines: Arc<Vec<CarriedLine>>,
    /// Why there is no link. No text of it holds a message, a number or a token.
    pub problem: Option<String>,
}

/// Where a link tells how it is.
pub(super) type LinkTeller = watch::Sender<LinkState>;

/// The server has welcomed the bridge.
pub(super) fn linked(teller: &LinkTeller, lines: &[CarriedLine], now: Timestamp) {
    teller.send_replace(LinkState {
        linked_since: Some(now),
        lines: Arc::new(lines.to_vec()),
        problem: None,
    });
}

/// The server has given other lines.
pub(super) fn lines_changed(teller: &LinkTeller, lines: &[CarriedLine]) {
    teller.send_modify(|state| state.lines = Arc::new(lines.to_vec()));
}

/// There is no link, for this reason.
pub(super) fn lost(teller: &LinkTeller, problem: Option<String>) {
    teller.send_modify(|state| {
        state.linked_since = None;
        state.problem = problem;
    });
}
