//! How a process ended, and ending in the same way.
use rustix::process::{Resource, Rlimit, WaitStatus, getpid, getrlimit, setrlimit};
use signal_hook::low_level::emulate_default_handler;

/// What shells add to the number of a signal.
const SIGNALLED: i32 = 128;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this code, 0 to 255.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// What a wait says; `None` if the process has not ended.
    #[must_use]
    pub fn of(status: WaitStatus) -> Option<Ended> {
        let code = status
            .exit_status()
            .and_then(|code| u8::try_from(code).ok());
        let signal = status.terminating_signal();
        code.map(Ended::Code).or(signal.map(Ended::Signal))
    }

    /// Whether it ended well: with code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Ended::Code(0)
    }

    /// Ends this process in the same way: with the code, or by the signal. The program has left
    /// its core already, so none is left of this process.
    pub fn follow(self) -> ! {
        match self {
            Ended::Code(code) => std::process::exit(i32::from(code)),
            // The first process of a container is not ended by its own signals.
            Ended::Signal(number) if getpid().is_init() => std::process::exit(SIGNALLED + number),
            Ended::Signal(number) => {
                let hard = getrlimit(Resource::Core).maximum;
                let none = Rlimit {
                    current: Some(0),
                    maximum: hard,
                };
                // If it cannot be lowered, a second core is the lesser evil.
                let _ = setrlimit(Resource::Core, none);
                // Does not return but for signals that it does not know (real-time ones).
                let _ = emulate_default_handler(number);
                std::process::exit(SIGNALLED + number)
            }
        }
    }
}

/// The name of a signal, such as `SIGTERM`.
#[must_use]
pub fn signal_name(number: i32) -> String {
    match signal_hook::low_level::signal_name(number) {
        Some(name) => name.to_string(),
        None => format!("signal {number}"),
    }
}
