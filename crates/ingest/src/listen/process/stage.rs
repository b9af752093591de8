//! What runs between us and the program: our own program again, in processes of their own, since
//! a session, a controlling terminal and the signal at the parent's death can only be had from
//! inside of a process.
//!
//! - `start`: asks the kernel for SIGKILL when its parent dies, and becomes the program.
//! - `session`: has a session and the terminal, starts the program in the foreground of it, passes
//!   signals on, stops and ends as the program does. It stays, because a program that leads its
//!   session could not be stopped by a key.
//! - `foreground`: waits until the session has put it into the foreground; then as `start`.
//! - `relay`: passes on what others than the program say after its end.
//! - `witness`: see [`super::witness`].
use super::{
    CaptureError, descriptor, ended::Ended, own_program, pump::write_all, signals, starting,
    stdio::Standard, witness,
};
use rustix::{
    io::{Errno, read},
    process::{
        Pid, Signal, WaitOptions, getpgrp, getpid, getppid, ioctl_tiocsctty, kill_process,
        kill_process_group, set_parent_process_death_signal, setsid, waitpid,
    },
    termios::{tcgetpgrp, tcsetpgrp},
};
use signal_hook::{consts::SIGSTOP, low_level::emulate_default_handler};
use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    io::ErrorKind,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitCode},
    sync::mpsc,
    time::{Duration, Instant},
};

/// First argument of a stage.
pub(super) const NAME: &str = "run-stage";
pub(super) const START: &str = "start";
pub(super) const SESSION: &str = "session";
const FOREGROUND: &str = "foreground";
pub(super) const RELAY: &str = "relay";
pub(super) const WITNESS: &str = "witness";

/// Exit codes of shells.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// How long the session may take to put the program into the foreground: one system call.
const FOREGROUND_PATIENCE: Duration = Duration::from_secs(2);
const FOREGROUND_INTERVAL: Duration = Duration::from_millis(1);

/// Runs a stage, if the arguments of this process name one. To be asked before anything else,
/// since the program is to start soon.
#[must_use]
pub fn run(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.skip(1);
    if arguments.next()? != NAME {
        return None;
    }
    let stage = arguments.next().unwrap_or_default();
    let outcome = match stage.to_str() {
        Some(START) => Ok(start(arguments)),
        Some(FOREGROUND) => Ok(foreground(arguments)),
        Some(SESSION) => session(arguments).map(|never| match never {}),
        Some(RELAY) => Ok(relay()),
        Some(WITNESS) => witness::testify().map(|()| ExitCode::SUCCESS),
        _ => Ok(ExitCode::from(2)),
    };
    Some(outcome.unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        eprintln!("taffrail: {error}: {}", cause.unwrap_or_default());
        ExitCode::FAILURE
    }))
}

/// The words that start a program which the kernel kills when its parent ends; the program and its
/// arguments follow. `own` is the file of this program, `parent` the id of the process that starts
/// them; to the kernel that is the thread that does, so it has to live as long.
#[must_use]
pub fn bound_to(own: &Path, parent: &str) -> [OsString; 4] {
    [own.into(), NAME.into(), START.into(), parent.into()]
}

/// Dies with the parent, and dies now if that is dead already.
fn bind_to(parent: Option<OsString>) {
    // Where the kernel refuses, the program runs all the same.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let parent = parent.and_then(|text| text.to_str()?.parse().ok());
    if getppid().map(Pid::as_raw_pid) != parent {
        Ended::Signal(Signal::KILL.as_raw()).follow();
    }
}

/// Becomes the program; what comes back is why that cannot be.
fn start(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    bind_to(arguments.next());
    let name = arguments.next().unwrap_or_default();
    let error = Command::new(&name).args(arguments).exec();
    ExitCode::from(refused(&name, &error))
}

/// What a shell says and answers for a program that it cannot start.
fn refused(name: &OsStr, error: &std::io::Error) -> u8 {
    let name = name.display();
    match error.kind() {
        ErrorKind::NotFound => {
            eprintln!("taffrail: {name}: command not found");
            NOT_FOUND
        }
        ErrorKind::PermissionDenied => {
            eprintln!("taffrail: {name}: permission denied");
            NOT_EXECUTABLE
        }
        _ => {
            eprintln!("taffrail: {name}: {error}");
            NOT_EXECUTABLE
        }
    }
}

fn foreground(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let begun = Instant::now();
    let terminal = Standard::Input.fd();
    while tcgetpgrp(terminal) != Ok(getpgrp()) && begun.elapsed() < FOREGROUND_PATIENCE {
        std::thread::sleep(FOREGROUND_INTERVAL);
    }
    start(arguments)
}

fn session(mut arguments: impl Iterator<Item = OsString>) -> Result<Infallible, CaptureError> {
    bind_to(arguments.next());
    let terminal = Standard::Input.fd();
    setsid().map_err(descriptor("a session"))?;
    ioctl_tiocsctty(terminal).map_err(descriptor("the session's terminal"))?;
    let (sender, signals) = mpsc::channel();
    signals::receive(move |received| {
        // The receiver lives as long as the process.
        let _ = sender.send(received);
    })?;
    let child = Command::new(own_program())
        .args([NAME, FOREGROUND])
        .arg(getpid().to_string())
        .args(arguments)
        .process_group(0)
        .spawn()
        .map_err(starting("the program"))?;
    let program = Pid::from_child(&child);
    // If the terminal is gone already, the program is told by its signal.
    let _ = tcsetpgrp(terminal, program);
    loop {
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        if let Ok(Some((_, status))) = waitpid(Some(program), options) {
            if let Some(ended) = Ended::of(status) {
                ended.follow();
            }
            let _ = emulate_default_handler(SIGSTOP);
            let _ = tcsetpgrp(terminal, program);
            let _ = kill_process_group(program, Signal::CONT);
        }
        let Ok(received) = signals.recv() else {
            Ended::Code(1).follow();
        };
        match (received.signal, received.sender) {
            // The terminal's signals are for the foreground, which has them.
            (Signal::CHILD, _) | (_, None) => {}
            (Signal::CONT, _) => drop(kill_process_group(program, Signal::CONT)),
            (signal, _) => drop(kill_process(program, signal)),
        }
    }
}

fn relay() -> ExitCode {
    // What is typed and hung up where we were started is not for whom we serve.
    let _ = setsid();
    let (from, to) = (Standard::Input.fd(), Standard::Output.fd());
    let mut buffer = vec![0; 64 << 10];
    loop {
        match read(from, &mut buffer[..]) {
            Ok(0) => return ExitCode::SUCCESS,
            Ok(count) if write_all(to, &buffer[..count]) => {}
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(_) | Err(_) => return ExitCode::SUCCESS,
        }
    }
}
