//! The table of bare against wrapped: exit codes, and signals that are sent to a program.
//!
//! `cargo test -p taffrail-cli --test run table -- --nocapture` prints it as it stands in the guide
//! (docs/guide/run.md), which is compared.
use super::{
    programs::{How, Running, Scene, ended, status_of},
    signals::wait_for_stop,
};
use rustix::process::{Signal, kill_process_group};
use std::os::unix::process::CommandExt;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/run.md");
/// Processes at a time: starting one is mostly waiting.
const AT_ONCE: usize = 8;

/// The first columns of the two tables.
const SIGNALS_HEAD: &str = "| signal |";
const CODES_HEAD: &str = "| exit codes of the program |";

/// A table of the guide has these rows, which were found here, and no others.
#[track_caller]
fn check_guide(head: &str, rows: &[String]) {
    println!("{}", rows.join("\n"));
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let from_head = guide.lines().skip_while(|line| !line.starts_with(head));
    let table = from_head.take_while(|line| line.starts_with('|'));
    // Below the head is a line that makes it one.
    let there: Vec<&str> = table.skip(2).collect();
    assert_eq!(there, rows, "{head}");
}

/// How programs end that do nothing but exit, by code.
fn codes(how: How) -> Vec<(Option<i32>, Option<i32>)> {
    let scene = Scene::new();
    let end = |code: i32| ended(scene.shell(how, &format!("exit {code}")).end());
    let mut found: Vec<_> = std::thread::scope(|scope| {
        let of = |first| {
            move || {
                (first..=255)
                    .step_by(AT_ONCE)
                    .map(|code| (code, end(code)))
                    .collect()
            }
        };
        let threads: Vec<std::thread::ScopedJoinHandle<'_, Vec<_>>> = (0..AT_ONCE as i32)
            .map(|first| scope.spawn(of(first)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    found.sort_unstable();
    found.into_iter().map(|(_, end)| end).collect()
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let [bare, wrapped] = How::BOTH.map(codes);
    let expected: Vec<_> = (0..=255).map(|code| (Some(code), None)).collect();
    assert_eq!(bare, expected);
    assert_eq!(wrapped, bare);
    let same = bare
        .iter()
        .zip(&wrapped)
        .filter(|(bare, wrapped)| bare == wrapped)
        .count();
    let row = format!("| exit codes 0 to 255 | {same} of 256 are the same |");
    check_guide(CODES_HEAD, &[row]);
}

/// What the program has done about a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Nothing,
    Handles,
    Ignores,
}

/// Who it is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Process,
    Group,
}

const SIGNALS: [(Signal, &str); 10] = [
    (Signal::TERM, "SIGTERM"),
    (Signal::INT, "SIGINT"),
    (Signal::HUP, "SIGHUP"),
    (Signal::QUIT, "SIGQUIT"),
    (Signal::USR1, "SIGUSR1"),
    (Signal::USR2, "SIGUSR2"),
    (Signal::WINCH, "SIGWINCH"),
    (Signal::TSTP, "SIGTSTP"),
    (Signal::CONT, "SIGCONT"),
    (Signal::STOP, "SIGSTOP"),
];

fn name(number: i32) -> &'static str {
    let found = SIGNALS.iter().find(|(signal, _)| signal.as_raw() == number);
    found.map_or("another signal", |(_, name)| name)
}

/// A signal that the program under test takes for the end.
fn last(tested: Signal) -> Signal {
    match tested {
        Signal::USR2 => Signal::USR1,
        _ => Signal::USR2,
    }
}

/// What a signal does, as whoever has sent it sees it.
fn outcome(how: How, signal: Signal, doing: Doing, target: Target) -> String {
    let scene = Scene::new();
    let (number, last) = (signal.as_raw(), last(signal));
    let prepared = match doing {
        Doing::Nothing => String::new(),
        Doing::Handles => format!("trap 'echo got' {number}; "),
        Doing::Ignores => format!("trap '' {number}; "),
    };
    let script = format!(
        "ulimit -c 0; {prepared}trap 'echo end; exit 0' {}; \
         echo $$ ready; while :; do sleep 0.02; done",
        last.as_raw()
    );
    let mut command = scene.command(how, &["sh", "-c", &script]);
    command.process_group(0);
    let mut running = Running::start(command);
    let said = running.expect("ready");
    let program = said.split(' ').next().unwrap().parse().unwrap();
    match target {
        Target::Process => running.signal(signal),
        Target::Group => kill_process_group(running.pid(), signal).unwrap(),
    }
    let is_stop = [Signal::TSTP, Signal::STOP].contains(&signal) && doing == Doing::Nothing;
    let has_no_end =
        is_stop || doing != Doing::Nothing || [Signal::WINCH, Signal::CONT].contains(&signal);
    if !has_no_end {
        return match ended(running.end()) {
            (None, Some(number)) => format!("ends it: {}", name(number)),
            (code, _) => format!("ends it: code {code:?}"),
        };
    }
    let stopped = is_stop.then(|| stop(&running, program));
    if doing == Doing::Handles {
        running.expect("got");
    }
    running.signal(last);
    let more = running.expect("end").matches("got").count();
    assert_eq!(ended(running.end()), (Some(0), None));
    match (doing, stopped) {
        (Doing::Handles, _) if more == 0 => "comes once".to_string(),
        (Doing::Handles, _) => format!("comes {} times", 1 + more),
        (_, Some(what)) => what.to_string(),
        (_, None) => "nothing".to_string(),
    }
}

/// What has stopped, which goes on then.
fn stop(running: &Running, program: u32) -> &'static str {
    wait_for_stop(running.pid());
    let state = status_of(program, "State").unwrap();
    running.signal(Signal::CONT);
    match state.starts_with('T') {
        true => "stops it until SIGCONT",
        false => "stops `taffrail run` only",
    }
}

/// Bare and wrapped.
#[track_caller]
fn cell(signal: (Signal, &str), doing: Doing, target: Target) -> String {
    let [bare, wrapped] = How::BOTH.map(|how| outcome(how, signal.0, doing, target));
    // SIGSTOP cannot be seen, and so cannot be passed on: the guide says what it does.
    if signal.0 != Signal::STOP {
        assert_eq!(bare, wrapped, "{} {doing:?} {target:?}", signal.1);
    }
    format!("{bare} / {wrapped}")
}

#[test]
fn signals_do_to_a_wrapped_program_what_they_do_to_a_bare_one() {
    let mut rows = Vec::new();
    for signal in SIGNALS {
        let mut row = format!("| {} |", signal.1);
        for (doing, target) in [
            (Doing::Nothing, Target::Process),
            (Doing::Handles, Target::Process),
            (Doing::Handles, Target::Group),
            (Doing::Ignores, Target::Process),
        ] {
            let is_possible = match signal.0 {
                // Nobody can do anything about it.
                Signal::STOP => doing == Doing::Nothing,
                // It would stop what the shell waits for.
                Signal::TSTP => target == Target::Process,
                _ => true,
            };
            let text = match is_possible {
                true => cell(signal, doing, target),
                false => "–".to_string(),
            };
            row.push_str(&format!(" {text} |"));
        }
        rows.push(row);
    }
    check_guide(SIGNALS_HEAD, &rows);
}
