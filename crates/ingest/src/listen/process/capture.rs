//! The program between our standard streams: how they are joined, started, signalled and ended.
use super::{
    CaptureError,
    ended::Ended,
    outer::Outer,
    own_program,
    pump::{End, Outcome, Pump, Running},
    signals::Received,
    stage, starting,
    stdio::{Ends, Kind, Standard, second},
    tap::{Direction, Tap},
    terminal::{self, Pair, Processing},
    whole_lines::WholeLines,
    witness::Witness,
};
use rustix::{
    fd::{AsFd, OwnedFd},
    process::{
        Pid, Signal, WaitOptions, getpid, getppid, getsid, kill_current_process_group,
        kill_process, waitpid,
    },
};
use signal_hook::{consts::SIGSTOP, low_level::emulate_default_handler};
use std::{
    ffi::OsString,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long a process that was stopped together with us may take to go on together with us.
const CONTINUE_PAUSE: Duration = Duration::from_millis(2);

/// One of the program's standard streams.
#[derive(Debug)]
enum Inner {
    /// Ours itself: there is nothing to record.
    Ours,
    Made(OwnedFd),
}

impl Inner {
    /// For a process to be started; kept for a later one too, if asked.
    fn stdio(&mut self, is_kept: bool) -> Result<Stdio, CaptureError> {
        match self {
            Inner::Ours => Ok(Stdio::inherit()),
            Inner::Made(fd) if is_kept => Ok(second(fd)?.into()),
            Inner::Made(_) => match std::mem::replace(self, Inner::Ours) {
                Inner::Made(fd) => Ok(fd.into()),
                Inner::Ours => Ok(Stdio::inherit()),
            },
        }
    }
}

/// What the program is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It was stopped by job control.
    Stopped,
    /// It ended.
    Ended(Ended),
}

/// A terminal of the program's own, and the outer one.
struct Session {
    inner: Arc<OwnedFd>,
    outer: Arc<Outer>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.outer.give_back();
    }
}

/// How a program is captured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether the program may be started again, and finds what is not read then.
    pub is_restartable: bool,
    /// Whether nothing is said at the end, so that stderr may end when the program's does.
    pub is_silent: bool,
}

/// A program and our standard streams.
pub struct Capture {
    command: Vec<OsString>,
    options: Options,
    /// stdin, stdout and stderr of the program.
    inside: [Inner; 3],
    session: Option<Session>,
    /// Inner terminals for outputs, with the outer ones.
    terminals: Vec<(OwnedFd, Standard)>,
    witness: Option<Witness>,
    waiting: Vec<Pump>,
    outputs: Vec<Running>,
    /// Runs until this process ends.
    input: Option<Running>,
    has_input_ended: Arc<AtomicBool>,
    process: Option<Pid>,
}

