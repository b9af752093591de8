//! Passes bytes from one descriptor to another, and leaves a copy.
//!
//! Invariants
//! - A byte that was read is written before the next is read: what waits inside is one read, and
//!   the beginning of a line where lines are changed. The copy is of what is written.
//! - The end of the source closes the target, unless that is [kept](End::OursKept). A target that
//!   nobody reads closes the source, so that who writes to it gets SIGPIPE or EPIPE at the next
//!   write, as it would without us.
//! - Bytes that came before the program ended are passed on after it; what is open then, because
//!   somebody else holds it, is handed back.
//!
//! A poll before each read costs a microsecond, and is what makes the second rule possible while
//! nothing is written.
use super::{
    outer::Outer,
    stdio::Standard,
    tap::{Direction, Tap},
    whole_lines::WholeLines,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::{Errno, ioctl_fionread, read, retry_on_intr, write},
};
use std::{
    sync::{Arc, Weak},
    thread::JoinHandle,
};

/// Bytes of one read: what a pipe holds.
const READ_BYTES_MAX: usize = 64 << 10;
/// How often it is looked whether our job has come to the foreground of its terminal: what a person
/// hardly notices. Reading before would stop us.
const AWAY_INTERVAL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// An end of a pump.
#[derive(Clone, Debug)]
pub enum End {
    /// One of ours.
    Ours(Standard),
    /// One of ours that is two.
    OursTwice(Standard, Standard),
    /// One of ours that stays open at the end, since something may have to be said.
    OursKept(Standard),
    /// One that we made.
    Made(Arc<OwnedFd>),
}

impl End {
    /// An end that only the pump holds.
    #[must_use]
    pub fn made(fd: OwnedFd) -> End {
        End::Made(Arc::new(fd))
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            End::Ours(standard) | End::OursTwice(standard, _) | End::OursKept(standard) => {
                standard.fd()
            }
            End::Made(fd) => fd.as_fd(),
        }
    }

    fn close(self) {
        match self {
            End::Ours(standard) => standard.close(),
            End::OursTwice(one, two) => {
                one.close();
                two.close();
            }
            End::OursKept(_) => {}
            End::Made(fd) => drop(fd),
        }
    }
}

/// How passing on ended.
#[derive(Debug)]
pub enum Outcome {
    /// One of the sides was closed, and so is the other.
    Closed,
    /// It was told to finish, and somebody still holds the source open: source and target.
    StillOpen(End, End),
}

/// A pump that is not started.
#[derive(Debug)]
pub struct Pump {
    /// Where bytes are read.
    pub from: End,
    /// Where they are written.
    pub to: End,
    /// Whose copies are left; `None`: nobody records them.
    pub direction: Option<Direction>,
    /// Changes lines on their way; `None`: every byte passes as it is.
    pub lines: Option<WholeLines>,
    /// The terminal of our session, if that is the end that is [ours](End::Ours).
    pub outer: Option<Arc<Outer>>,
}

/// A pump on its thread.
#[derive(Debug)]
pub struct Running {
    thread: JoinHandle<Outcome>,
    /// When the other end of it is closed, the pump finishes.
    finish: Option<OwnedFd>,
    /// Where it reads, if we made that. The pump alone holds it open.
    source: Weak<OwnedFd>,
}

impl Running {
    /// Tells it to pass on what is there and then to end.
    pub fn finish(&mut self) {
        self.finish = None;
    }

    /// Whether there is something that it has not read yet, in a pipe, socket or terminal that we
    /// made. What it has read and not passed on has its copy, or is about to have it.
    pub fn has_left(&self) -> bool {
        let source = self.source.upgrade();
        source.is_some_and(|source| ioctl_fionread(&*source).is_ok_and(|bytes| bytes > 0))
    }

    /// How it ended, once it has.
    pub fn join(self) -> Outcome {
        // A pump that has panicked has said so, and its descriptors are closed.
        self.thread.join().unwrap_or(Outcome::Closed)
    }
}

/// What a look at both ends shows.
enum Seen {
    Readable,
    TargetGone,
    /// Nothing to read, and told to finish.
    Finished,
    Nothing,
}

