//! The phone, how long things take, and what goes wrong.

use std::time::Duration;

/// A SIM in the phone.
#[derive(Debug, Clone)]
pub struct Sim {
    /// The number that contacts see.
    pub number: String,
    /// Whether the carrier wrote the number on the SIM: often not, and `phoneNumber` is null then.
    pub knows_number: bool,
    /// The carrier's name.
    pub carrier: String,
}

/// How long things take.
#[derive(Debug, Clone)]
pub struct Timing {
    /// From the queue to Android: *Processed*.
    pub hand_over: Duration,
    /// Until the network took it: *Sent*.
    pub sent: Duration,
    /// Until the contact's phone has it: *Delivered*.
    pub delivered: Duration,
    /// The pause after the first failed webhook; it doubles. Original: 5 s.
    pub webhook_retry: Duration,
    /// How long a receiver may take. Original: 30 s.
    pub webhook_answer: Duration,
}

impl Timing {
    /// As in the field.
    pub fn real() -> Self {
        Self {
            hand_over: Duration::from_millis(500),
            sent: Duration::from_secs(2),
            delivered: Duration::from_secs(4),
            webhook_retry: Duration::from_secs(5),
            webhook_answer: Duration::from_secs(30),
        }
    }
}

impl Default for Timing {
    /// So short that tests don't wait.
    fn default() -> Self {
        Self {
            hand_over: Duration::from_millis(2),
            sent: Duration::from_millis(4),
            delivered: Duration::from_millis(8),
            webhook_retry: Duration::from_millis(50),
            webhook_answer: Duration::from_millis(300),
        }
    }
}

/// How long the server takes, and what it remembers.
#[derive(Debug, Clone)]
pub struct ServerTiming {
    /// From the server's acceptance until the phone has fetched a message (push, else a poll every 15 min).
    pub push: Duration,
    /// How long the server remembers that there is no such message; each read renews it. Original: 5 min.
    pub not_found: Duration,
    /// When the server hashes a message after its last change. Original: about a minute.
    pub hash: Duration,
    /// How old the oldest waiting message may be before the server takes no more. Original: 24 h.
    pub oldest_pending: Duration,
}

impl ServerTiming {
    /// As in the field.
    pub fn real() -> Self {
        Self {
            push: Duration::from_secs(2),
            not_found: Duration::from_secs(300),
            hash: Duration::from_secs(60),
            oldest_pending: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Default for ServerTiming {
    /// The phone is told at once; what the server remembers and forgets is as long as in the field.
    fn default() -> Self {
        Self { push: Duration::from_millis(4), ..Self::real() }
    }
}

/// What goes wrong with the server until it is switched off.
#[derive(Debug, Clone, Default)]
pub struct ServerFaults {
    /// Too much waits for the phone: each new message is 503.
    pub queue_full: bool,
    /// There is no secret for tokens: 501.
    pub no_tokens: bool,
    /// `http://127.0.0.1` is taken for webhooks, which the original refuses: for tests without certificates.
    pub plain_webhooks: bool,
    /// Nothing wakes the phone, and it never asks.
    pub no_push: bool,
    /// The phone's reports of states don't arrive.
    pub no_reports: bool,
}

/// What goes wrong until it is switched off.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Nothing leaves the queue: Android is asked for nothing.
    pub hold: bool,
    /// There is no internet: webhooks wait (`webhooks.internet_required`, on by default).
    pub no_internet: bool,
    /// Every webhook is dropped for ever, as after its last retry.
    pub webhooks_lost: bool,
    /// The next webhooks, this many, are dropped for ever.
    pub lose_webhooks: usize,
    /// Webhooks are signed with another key.
    pub sign_wrongly: bool,
    /// Every webhook comes twice, under the same id.
    pub webhooks_twice: bool,
    /// The newest webhook of the queue goes first.
    pub webhooks_reversed: bool,
    /// `recipient` of what comes in is null.
    pub null_recipient: bool,
    /// Senders are told as national numbers: `4155550123`.
    pub national_sender: bool,
    /// `simNumber` is null in the inbox and set in webhooks, as on odd phones.
    pub sim_null_in_inbox: bool,
    /// `simNumber` is null in webhooks and set in the inbox.
    pub sim_null_in_webhooks: bool,
    /// The app can't read its database: each call is 500.
    pub database_broken: bool,
    /// The app is of September 2026: it sends MMS, and a refresh has `webhookDelivery`.
    pub newer: bool,
}

/// What goes wrong with one send. Each takes the oldest one that was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendFault {
    /// It is not begun: `Can't send message: …`.
    NotBegun(String),
    /// Android refuses it: `Send result: RESULT_ERROR_…`.
    Refused(String),
    /// One part of a long text goes out and another is refused; the message has failed, and the contact
    /// has a piece of it.
    PartRefused(String),
    /// The network takes it and refuses it later: `Delivery result: …` after *Sent*.
    RefusedLater(String),
    /// It arrives and no receipt comes: it stays *Sent*.
    NoReceipt,
    /// It arrives and Android never says so: it stays *Processed*.
    NoReport,
    /// The app is killed between the hand-over and its note: the contact has it, it is still *Pending*, and it
    /// goes out again when the app starts.
    KilledBeforeNote,
    /// The network delivers it twice.
    Twice,
}
