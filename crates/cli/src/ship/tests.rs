use super::*;
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, OpenOptions},
    sync::{Arc, Mutex},
};
use taffrail_engine::spool::{Encoding, Outcome, Part};

/// A server that remembers keys, as the real one does.
#[derive(Clone, Default)]
struct FakeServer {
    state: Arc<Mutex<ServerState>>,
}

#[derive(Default)]
struct ServerState {
    answers: HashMap<String, Outcome>,
    records: Vec<serde_json::Value>,
    requests: u32,
    is_away: bool,
    /// Every so many answers are lost.
    loses_every: Option<u32>,
    is_closed: bool,
}

impl Sender for FakeServer {
    fn send(&mut self, _: &str, part: &Part) -> Outcome {
        let mut state = self.state.lock().unwrap();
        let later = || Outcome::Later {
            after: None,
            reason: "away".into(),
        };
        if state.is_closed {
            return Outcome::Stopped {
                reason: "no".into(),
                is_not_allowed: true,
                is_of_stream: true,
            };
        }
        state.requests += 1;
        if state.is_away {
            return later();
        }
        let answer = match state.answers.get(&part.key) {
            Some(answer) => answer.clone(),
            None => {
                let body = match part.encoding {
                    Encoding::Identity => part.body.to_vec(),
                    Encoding::Zstd => zstd::decode_all(&*part.body).unwrap(),
                };
                let lines = body.split(|byte| *byte == b'\n');
                let records = lines
                    .filter(|line| !line.is_empty())
                    .map(|line| serde_json::from_slice(line).unwrap());
                state.records.extend(records);
                let answer = Outcome::Taken {
                    accepted: part.records,
                    rejected: Vec::new(),
                };
                state.answers.insert(part.key.clone(), answer.clone());
                answer
            }
        };
        match state.loses_every {
            Some(every) if state.requests.is_multiple_of(every) => later(),
            _ => answer,
        }
    }
}

struct Scene {
    directory: tempfile::TempDir,
    server: FakeServer,
    said: Arc<Mutex<Vec<String>>>,
    now: Instant,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            directory: tempfile::tempdir().unwrap(),
            server: FakeServer::default(),
            said: Arc::default(),
            now: Instant::now(),
        }
    }

    fn options(&self) -> ShipperOptions {
        let pattern = self.directory.path().join("logs/*.log*");
        ShipperOptions {
            key_file: Some(self.directory.path().join("key")),
            ..ShipperOptions::new(
                "app.backend",
                self.directory.path().join("state"),
                vec![pattern.to_str().unwrap().to_string()],
            )
        }
    }

    fn open_with(&self, options: ShipperOptions) -> Result<Shipper> {
        let said = self.said.clone();
        let say = move |text: &str| said.lock().unwrap().push(text.to_string());
        Shipper::open(options, Box::new(self.server.clone()), Box::new(say))
    }

    fn open(&self) -> Shipper {
        self.open_with(self.options()).unwrap()
    }

    fn append(&self, name: &str, text: &str) {
        let logs = self.directory.path().join("logs");
        fs::create_dir_all(&logs).unwrap();
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(logs.join(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        let logs = self.directory.path().join("logs");
        fs::rename(logs.join(from), logs.join(to)).unwrap();
    }

    fn server(&self) -> std::sync::MutexGuard<'_, ServerState> {
        self.server.state.lock().unwrap()
    }

    /// How often each message is at the server.
    fn messages(&self) -> BTreeMap<String, u32> {
        let mut out = BTreeMap::new();
        for record in &self.server().records {
            *out.entry(record["message"].as_str().unwrap().to_string())
                .or_default() += 1;
        }
        out
    }

    fn has_said(&self, text: &str) -> bool {
        self.said
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(text))
    }
}

/// One step to its end: the answers are awaited.
fn step(shipper: &mut Shipper, now: Instant) {
    shipper.prepare(now, false).unwrap();
    shipper.deliver(now, Duration::from_secs(60)).unwrap();
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("message number {n}\n")).collect()
}

fn each_once(range: std::ops::Range<u32>) -> BTreeMap<String, u32> {
    range.map(|n| (format!("message number {n}"), 1)).collect()
}

#[test]
fn once_ships_to_the_end_and_only_what_is_new_the_next_time() {
    let scene = Scene::new();
    scene.append("app.log", &lines(0..100));
    scene.append("app.log", "message number 100");
    scene.open().run_once().unwrap();
    assert_eq!(scene.messages(), each_once(0..101));
    scene.append("app.log", &format!("\n{}", lines(101..103)));
    scene.open().run_once().unwrap();
    assert_eq!(scene.messages(), each_once(0..103));
    let requests = scene.server().requests;
    scene.open().run_once().unwrap();
    assert_eq!(
        scene.server().requests,
        requests,
        "nothing new is nothing to send"
    );
    let record = scene.server().records[0].clone();
    assert_eq!(record["source"], "app");
    assert!(
        record["metadata.file"]
            .as_str()
            .unwrap()
            .ends_with("logs/app.log")
    );
}

