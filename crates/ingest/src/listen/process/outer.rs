//! The outer terminal while the program has one of its own: how it is set, and who may use it.
//!
//! Invariants
//! - While the job is stopped nothing is read from the terminal or written to it: its own
//!   processing is on then, so what passed would be echoed twice and its line ends changed twice.
//!   That holds until it is raw again, however late the thread comes that makes it so.
//! - Who stops the job waits for what is passing just then, but not for ever: a terminal that
//!   nobody reads must not keep a job from stopping.
//! - It is changed in the foreground only: in the background that would stop us. Whoever uses it
//!   or looks at it next in the foreground makes it raw: a shell that takes a running job there
//!   does not tell.
//! - Once given back it is not used any more.
use super::{
    CaptureError, descriptor,
    stdio::{Standard, second},
    terminal::resize,
};
use rustix::{
    fd::{AsFd, OwnedFd},
    process::getpgrp,
    termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr},
};
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long what is passing may take before the terminal is changed all the same: a write takes
/// microseconds, unless nobody reads, and then it takes for ever.
const PASSING_PATIENCE: Duration = Duration::from_millis(100);

/// What the terminal is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    InUse,
    /// The job is stopped, or about to be.
    Suspended,
    GivenBack,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    is_raw: bool,
    /// How many read from it or write to it.
    passing: usize,
}

/// The outer terminal.
#[derive(Debug)]
pub struct Outer {
    /// A descriptor of its own: stdin may be closed before the settings are restored.
    terminal: OwnedFd,
    before: Termios,
    state: Mutex<State>,
    changed: Condvar,
}

/// Leave to read from the terminal or write to it, until it is dropped.
#[derive(Debug)]
pub struct Passing<'a>(&'a Outer);

impl Outer {
    /// Remembers the settings of our stdin, and makes it raw if we are in its foreground.
    ///
    /// # Errors
    /// [`CaptureError::Descriptor`].
    pub fn enter() -> Result<Outer, CaptureError> {
        let outer = Outer::of(second(&Standard::Input.fd())?)?;
        outer.resume();
        Ok(outer)
    }

    fn of(terminal: OwnedFd) -> Result<Outer, CaptureError> {
        let before = tcgetattr(&terminal).map_err(descriptor("the terminal"))?;
        Ok(Outer {
            terminal,
            before,
            state: Mutex::new(State {
                phase: Phase::InUse,
                is_raw: false,
                passing: 0,
            }),
            changed: Condvar::new(),
        })
    }

    /// Gives an inner terminal the size of this one.
    pub fn resize(&self, inner: &impl AsFd) {
        resize(inner, &self.terminal);
    }

    /// Whether keys typed there are for our job.
    #[must_use]
    pub fn is_foreground(&self) -> bool {
        matches!(tcgetpgrp(&self.terminal), Ok(group) if group == getpgrp())
    }

    /// Whether another job has it, as far as that is of interest: while it is in use. If it came
    /// back to us, it is raw now.
    #[must_use]
    pub fn is_away(&self) -> bool {
        let mut state = self.state();
        if state.phase != Phase::InUse {
            return false;
        }
        self.make_raw(&mut state);
        !state.is_raw && !self.is_foreground()
    }

