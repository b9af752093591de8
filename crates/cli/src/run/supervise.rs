//! Starts the program, passes signals on, starts it again, ends as it ended.
use super::{
    RestartArgument,
    recorder::{Recorder, RecorderOptions, Summary, Told},
    restart::{RestartPolicy, Verdict},
    say,
};
use anyhow::Result;
use rustix::process::Signal;
use std::{
    convert::Infallible,
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};
use taffrail_ingest::listen::process::{
    capture::{Capture, State},
    ended::Ended,
    signals::{self, Received},
    tap::{TAP_BYTES_MAX, Tap, tap},
};

/// How long the end waits until everything is sent, if the server is there: a sync or two, and a
/// request. A client that restarts a server does not notice it.
const FLUSH_PATIENCE: Duration = Duration::from_millis(500);

/// What is run and how.
pub struct Options {
    pub restart: RestartArgument,
    pub is_quiet: bool,
    pub has_summary: bool,
    pub recorder: RecorderOptions,
}

/// What happens.
enum Event {
    Signal(Received),
    OutputEnded,
}

struct Supervisor {
    capture: Capture,
    tap: Tap,
    recorder: Recorder,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    outputs_ended: usize,
    /// A signal came that asks programs to end: it is not started again.
    is_told_to_end: bool,
}

/// Runs the program until it ends for good, and then ends this process. Comes back only if the
/// program was never started.
pub fn run(options: Options) -> Result<Infallible> {
    let (sender, events) = mpsc::channel();
    let of_signals = sender.clone();
    signals::receive(move |received| {
        // The receiver lives as long as the process.
        let _ = of_signals.send(Event::Signal(received));
    })?;
    let is_restartable = options.restart != RestartArgument::Never;
    let command = options.recorder.command.clone();
    let capture = Capture::prepare(command, is_restartable)?;
    let (tap, tapped) = tap(TAP_BYTES_MAX);
    let recorder_options = RecorderOptions {
        is_terminal: capture.has_session(),
        ..options.recorder
    };
    let recorder = Recorder::start(recorder_options, tapped, tap.clone())?;
    let mut supervisor = Supervisor {
        capture,
        tap,
        recorder,
        sender,
        events,
        outputs_ended: 0,
        is_told_to_end: false,
    };
    let mut policy = RestartPolicy::new(options.restart);
    let ended = supervisor.run(&mut policy)?;
    supervisor.finish(ended);
    let summary = supervisor.recorder.finish(FLUSH_PATIENCE);
    if !options.is_quiet {
        tell(summary.as_ref(), options.has_summary);
    }
    ended.follow()
}

impl Supervisor {
    fn run(&mut self, policy: &mut RestartPolicy) -> Result<Ended> {
        let mut restart = 0;
        loop {
            let begun = Instant::now();
            self.start(restart)?;
            let ended = self.watch();
            let ran = begun.elapsed();
            let is_wanted = !self.is_told_to_end && !self.capture.has_input_ended();
            let verdict = match is_wanted {
                true => policy.after(ended, ran, Instant::now()),
                false => Verdict::End,
            };
            let is_asked = self.is_told_to_end;
            self.recorder.tell(Told::Ended {
                ended,
                ran,
                is_asked,
            });
            match verdict {
                Verdict::End => return Ok(ended),
                Verdict::GiveUp => {
                    self.recorder.tell(Told::GivenUp);
                    return Ok(ended);
                }
                Verdict::Again(wait) => {
                    restart += 1;
                    self.recorder.tell(Told::Restarting { restart, wait });
                    if let Some(signal) = self.wait(wait) {
                        return Ok(Ended::Signal(signal.as_raw()));
                    }
                }
            }
        }
    }

    fn start(&mut self, restart: u32) -> Result<()> {
        let sender = self.sender.clone();
        let process = self.capture.start(&self.tap, move || {
            let _ = sender.send(Event::OutputEnded);
        })?;
        let process = process.as_raw_pid().unsigned_abs();
        self.recorder.tell(Told::Started { process, restart });
        Ok(())
    }

    /// Until the program ends.
    fn watch(&mut self) -> Ended {
        loop {
            match self.capture.state() {
                State::Ended(ended) => return ended,
                State::Stopped => self.capture.stop_too(),
                State::Running => {}
            }
            match self.events.recv() {
                Ok(Event::Signal(received)) => self.pass_on(received),
                Ok(Event::OutputEnded) => self.outputs_ended += 1,
                // We hold a sender ourselves.
                Err(mpsc::RecvError) => {}
            }
        }
    }

    fn pass_on(&mut self, received: Received) {
        if received.signal == Signal::CHILD {
            return;
        }
        self.is_told_to_end |= is_end(received.signal);
        self.capture.pass_on(received);
    }

    /// Waits between two starts; the signal that ends it all meanwhile.
    fn wait(&mut self, wait: Duration) -> Option<Signal> {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(Event::Signal(received)) if is_end(received.signal) => {
                    return Some(received.signal);
                }
                Ok(Event::Signal(_)) => {}
                Ok(Event::OutputEnded) => self.outputs_ended += 1,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Passes on what the program has left. Whoever does not read it may end it with a signal, as
    /// the program could be ended that waits for its reader.
    fn finish(&mut self, ended: Ended) {
        self.capture.finish();
        while self.outputs_ended < self.capture.outputs() {
            match self.events.recv() {
                Ok(Event::OutputEnded) => self.outputs_ended += 1,
                Ok(Event::Signal(received)) if is_end(received.signal) => {
                    self.capture.restore();
                    let by_signal = Ended::Signal(received.signal.as_raw());
                    match ended {
                        Ended::Signal(_) => ended.follow(),
                        Ended::Code(_) => by_signal.follow(),
                    }
                }
                Ok(Event::Signal(_)) | Err(mpsc::RecvError) => {}
            }
        }
        match self.capture.leave() {
            Ok(0) => {}
            Ok(outputs) => self.recorder.tell(Told::Relayed { outputs }),
            Err(error) => {
                let reason = error.to_string();
                self.recorder.tell(Told::NotRelayed { reason });
            }
        }
    }
}

/// Whether a signal asks programs to end.
fn is_end(signal: Signal) -> bool {
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].contains(&signal)
}

/// What a person should know at the end.
fn tell(summary: Option<&Summary>, has_summary: bool) {
    let Some(summary) = summary else {
        return say("the last records could not be written in time: some may be lost");
    };
    for trouble in summary.troubles() {
        say(&trouble);
    }
    if has_summary {
        say(&summary.to_string());
    }
}