impl Capture {
    /// Joins our standard streams to those of a program; starts nothing.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub fn prepare(command: Vec<OsString>, options: Options) -> Result<Capture, CaptureError> {
        let mut capture = Capture {
            command,
            options,
            inside: [Inner::Ours, Inner::Ours, Inner::Ours],
            session: None,
            terminals: Vec::new(),
            witness: None,
            waiting: Vec::new(),
            outputs: Vec::new(),
            input: None,
            has_input_ended: Arc::default(),
            process: None,
        };
        let input = Standard::Input.kind();
        if input != Kind::Terminal {
            // Without it, what is sent to the group may come twice: no reason not to run.
            capture.witness = Witness::start().ok();
        }
        match input {
            Kind::Terminal => capture.join_terminal()?,
            kind => capture.join_input(kind)?,
        }
        capture.join_outputs()?;
        capture.witness = capture.witness.take_if(Witness::is_ready);
        Ok(capture)
    }

    /// Changes the lines of stdin on their way. To be called before the start; not for a terminal,
    /// where what is typed is no protocol.
    pub fn change_input(&mut self, mut lines: Option<WholeLines>) {
        for pump in &mut self.waiting {
            if pump.direction == Some(Direction::Stdin) && self.session.is_none() {
                pump.lines = lines.take();
            }
        }
    }

    /// Whether the program has a terminal and a session of its own.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    fn join_terminal(&mut self) -> Result<(), CaptureError> {
        let pair = Pair::like(Standard::Input, Processing::Inner)?;
        let inner = Arc::new(pair.outside);
        let shown = [Standard::Output, Standard::Error]
            .into_iter()
            .find(|standard| standard.is_same(Standard::Input));
        for standard in [Standard::Output, Standard::Error] {
            if standard.is_same(Standard::Input) {
                self.inside[standard as usize] = Inner::Made(second(&pair.inside)?);
            }
        }
        self.inside[Standard::Input as usize] = Inner::Made(pair.inside);
        let outer = Arc::new(Outer::enter()?);
        self.waiting.push(Pump {
            from: End::Ours(Standard::Input),
            to: End::Made(inner.clone()),
            direction: Some(Direction::Stdin),
            lines: None,
            outer: Some(outer.clone()),
        });
        self.waiting.push(Pump {
            from: End::Made(inner.clone()),
            // What is typed is echoed, even if neither output is this terminal.
            to: End::Ours(shown.unwrap_or(Standard::Input)),
            direction: shown.map(direction),
            lines: None,
            outer: Some(outer.clone()),
        });
        self.session = Some(Session { inner, outer });
        Ok(())
    }

    fn join_input(&mut self, kind: Kind) -> Result<(), CaptureError> {
        if kind == Kind::Null {
            return Ok(());
        }
        let ends = Ends::like(kind)?;
        self.inside[Standard::Input as usize] = Inner::Made(ends.reading);
        self.waiting.push(Pump {
            from: End::Ours(Standard::Input),
            to: End::made(ends.writing),
            direction: Some(Direction::Stdin),
            lines: None,
            outer: None,
        });
        Ok(())
    }

    fn join_outputs(&mut self) -> Result<(), CaptureError> {
        let kind = Standard::Output.kind();
        let is_one = kind != Kind::Null && Standard::Output.is_same(Standard::Error);
        for standard in [Standard::Output, Standard::Error] {
            let is_joined = matches!(self.inside[standard as usize], Inner::Made(_));
            if is_joined || (is_one && standard == Standard::Error) {
                continue;
            }
            let (from, inside) = match standard.kind() {
                Kind::Terminal => {
                    let pair = Pair::like(standard, Processing::Outer)?;
                    self.terminals.push((second(&pair.outside)?, standard));
                    (pair.outside, pair.inside)
                }
                kind => {
                    let ends = Ends::like(kind)?;
                    (ends.reading, ends.writing)
                }
            };
            if is_one {
                self.inside[Standard::Error as usize] = Inner::Made(second(&inside)?);
            }
            self.inside[standard as usize] = Inner::Made(inside);
            self.waiting.push(Pump {
                from: End::made(from),
                to: self.output_end(standard, is_one),
                direction: Some(direction(standard)),
                lines: None,
                outer: None,
            });
        }
        Ok(())
    }

    /// Where an output goes: stderr stays open for what we may have to say.
    fn output_end(&self, standard: Standard, is_one: bool) -> End {
        match (standard, self.options.is_silent) {
            (Standard::Error, false) => End::OursKept(standard),
            (_, true) if is_one => End::OursTwice(standard, Standard::Error),
            _ => End::Ours(standard),
        }
    }

    /// Starts the program, and with the first start the pumps; `output_ended` is called at the end
    /// of each output. Returns its process, in a session of its own that of its leader.
    ///
    /// The kernel kills the program when the thread ends that called this.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub fn start(
        &mut self,
        tap: &Tap,
        output_ended: impl Fn() + Clone + Send + 'static,
    ) -> Result<Pid, CaptureError> {
        let stage = match self.session {
            Some(_) => stage::SESSION,
            None => stage::START,
        };
        let [input, output, error] = &mut self.inside;
        let mut command = Command::new(own_program());
        command
            .args([stage::NAME, stage])
            .arg(getpid().to_string())
            .args(&self.command)
            .stdin(input.stdio(self.options.is_restartable)?)
            .stdout(output.stdio(self.options.is_restartable)?)
            .stderr(error.stdio(self.options.is_restartable)?);
        let child = command.spawn().map_err(starting("the program"))?;
        // Its streams are open in the program only.
        drop(command);
        let process = Pid::from_child(&child);
        self.process = Some(process);
        for pump in self.waiting.drain(..) {
            let is_input = pump.direction == Some(Direction::Stdin);
            let ended = output_ended.clone();
            let running = match is_input {
                true => {
                    let has_ended = self.has_input_ended.clone();
                    pump.start(tap.clone(), move || {
                        has_ended.store(true, Ordering::Relaxed)
                    })
                }
                false => pump.start(tap.clone(), ended),
            }
            .map_err(starting("a thread"))?;
            match is_input {
                true => self.input = Some(running),
                false => self.outputs.push(running),
            }
        }
        Ok(process)
    }

    /// What became of the program; an end is told once.
    pub fn state(&mut self) -> State {
        let Some(process) = self.process else {
            return State::Running;
        };
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        match waitpid(Some(process), options) {
            Ok(Some((_, status))) => match Ended::of(status) {
                Some(ended) => {
                    self.process = None;
                    State::Ended(ended)
                }
                None => State::Stopped,
            },
            _ => State::Running,
        }
    }

    /// Passes on a signal that we got, unless the program got it too.
    pub fn pass_on(&mut self, received: Received) {
        let Some(process) = self.process else {
            return;
        };
        let signal = received.signal;
        if signal == Signal::WINCH {
            self.resize();
        }
        if let (Signal::CONT, Some(session)) = (signal, &self.session) {
            // Whoever stopped us alone may have changed the terminal meanwhile.
            session.outer.resume();
        }
        let is_due = match &mut self.session {
            // The inner terminal says it, and what we sent to our own group is not meant.
            Some(_) if signal == Signal::WINCH => false,
            Some(_) => received.sender != Some(getpid().as_raw_pid()),
            // What it got before, it got before the new size was there.
            None if signal == Signal::WINCH && !self.terminals.is_empty() => true,
            None => !self.has_group_got(received),
        };
        if is_due {
            // If it has just ended, that is told next.
            let _ = kill_process(process, signal);
        }
    }

    fn has_group_got(&mut self, received: Received) -> bool {
        let Some(sender) = received.sender else {
            return true;
        };
        let Some(witness) = &mut self.witness else {
            return false;
        };
        let seen = witness.has_seen(received.signal.as_raw(), sender);
        if seen.is_none() {
            self.witness = None;
        }
        seen.unwrap_or(false)
    }

    fn resize(&self) {
        if let Some(session) = &self.session {
            session.outer.resize(&session.inner);
        }
        for (inner, outer) in &self.terminals {
            terminal::resize(inner, &outer.fd());
        }
    }

    /// Stops us as the program was stopped, until somebody lets us go on.
    pub fn stop_too(&mut self) {
        let Some(process) = self.process else {
            return;
        };
        // It may have been stopped together with us, and be about to go on as we did.
        std::thread::sleep(CONTINUE_PAUSE);
        if !is_stopped(process) {
            return;
        }
        if let Some(session) = &self.session {
            if is_orphan() {
                // Nobody could let us go on: outside, keys do not stop such a program.
                let _ = kill_process(process, Signal::CONT);
                return;
            }
            session.outer.suspend();
            // As the key would: all of the job.
            let _ = kill_current_process_group(Signal::TSTP);
        }
        let _ = emulate_default_handler(SIGSTOP);
        if let Some(session) = &self.session {
            session.outer.resume();
        }
        self.resize();
    }

    /// Passes on what the program has left and then closes the outputs, unless somebody else holds
    /// them; `output_ended` is called for each as it ends.
    pub fn finish(&mut self) {
        self.inside = [Inner::Ours, Inner::Ours, Inner::Ours];
        for output in &mut self.outputs {
            output.finish();
        }
    }

    /// Whether an output has something that the program has left and that is not read yet.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.outputs.iter().any(Running::has_left)
    }

    /// Whether the client has closed its side of our stdin: nobody asks the program any more.
    #[must_use]
    pub fn has_input_ended(&self) -> bool {
        self.has_input_ended.load(Ordering::Relaxed)
    }

    /// The terminal as it was.
    pub fn restore(&mut self) {
        self.session = None;
    }

    /// Number of outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// After every output has ended: what somebody else still holds is passed on by processes that
    /// stay when we end. How many there are; the terminal is as it was.
    ///
    /// # Errors
    /// [`CaptureError`] if such a process cannot be started; its output is closed.
    pub fn leave(&mut self) -> Result<usize, CaptureError> {
        let has_session = self.session.is_some();
        let mut relays = 0;
        for output in self.outputs.drain(..) {
            let Outcome::StillOpen(End::Made(from), to) = output.join() else {
                continue;
            };
            let (End::Ours(to) | End::OursTwice(to, _) | End::OursKept(to)) = to else {
                continue;
            };
            // The end of a session takes its terminal from everybody.
            if !has_session {
                relay(&from, to)?;
                relays += 1;
            }
        }
        Standard::Output.close();
        if self.options.is_silent {
            Standard::Error.close();
        }
        self.restore();
        Ok(relays)
    }
}

fn relay(from: &impl AsFd, to: Standard) -> Result<(), CaptureError> {
    Command::new(own_program())
        .args([stage::NAME, stage::RELAY])
        .stdin(second(from)?)
        .stdout(second(&to.fd())?)
        .stderr(Stdio::null())
        .spawn()
        .map_err(starting("a process that passes on the rest"))?;
    Ok(())
}

fn direction(standard: Standard) -> Direction {
    match standard {
        Standard::Input => Direction::Stdin,
        Standard::Output => Direction::Stdout,
        Standard::Error => Direction::Stderr,
    }
}

/// Whether the kernel says of a process that it is stopped.
fn is_stopped(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_pid()));
    // The state is behind the name, which is in brackets and may hold brackets.
    stat.is_ok_and(|stat| {
        let state = stat.rsplit(')').next();
        state.is_some_and(|rest| rest.trim_start().starts_with('T'))
    })
}

/// Whether no shell in our session waits for our job.
fn is_orphan() -> bool {
    match (getsid(getppid()), getsid(None)) {
        (Ok(parent), Ok(own)) => parent != own,
        _ => true,
    }
}
