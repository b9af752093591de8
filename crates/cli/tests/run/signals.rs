//! Starts that fail, ends by signals, stops; see `table` for what is sent to a program that runs.
use super::programs::{How, Running, Scene, ended, wait_until};
use rustix::process::{Pid, Signal, WaitOptions, waitpid};

#[test]
fn a_program_that_cannot_be_started_is_said_as_a_shell_says_it() {
    let scene = Scene::new();
    let cases = [
        ("/nowhere/such-a-program", 127),
        ("no-such-program-anywhere", 127),
        ("/usr", 126),
        ("/etc/passwd", 126),
    ];
    for (name, code) in cases {
        let bare = std::process::Command::new("sh")
            .args(["-c", "\"$0\""])
            .arg(name)
            .output();
        assert_eq!(bare.unwrap().status.code(), Some(code), "{name}");
        let wrapped = scene.command(How::Wrapped, &[name]).output().unwrap();
        assert_eq!(wrapped.status.code(), Some(code), "{name}");
        let said = String::from_utf8(wrapped.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(name), "{said}");
    }
}

/// Signals that end a program that does nothing about them.
const ENDING: [Signal; 12] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::KILL,
    Signal::PIPE,
    Signal::SEGV,
];

#[test]
fn the_end_by_a_signal_is_the_end_of_the_program() {
    for signal in ENDING {
        let found = How::BOTH.map(|how| {
            let scene = Scene::new();
            let script = format!("ulimit -c 0; kill -{} $$", signal.as_raw());
            ended(scene.shell(how, &script).end())
        });
        assert_eq!(found[0], (None, Some(signal.as_raw())));
        assert_eq!(found[0], found[1], "{signal:?}");
    }
}

#[test]
fn a_signal_to_the_wrapper_ends_the_program() {
    for signal in &ENDING[..10] {
        let found = How::BOTH.map(|how| {
            let scene = Scene::new();
            let mut running = scene.shell(how, "ulimit -c 0; echo ready; exec sleep 60");
            running.expect("ready");
            running.signal(*signal);
            ended(running.end())
        });
        assert_eq!(found[0], (None, Some(signal.as_raw())));
        assert_eq!(found[0], found[1], "{signal:?}");
    }
}

#[test]
fn what_is_ignored_stays_ignored() {
    for how in How::BOTH {
        let scene = Scene::new();
        let script = "echo ready; kill -HUP $PPID; kill -HUP $$; echo survived";
        let tested = scene.command_as_started(how, &["sh", "-c", script]);
        let mut command = std::process::Command::new("sh");
        // A shell in between: the bare program's parent is not the test.
        command.args(["-c", "trap '' HUP; \"$@\"; exit $?", "x"]);
        command.arg(tested.get_program()).args(tested.get_args());
        command.env("HOME", scene.folder.path());
        let mut running = Running::start(command);
        running.expect("survived");
        assert_eq!(ended(running.end()), (Some(0), None), "{how:?}");
    }
}

#[track_caller]
pub fn wait_for_stop(pid: Pid) {
    wait_until("it is stopped", || {
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        let (_, status) = waitpid(Some(pid), options).unwrap()?;
        assert!(status.stopped(), "{status:?}");
        Some(())
    });
}

#[test]
fn stop_and_continue_pass() {
    for how in How::BOTH {
        let scene = Scene::new();
        let script = "trap 'echo on; exit 6' CONT; echo $$ ready; while :; do sleep 0.02; done";
        let mut running = scene.shell(how, script);
        running.expect("ready");
        running.signal(Signal::TSTP);
        wait_for_stop(running.pid());
        running.signal(Signal::CONT);
        running.expect("on");
        assert_eq!(ended(running.end()), (Some(6), None), "{how:?}");
    }
}

#[test]
fn a_program_that_stops_itself_stops_the_wrapper() {
    for how in How::BOTH {
        let scene = Scene::new();
        let mut running = scene.shell(how, "kill -STOP $$; echo on");
        wait_for_stop(running.pid());
        running.signal(Signal::CONT);
        running.expect("on");
        assert_eq!(ended(running.end()), (Some(0), None), "{how:?}");
    }
}
