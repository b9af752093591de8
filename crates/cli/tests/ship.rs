//! Files are shipped, each line exactly once, while both sides are killed with kill -9.
//!
//! Log files are written, rotated by rename and compressed while `taffrail ship` follows them and
//! sends to `taffrail serve`; either or both are killed at random moments, and the server stays
//! away for a while at times. In the end `ship --once` sends the rest, and every line that was
//! written is found at the server once.
//!
//! `TAFFRAIL_HARNESS_ROUNDS` scales how often something is killed, `TAFFRAIL_HARNESS_SEED` is the
//! seed. The harness bites: if the state of the shipper is lost, it must see lines twice.
//!
//! Beside that, files of waiting batches are damaged: what is lost then is named, to the byte.
#![allow(clippy::unwrap_used, reason = "what a test cannot do is a failed test")]

mod harness;

use harness::{
    from_environment, program, rounds,
    server::{KEY, PATIENCE, Server, Start, TAILS_BYTES_LEAST, own_address},
};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use taffrail_testkit::Random;

const STREAM: &str = "app.backend";
/// Rounds of a usual run: about twelve seconds without optimisation.
const ROUNDS: u64 = 30;
/// Lines that are written at once at the most.
const BURST_LINES_MAX: u64 = 400;

/// A program that writes a log file, and its rotation.
struct Logs {
    folder: PathBuf,
    random: Random,
    lines: u64,
    rotations: u64,
    compressed: u64,
}

impl Logs {
    fn active(&self) -> PathBuf {
        self.folder.join("app.log")
    }

    fn rotated(&self, number: u64) -> PathBuf {
        self.folder.join(format!("app.log.{number}"))
    }

    fn compressed(&self, number: u64) -> PathBuf {
        self.folder.join(format!("app.log.{number}.gz"))
    }

    /// Lines in two writes each, the cut anywhere, in the middle of a character too.
    fn write(&mut self) {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(self.active());
        let mut file = file.unwrap();
        for _ in 0..=self.random.below(BURST_LINES_MAX) {
            let line = match self.random.percent(10) {
                true => format!(
                    "{{\"level\":\"warn\",\"message\":\"{}\"}}\n",
                    message(self.lines)
                ),
                false => format!("{}\n", message(self.lines)),
            };
            let cut = self.random.index(line.len());
            file.write_all(&line.as_bytes()[..cut]).unwrap();
            file.write_all(&line.as_bytes()[cut..]).unwrap();
            self.lines += 1;
        }
    }

    fn rotate(&mut self) {
        if self.active().exists() {
            self.rotations += 1;
            fs::rename(self.active(), self.rotated(self.rotations)).unwrap();
        }
    }

    /// Compresses the newest rotated file: in place, as gzip does, or beside and then renamed.
    fn compress(&mut self) {
        let plain = self.rotated(self.rotations);
        if self.rotations == 0 || !plain.exists() {
            return;
        }
        let target = self.compressed(self.rotations);
        let written = match self.random.percent(50) {
            true => target.clone(),
            false => plain.with_extension("tmp"),
        };
        let file = File::create_new(&written).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
        encoder.finish().unwrap();
        fs::rename(written, target).unwrap();
        fs::remove_file(plain).unwrap();
        self.compressed += 1;
    }

    /// What happens in the folder while time passes.
    fn go_on(&mut self) {
        self.write();
        if self.random.percent(12) {
            self.rotate();
        } else if self.random.percent(10) {
            self.compress();
        }
        let pause_ms = 20 + self.random.below(80);
        pass(Duration::from_millis(pause_ms));
    }
}

/// The text of a line: what the server must have once.
fn message(number: u64) -> String {
    let filler = "0123456789 naïve 日本 ".repeat(1 + number as usize % 7);
    format!("serial-{number:07} {filler}end")
}

/// Lets time pass: a kill must fall at any moment of what runs beside.
fn pass(duration: Duration) {
    let begun = Instant::now();
    while let Some(left) = duration.checked_sub(begun.elapsed()) {
        std::thread::park_timeout(left);
    }
}

/// A shipper in a process of its own; ends with the test.
struct Shipper(Child);

