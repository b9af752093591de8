//! Admission: how many bytes of requests may be in memory at once, in all and for one tenant.
//!
//! Invariants
//! - All requests together have at most [`Admission::bytes_max`] in flight, or are one request alone.
//! - A tenant has at most three times as much as is free. One tenant gets three quarters of all, two
//!   get 3/7 each, and so on: however many press as hard as they can, something is left for one that
//!   comes after them, and nothing has to be known of how many there are.
//! - A request that is larger than that comes in when nothing else is in flight: with patience every
//!   batch is taken, on a machine of any size.
//!
//! A request is refused before its body is read where it says how long that is; from then on it asks
//! for the bytes that came and, once they are known, for those that decompression adds: a length that
//! lies costs nothing. What does not fit is refused at once (429 or 503 with `Retry-After`): a queue
//! in front of a full one only adds latency.
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use taffrail_model::tenant::TenantNumber;

/// Bytes of requests in flight, in all: one batch of the largest size and as much again.
pub const IN_FLIGHT_BYTES_MAX: usize = 128 << 20;
/// How many times as much as is free a tenant may have in flight.
const SHARE_OF_FREE: usize = 3;

/// Why a request was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The tenant has more in flight than its share.
    #[error("this tenant has more bytes of requests in flight than its share of {bytes_max}")]
    Tenant {
        /// What all tenants share.
        bytes_max: usize,
    },
    /// The server has too much in flight, though the tenant has little of it.
    #[error("the server has nearly {bytes_max} bytes of requests in flight")]
    Server {
        /// What all tenants share.
        bytes_max: usize,
    },
}

/// Requests that were refused since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusedCounts {
    /// As [`Refused::Tenant`].
    pub tenant: u64,
    /// As [`Refused::Server`].
    pub server: u64,
}

#[derive(Debug, Default)]
struct InFlight {
    bytes: usize,
    by_tenant: HashMap<TenantNumber, usize>,
    refused: RefusedCounts,
}

#[derive(Debug)]
struct Gate {
    bytes_max: usize,
    in_flight: Mutex<InFlight>,
}

/// The gate.
#[derive(Clone, Debug)]
pub struct Admission {
    gate: Arc<Gate>,
}

impl Admission {
    /// A gate for so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Admission {
        Admission {
            gate: Arc::new(Gate {
                bytes_max,
                in_flight: Mutex::default(),
            }),
        }
    }

    /// Lets `bytes` in, until the permit is dropped.
    ///
    /// # Errors
    /// [`Refused`] if they do not fit.
    pub fn admit(&self, tenant: TenantNumber, bytes: usize) -> Result<Permit, Refused> {
        let mut permit = Permit {
            gate: self.gate.clone(),
            tenant,
            bytes: 0,
        };
        permit.grow(bytes)?;
        Ok(permit)
    }

    /// Bytes that may be in flight.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.gate.bytes_max
    }

    /// Bytes in flight.
    #[must_use]
    pub fn bytes_in_flight(&self) -> usize {
        self.gate.in_flight.lock().bytes
    }

    /// Requests that were refused.
    #[must_use]
    pub fn refused(&self) -> RefusedCounts {
        self.gate.in_flight.lock().refused
    }
}

/// Bytes that were let in.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    tenant: TenantNumber,
    bytes: usize,
}

impl Permit {
    /// Whether `bytes` more would be let in at this moment; nothing is taken.
    ///
    /// # Errors
    /// [`Refused`] if they do not fit.
    pub fn check(&self, bytes: usize) -> Result<(), Refused> {
        let mut in_flight = self.gate.in_flight.lock();
        in_flight.admit(self, bytes)
    }

    /// Lets `bytes` more in.
    ///
    /// # Errors
    /// [`Refused`] if they do not fit; what was let in before stays.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refused> {
        let mut in_flight = self.gate.in_flight.lock();
        in_flight.admit(self, bytes)?;
        in_flight.bytes += bytes;
        // A permit without bytes leaves no trace.
        if bytes > 0 {
            *in_flight.by_tenant.entry(self.tenant).or_default() += bytes;
        }
        drop(in_flight);
        self.bytes += bytes;
        Ok(())
    }
}

