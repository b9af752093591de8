//! The log store: write-ahead log, tails, segments, manifest, recovery, retention.
//!
//! What is where
//! - The way in: [`encoded`] rows, [`store`] (threads), [`store_core`] (the synchronous machine), the
//!   log in `wal`.
//! - What is read: [`snapshot`], [`read`], [`find`], [`caseless`], [`coded`], [`tail`],
//!   [`segment`].
//! - On disk: [`durable`] names, [`container`] around everything, [`keys`], bundles, the manifest.
//! - Over time: [`flush`], [`compact`], [`deletion`], [`retention`], [`recovery`].

#[cfg(all(feature = "harness-early-acknowledgement", not(debug_assertions)))]
compile_error!("harness-early-acknowledgement breaks the store's promise: it is for tests alone");

mod bundle;
pub mod caseless;
pub mod coded;
pub mod compact;
pub mod container;
pub mod deletion;
pub mod durable;
pub mod encoded;
mod encoding;
pub mod find;
pub mod flush;
mod idempotency;
pub mod keys;
pub mod local_files;
mod manifest;
mod partition;
pub mod read;
pub mod recovery;
pub mod retention;
pub mod segment;
pub mod snapshot;
pub mod store;
pub mod store_core;
pub mod tail;
mod wal;

pub use idempotency::{
    Evicted, LONG_ANSWERS_BYTES_MAX, ORDINARY_ANSWERS_BYTES_MAX, Recall, Waiter,
};
pub use wal::WalError;
