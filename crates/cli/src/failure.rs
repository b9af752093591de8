//! Faults that have an exit code of their own. Everything else is exit code 1.
use std::{fmt, io, process::ExitCode};

/// A fault that a script may want to tell from others.
#[derive(Debug)]
pub enum Failure {
    /// The command line makes no sense: 2.
    Usage(String),
    /// Nobody answers at the server's address: 3.
    Unreachable {
        /// The address.
        server: String,
        /// What the network said.
        reason: String,
    },
    /// No credential, a bad one, or one that may not do this: 4.
    NotAllowed(String),
    /// The answer misses something, which has been said: 5.
    Partial,
    /// Ctrl-C: 130.
    Interrupted,
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Unreachable { .. } => 3,
            Failure::NotAllowed(_) => 4,
            Failure::Partial => 5,
            Failure::Interrupted => 130,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(detail) | Failure::NotAllowed(detail) => f.write_str(detail),
            Failure::Unreachable { server, reason } => {
                write!(f, "cannot reach {server}: {reason}")
            }
            Failure::Partial => f.write_str("the answer is partial"),
            Failure::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Failure {}

/// The exit code of a result, and what is said of it on stderr.
///
/// A closed pipe is silence and success: whoever reads has had enough.
pub fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    if is_closed_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    let failure = error.downcast_ref::<Failure>();
    if !matches!(failure, Some(Failure::Interrupted | Failure::Partial)) {
        // The text may quote what a server sent; a line break in it is a line break.
        let text = format!("{error:#}");
        let lines: Vec<_> = text.lines().map(crate::shown::shown).collect();
        eprintln!("taffrail: {}", lines.join("\n"));
    }
    ExitCode::from(failure.map_or(1, Failure::code))
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_closed_pipe_is_found_below_other_words() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        let error = Err::<(), _>(broken).context("writing").unwrap_err();
        assert!(is_closed_pipe(&error));
        let other = io::Error::from(io::ErrorKind::NotFound);
        assert!(!is_closed_pipe(&anyhow::Error::from(other)));
    }

    #[test]
    fn codes_are_those_of_the_guide() {
        let unreachable = Failure::Unreachable {
            server: String::new(),
            reason: String::new(),
        };
        let codes = [
            Failure::Usage(String::new()).code(),
            unreachable.code(),
            Failure::NotAllowed(String::new()).code(),
            Failure::Partial.code(),
            Failure::Interrupted.code(),
        ];
        assert_eq!(codes, [2, 3, 4, 5, 130]);
    }
}
