//! Starts the program, passes signals on, starts it again, ends as it ended.
use super::{
    RestartArgument,
    inbox::Told,
    recorder::{Finished, Recorder, RecorderOptions},
    restart::{BACKOFF_FIRST, RestartPolicy, Verdict},
    say, trace,
};
use anyhow::Result;
use rustix::process::Signal;
use std::{
    convert::Infallible,
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};
use taffrail_ingest::listen::process::{
    capture::{self, Capture, State},
    ended::Ended,
    signals::{self, Received},
    tap::{TAP_BYTES_MAX, Tap, tap},
};

/// How long the end waits until everything is sent, if the server is there: a sync or two, and a
/// request. A client that restarts a server does not notice it.
const FLUSH_PATIENCE: Duration = Duration::from_millis(500);

/// How long what a program has left is waited for before its end is recorded, if it is started
/// again: its pipes stay open, so nothing else tells. Within it what was read has its copy.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// The longest time for it while something is left that the client has not taken: no start comes
/// sooner.
const LAST_WORDS_MAX: Duration = BACKOFF_FIRST;

/// What is run and how.
pub struct Options {
    pub restart: RestartArgument,
    /// Restarts in a while after which the program is given up.
    pub restarts_max: usize,
    pub is_quiet: bool,
    pub has_summary: bool,
    /// Whether requests on stdin get a trace context.
    pub is_trace_injected: bool,
    pub recorder: RecorderOptions,
}

/// What happens.
enum Event {
    Signal(Received),
    OutputEnded,
}

/// How it ended for good.
struct End {
    ended: Ended,
    ran: Duration,
    /// Whether a signal had asked the program to end.
    is_asked: bool,
    is_given_up: bool,
    /// Whether the recorder knows.
    is_told: bool,
    /// Why it could not be started again.
    fault: Option<String>,
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

/// Runs the program until it ends for good, and then ends this process. A program that cannot be
/// started again has ended for good.
///
/// # Errors
/// The program was never started.
pub fn run(options: Options) -> Result<Infallible> {
    let (sender, events) = mpsc::channel();
    let of_signals = sender.clone();
    signals::receive(move |received| {
        // The receiver lives as long as the process.
        let _ = of_signals.send(Event::Signal(received));
    })?;
    let command = options.recorder.command.clone();
    let capture_options = capture::Options {
        is_restartable: options.restart != RestartArgument::Never,
        is_silent: options.is_quiet,
    };
    let mut capture = Capture::prepare(command, capture_options)?;
    capture.change_input(options.is_trace_injected.then(trace::injector));
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
    let mut policy = RestartPolicy::new(options.restart, options.restarts_max);
    let end = supervisor.run(&mut policy)?;
    let (ended, fault) = (end.ended, end.fault.clone());
    supervisor.finish(end);
    let finished = supervisor.recorder.finish(FLUSH_PATIENCE);
    if !options.is_quiet {
        tell(fault, &finished, options.has_summary);
    }
    ended.follow()
}

impl Supervisor {
    fn run(&mut self, policy: &mut RestartPolicy) -> Result<End> {
        let (mut restart, mut last) = (0, None::<End>);
        loop {
            let begun = Instant::now();
            match (self.start(restart), last) {
                (Ok(()), _) => {}
                (Err(error), None) => return Err(error),
                (Err(error), Some(end)) => return Ok(self.not_restarted(end, &error)),
            }
            let ended = self.watch();
            let mut end = End {
                ended,
                ran: begun.elapsed(),
                is_asked: self.is_told_to_end,
                is_given_up: false,
                is_told: false,
                fault: None,
            };
            let is_wanted = !self.is_told_to_end && !self.capture.has_input_ended();
            let verdict = match is_wanted {
                true => policy.after(ended, end.ran, Instant::now()),
                false => Verdict::End,
            };
            let Verdict::Again(wait) = verdict else {
                end.is_given_up = verdict == Verdict::GiveUp;
                return Ok(end);
            };
            restart += 1;
            let signal = self.wait_for_restart(&end, restart, wait);
            end.is_told = true;
            if let Some(signal) = signal {
                end.ended = Ended::Signal(signal.as_raw());
                return Ok(end);
            }
            last = Some(end);
        }
    }

    /// Waits between two starts; the signal that ends it all meanwhile.
    fn wait_for_restart(&mut self, end: &End, restart: u32, wait: Duration) -> Option<Signal> {
        let until = Instant::now() + wait;
        // What it has left is recorded before its end.
        let mut signal = self.wait_for_last_words();
        self.tell_end(end, signal.is_none());
        if signal.is_none() {
            self.recorder.tell(Told::Restarting { restart, wait });
            signal = self.wait(until);
        }
        signal
    }

    fn wait_for_last_words(&mut self) -> Option<Signal> {
        let until_at_most = Instant::now() + LAST_WORDS_MAX;
        loop {
            let until = Instant::now() + LAST_WORDS;
            let signal = self.wait(until.min(until_at_most));
            let is_over = Instant::now() >= until_at_most || !self.capture.has_left();
            if signal.is_some() || is_over {
                return signal;
            }
        }
    }

    /// The end of a program that cannot be started again.
    fn not_restarted(&self, end: End, error: &anyhow::Error) -> End {
        let reason = format!("{error:#}");
        self.recorder.tell(Told::NotRestarted {
            reason: reason.clone(),
        });
        End {
            fault: Some(reason),
            ..end
        }
    }

    fn tell_end(&self, end: &End, is_followed: bool) {
        self.recorder.tell(Told::Ended {
            ended: end.ended,
            ran: end.ran,
            is_asked: end.is_asked,
            is_followed,
        });
        if end.is_given_up {
            self.recorder.tell(Told::GivenUp);
        }
    }

    fn start(&mut self, restart: u32) -> Result<()> {
        let sender = self.sender.clone();
        let output_ended = move || {
            // The receiver lives as long as we need it.
            let _ = sender.send(Event::OutputEnded);
        };
        let Supervisor {
            capture,
            tap,
            recorder,
            ..
        } = self;
        recorder.tell_before(|| {
            let process = capture.start(tap, output_ended)?;
            let process = process.as_raw_pid().unsigned_abs();
            Ok(Told::Started { process, restart })
        })
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

    /// Waits until then, or for the signal that ends it all.
    fn wait(&mut self, until: Instant) -> Option<Signal> {
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
    fn finish(&mut self, end: End) {
        self.capture.finish();
        while self.outputs_ended < self.capture.outputs() {
            match self.events.recv() {
                Ok(Event::OutputEnded) => self.outputs_ended += 1,
                Ok(Event::Signal(received)) if is_end(received.signal) => {
                    self.capture.restore();
                    match end.ended {
                        Ended::Signal(_) => end.ended.follow(),
                        Ended::Code(_) => Ended::Signal(received.signal.as_raw()).follow(),
                    }
                }
                Ok(Event::Signal(_)) | Err(mpsc::RecvError) => {}
            }
        }
        if !end.is_told {
            self.tell_end(&end, false);
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
fn tell(fault: Option<String>, finished: &Finished, has_summary: bool) {
    if let Some(fault) = fault {
        say(&format!("the program could not be started again: {fault}"));
    }
    for trouble in finished.troubles() {
        say(&trouble);
    }
    if let (Finished::Done(summary), true) = (finished, has_summary) {
        say(&summary.to_string());
    }
}
