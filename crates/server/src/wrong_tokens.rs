//! Wrong operator tokens: logged with the address that they come from, and their answers delayed. A right token is
//! never delayed, whatever its address has sent before.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use switchboard_model::Timestamp;
use tokio::sync::Semaphore;

use crate::requests::Peer;

/// Wrong tokens are counted by address, anew after this time.
const WINDOW: Duration = Duration::from_secs(60);
/// The first ones are answered without delay: a mistake costs its maker nothing.
const FREE: u32 = 5;
/// The delay grows by this with each further one,
const STEP: Duration = Duration::from_millis(100);
/// up to this.
const LONGEST: Duration = Duration::from_secs(1);
/// The most answers that are delayed at once, since each keeps a connection open. Beyond it the answer is 429.
const MAX_WAITING: usize = 16;
/// The most addresses that are counted at a time. The others share one count.
const MAX_ADDRESSES: usize = 4096;
/// From this count on only each hundredth is logged.
const LOGGED: u32 = 20;

/// The wrong tokens of the last minute.
#[derive(Debug)]
pub(crate) struct WrongTokens {
    seen: Mutex<HashMap<IpAddr, Seen>>,
    waiting: Semaphore,
}

/// What is counted for the addresses that are not known, or have no place.
const UNKNOWN: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Wrong tokens of an address.
#[derive(Debug, Clone, Copy)]
struct Seen {
    since: Timestamp,
    count: u32,
}

impl Default for WrongTokens {
    fn default() -> Self {
        Self { seen: Mutex::default(), waiting: Semaphore::new(MAX_WAITING) }
    }
}

/// The address has sent too many, and [`MAX_WAITING`] answers are delayed already.
#[derive(Debug)]
pub(crate) struct TooMany {
    /// In seconds.
    pub(crate) retry_after: u64,
}

impl WrongTokens {
    /// Counts and logs a wrong token, and returns when it may be answered.
    pub(crate) async fn came(&self, from: Option<Peer>, now: Timestamp) -> Result<(), TooMany> {
        let from = from.map_or(UNKNOWN, |Peer(address)| address.ip().to_canonical());
        let count = self.count(network(from), now);
        let delay = delay_of(count);
        if count < LOGGED || count.is_multiple_of(100) {
            tracing::warn!(
                address = %from,
                count,
                delay_ms = delay.as_millis(),
                "a wrong operator token"
            );
        }
        if delay.is_zero() {
            return Ok(());
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(TooMany { retry_after: WINDOW.as_secs() });
        };
        tokio::time::sleep(delay).await;
        Ok(())
    }

    /// How many have come from there in this window, this one included.
    fn count(&self, from: IpAddr, now: Timestamp) -> u32 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |one: &Seen| now < one.since || now.since(one.since) >= WINDOW;
        if seen.len() >= MAX_ADDRESSES && !seen.contains_key(&from) {
            seen.retain(|_, one| !is_over(one));
        }
        let is_full = seen.len() >= MAX_ADDRESSES && !seen.contains_key(&from);
        let place = if is_full { UNKNOWN } else { from };
        let one = seen.entry(place).or_insert(Seen { since: now, count: 0 });
        if is_over(one) {
            *one = Seen { since: now, count: 0 };
        }
        one.count = one.count.saturating_add(1);
        one.count
    }
}

fn delay_of(count: u32) -> Duration {
    (STEP * count.saturating_sub(FREE).min(10)).min(LONGEST)
}

/// What is counted as one address: of IPv6 the first 64 bits, of which one client has all.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn an_address_is_slowed_down_for_its_own_mistakes_only() {
        let wrong = WrongTokens::default();
        let (one, other) = (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into());
        for count in 1..=FREE {
            assert_eq!((wrong.count(one, NOW), delay_of(count)), (count, Duration::ZERO));
        }
        assert_eq!(delay_of(wrong.count(one, NOW)), STEP);
        assert_eq!(delay_of(u32::MAX), LONGEST);
        assert_eq!(wrong.count(other, NOW), 1);
        assert_eq!(wrong.count(one, NOW + WINDOW), 1, "a new minute");
        assert_eq!(wrong.count(one, NOW), 1, "a clock that was set back holds nobody");
        let mapped = "::ffff:192.0.2.9".parse().unwrap();
        assert_eq!(network(mapped), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)));
        let many = ["2001:db8::1", "2001:db8::2:3"].map(|ip| network(ip.parse().unwrap()));
        assert_eq!(many[0], many[1]);
    }

    #[tokio::test(start_paused = true)]
    async fn few_answers_are_delayed_at_once() {
        let wrong = Arc::new(WrongTokens::default());
        for _ in 0..FREE {
            wrong.came(None, NOW).await.unwrap();
        }
        let guesses: Vec<_> = (0..60)
            .map(|_| {
                let wrong = Arc::clone(&wrong);
                tokio::spawn(async move { wrong.came(None, NOW).await })
            })
            .collect();
        let mut delayed = 0;
        for guess in guesses {
            delayed += usize::from(guess.await.unwrap().is_ok());
        }
        assert_eq!(delayed, MAX_WAITING, "the others come later");
        assert!(wrong.came(None, NOW).await.is_ok(), "their places are free again");
    }

    #[test]
    fn many_addresses_take_bounded_memory() {
        let wrong = WrongTokens::default();
        let ip = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(number));
        for number in 0..20_000 {
            wrong.count(ip(number), NOW);
        }
        assert!(wrong.seen.lock().unwrap().len() <= MAX_ADDRESSES + 1);
        assert!(wrong.count(ip(50_000), NOW) > 10_000, "those that find no place count together");
        assert_eq!(wrong.count(ip(50_000), NOW + WINDOW), 1, "what is over makes room");
    }
}
