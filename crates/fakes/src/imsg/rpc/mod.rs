//! `imsg rpc`: admission and lanes of one child (rpc.md, "Lifecycle").

mod actions;
mod calls;
mod child;
mod dispatch;
mod events;
mod failure;
mod groups;
mod method;
mod params;
mod reads;
mod rich;
mod send;
mod snapshot;
mod target;
mod text;
mod watch;

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};

pub(crate) use self::{child::Said, snapshot::cli_status, text::render};
use self::{
    child::{Child, Job},
    failure::Failure,
    method::Lane,
};
use super::{fault::Fault, state::Shared};

/// How many requests run or wait at most.
const OUTSTANDING: usize = 128;
/// How many reads run at once.
const READS: usize = 4;

/// One `imsg rpc`.
pub(crate) struct Session {
    child: Arc<Child>,
    // Bounded by the number of outstanding requests.
    mutations: mpsc::UnboundedSender<Job>,
    reads: mpsc::UnboundedSender<Job>,
    control: mpsc::UnboundedSender<Job>,
    workers: Mutex<JoinSet<()>>,
}

impl Session {
    pub(crate) fn start(
        shared: Arc<Shared>,
        number: u64,
        versions: [String; 2],
        database: String,
        said: mpsc::Sender<Said>,
        died: oneshot::Sender<()>,
    ) -> Self {
        let child = Child::new(shared, number, versions, database, said, died);
        let mut workers = JoinSet::new();
        let (mutations, lane) = mpsc::unbounded_channel();
        workers.spawn(work(Arc::clone(&child), Arc::new(Mutex::new(lane))));
        let (control, lane) = mpsc::unbounded_channel();
        workers.spawn(work(Arc::clone(&child), Arc::new(Mutex::new(lane))));
        let (reads, lane) = mpsc::unbounded_channel();
        let lane = Arc::new(Mutex::new(lane));
        for _ in 0..READS {
            workers.spawn(work(Arc::clone(&child), Arc::clone(&lane)));
        }
        Self { child, mutations, reads, control, workers: Mutex::new(workers) }
    }

    pub(crate) async fn noise(&self, line: &str) {
        self.child.noise(line).await;
    }

    /// Takes a line of stdin.
    pub(crate) async fn take(&self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let job = match parse(line) {
            Ok(job) => job,
            Err((id, failure)) => return self.child.answer(id.as_ref(), Err(failure)).await,
        };
        if *self.child.outstanding.borrow() >= OUTSTANDING {
            let busy = Failure::busy("outstanding request limit exceeded");
            return self.child.answer(job.id.as_ref(), Err(busy)).await;
        }
        self.child.outstanding.send_modify(|count| *count += 1);
        let lane = method::find(&job.method, &self.child.settings)
            .map_or(Lane::Control, |method| method.lane);
        let queue = match lane {
            Lane::Mutation => &self.mutations,
            Lane::Read => &self.reads,
            Lane::Control => &self.control,
        };
        // The workers live as long as this.
        let _ = queue.send(job);
    }

    /// The end of stdin: subscriptions end, and every accepted request is still carried out.
    pub(crate) async fn drain(&self) {
        self.child.close_subscriptions().await;
        let mut outstanding = self.child.outstanding.subscribe();
        // The sender lives as long as this.
        let _ = outstanding.wait_for(|count| *count == 0).await;
    }

    /// Ends everything. What Messages has begun goes on without this child.
    pub(crate) async fn kill(&self) {
        self.workers.lock().await.shutdown().await;
        self.child.close_subscriptions().await;
    }
}

/// Reads a request. An error goes with the id that it is answered under, none of which is silence.
fn parse(line: &[u8]) -> Result<Job, (Option<Value>, Failure)> {
    let null = Some(Value::Null);
    let request = serde_json::from_slice::<Value>(line);
    let request = request.map_err(|error| (null.clone(), Failure::parse(error.to_string())))?;
    let Value::Object(mut request) = request else {
        return Err((null, Failure::invalid_request("a request is an object")));
    };
    let id = request.remove("id");
    if id.as_ref().is_some_and(|id| !(id.is_string() || id.is_number() || id.is_null())) {
        return Err((null, Failure::invalid_request("id must be a string, a number or null")));
    }
    if request.get("jsonrpc").is_none_or(|version| version != "2.0") {
        return Err((id, Failure::invalid_request("jsonrpc must be \"2.0\"")));
    }
    let method = request.get("method").and_then(Value::as_str).unwrap_or_default().to_owned();
    if method.is_empty() {
        return Err((id, Failure::invalid_request("method is required")));
    }
    match request.remove("params") {
        None => Ok(Job { id, method, params: Map::new() }),
        Some(Value::Object(params)) => Ok(Job { id, method, params }),
        Some(_) => Err((id, Failure::params("params must be an object"))),
    }
}

/// Carries out what a lane has, one after another.
async fn work(child: Arc<Child>, lane: Arc<Mutex<mpsc::UnboundedReceiver<Job>>>) {
    loop {
        let job = lane.lock().await.recv().await;
        let Some(job) = job else { return };
        run(&child, &job).await;
        child.outstanding.send_modify(|count| *count -= 1);
    }
}

async fn run(child: &Arc<Child>, job: &Job) {
    let shared = &child.shared;
    shared.until(|state| !state.asleep).await;
    shared.change(|state| *state.calls.entry(job.method.clone()).or_default() += 1);
    let found = method::find(&job.method, &child.settings);
    if found.is_some_and(|method| method.lane == Lane::Mutation)
        && let Err(blocked) = child.check_lane()
    {
        return child.answer(job.id.as_ref(), Err(blocked)).await;
    }
    let fault = shared.fault(&job.method);
    let result = match found {
        Some(method) => Box::pin(calls::call(child, job, method, fault.as_ref())).await,
        None => Err(Failure::no_method(&job.method)),
    };
    match fault {
        Some(Fault::Late(by)) => tokio::time::sleep(by).await,
        Some(Fault::DiesAfter) => child.die().await,
        _ => {}
    }
    if fault != Some(Fault::Swallowed) {
        child.answer(job.id.as_ref(), result).await;
    }
    child.activate();
}
