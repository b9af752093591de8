//! Programs, bare and wrapped.
use crate::harness::{
    program,
    server::{KEY, PATIENCE},
    small_disk::SmallDisk,
};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, mknodat, open},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Write},
    os::unix::process::CommandExt,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Nobody listens there.
pub const NO_SERVER: &str = "http://127.0.0.1:1";

/// A folder for the state of wrappers.
pub struct Scene {
    pub folder: tempfile::TempDir,
    /// Where records wait.
    pub state: PathBuf,
    pub server: String,
    pub instance: String,
    /// `None`: what it is without being asked.
    pub keep_patience_s: Option<u64>,
}

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Bare,
    Wrapped,
}

impl How {
    pub const BOTH: [How; 2] = [How::Bare, How::Wrapped];
}

impl Scene {
    pub fn new() -> Scene {
        Scene::with_server(NO_SERVER)
    }

    pub fn with_server(server: &str) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        Scene {
            state: folder.path().join("state"),
            folder,
            server: server.to_string(),
            instance: "i1".to_string(),
            // A disk that has much else to do loses no record of a test.
            keep_patience_s: Some(PATIENCE.as_secs()),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `taffrail run` with these options, up to the program.
    pub fn run(&self, options: &[&str]) -> Command {
        with_usual_signals(&self.run_as_started(options))
    }

    fn run_as_started(&self, options: &[&str]) -> Command {
        let mut command = program();
        command
            .env("HOME", self.folder.path())
            .args(["run", "--instance", &self.instance])
            .args(["--server", &self.server])
            .arg("--state")
            .arg(&self.state)
            .arg("--key-file")
            .arg(self.path("run.key"));
        if let Some(seconds) = self.keep_patience_s {
            command.args(["--keep-patience-s", &seconds.to_string()]);
        }
        command.args(options).arg("--");
        command
    }

    /// Puts what waits to be sent on a disk of this size; `None`, which is said, where this user may
    /// not mount one.
    #[track_caller]
    pub fn move_to_small_disk(&mut self, bytes: u64) -> Option<SmallDisk> {
        let point = self.path("disk");
        std::fs::create_dir(&point).unwrap();
        let disk = SmallDisk::mount(&point, bytes);
        if disk.is_none() {
            assert!(!rustix::process::geteuid().is_root(), "root cannot mount");
            eprintln!("NOT TESTED: a full disk, since this user may not mount a small one");
        }
        self.state = point.join("spools");
        disk
    }

    /// The words as a program of their own or under the wrapper, with every signal as usual.
    pub fn command(&self, how: How, words: &[&str]) -> Command {
        with_usual_signals(&self.command_as_started(how, words))
    }

    /// The same with the signals that this process ignores ignored.
    pub fn command_as_started(&self, how: How, words: &[&str]) -> Command {
        let mut command = match how {
            How::Bare => Command::new(words[0]),
            How::Wrapped => self.run_as_started(&[]),
        };
        command.args(match how {
            How::Bare => &words[1..],
            How::Wrapped => words,
        });
        command
    }

    /// A shell script with pipes on all three.
    pub fn shell(&self, how: How, script: &str) -> Running {
        Running::start(self.command(how, &["sh", "-c", script]))
    }
}

/// The command with every signal as usual: who started the tests may have ignored some, as
/// `nohup` and jobs in the background do.
pub fn with_usual_signals(command: &Command) -> Command {
    started_by(&["env", "--default-signal"], command)
}

/// The command as these words start it.
pub fn started_by(words: &[impl AsRef<OsStr>], command: &Command) -> Command {
    let mut started = Command::new(&words[0]);
    started
        .args(&words[1..])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => started.env(name, value),
            None => started.env_remove(name),
        };
    }
    started
}

/// A file of the server's key at which a wrapper's recorder stands still when it opens its buffer, as
/// long as a test wants: a named pipe.
pub struct HeldKey {
    path: PathBuf,
}

/// A recorder that stands still, until [`Held::go_on`] or the end of this.
pub struct Held(File);

impl HeldKey {
    pub fn new(scene: &Scene) -> HeldKey {
        let path = scene.path("held.key");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        HeldKey { path }
    }

