//! The load: programs that send and contacts that text, all the time, whatever becomes of the server.

use std::{ops::Range, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use switchboard_client::{Answer, ContactText, Error, SendMessage};
use switchboard_model::{OutboxItem, id::Id, simulator::SimulatedText};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::process::Ready;

/// Who may be written to and write. A simulated phone shows its newest 10,000 texts: a long load needs more of them.
pub(crate) const CONTACTS: [&str; 8] = [
    "+15550100011",
    "+15550100012",
    "+15550100013",
    "+15550100014",
    "+15550100015",
    "+15550100016",
    "+15550100017",
    "+15550100018",
];
/// As many of them as a load of some minutes at most needs.
pub(crate) const FEW: usize = 4;

/// Programs that write to one contact, each one text after the other.
const SENDERS: usize = 2;

/// The pause of a client whose server is away: it must not burn the processor that the
/// server needs to come back.
const AWAY: Duration = Duration::from_millis(5);

/// How long the load's last calls may take once it is to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client knows of a text it has handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answered<T> {
    /// The server has taken responsibility for it.
    Yes(T),
    /// It never reached a server.
    Never,
    /// The connection was lost: it may have been taken or not.
    Unknown,
}

/// A text and what its client knows.
#[derive(Debug)]
pub(crate) struct Handed<T> {
    pub(crate) text: String,
    pub(crate) answered: Answered<T>,
}

/// All that was handed in.
#[derive(Debug, Default)]
pub(crate) struct All {
    pub(crate) sends: Vec<Handed<Id<OutboxItem>>>,
    pub(crate) inbound: Vec<Handed<SimulatedText>>,
}

/// The load while it runs.
pub(crate) struct Load {
    stop: CancellationToken,
    clients: JoinSet<All>,
}

impl Load {
    /// With so many of [`CONTACTS`].
    pub(crate) fn start(ready: &Ready, seed: u64, contacts: usize, pace: &Pace) -> Self {
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for (number, contact) in (0u64..).zip(CONTACTS).take(contacts) {
            for sender in 0..SENDERS {
                let chance = StdRng::seed_from_u64(seed ^ (number << 32) ^ sender as u64);
                let pace = pace.clone();
                clients.spawn(send(ready.clone(), contact, sender, pace, chance, stop.clone()));
            }
            let chance = StdRng::seed_from_u64(!seed ^ number);
            clients.spawn(text(ready.clone(), contact, pace.clone(), chance, stop.clone()));
        }
        Self { stop, clients }
    }

    /// Lets every client finish the call that it is in.
    pub(crate) async fn stop(self) -> All {
        self.stop.cancel();
        let ended = timeout(PATIENCE, self.clients.join_all()).await.expect("no call hangs");
        ended.into_iter().fold(All::default(), |mut all, one| {
            all.sends.extend(one.sends);
            all.inbound.extend(one.inbound);
            all
        })
    }
}

async fn send(
    ready: Ready,
    contact: &'static str,
    sender: usize,
    pace: Pace,
    mut chance: StdRng,
    stop: CancellationToken,
) -> All {
    let client = ready.client();
    let mut sends = Vec::new();
    while !stop.is_cancelled() {
        let text = format!("to {contact} by {sender}: {:06}", sends.len());
        let message = SendMessage::text(&ready.line, contact, &text);
        let answered = judge(client.send_message(&message).await, |accepted| accepted.id);
        pace.pause(&answered, &mut chance).await;
        sends.push(Handed { text, answered });
    }
    All { sends, ..All::default() }
}

async fn text(
    ready: Ready,
    contact: &'static str,
    pace: Pace,
    mut chance: StdRng,
    stop: CancellationToken,
) -> All {
    let phones = ready.phones();
    let mut inbound = Vec::new();
    while !stop.is_cancelled() {
        let text = format!("from {contact}: {:06}", inbound.len());
        let message = ContactText::new(&ready.line, contact, &text);
        let answered = judge(phones.text(&message).await, |texted| texted);
        pace.pause(&answered, &mut chance).await;
        inbound.push(Handed { text, answered });
    }
    All { inbound, ..All::default() }
}

fn judge<A, T>(result: Result<Answer<A>, Error>, take: impl FnOnce(A) -> T) -> Answered<T> {
    match result {
        Ok(answer) => Answered::Yes(take(answer.value)),
        Err(Error::Transport(error)) if error.is_connect() => Answered::Never,
        // The store could not keep it: the volume was full. Nothing of it may be seen.
        Err(Error::Api { status: 503, retry_after: Some(_), .. }) => Answered::Never,
        // The SDK's time-out is far above what a call here may take.
        Err(Error::Transport(error)) if !error.is_timeout() => Answered::Unknown,
        Err(error) => panic!("the server must answer or die: {error}"),
    }
}

/// How fast the clients are.
#[derive(Debug, Clone)]
pub(crate) enum Pace {
    /// Bursts with pauses between them: queues must fill and run empty.
    Bursts,
    /// A pause of so many milliseconds after each call.
    Steady(Range<u64>),
}

impl Pace {
    async fn pause<T>(&self, answered: &Answered<T>, chance: &mut StdRng) {
        match self {
            Self::Steady(pause) => {
                sleep(Duration::from_millis(chance.random_range(pause.clone()))).await;
            }
            Self::Bursts if !matches!(answered, Answered::Yes(_)) => sleep(AWAY).await,
            Self::Bursts if chance.random_ratio(1, 5) => {
                sleep(Duration::from_millis(chance.random_range(0..80))).await;
            }
            Self::Bursts => {}
        }
    }
}
