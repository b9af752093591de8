//! Terminals: of the right kind, of the right size, with the right keys, restored at the end.
//!
//! A stage of the program gives the tested program a session and a terminal, as a terminal
//! emulator does; the bare program gets the same.
use super::programs::{How, Scene, family, wait_for, wait_until, with_usual_signals};
use crate::harness::PROGRAM;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    fs::{Mode, OFlags},
    process::{Pid, Signal, WaitOptions, waitpid},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};
use std::process::{Command, Stdio};

struct Screen {
    outside: OwnedFd,
    inside: OwnedFd,
    text: String,
    started: Option<Pid>,
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Screen {
    fn new() -> Screen {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let outside = outside.unwrap();
        grantpt(&outside).unwrap();
        unlockpt(&outside).unwrap();
        let name = ptsname(&outside, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let inside = rustix::fs::open(&name, flags, Mode::empty()).unwrap();
        let screen = Screen {
            outside,
            inside,
            text: String::new(),
            started: None,
        };
        screen.resize(24, 80);
        screen
    }

    fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.outside, size(rows, columns)).unwrap();
    }

    fn settings(&self) -> Termios {
        tcgetattr(&self.inside).unwrap()
    }

    fn type_in(&self, keys: &str) {
        rustix::io::write(&self.outside, keys.as_bytes()).unwrap();
    }

    fn stdio(&self) -> Stdio {
        self.inside.try_clone().unwrap().into()
    }

    /// Starts a shell script in a session with this terminal as its stdin, stdout and stderr.
    fn start(&mut self, scene: &Scene, how: How, script: &str) -> Pid {
        self.start_words(scene, how, &["sh", "-c", script])
    }

    fn start_words(&mut self, scene: &Scene, how: How, words: &[&str]) -> Pid {
        let tested = scene.command(how, words);
        let mut session = Command::new(PROGRAM);
        session
            .args(["run-stage", "session"])
            .arg(std::process::id().to_string())
            .arg(tested.get_program())
            .args(tested.get_args())
            .env("HOME", scene.folder.path());
        let mut command = with_usual_signals(&session);
        command
            .stdin(self.stdio())
            .stdout(self.stdio())
            .stderr(self.stdio());
        let pid = Pid::from_child(&command.spawn().unwrap());
        self.started = Some(pid);
        pid
    }

    /// Reads up to this text, which must come.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        let found = wait_for(|| {
            self.read();
            self.text.contains(text).then_some(())
        });
        assert!(found.is_some(), "no {text:?}: {}", self.state());
    }

    /// Waits until what is typed is for the wrapper to pass on.
    #[track_caller]
    fn expect_raw(&mut self) {
        let found = wait_for(|| {
            let modes = self.settings().local_modes;
            (!modes.contains(LocalModes::ECHO)).then_some(())
        });
        assert!(found.is_some(), "not raw: {}", self.state());
    }

    /// Waits until what was started is stopped, and no longer.
    #[track_caller]
    fn expect_stop(&mut self, pid: Pid) {
        let status = wait_for(|| {
            let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
            waitpid(Some(pid), options).unwrap()
        });
        let is_stopped = status.is_some_and(|(_, status)| status.stopped());
        assert!(is_stopped, "no stop but {status:?}: {}", self.state());
    }

    /// What is shown, how the terminal is set, and what runs there.
    fn state(&self) -> String {
        let pid = self.started.map(|pid| pid.as_raw_pid().unsigned_abs());
        let modes = self.settings().local_modes;
        let family = pid.map(family).unwrap_or_default();
        format!("{:?} is shown, {modes:?}{family}", self.text)
    }

    fn read(&mut self) {
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: 10_000_000,
        };
        let mut fds = [PollFd::new(&self.outside, PollFlags::IN)];
        if poll(&mut fds, Some(&timeout)).unwrap() == 0 {
            return;
        }
        let mut bytes = [0; 4096];
        let count = rustix::io::read(&self.outside, &mut bytes[..]).unwrap();
        self.text
            .push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

#[track_caller]
fn code_of(pid: Pid) -> i32 {
    wait_until("the program ends", || {
        let (_, status) = waitpid(Some(pid), WaitOptions::NOHANG).unwrap()?;
        Some(status.exit_status().unwrap_or_else(|| panic!("{status:?}")))
    })
}

/// The command as a shell reads it.
fn in_words(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}' ", word.to_str().unwrap().replace('\'', "'\\''")))
        .collect()
}

#[test]
fn it_is_a_terminal_of_the_right_size_and_follows_changes() {
    for how in How::BOTH {
        let (scene, mut screen) = (Scene::new(), Screen::new());
        let script = "test -t 0 && test -t 1 && test -t 2 && stty size && \
                      trap 'stty size; exit 9' WINCH && echo ready; while :; do sleep 0.02; done";
        let pid = screen.start(&scene, how, script);
        screen.expect("24 80");
        screen.expect("ready");
        screen.resize(50, 132);
        screen.expect("50 132");
        assert_eq!(code_of(pid), 9, "{how:?}");
    }
}