impl InFlight {
    /// Whether a permit may have so many bytes more. A refusal is counted.
    fn admit(&mut self, permit: &Permit, bytes: usize) -> Result<(), Refused> {
        let bytes_max = permit.gate.bytes_max;
        let of_tenant = self.by_tenant.get(&permit.tenant).copied();
        let own = of_tenant.unwrap_or(0).saturating_add(bytes);
        let all = self.bytes.saturating_add(bytes);
        let free = bytes_max.saturating_sub(all);
        let is_alone = self.bytes == permit.bytes;
        if bytes == 0 || is_alone || own <= free.saturating_mul(SHARE_OF_FREE) {
            return Ok(());
        }
        // Who has more than an equal part of what all may have at once is told so; others are not
        // the cause.
        let tenants = self.by_tenant.len() + usize::from(of_tenant.is_none());
        let equal_part = SHARE_OF_FREE * bytes_max / (1 + SHARE_OF_FREE * tenants);
        if own > equal_part {
            self.refused.tenant += 1;
            return Err(Refused::Tenant { bytes_max });
        }
        self.refused.server += 1;
        Err(Refused::Server { bytes_max })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut in_flight = self.gate.in_flight.lock();
        in_flight.bytes -= self.bytes;
        if let Some(of_tenant) = in_flight.by_tenant.get_mut(&self.tenant) {
            *of_tenant -= self.bytes;
            if *of_tenant == 0 {
                in_flight.by_tenant.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = 128 << 20;
    const TENANT: Refused = Refused::Tenant { bytes_max: ALL };
    const SERVER: Refused = Refused::Server { bytes_max: ALL };

    fn tenant(number: u32) -> TenantNumber {
        TenantNumber(number)
    }

    #[test]
    fn a_tenant_has_three_quarters_of_all_and_leaves_room() {
        let admission = Admission::new(ALL);
        let first = admission.admit(tenant(1), 1 << 20).unwrap();
        let mut second = admission
            .admit(tenant(1), ALL / 4 * 3 - (1 << 20) - 1)
            .unwrap();
        assert_eq!(second.check(2), Err(TENANT));
        second.grow(1).unwrap();
        assert_eq!(second.grow(1), Err(TENANT), "one past the limit");
        assert_eq!(admission.refused().tenant, 2);
        // Another tenant gets three quarters of the rest.
        let rest = ALL / 4;
        let other = |bytes| admission.admit(tenant(2), bytes);
        assert_eq!(other(rest / 4 * 3 + 1).unwrap_err(), SERVER);
        let third = other(rest / 4 * 3).unwrap();
        assert_eq!(admission.refused().server, 1);
        drop((first, second));
        assert_eq!(admission.bytes_in_flight(), rest / 4 * 3);
        drop(third);
        assert_eq!(admission.bytes_in_flight(), 0);
        assert!(admission.gate.in_flight.lock().by_tenant.is_empty());
    }

    /// Each tenant takes what it gets, in pieces of 64 KiB, until nothing more is let in.
    #[test]
    fn tenants_at_full_pressure_leave_room_for_one_more() {
        for tenants in 1..=12 {
            let admission = Admission::new(ALL);
            let mut permits = Vec::new();
            loop {
                let before = permits.len();
                for number in 1..=tenants {
                    permits.extend(admission.admit(tenant(number), 64 << 10));
                }
                if permits.len() == before {
                    break;
                }
            }
            let free = ALL - admission.bytes_in_flight();
            let promised = ALL / (1 + 3 * tenants as usize);
            assert!(free + (64 << 10) >= promised, "{tenants}: {free}");
            let one_more = admission.admit(tenant(99), promised / 2);
            assert!(one_more.is_ok(), "{tenants}");
        }
    }

    #[test]
    fn one_request_alone_comes_in_whatever_its_size() {
        let admission = Admission::new(ALL);
        let mut alone = admission.admit(tenant(1), ALL).unwrap();
        alone.grow(ALL).unwrap();
        assert_eq!(admission.admit(tenant(2), 1).unwrap_err(), SERVER);
        assert_eq!(admission.admit(tenant(1), 1).unwrap_err(), TENANT);
        drop(alone);
        let small = admission.admit(tenant(2), 1).unwrap();
        assert_eq!(admission.admit(tenant(1), ALL).unwrap_err(), TENANT);
        drop(small);
        assert!(admission.admit(tenant(1), ALL).is_ok());
    }
}