impl Shipper {
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Scene {
    folder: tempfile::TempDir,
    start: Start,
    server: Option<Server>,
    shipper: Option<Shipper>,
    logs: Logs,
    random: Random,
    kills_of_shipper: u64,
    kills_of_server: u64,
}

impl Scene {
    fn new(seed: u64) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let (name, value) = TAILS_BYTES_LEAST;
        let mut start = Start::in_folder(folder.path());
        start.environment.push((name, value.to_owned()));
        start.listen = own_address();
        let server = Server::start(&start);
        // The shipper knows one address: the server comes back there.
        start.listen = server.address().to_owned();
        let mut scene = Scene {
            folder,
            start,
            server: Some(server),
            shipper: None,
            logs: Logs {
                folder: logs,
                random: Random::from_seeds(&[seed, 1]),
                lines: 0,
                rotations: 0,
                compressed: 0,
            },
            random: Random::from_seeds(&[seed, 2]),
            kills_of_shipper: 0,
            kills_of_server: 0,
        };
        scene.start_shipper();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn stored(&self) -> u64 {
        self.server().count(STREAM, "")
    }

    fn ship(&self) -> Command {
        let mut options = OpenOptions::new();
        let log = options
            .append(true)
            .create(true)
            .open(self.path("ship.log"));
        let mut command = program();
        command.args(["ship", "--stream", STREAM, "--to"]);
        command.arg(format!("http://{}", self.start.listen));
        command.arg("--state").arg(self.path("state"));
        command.arg("--key-file").arg(self.path("ship.key"));
        command.arg(self.path("logs/app.log*"));
        command
            .env("TAFFRAIL_TOKEN", KEY)
            .env("HOME", self.folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap());
        command
    }

    fn start_shipper(&mut self) {
        self.shipper = Some(Shipper(self.ship().spawn().unwrap()));
    }

    fn kill_shipper(&mut self) {
        if let Some(mut shipper) = self.shipper.take() {
            let ended = shipper.0.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "ship ended with {ended:?}: {}",
                self.said()
            );
            shipper.kill();
            self.kills_of_shipper += 1;
        }
    }

    fn kill_server(&mut self) {
        self.server.take().unwrap().kill();
        self.kills_of_server += 1;
    }

    fn start_server(&mut self) {
        self.server = Some(Server::start(&self.start));
    }

    fn said(&self) -> String {
        fs::read_to_string(self.path("ship.log")).unwrap()
    }

    /// Lines are written until more of them are stored than before, so that a kill falls into
    /// work and not always into a start.
    fn go_on_until_more_is_stored(&mut self) {
        let before = self.stored();
        let begun = Instant::now();
        loop {
            self.logs.go_on();
            if self.stored() > before {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "nothing is shipped: {}",
                self.said()
            );
        }
    }

    fn go_on_at_random(&mut self) {
        for _ in 0..self.random.below(6) {
            self.logs.go_on();
        }
    }

    fn round(&mut self) {
        if self.random.percent(60) {
            self.go_on_until_more_is_stored();
        }
        self.go_on_at_random();
        match self.random.below(10) {
            0..6 => self.kill_shipper(),
            6..9 => {
                self.kill_server();
                if self.random.percent(50) {
                    self.go_on_at_random();
                }
            }
            _ => {
                self.kill_shipper();
                self.kill_server();
                self.go_on_at_random();
            }
        }
        if self.server.is_none() {
            self.start_server();
        }
        if self.shipper.is_none() {
            self.start_shipper();
        }
    }

    /// Sends what is left.
    fn finish(&mut self) {
        self.kill_shipper();
        let status = self.ship().arg("--once").status().unwrap();
        assert!(status.success(), "{status}: {}", self.said());
    }

    /// What is wrong with what is stored: nothing may be.
    fn violations(&self) -> Vec<String> {
        let mut counts: BTreeMap<String, i64> = (0..self.logs.lines)
            .map(|number| (message(number), 0))
            .collect();
        let mut violations = Vec::new();
        for record in self.server().all(STREAM, &["message"]) {
            let text = record["message"].as_str().unwrap_or_default();
            match counts.get_mut(text) {
                Some(count) => *count += 1,
                None => violations.push(format!("never written: {record}")),
            }
        }
        let wrong = counts.iter().filter(|(_, count)| **count != 1);
        violations.extend(wrong.map(|(text, count)| format!("{count} times: {}", &text[..14])));
        violations
    }
}

#[track_caller]
fn assert_none(violations: &[String], scene: &Scene, seed: u64) {
    let shown = &violations[..violations.len().min(20)];
    let count = violations.len();
    assert!(
        violations.is_empty(),
        "seed {seed}: {count} violations, such as {shown:#?}\n{}",
        scene.said()
    );
}