#[test]
fn what_is_typed_is_echoed_and_read_as_without() {
    let texts = How::BOTH.map(|how| {
        let (scene, mut screen) = (Scene::new(), Screen::new());
        let pid = screen.start(&scene, how, "echo ready; cat; echo bye");
        screen.expect("ready");
        if how == How::Wrapped {
            screen.expect_raw();
        }
        // A character is taken back, a line is sent, the input ends.
        screen.type_in("helk\x7flo\r");
        screen.expect("hello\r\n");
        screen.type_in("\x04");
        screen.expect("bye\r\n");
        assert_eq!(code_of(pid), 0);
        screen.text
    });
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn keys_make_the_signals() {
    for (key, name) in [("\x03", "INT"), ("\x1c", "QUIT")] {
        for how in How::BOTH {
            let (scene, mut screen) = (Scene::new(), Screen::new());
            let script = format!(
                "trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.02; done"
            );
            let pid = screen.start(&scene, how, &script);
            screen.expect("ready");
            screen.type_in(key);
            screen.expect(&format!("got {name}"));
            assert_eq!(code_of(pid), 7, "{name} {how:?}");
            assert_eq!(screen.text.matches("got").count(), 1, "{how:?}");
        }
    }
}

#[test]
fn a_key_stops_the_job_and_it_can_go_on() {
    for how in How::BOTH {
        let (scene, mut screen) = (Scene::new(), Screen::new());
        let before = screen.settings();
        // A shell that is just starting something else (vfork) cannot be stopped.
        let pid = screen.start(&scene, how, "echo ready; exec cat");
        screen.expect("ready");
        screen.type_in("\x1a");
        screen.expect_stop(pid);
        let stopped = screen.settings();
        assert_eq!(stopped.local_modes, before.local_modes, "{how:?}");
        rustix::process::kill_process(pid, Signal::CONT).unwrap();
        screen.type_in("typed\r");
        screen.expect("typed\r\ntyped\r\n");
        screen.type_in("\x04");
        assert_eq!(code_of(pid), 0, "{how:?}");
    }
}

#[test]
fn a_job_of_the_background_gets_the_terminal_in_the_foreground() {
    for how in How::BOTH {
        let (scene, mut screen) = (Scene::new(), Screen::new());
        let started = scene.path("started");
        let started = started.to_str().unwrap();
        let script = ": > \"$0\"; read -r line; echo \"got $line\"";
        let tested = scene.command(how, &["sh", "-c", script, started]);
        // This shell says nothing to a job that runs when it takes it to the foreground.
        let shell = format!(
            "set -m; {}& until [ -e \"$0\" ]; do sleep 0.01; done; fg",
            in_words(&tested)
        );
        let pid = screen.start_words(&scene, How::Bare, &["bash", "-c", &shell, started]);
        // It says which job that is.
        screen.expect("sh");
        if how == How::Wrapped {
            screen.expect_raw();
        }
        screen.type_in("typed\r");
        screen.expect("typed\r\ngot typed\r\n");
        assert_eq!(code_of(pid), 0, "{how:?}");
    }
}

#[test]
fn the_terminal_is_as_before_after_every_end() {
    let scripts = ["exit 0", "exit 3", "kill -TERM $$", "kill -KILL $$"];
    for script in scripts {
        let (scene, mut screen) = (Scene::new(), Screen::new());
        let before = screen.settings();
        let pid = screen.start(&scene, How::Wrapped, script);
        wait_until("the program ends", || {
            waitpid(Some(pid), WaitOptions::NOHANG).unwrap()
        });
        let after = screen.settings();
        assert_eq!(before.local_modes, after.local_modes, "{script}");
        assert_eq!(before.input_modes, after.input_modes, "{script}");
        assert_eq!(before.output_modes, after.output_modes, "{script}");
    }
}

#[test]
fn a_terminal_for_stderr_alone_stays_one() {
    for how in How::BOTH {
        let (scene, mut screen) = (Scene::new(), Screen::new());
        let out = scene.path("out");
        // The session's leader needs the terminal as its stdin; the program does not get it.
        let script = "exec 3>&1; test -t 0; echo 0 $?; test -t 1; echo 1 $?; test -t 2; echo 2 $?; \
                      stty size <&2; echo done >&2";
        let tested = scene.command(how, &["sh", "-c", script]);
        let outer = format!("{} </dev/null >'{}'", in_words(&tested), out.display());
        let pid = screen.start(&scene, How::Bare, &outer);
        screen.expect("done\r\n");
        assert!(!screen.text.contains("\r\r"), "{how:?} {:?}", screen.text);
        assert_eq!(code_of(pid), 0, "{how:?}");
        let found = std::fs::read_to_string(&out).unwrap();
        assert_eq!(found, "0 1\n1 1\n2 0\n24 80\n", "{how:?}");
    }
}