    /// For `--token-file`.
    pub fn file(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Waits until the recorder stands there.
    #[track_caller]
    pub fn wait(&self) -> Held {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        wait_until("the recorder reads its key", || {
            match open(&self.path, flags, Mode::empty()) {
                Ok(file) => Some(Held(file.into())),
                // Nobody reads it yet.
                Err(Errno::NXIO) => None,
                Err(error) => panic!("{error}"),
            }
        })
    }
}

impl Held {
    pub fn go_on(mut self) {
        self.0.write_all(KEY.as_bytes()).unwrap();
    }
}

/// A running program.
pub struct Running {
    pub child: Child,
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        command
            // A group of its own has a parent outside of it, so that the system lets it be stopped,
            // whatever the tests run under.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running {
            child: command.spawn().unwrap(),
        }
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// Reads stdout up to this line, which must come.
    #[track_caller]
    pub fn expect(&mut self, line: &str) -> String {
        self.read_up_to(&format!("{line}\n"))
    }

    /// Reads the next line of stdout, which must come.
    #[track_caller]
    pub fn line(&mut self) -> String {
        self.read_up_to("\n")
    }

    #[track_caller]
    fn read_up_to(&mut self, end: &str) -> String {
        let out = self.child.stdout.as_mut().unwrap();
        let (mut text, mut byte) = (Vec::new(), [0]);
        while !text.ends_with(end.as_bytes()) {
            assert_eq!(out.read(&mut byte).unwrap(), 1, "no {end:?} in {text:?}");
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    /// Reads what is left of stderr, to its end.
    #[track_caller]
    pub fn said(&mut self) -> String {
        let mut text = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        text
    }

    /// Writes this to stdin, and reads everything, until all of it has ended.
    pub fn outcome(mut self, input: &[u8]) -> Outcome {
        let mut stdin = self.child.stdin.take().unwrap();
        let stdout = self.child.stdout.take().unwrap();
        let stderr = self.child.stderr.take().unwrap();
        let [stdout, stderr] = std::thread::scope(|scope| {
            let stdout = scope.spawn(move || read_all(stdout));
            let stderr = scope.spawn(move || read_all(stderr));
            // A program need not read all.
            let _ = stdin.write_all(input);
            drop(stdin);
            [stdout, stderr].map(|reader| reader.join().unwrap())
        });
        let ended = ended(self.end());
        Outcome {
            stdout,
            stderr,
            ended,
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        wait_until("the program ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What whoever has started a program gets of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Code or signal.
    pub ended: (Option<i32>, Option<i32>),
}

fn read_all(mut from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Waits for a condition.
#[track_caller]
pub fn wait_until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match wait_for(look) {
        Some(found) => found,
        None => panic!("waited too long until {what}"),
    }
}

/// Waits for a condition; `None` if it does not come, for who has more to say about that.
pub fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if begun.elapsed() >= PATIENCE {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Code or signal.
pub fn ended(status: ExitStatus) -> (Option<i32>, Option<i32>) {
    (status.code(), status.signal())
}

/// A line of `/proc/PID/status`.
pub fn status_of(pid: u32, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(|value| value.trim().to_string())
}

/// Whether a process runs, and is not only waited for.
pub fn is_alive(pid: u32) -> bool {
    status_of(pid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// A process and all that it has started, a line each: what a test that waits in vain shows.
pub fn family(pid: u32) -> String {
    let mut lines = String::new();
    let mut waiting = vec![pid];
    while let Some(pid) = waiting.pop() {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
        // State, parent, group, session, terminal and its foreground group are behind the name.
        let stat = read("stat").unwrap_or_default();
        let stat = stat.rsplit(')').next().unwrap_or_default();
        let states: Vec<&str> = stat.split_ascii_whitespace().take(6).collect();
        let words = read("cmdline").unwrap_or_default().replace('\0', " ");
        let waits_in = read("wchan").unwrap_or_default();
        lines += &format!("\n  {pid}: {} {waits_in}: {words}", states.join(" "));
        let children = read(&format!("task/{pid}/children")).unwrap_or_default();
        waiting.extend(
            children
                .split_ascii_whitespace()
                .flat_map(str::parse::<u32>),
        );
    }
    lines
}
