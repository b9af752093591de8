//! What tests share: a disk and a clock that are simulated, and records from a seed.
//!
//! Nothing here is linked into the product, and nothing here shares code with what it checks:
//! generators and oracles know JSON text and the vocabulary of `model`, no decoder, no storage.

pub mod clock;
pub mod disk;
pub mod random;
pub mod record;

pub use clock::SimulatedClock;
pub use disk::SimulatedDisk;
pub use random::Random;
pub use record::{GeneratedRequest, PlainRecord, RecordGenerator};
