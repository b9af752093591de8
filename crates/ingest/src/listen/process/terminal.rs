//! Terminals: a pair of our own for a program that expects one.
//!
//! If our stdin is a terminal, the program gets a session of its own with a terminal of its own
//! ([`super::stage`]), and the outer one is raw ([`super::outer`]): what is typed goes to the inner one, whose line
//! discipline echoes, edits and makes signals as the outer one would. Else the program stays in
//! our session and process group, where the kernel does job control as usual; outputs that are
//! terminals become inner terminals which change nothing of what passes, since the outer one
//! does that already.
use super::{CaptureError, descriptor, stdio::Standard};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, OutputModes, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize},
};

/// A pair of our own.
#[derive(Debug)]
pub struct Pair {
    /// Our side.
    pub outside: OwnedFd,
    /// The program's side.
    pub inside: OwnedFd,
}

/// What the outer terminal's own processing is for the inner one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processing {
    /// The outer one is raw: the inner one does everything.
    Inner,
    /// The outer one does it: the inner one passes what is written as it is.
    Outer,
}

impl Pair {
    /// A pair with the settings and the size of an outer terminal.
    ///
    /// # Errors
    /// [`CaptureError::Descriptor`].
    pub fn like(outer: Standard, processing: Processing) -> Result<Pair, CaptureError> {
        let failed = descriptor("a terminal");
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let outside = openpt(flags).map_err(&failed)?;
        grantpt(&outside).map_err(&failed)?;
        unlockpt(&outside).map_err(&failed)?;
        let name = ptsname(&outside, Vec::new()).map_err(&failed)?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let inside = rustix::fs::open(&name, flags, Mode::empty()).map_err(&failed)?;
        let mut settings = tcgetattr(outer.fd()).map_err(&failed)?;
        if processing == Processing::Outer {
            settings.output_modes.remove(OutputModes::OPOST);
        }
        tcsetattr(&inside, OptionalActions::Now, &settings).map_err(&failed)?;
        resize(&outside, &outer.fd());
        Ok(Pair { outside, inside })
    }
}

/// Gives an inner terminal the size of the outer one.
pub fn resize(inner: &impl AsFd, outer: &impl AsFd) {
    if let Ok(size) = tcgetwinsize(outer) {
        // A terminal that is gone has no size.
        let _ = tcsetwinsize(inner, size);
    }
}
