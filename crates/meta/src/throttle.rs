//! Failed logins: who guesses must wait.
//!
//! Invariants
//! - An attempt counts as failed from its beginning, so a thousand guesses at once count as a
//!   thousand; a success takes its count back.
//! - Attempts are counted for each account and address together (others cannot lock an account
//!   out) and for each address over all accounts (one address cannot try every name).
//! - The table is bounded; the longest idle entries go first.
//!
//! Kept in memory: a restart forgets it. Addresses of IPv6 count by /64, which is what one
//! customer has.
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
};
use taffrail_model::time::{NS_PER_S, Timestamp};

/// Failures for one account from one address before the first wait.
const FREE_PER_ACCOUNT: u32 = 5;
/// Failures from one address over all accounts before the first wait: an office behind one
/// address types wrong now and then.
const FREE_PER_ADDRESS: u32 = 50;
/// The longest wait in seconds.
const WAIT_S_MAX: i64 = 900;
/// A count is forgotten after this many seconds without an attempt.
const FORGOTTEN_S: i64 = 3_600;
/// Entries of the table.
const ENTRIES_MAX: usize = 20_000;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Account(String, IpAddr),
    Address(IpAddr),
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

/// Counts failed logins.
#[derive(Default)]
pub(crate) struct Throttle {
    failures: Mutex<HashMap<Key, Failures>>,
}

impl Throttle {
    /// Begins an attempt, which counts as failed until [`Throttle::succeeded`].
    ///
    /// # Errors
    /// Seconds to wait.
    pub(crate) fn begin(&self, name_key: &str, address: IpAddr, now: Timestamp) -> Result<(), u64> {
        let address = network(address);
        let limits = [
            (Key::Account(name_key.to_owned(), address), FREE_PER_ACCOUNT),
            (Key::Address(address), FREE_PER_ADDRESS),
        ];
        let mut failures = self.lock();
        let wait_s = limits
            .iter()
            .filter_map(|(key, free)| wait_s(failures.get(key)?, *free, now))
            .max();
        if let Some(wait_s) = wait_s {
            return Err(wait_s);
        }
        make_room(&mut failures, now);
        for (key, _) in limits {
            let entry = failures.entry(key).or_insert(Failures {
                count: 0,
                last: now,
            });
            if is_forgotten(entry, now) {
                entry.count = 0;
            }
            entry.count = entry.count.saturating_add(1);
            entry.last = now;
        }
        Ok(())
    }

    /// The attempt was right: the account's count is over, the address gets its one back.
    pub(crate) fn succeeded(&self, name_key: &str, address: IpAddr) {
        let address = network(address);
        let mut failures = self.lock();
        failures.remove(&Key::Account(name_key.to_owned(), address));
        if let Some(entry) = failures.get_mut(&Key::Address(address)) {
            entry.count = entry.count.saturating_sub(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Failures>> {
        // A panic while counting leaves valid counts behind.
        self.failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Seconds still to wait: 1 s after the free attempts, doubled with each further failure.
fn wait_s(failures: &Failures, free: u32, now: Timestamp) -> Option<u64> {
    if failures.count < free || is_forgotten(failures, now) {
        return None;
    }
    let doublings = (failures.count - free).min(16);
    let wait_s = (1i64 << doublings).min(WAIT_S_MAX);
    let until = failures.last.0.saturating_add(wait_s * NS_PER_S);
    // A clock that was set back must not lengthen the wait.
    let left_ns = until.saturating_sub(now.0).min(wait_s * NS_PER_S);
    let left_s = left_ns
        .max(0)
        .cast_unsigned()
        .div_ceil(NS_PER_S.cast_unsigned());
    (left_s > 0).then_some(left_s)
}

fn is_forgotten(failures: &Failures, now: Timestamp) -> bool {
    now.0.saturating_sub(failures.last.0) > FORGOTTEN_S * NS_PER_S
}

fn make_room(failures: &mut HashMap<Key, Failures>, now: Timestamp) {
    if failures.len() + 2 <= ENTRIES_MAX {
        return;
    }
    failures.retain(|_, entry| !is_forgotten(entry, now));
    if failures.len() + 2 <= ENTRIES_MAX {
        return;
    }
    // A tenth at a time, so that the cost is paid once for many attempts.
    let mut times: Vec<_> = failures.values().map(|entry| entry.last).collect();
    let tenth = times.len() / 10;
    let (_, cut, _) = times.select_nth_unstable(tenth);
    let cut = *cut;
    failures.retain(|_, entry| entry.last > cut);
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * NS_PER_S)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn waits_double_and_are_per_account_and_address() {
        let throttle = Throttle::default();
        let here = address("10.0.0.1");
        for _ in 0..5 {
            assert_eq!(throttle.begin("jane", here, at(0)), Ok(()));
        }
        assert_eq!(throttle.begin("jane", here, at(0)), Err(1));
        assert_eq!(throttle.begin("jane", address("10.0.0.2"), at(0)), Ok(()));
        assert_eq!(throttle.begin("joe", here, at(0)), Ok(()));
        assert_eq!(throttle.begin("jane", here, at(1)), Ok(()));
        assert_eq!(throttle.begin("jane", here, at(1)), Err(2));
        assert_eq!(throttle.begin("jane", here, at(3)), Ok(()));
        assert_eq!(throttle.begin("jane", here, at(4)), Err(3));
        for second in 1..40 {
            let _ = throttle.begin("jane", here, at(second * 1_000));
        }
        assert_eq!(throttle.begin("jane", here, at(39_001)), Err(899));
        assert_eq!(throttle.begin("jane", here, at(39_000 + 3_601)), Ok(()));
    }

    #[test]
    fn success_takes_the_count_back() {
        let throttle = Throttle::default();
        let here = address("10.0.0.1");
        for _ in 0..200 {
            assert_eq!(throttle.begin("jane", here, at(0)), Ok(()));
            throttle.succeeded("jane", here);
        }
    }

    #[test]
    fn one_address_cannot_try_every_name() {
        let throttle = Throttle::default();
        let here = address("2001:db8::1");
        for name in 0..50 {
            assert_eq!(throttle.begin(&name.to_string(), here, at(0)), Ok(()));
        }
        assert_eq!(throttle.begin("x", address("2001:db8::2"), at(0)), Err(1));
        assert_eq!(throttle.begin("x", address("2001:db8:1::2"), at(0)), Ok(()));
    }

    #[test]
    fn a_clock_that_steps_back_does_not_lengthen_the_wait() {
        let throttle = Throttle::default();
        let here = address("10.0.0.1");
        for _ in 0..5 {
            assert_eq!(throttle.begin("jane", here, at(86_400)), Ok(()));
        }
        assert_eq!(throttle.begin("jane", here, at(0)), Err(1));
    }

    #[test]
    fn the_table_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..60_000u32 {
            let from = IpAddr::V4(std::net::Ipv4Addr::from_bits(n));
            assert_eq!(throttle.begin("jane", from, at(i64::from(n) / 100)), Ok(()));
            assert!(throttle.lock().len() <= ENTRIES_MAX);
        }
        // The latest are still counted.
        let last = IpAddr::V4(std::net::Ipv4Addr::from_bits(59_999));
        assert!(throttle.lock().contains_key(&Key::Address(last)));
    }
}
