//! One request, and how a mutation is carried out: what is dispatched goes on in Messages, whatever becomes of the child
//! that asked for it (rpc.md, "Lifecycle").

use std::{sync::Arc, time::Duration};

use super::{
    child::{Child, Job},
    failure::{Failure, Transport},
    method::{Method, Needs},
    params::Params,
};
use crate::imsg::{
    fault::{Fault, Stage},
    pace::Pace,
    state::{Mutation, Shared, State},
};

/// What no action takes on the busiest machine: whatever lasts longer hangs, whatever the limit is scaled to.
const SLOWEST: Duration = Duration::from_secs(3);

/// A request that is being carried out.
pub(crate) struct Call<'a> {
    pub child: &'a Arc<Child>,
    pub job: &'a Job,
    pub method: &'a Method,
    /// What is to go wrong with it.
    pub fault: Option<&'a Fault>,
}

/// How something is dispatched.
pub(crate) struct How {
    pub transport: Transport,
    /// The word that errors have for it.
    pub operation: &'static str,
    pub takes: Duration,
    pub limit: Duration,
    /// The guid that the helper keeps for this send as soon as it has claimed it.
    pub reserve: Option<String>,
}

impl How {
    /// An action of the helper that sends nothing.
    pub(crate) fn action(operation: &'static str, pace: &Pace) -> Self {
        let transport = Transport::Helper;
        Self { transport, operation, takes: pace.helper, limit: pace.action_limit, reserve: None }
    }

    /// A send by the helper.
    pub(crate) fn helper(operation: &'static str, pace: &Pace) -> Self {
        Self { limit: pace.send_limit, ..Self::action(operation, pace) }
    }

    /// A send by AppleScript.
    pub(crate) fn apple_script(pace: &Pace) -> Self {
        let transport = Transport::AppleScript;
        Self {
            transport,
            operation: "send",
            takes: pace.apple_event,
            limit: pace.send_limit,
            reserve: None,
        }
    }

    fn uncertain(&self, detail: &str) -> Failure {
        Failure::uncertain(self.transport, self.operation, detail)
    }
}

impl Call<'_> {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.child.shared
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.child.shared.settings.pace
    }

    pub(crate) fn own(&self) -> &str {
        &self.child.shared.settings.own
    }

    /// The parameters, if all of them are known.
    pub(crate) fn params(&self, known: &[&str]) -> Result<Params, Failure> {
        Params::read(&self.job.params, known)
    }

    pub(crate) fn database_ready(&self) -> bool {
        self.shared().look(|state| state.db_error.is_none())
    }

    /// Fails if the database can't be opened.
    pub(crate) fn database(&self) -> Result<(), Failure> {
        let Some(error) = self.shared().look(|state| state.db_error.clone()) else { return Ok(()) };
        if self.child.settings.at_least([0, 14, 0]) {
            Err(Failure::database(&self.child.database, &error))
        } else {
            let hint = "Grant Full Disk Access to the program that starts imsg";
            Err(Failure::internal(format!("{error}: {}. {hint}", self.child.database)))
        }
    }

    /// Fails if the helper doesn't offer what the method needs.
    pub(crate) fn helped(&self, transport: Transport, operation: &str) -> Result<(), Failure> {
        if self.shared().look(|state| self.method.helped(state)) {
            return Ok(());
        }
        match self.method.helper {
            Needs::Events => Err(Failure::helper("Bridge events unavailable")),
            _ if operation.is_empty() => Err(Failure::helper("Bridge unavailable")),
            _ => {
                let detail =
                    "the bridge is not ready, or lacks a selector; the request was not published";
                Err(Failure::not_started(transport, operation, detail))
            }
        }
    }

    /// What the child did in Messages.
    pub(crate) fn mutation(&self, chat: &str, guid: Option<&str>, text: &str) -> Mutation {
        Mutation {
            method: self.job.method.clone(),
            child: self.child.number,
            chat: chat.to_owned(),
            guid: guid.map(str::to_owned),
            text: text.to_owned(),
        }
    }

    /// Dispatches `act` and waits for it.
    pub(crate) async fn carry_out<T: Send + 'static>(
        &self,
        how: How,
        fault: Option<&Fault>,
        act: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let shared = self.shared();
        shared.pass(Stage::Started).await;
        match fault {
            Some(Fault::DiesBefore) => self.child.die().await,
            Some(Fault::Refused(text)) => return Err(Failure::internal(text.clone())),
            Some(Fault::NotStarted) => {
                let detail = "the request was withdrawn before anything claimed it";
                return Err(Failure::not_started(how.transport, how.operation, detail));
            }
            _ => {}
        }
        let (done, later) = match fault {
            Some(Fault::MayHaveCompleted { done }) => (*done, Duration::ZERO),
            Some(Fault::StillInFlight { done_after }) => {
                (done_after.is_some(), done_after.unwrap_or_default())
            }
            _ => (true, Duration::ZERO),
        };
        if let Some(guid) = how.reserve.clone() {
            shared.change(|state| state.reserved.insert(guid));
        }
        // Its own task: it ends with Messages, and not with the child.
        let operation = tokio::spawn({
            let (shared, takes) = (Arc::clone(shared), how.takes);
            async move {
                tokio::time::sleep(takes + later).await;
                shared.pass(Stage::Dispatched).await;
                done.then(|| shared.change(act))
            }
        });
        if let Some(Fault::StillInFlight { .. }) = fault {
            tokio::time::sleep(how.limit).await;
            return Err(self.in_flight(&how));
        }
        let done = match tokio::time::timeout(how.limit.max(SLOWEST), operation).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => return Err(how.uncertain("the response was malformed")),
            Err(_) if how.transport == Transport::Helper => return Err(self.in_flight(&how)),
            Err(_) => return Err(how.uncertain("osascript was terminated at its limit")),
        };
        shared.pass(Stage::Done).await;
        match (fault, done) {
            (Some(Fault::MayHaveCompleted { .. }), _) | (_, None) => {
                Err(how.uncertain("the response vanished"))
            }
            (_, Some(done)) => Ok(done),
        }
    }

    /// The helper has claimed it and the limit has passed.
    fn in_flight(&self, how: &How) -> Failure {
        let failure = Failure::in_flight(
            how.transport,
            how.operation,
            "claimed, and the deadline has passed",
        );
        self.child.poison(&failure);
        failure
    }
}
