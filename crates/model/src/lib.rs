//! The vocabulary of the product: records, batches, streams, positions, ids, limits, principals
//! and access rules. No I/O happens here; what needs the outside (files, clock) is a trait.
//!
//! What is where
//! - A record in motion: [`column`], [`batch`], [`field`], [`level`], [`time`].
//! - Where it belongs: [`stream`], [`tenant`], [`position`], [`id`].
//! - Who may see it: [`access`]; programs that work for one user: [`instance`].
//! - How text is cut into words, everywhere: [`token`]; how it is shown: [`shown`].
//! - The outside as traits: [`files`], [`clock`].
//! - Every limit with its reason: [`limits`].

pub mod access;
pub mod batch;
pub mod clock;
pub mod column;
pub mod field;
pub mod files;
pub mod id;
pub mod instance;
pub mod level;
pub mod limits;
pub mod position;
pub mod shown;
pub mod stream;
pub mod tenant;
pub mod time;
pub mod token;