#[test]
fn every_line_arrives_once_whatever_is_killed() {
    let seed = from_environment("TAFFRAIL_HARNESS_SEED", 1);
    let begun = Instant::now();
    let mut scene = Scene::new(seed);
    for _ in 0..ROUNDS * rounds() {
        scene.round();
    }
    let stored_before_the_end = scene.stored();
    scene.finish();
    let violations = scene.violations();
    println!(
        "seed {seed}: {} lines, {} rotations, {} compressed, {} kills of the shipper, {} of the \
         server, {stored_before_the_end} stored under way, {} violations, {:?}",
        scene.logs.lines,
        scene.logs.rotations,
        scene.logs.compressed,
        scene.kills_of_shipper,
        scene.kills_of_server,
        violations.len(),
        begun.elapsed(),
    );
    assert_none(&violations, &scene, seed);
    let said = scene.said();
    assert!(!said.contains("did not take"), "{said}");
}

/// What the harness would say if a checkpoint were lost.
#[test]
fn a_lost_state_is_noticed() {
    let seed = from_environment("TAFFRAIL_HARNESS_SEED", 1);
    let mut scene = Scene::new(seed);
    scene.go_on_until_more_is_stored();
    scene.kill_shipper();
    fs::remove_dir_all(scene.path("state")).unwrap();
    scene.finish();
    let violations = scene.violations();
    assert!(
        violations
            .iter()
            .any(|violation| violation.starts_with("2 times")),
        "the harness is blind: {violations:?}"
    );
}

/// Where lines may be lost, as `ship` names it: bytes of the one file.
fn named_ranges(said: &str) -> Vec<std::ops::Range<u64>> {
    let of_line = |line: &str| {
        let (start, end) = line.split_once("app.log: bytes ")?.1.split_once(" to ")?;
        Some(start.parse().unwrap()..end.parse().unwrap())
    };
    said.lines().filter_map(of_line).collect()
}

#[test]
fn a_damaged_batch_is_named_and_the_others_arrive() {
    let mut scene = Scene::new(from_environment("TAFFRAIL_HARNESS_SEED", 1));
    scene.logs.write();
    let begun = Instant::now();
    while scene.stored() == 0 {
        assert!(begun.elapsed() < PATIENCE, "{}", scene.said());
        pass(Duration::from_millis(20));
    }
    scene.kill_server();
    let pending = |scene: &Scene| {
        let files = fs::read_dir(scene.path("state/pending")).unwrap();
        let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_none());
        paths.sort();
        paths
    };
    while pending(&scene).len() < 6 {
        assert!(begun.elapsed() < PATIENCE, "{}", scene.said());
        scene.logs.write();
        pass(Duration::from_millis(50));
    }
    scene.kill_shipper();
    let files = pending(&scene);
    let newest = files.last().unwrap();
    for (path, offset) in [(&files[2], 70), (newest, 90)] {
        let mut bytes = fs::read(path).unwrap();
        bytes[offset] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    scene.start_server();
    let status = scene.ship().arg("--once").status().unwrap();
    let said = scene.said();
    assert_eq!(status.code(), Some(5), "{said}");
    for damaged in [&files[2], newest] {
        assert!(
            said.contains(&format!("{}.damaged", damaged.display())),
            "{said}"
        );
    }
    // Only lines of the one batch are missing, and they are where it was said.
    let ranges = named_ranges(&said);
    let stored: BTreeMap<String, u32> = scene.server().all(STREAM, &["message"]).iter().fold(
        BTreeMap::new(),
        |mut stored, record| {
            let text = record["message"].as_str().unwrap_or_default().to_owned();
            *stored.entry(text).or_default() += 1;
            stored
        },
    );
    assert!(
        stored.values().all(|count| *count == 1),
        "nothing comes twice"
    );
    let (mut at, mut missing) = (0, 0);
    for (number, line) in (0..).zip(
        fs::read(scene.logs.active())
            .unwrap()
            .split(|it| *it == b'\n'),
    ) {
        let end = at + line.len() as u64 + 1;
        if number < scene.logs.lines && !stored.contains_key(&message(number)) {
            missing += 1;
            let is_named = ranges
                .iter()
                .any(|range| range.start <= at && end <= range.end);
            assert!(is_named, "line {number} at {at}: {said}");
        }
        at = end;
    }
    assert!(missing > 0 && (missing as usize) + stored.len() == scene.logs.lines as usize);
    let status = scene.ship().arg("--once").status().unwrap();
    assert!(status.success(), "it was told: {}", scene.said());
}