    /// Waits until it may be used.
    pub fn pass(&self) -> Passing<'_> {
        let state = self.state();
        let waited = self
            .changed
            .wait_while(state, |state| state.phase != Phase::InUse);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        self.make_raw(&mut state);
        state.passing += 1;
        Passing(self)
    }

    /// As it was before, and unused until [`Outer::resume`].
    pub fn suspend(&self) {
        self.restore(Phase::Suspended);
    }

    /// In use and, in the foreground, raw: whatever somebody else has set meanwhile.
    pub fn resume(&self) {
        let mut state = self.state();
        if state.phase == Phase::GivenBack {
            return;
        }
        state.is_raw = false;
        self.make_raw(&mut state);
        state.phase = Phase::InUse;
        self.changed.notify_all();
    }

    /// As it was before, for good.
    pub fn give_back(&self) {
        self.restore(Phase::GivenBack);
    }

    fn restore(&self, phase: Phase) {
        let mut state = self.state();
        if state.phase != Phase::GivenBack {
            state.phase = phase;
        }
        let waited = self
            .changed
            .wait_timeout_while(state, PASSING_PATIENCE, |state| state.passing > 0);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.is_raw) {
            // A terminal that is gone needs no settings.
            let _ = self.set(&self.before);
        }
    }

    fn make_raw(&self, state: &mut State) {
        if state.is_raw || !self.is_foreground() {
            return;
        }
        let mut settings = self.before.clone();
        settings.make_raw();
        state.is_raw = self.set(&settings).is_ok();
    }

    /// Never blocks. To let the output drain first would wait for a write that is under way, and
    /// so for ever if nobody reads; and no need: output is processed when it is written.
    fn set(&self, settings: &Termios) -> rustix::io::Result<()> {
        tcsetattr(&self.terminal, OptionalActions::Now, settings)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Who panicked while it was held has changed a whole value or none.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.0.state().passing -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::{
        fs::{Mode, OFlags, open},
        io::write,
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    };
    use std::sync::mpsc;

    /// Far longer than [`PASSING_PATIENCE`], also on a machine that is busy.
    const LONG: Duration = Duration::from_secs(20);
    /// Bytes; a terminal buffers some 64 KiB.
    const MORE_THAN_IT_HOLDS: usize = 1 << 20;

    /// A terminal that is not ours: always in the background.
    fn outer() -> Outer {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        Outer::of(openpt(flags).unwrap()).unwrap()
    }

    #[test]
    fn nothing_passes_until_it_is_resumed() {
        let outer = outer();
        drop(outer.pass());
        outer.suspend();
        let (sender, passed) = mpsc::channel();
        std::thread::scope(|scope| {
            let outer = &outer;
            scope.spawn(move || {
                let _passing = outer.pass();
                sender.send(outer.state().phase).unwrap();
            });
            assert_eq!(passed.try_recv(), Err(mpsc::TryRecvError::Empty));
            outer.resume();
            assert_eq!(passed.recv(), Ok(Phase::InUse));
        });
    }

    #[test]
    fn a_job_stops_though_what_passes_never_ends() {
        let outer = outer();
        let passing = outer.pass();
        outer.suspend();
        assert_eq!(outer.state().phase, Phase::Suspended);
        drop(passing);
        assert_eq!(outer.state().passing, 0);
    }

    /// Both sides of a terminal.
    fn pair() -> (OwnedFd, OwnedFd) {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&outside).unwrap();
        unlockpt(&outside).unwrap();
        let name = ptsname(&outside, Vec::new()).unwrap();
        let inside = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        (outside, inside)
    }

    #[test]
    fn a_job_stops_and_goes_on_though_nobody_reads_the_terminal() {
        let (outside, inside) = pair();
        let outer = Outer::of(inside).unwrap();
        outer.state().is_raw = true;
        let (started, starting) = mpsc::channel();
        let (finished, finishing) = mpsc::channel();
        std::thread::scope(|scope| {
            let outer = &outer;
            scope.spawn(move || {
                let _passing = outer.pass();
                started.send(()).unwrap();
                write(&outer.terminal, &vec![b'x'; MORE_THAN_IT_HOLDS])
            });
            starting.recv().unwrap();
            scope.spawn(move || {
                // It waits for its patience first: the write is under way after that.
                outer.suspend();
                finished.send("restored").unwrap();
                outer.set(&outer.before).unwrap();
                finished.send("set").unwrap();
            });
            let restored = finishing.recv_timeout(LONG);
            let set = finishing.recv_timeout(LONG);
            let passing = outer.state.try_lock().map(|state| state.passing);
            // Ends the write.
            drop(outside);
            assert_eq!((restored, set), (Ok("restored"), Ok("set")));
            assert_eq!(passing.unwrap(), 1);
        });
    }

    #[test]
    fn what_was_given_back_is_not_taken_again() {
        let outer = outer();
        assert!(outer.is_away());
        outer.give_back();
        outer.suspend();
        outer.resume();
        assert_eq!(outer.state().phase, Phase::GivenBack);
        assert!(!outer.is_away());
    }
}