impl Pump {
    /// Starts it; `ended` is called on its thread at its end.
    ///
    /// # Errors
    /// No thread, or no descriptor.
    pub fn start(
        self,
        tap: Tap,
        ended: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Running> {
        let (told, finish) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let source = match &self.from {
            End::Made(fd) => Arc::downgrade(fd),
            End::Ours(_) | End::OursTwice(..) | End::OursKept(_) => Weak::new(),
        };
        let name = self.direction.map_or("pump", Direction::name);
        let thread = std::thread::Builder::new()
            .name(format!("pump-{name}"))
            .spawn(move || {
                let outcome = self.run(&tap, &told);
                ended();
                outcome
            })?;
        Ok(Running {
            thread,
            finish: Some(finish),
            source,
        })
    }

    fn run(mut self, tap: &Tap, told: &OwnedFd) -> Outcome {
        let mut lines = self.lines.take();
        let mut buffer = vec![0; READ_BYTES_MAX];
        let outcome = loop {
            match self.look(told) {
                Seen::Nothing => continue,
                Seen::TargetGone => break Outcome::Closed,
                Seen::Finished => {
                    return Outcome::StillOpen(self.from, self.to);
                }
                Seen::Readable => {}
            }
            let bytes = match self.read(&mut buffer) {
                Ok(count @ 1..) => &buffer[..count],
                Err(Errno::INTR | Errno::AGAIN) => continue,
                // A terminal that nobody holds at its other side says so with an error.
                Ok(0) | Err(_) => {
                    if let Some(lines) = &mut lines {
                        self.pass(&lines.finish(), tap);
                    }
                    break Outcome::Closed;
                }
            };
            let is_taken = match &mut lines {
                Some(lines) => self.pass(&lines.push(bytes), tap),
                None => self.pass(bytes, tap),
            };
            if !is_taken {
                break Outcome::Closed;
            }
        };
        // In this order, so that who waits for the end of the target finds the source closed.
        self.from.close();
        self.to.close();
        if let Some(direction) = self.direction {
            tap.close(direction);
        }
        outcome
    }

    fn read(&self, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        let Some(outer) = self.source() else {
            return read(self.from.fd(), buffer);
        };
        let _passing = outer.pass();
        // Who had the terminal meanwhile may have read what was there.
        let mut fds = [PollFd::from_borrowed_fd(self.from.fd(), PollFlags::IN)];
        match outer.is_foreground() && poll(&mut fds, Some(&NOW))? > 0 {
            true => read(self.from.fd(), buffer),
            false => Err(Errno::AGAIN),
        }
    }

    /// Leaves a copy and writes; whether the target took it.
    fn pass(&self, bytes: &[u8], tap: &Tap) -> bool {
        if let Some(direction) = self.direction.filter(|_| !bytes.is_empty()) {
            tap.leave(direction, bytes);
        }
        let target = self.outer.as_ref().filter(|_| self.source().is_none());
        let _passing = target.map(|outer| outer.pass());
        write_all(self.to.fd(), bytes)
    }

    fn look(&self, told: &OwnedFd) -> Seen {
        let (from, to) = (self.from.fd(), self.to.fd());
        let source = self.source();
        let asked = match source.is_some_and(Outer::is_away) {
            true => PollFlags::empty(),
            false => PollFlags::IN,
        };
        let timeout = source.map(|_| &AWAY_INTERVAL);
        let mut fds = [
            PollFd::from_borrowed_fd(from, asked),
            PollFd::from_borrowed_fd(to, PollFlags::empty()),
            PollFd::new(told, PollFlags::IN),
        ];
        if poll(&mut fds, timeout).is_err() {
            return Seen::Nothing;
        }
        let [from, to, told] = fds.map(|fd| fd.revents());
        let is_gone = to.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        // Before the source: what can be read can go nowhere.
        if is_gone {
            return Seen::TargetGone;
        }
        let has_data = PollFlags::IN | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        if from.intersects(has_data) {
            return Seen::Readable;
        }
        match told.is_empty() {
            true => Seen::Nothing,
            false => Seen::Finished,
        }
    }

    /// The terminal of our session, if that is what it reads.
    fn source(&self) -> Option<&Outer> {
        let is_source = matches!(self.from, End::Ours(_));
        self.outer.as_deref().filter(|_| is_source)
    }
}

/// Writes all of it; whether the target took it.
pub(super) fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match retry_on_intr(|| write(to, bytes)) {
            Ok(count) => bytes = &bytes[count..],
            // Whoever shares the descriptor has made it non-blocking.
            Err(Errno::AGAIN) => wait_writable(to),
            Err(_) => return false,
        }
    }
    true
}

fn wait_writable(to: BorrowedFd<'_>) {
    let mut fds = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
    let timeout = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    // An error is an interruption: the write is tried again.
    let _ = poll(&mut fds, Some(&timeout));
}

#[cfg(test)]
mod tests {
    use super::super::tap::{Content, TAP_BYTES_MAX, Tapped, tap};
    use super::*;
    use rustix::pipe::{PipeFlags, fcntl_getpipe_size, pipe_with};
    use std::{fs::File, io::Read, time::Duration};

    fn copied(tapped: &Tapped) -> usize {
        let chunks = std::iter::from_fn(|| tapped.next(Duration::ZERO).ok());
        let bytes = chunks.map(|chunk| match chunk.content {
            Content::Bytes(bytes) => bytes.len(),
            other => panic!("{other:?}"),
        });
        bytes.sum()
    }

    #[test]
    fn what_a_slow_reader_has_not_taken_is_left_and_then_has_its_copy() {
        let (from, source) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (target, to) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        // More than the target and the pump hold.
        let bytes = fcntl_getpipe_size(&to).unwrap() + READ_BYTES_MAX + 1;
        let pump = Pump {
            from: End::made(from),
            to: End::made(to),
            direction: Some(Direction::Stdout),
            lines: None,
            outer: None,
        };
        let (tap, tapped) = tap(TAP_BYTES_MAX);
        let mut running = pump.start(tap, || {}).unwrap();
        assert!(write_all(source.as_fd(), &vec![7; bytes]));
        assert!(running.has_left());
        let mut target = File::from(target);
        target.read_exact(&mut vec![0; bytes]).unwrap();
        assert!(!running.has_left());
        assert_eq!(copied(&tapped), bytes);
        running.finish();
        assert!(matches!(running.join(), Outcome::StillOpen(..)));
    }
}
