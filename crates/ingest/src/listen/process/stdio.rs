//! What our standard streams are, so that the program gets the same.
//!
//! Before `main`, Rust's runtime opens `/dev/null` in place of a standard stream that is closed:
//! a closed one cannot be told from `/dev/null`, and the program gets `/dev/null`.
use super::{CaptureError, descriptor};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{FileType, Mode, OFlags, fstat},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    pipe::{PipeFlags, pipe_with},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
    termios::isatty,
};

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A terminal.
    Terminal,
    /// A socket: Node starts programs with these.
    Socket,
    /// `/dev/null`.
    Null,
    /// A pipe, a file, anything else: a pipe does for it.
    Pipe,
}

/// One of our standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// Descriptor 0.
    Input,
    /// Descriptor 1.
    Output,
    /// Descriptor 2.
    Error,
}

impl Standard {
    /// The descriptor.
    #[must_use]
    pub fn fd(self) -> BorrowedFd<'static> {
        match self {
            Standard::Input => rustix::stdio::stdin(),
            Standard::Output => rustix::stdio::stdout(),
            Standard::Error => rustix::stdio::stderr(),
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        if isatty(self.fd()) {
            return Kind::Terminal;
        }
        let Ok(stat) = fstat(self.fd()) else {
            return Kind::Pipe;
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Socket => Kind::Socket,
            FileType::CharacterDevice if Some(stat.st_rdev) == null_device() => Kind::Null,
            _ => Kind::Pipe,
        }
    }

    /// Whether both are the same pipe, terminal, socket or file.
    #[must_use]
    pub fn is_same(self, other: Standard) -> bool {
        match (fstat(self.fd()), fstat(other.fd())) {
            (Ok(one), Ok(two)) => (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino),
            _ => false,
        }
    }

    /// Closes it, so that who holds the other end sees that. `/dev/null` stands in its place, since
    /// what is opened later must not become a standard stream.
    pub fn close(self) {
        let Ok(null) = null() else {
            return;
        };
        // It fails only where the number itself is not allowed, which it is.
        let _ = match self {
            Standard::Input => dup2_stdin(&null),
            Standard::Output => dup2_stdout(&null),
            Standard::Error => dup2_stderr(&null),
        };
    }
}

fn null() -> rustix::io::Result<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

fn null_device() -> Option<u64> {
    rustix::fs::stat("/dev/null").ok().map(|stat| stat.st_rdev)
}

/// Two ends: the first is read from, the second written to.
#[derive(Debug)]
pub struct Ends {
    /// What is written to the other end is read here.
    pub reading: OwnedFd,
    /// What is written here is read at the other end.
    pub writing: OwnedFd,
}

impl Ends {
    /// Ends of a pipe, or of a socket pair where there is a socket outside: how much fits into
    /// them, and what can be asked of them, is the same then.
    ///
    /// # Errors
    /// [`CaptureError::Descriptor`].
    pub fn like(kind: Kind) -> Result<Ends, CaptureError> {
        let ends = match kind {
            Kind::Socket => socketpair(
                AddressFamily::UNIX,
                SocketType::STREAM,
                SocketFlags::CLOEXEC,
                None,
            ),
            Kind::Terminal | Kind::Null | Kind::Pipe => pipe_with(PipeFlags::CLOEXEC),
        };
        let (reading, writing) = ends.map_err(descriptor("a pipe"))?;
        Ok(Ends { reading, writing })
    }
}

/// A second descriptor for the same.
pub(super) fn second(fd: &impl AsFd) -> Result<OwnedFd, CaptureError> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(descriptor("a second descriptor"))
}
