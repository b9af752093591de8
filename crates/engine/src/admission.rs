//! Admission: how many bytes of requests may be in memory at once, in all and for one tenant.
//!
//! A request asks for the bytes of its body as it came and, once they are known, for those that
//! decompression adds. What does not fit is refused at once (429 or 503 with `Retry-After`): a
//! queue in front of a full one only adds latency.
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use taffrail_model::tenant::TenantNumber;

/// Bytes of requests in flight, in all: one batch of the largest size and as much again.
pub const IN_FLIGHT_BYTES_MAX: usize = 128 << 20;
/// Bytes of requests in flight of one tenant: one batch of the largest size fits.
pub const IN_FLIGHT_BYTES_PER_TENANT_MAX: usize = 96 << 20;

/// Why a request was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The tenant has too much in flight.
    #[error(
        "this tenant has more than {IN_FLIGHT_BYTES_PER_TENANT_MAX} bytes of requests in flight"
    )]
    Tenant,
    /// The server has too much in flight.
    #[error("the server has more than {IN_FLIGHT_BYTES_MAX} bytes of requests in flight")]
    Server,
}

#[derive(Debug, Default)]
struct InFlight {
    bytes: usize,
    by_tenant: HashMap<TenantNumber, usize>,
}

/// The gate.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    in_flight: Arc<Mutex<InFlight>>,
}

impl Admission {
    /// Lets `bytes` in, until the permit is dropped.
    ///
    /// # Errors
    /// [`Refused`] if they do not fit.
    pub fn admit(&self, tenant: TenantNumber, bytes: usize) -> Result<Permit, Refused> {
        let mut permit = Permit {
            in_flight: self.in_flight.clone(),
            tenant,
            bytes: 0,
        };
        permit.grow(bytes)?;
        Ok(permit)
    }

    /// Bytes in flight.
    #[must_use]
    pub fn bytes_in_flight(&self) -> usize {
        self.in_flight.lock().bytes
    }
}

/// Bytes that were let in.
#[derive(Debug)]
pub struct Permit {
    in_flight: Arc<Mutex<InFlight>>,
    tenant: TenantNumber,
    bytes: usize,
}

impl Permit {
    /// Lets `bytes` more in.
    ///
    /// # Errors
    /// [`Refused`] if they do not fit; what was let in before stays.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refused> {
        let mut in_flight = self.in_flight.lock();
        let of_tenant = in_flight.by_tenant.get(&self.tenant).copied().unwrap_or(0);
        if of_tenant + bytes > IN_FLIGHT_BYTES_PER_TENANT_MAX {
            return Err(Refused::Tenant);
        }
        if in_flight.bytes + bytes > IN_FLIGHT_BYTES_MAX {
            return Err(Refused::Server);
        }
        in_flight.bytes += bytes;
        in_flight.by_tenant.insert(self.tenant, of_tenant + bytes);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut in_flight = self.in_flight.lock();
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

    #[test]
    fn a_tenant_and_the_server_have_a_bound() {
        let admission = Admission::default();
        let (one, two) = (TenantNumber(1), TenantNumber(2));
        let mut first = admission
            .admit(one, IN_FLIGHT_BYTES_PER_TENANT_MAX - 1)
            .unwrap();
        first.grow(1).unwrap();
        assert_eq!(first.grow(1), Err(Refused::Tenant));
        let rest = IN_FLIGHT_BYTES_MAX - IN_FLIGHT_BYTES_PER_TENANT_MAX;
        assert_eq!(admission.admit(two, rest + 1).unwrap_err(), Refused::Server);
        let second = admission.admit(two, rest).unwrap();
        drop(first);
        assert_eq!(admission.bytes_in_flight(), rest);
        drop(second);
        assert_eq!(admission.bytes_in_flight(), 0);
        assert!(admission.in_flight.lock().by_tenant.is_empty());
    }
}
