//! The memory of aggregates: what one query may take, and all that run at once.
use crate::result::ScanError;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use taffrail_model::limits::{AGGREGATE_BYTES_MAX, AGGREGATE_POOL_BYTES_MAX};

/// Bytes that are taken from the pool at once, so that threads seldom meet there.
const STEP_BYTES: usize = 64 << 10;

/// Memory that the aggregates of all running queries share.
#[derive(Debug)]
pub struct MemoryPool {
    bytes_max: usize,
    used: AtomicUsize,
}

impl Default for MemoryPool {
    fn default() -> MemoryPool {
        MemoryPool::new(AGGREGATE_POOL_BYTES_MAX)
    }
}

impl MemoryPool {
    /// A pool of this many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> MemoryPool {
        MemoryPool {
            bytes_max,
            used: AtomicUsize::new(0),
        }
    }

    /// Bytes that are taken.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

/// What one thread of a query holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Budget {
    pool: Arc<MemoryPool>,
    query: Arc<AtomicUsize>,
    held: usize,
    spare: usize,
}

impl Budget {
    pub(super) fn new(pool: Arc<MemoryPool>) -> Budget {
        Budget {
            pool,
            query: Arc::default(),
            held: 0,
            spare: 0,
        }
    }

    /// The budget of another thread of the same query.
    pub(super) fn fork(&self) -> Budget {
        Budget {
            pool: self.pool.clone(),
            query: self.query.clone(),
            held: 0,
            spare: 0,
        }
    }

    /// Takes bytes.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), ScanError> {
        if let Some(left) = self.spare.checked_sub(bytes) {
            self.spare = left;
            return Ok(());
        }
        let step = bytes.max(STEP_BYTES);
        self.held += step;
        self.spare += step - bytes;
        let of_query = self.query.fetch_add(step, Relaxed) + step;
        let of_all = self.pool.used.fetch_add(step, Relaxed) + step;
        // What does not fit into the whole pool never will: asking again later is of no use.
        let query_max = AGGREGATE_BYTES_MAX.min(self.pool.bytes_max);
        if of_query > query_max {
            return Err(ScanError::AggregateTooLarge {
                bytes_max: query_max,
            });
        }
        if of_all > self.pool.bytes_max {
            return Err(ScanError::OutOfMemory {
                bytes_max: self.pool.bytes_max,
            });
        }
        Ok(())
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.query.fetch_sub(self.held, Relaxed);
        self.pool.used.fetch_sub(self.held, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_bounded_and_gives_back_what_it_took() {
        let pool = Arc::new(MemoryPool::new(10 * AGGREGATE_BYTES_MAX));
        let mut one = Budget::new(pool.clone());
        let mut helper = one.fork();
        assert_eq!(one.charge(AGGREGATE_BYTES_MAX - STEP_BYTES), Ok(()));
        assert_eq!(helper.charge(STEP_BYTES), Ok(()));
        let error = ScanError::AggregateTooLarge {
            bytes_max: AGGREGATE_BYTES_MAX,
        };
        assert_eq!(helper.charge(1), Err(error));
        assert_eq!(Budget::new(pool.clone()).charge(1), Ok(()));
        drop((one, helper));
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn a_query_that_the_whole_pool_cannot_hold_is_too_large() {
        let bytes_max = 2 * STEP_BYTES;
        let pool = Arc::new(MemoryPool::new(bytes_max));
        let mut one = Budget::new(pool.clone());
        assert_eq!(one.charge(bytes_max), Ok(()));
        let error = ScanError::AggregateTooLarge { bytes_max };
        assert_eq!(one.charge(1), Err(error));
        // Another one would fit, were it not for the first.
        let error = ScanError::OutOfMemory { bytes_max };
        assert_eq!(Budget::new(pool).charge(1), Err(error));
    }

    #[test]
    fn all_queries_together_are_bounded() {
        let pool = Arc::new(MemoryPool::new(2 * STEP_BYTES));
        let mut one = Budget::new(pool.clone());
        let mut other = Budget::new(pool.clone());
        assert_eq!(one.charge(STEP_BYTES), Ok(()));
        assert_eq!(other.charge(STEP_BYTES), Ok(()));
        let error = ScanError::OutOfMemory {
            bytes_max: 2 * STEP_BYTES,
        };
        assert_eq!(other.charge(1), Err(error));
        drop(other);
        assert_eq!(one.charge(1), Ok(()));
    }
}
