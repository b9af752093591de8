//! Capture of a process: runs a program between our own standard streams, passes every byte on
//! as it is, and hands a copy to whoever records.
//!
//! What holds
//! - What passes is never changed, held back or waited for: a pump reads, leaves a copy with the
//!   [`tap`], which never blocks, and writes. Nothing else happens on its thread. The one exception
//!   is asked for: lines of stdin that are to be changed ([`whole_lines`]).
//! - The program finds descriptors of the kind that it would find without us: a terminal is a
//!   terminal, a pipe a pipe, a socket a socket, and one pipe that is stdout and stderr is one.
//! - Ends pass too: who closes what is seen by the other side as if we were not there ([`pump`]).
//! - Signals reach the program once ([`signals`]); we end as it ended ([`ended`]). If we are killed
//!   with SIGKILL, the kernel kills the program ([`stage`]).
//!
//! Why threads that block and not an event loop: each direction has its own back pressure, and a
//! read and a write are all that happens, so a thread a direction is the shortest way for a byte.
//! It costs one copy of every byte, and a few microseconds a message.
//!
//! This module records nothing: it knows directions and bytes, no records.
pub mod capture;
pub mod ended;
pub mod leak;
pub mod outer;
pub mod pump;
pub mod sample;
pub mod signals;
pub mod stage;
pub mod stdio;
pub mod tap;
pub mod terminal;
pub mod whole_lines;
mod witness;

use std::{io, path::Path};

/// Where the running program is found, even if its file was replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Why a program cannot be captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// A descriptor could not be looked at or made.
    #[error("cannot prepare {what}")]
    Descriptor {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A process could not be started.
    #[error("cannot start {what}")]
    Start {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Signals could not be taken.
    #[error("cannot take signals")]
    Signals(#[source] io::Error),
}

fn descriptor(what: &'static str) -> impl Fn(rustix::io::Errno) -> CaptureError {
    move |error| CaptureError::Descriptor {
        what,
        source: error.into(),
    }
}

fn starting(what: &'static str) -> impl Fn(io::Error) -> CaptureError {
    move |source| CaptureError::Start { what, source }
}

/// The program that is running, to start one of its stages.
fn own_program() -> std::path::PathBuf {
    let path = Path::new(OWN_PROGRAM);
    match path.exists() {
        true => path.to_path_buf(),
        // Where there is no /proc, the path is the best that is known.
        false => std::env::current_exe().unwrap_or_else(|_| path.to_path_buf()),
    }
}