/// The process is killed after any number of steps, again and again, while files rotate, answers
/// are lost and the server goes away: each line arrives once.
#[test]
fn each_line_arrives_once_whenever_the_shipper_is_killed() {
    for kill_after in 1..6 {
        for loses_every in [None, Some(2), Some(3)] {
            let mut scene = Scene::new();
            scene.server().loses_every = loses_every;
            let mut written = 0;
            for round in 0..12 {
                scene.append("app.log", &lines(written..written + 5));
                written += 5;
                // The beginning of a line, in the middle of which everything happens.
                scene.append("app.log", "message num");
                scene.server().is_away = round % 4 == 1;
                let mut shipper = scene.open();
                for taken in 0..kill_after {
                    scene.now += Duration::from_millis(250);
                    step(&mut shipper, scene.now);
                    if taken == 0 {
                        scene.append("app.log", &format!("ber {written}\n"));
                        written += 1;
                    }
                }
                drop(shipper);
                if round % 5 == 3 {
                    scene.rename("app.log", &format!("app.log.{round}"));
                }
            }
            scene.server().is_away = false;
            scene.server().loses_every = None;
            scene.open().run_once().unwrap();
            assert_eq!(
                scene.messages(),
                each_once(0..written),
                "{kill_after} {loses_every:?}"
            );
        }
    }
}

#[test]
fn a_server_that_is_away_bounds_the_spool_and_gets_everything_later() {
    let mut scene = Scene::new();
    scene.server().is_away = true;
    for file in 0..8 {
        scene.append(
            &format!("f{file}x.log"),
            &lines(file * 20_000..(file + 1) * 20_000),
        );
    }
    let options = ShipperOptions {
        spool_bytes_max: 8 << 20,
        // Compressed, these lines would not fill it.
        compression: false,
        ..scene.options()
    };
    let mut shipper = scene.open_with(options).unwrap();
    for _ in 0..60 {
        scene.now += Duration::from_millis(300);
        step(&mut shipper, scene.now);
        assert!(shipper.delivery.spool().pending_bytes() <= 8 << 20);
        assert!(shipper.gathered.bytes() < 24 << 20);
    }
    assert!(scene.has_said("the spool is full"));
    assert!(scene.has_said("away; trying again"));
    assert!(!shipper.is_at_end);
    // It waits longer and longer.
    assert!(scene.server().requests < 12, "{}", scene.server().requests);
    drop(shipper);
    scene.server().is_away = false;
    scene.open().run_once().unwrap();
    assert_eq!(scene.messages(), each_once(0..160_000));
}

#[test]
fn what_is_no_record_is_shipped_as_text() {
    let scene = Scene::new();
    scene.append(
        "app.log",
        "{\"message\":\"good\",\"level\":\"warn\"}\n{\"timestamp\":\"soon\",\"password\":\"hunter2\"}\n{}\n",
    );
    scene.open().run_once().unwrap();
    let records = scene.server().records.clone();
    assert_eq!(records.len(), 3);
    assert!(
        records
            .iter()
            .any(|record| record["message"] == "good" && record["level"] == "warn")
    );
    assert!(records.iter().any(|record| record["message"] == "{}"));
    assert!(!format!("{records:?}").contains("hunter2"));
}

#[test]
fn from_the_end_is_decided_at_the_first_start() {
    let mut scene = Scene::new();
    scene.append("app.log", &lines(0..5));
    let options = ShipperOptions {
        start: Start::End,
        ..scene.options()
    };
    let mut shipper = scene.open_with(options.clone()).unwrap();
    step(&mut shipper, scene.now);
    drop(shipper);
    // Written while nobody looked.
    scene.append("app.log", &lines(5..8));
    scene.now += Duration::from_secs(1);
    scene.open_with(options).unwrap().run_once().unwrap();
    assert_eq!(scene.messages(), each_once(5..8));
}

#[test]
fn one_directory_has_one_shipper() {
    let scene = Scene::new();
    let _first = scene.open();
    let error = scene.open_with(scene.options()).err().unwrap();
    assert!(format!("{error:#}").contains("in use"), "{error:#}");
}

#[test]
fn a_refused_credential_stops_and_loses_nothing() {
    let scene = Scene::new();
    scene.append("app.log", &lines(0..3));
    scene.server().is_closed = true;
    let error = scene.open().run_once().unwrap_err();
    assert!(
        matches!(error.downcast_ref(), Some(Failure::NotAllowed(_))),
        "{error}"
    );
    scene.server().is_closed = false;
    scene.open().run_once().unwrap();
    assert_eq!(scene.messages(), each_once(0..3));
}

#[test]
fn names_of_files_suggest_programs() {
    let check = |path: &str, expected: Option<&str>| {
        assert_eq!(name_of(Path::new(path)).as_deref(), expected, "{path}");
    };
    check("/var/log/syslog.2.gz", Some("syslog"));
    check(
        "/var/log/postgresql-16-main.log",
        Some("postgresql-16-main"),
    );
    check(".hidden.log", Some("hidden"));
    check("/", None);
}
