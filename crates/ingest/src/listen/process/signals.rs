//! Signals of ours that the program must get.
//!
//! A signal is sent to a process or to a process group. The program is in our group unless it has
//! a terminal of its own, so one that is sent to the group reaches it without us, and must not
//! come a second time: many programs take a second SIGINT for impatience. Nothing tells the two
//! kinds apart, so a third process of the group, the witness ([`super::witness`]), is asked whether
//! it got the same. Terminals send to groups.
//!
//! What is ignored when we start stays ignored, here and in the program (`nohup`).
use super::CaptureError;
use rustix::process::Signal;
use signal_hook::{
    consts as number,
    iterator::{SignalsInfo, exfiltrator::WithOrigin},
    low_level::siginfo::{Cause, Origin},
};

/// What is passed on. Signals that say that we are broken (SIGSEGV, …) are not the program's.
const PASSED: [(i32, Signal); 15] = [
    (number::SIGHUP, Signal::HUP),
    (number::SIGINT, Signal::INT),
    (number::SIGQUIT, Signal::QUIT),
    (number::SIGTERM, Signal::TERM),
    (number::SIGUSR1, Signal::USR1),
    (number::SIGUSR2, Signal::USR2),
    (number::SIGWINCH, Signal::WINCH),
    (number::SIGTSTP, Signal::TSTP),
    (number::SIGTTIN, Signal::TTIN),
    (number::SIGTTOU, Signal::TTOU),
    (number::SIGCONT, Signal::CONT),
    (number::SIGALRM, Signal::ALARM),
    (number::SIGVTALRM, Signal::VTALARM),
    (number::SIGPROF, Signal::PROF),
    (number::SIGURG, Signal::URG),
];

/// A signal that we got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub signal: Signal,
    /// Who sent it; `None`: the kernel, as for keys of a terminal.
    pub sender: Option<i32>,
}

impl Received {
    fn of(origin: &Origin) -> Option<Received> {
        let signal = match origin.signal {
            number::SIGCHLD => Signal::CHILD,
            other => PASSED.iter().find(|(number, _)| *number == other)?.1,
        };
        let sender = match origin.cause {
            Cause::Sent(_) => origin.process.map(|process| process.pid),
            _ => None,
        };
        Some(Received { signal, sender })
    }
}

/// Takes signals from now on, SIGCHLD too, and hands each to `take` on a thread of its own.
///
/// # Errors
/// [`CaptureError::Signals`].
pub fn receive(take: impl Fn(Received) + Send + 'static) -> Result<(), CaptureError> {
    let mut signals =
        SignalsInfo::<WithOrigin>::new(passed().map(|(number, _)| number).chain([number::SIGCHLD]))
            .map_err(CaptureError::Signals)?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for origin in signals.forever() {
                if let Some(received) = Received::of(&origin) {
                    take(received);
                }
            }
        })
        .map_err(CaptureError::Signals)?;
    Ok(())
}

/// What is passed on and was not ignored when we started.
pub(super) fn passed() -> impl Iterator<Item = (i32, Signal)> {
    let ignored = ignored();
    PASSED
        .into_iter()
        .filter(move |(number, _)| ignored & (1 << (number - 1)) == 0)
}

/// The signals that this process ignores, as bits from SIGHUP on.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_signals_are_the_same() {
        for (number, signal) in PASSED {
            assert_eq!(signal.as_raw(), number);
        }
    }

    #[test]
    fn rust_programs_ignore_broken_pipes() {
        assert_ne!(ignored() & (1 << (number::SIGPIPE - 1)), 0);
    }
}
