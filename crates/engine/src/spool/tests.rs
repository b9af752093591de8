use super::{encode::Body, *};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    path::Path,
};
use taffrail_model::{
    batch::{RawBatch, RejectKind},
    column::{ColumnSet, Kind},
    stream::{StreamCatalogue, StreamDefinition},
    tenant::DEFAULT_TENANT,
};
use taffrail_pipeline::{Arrival, Pipeline, PipelineConfig, Side, clean::CleanBatch};
use taffrail_storage::keys::KeyFile;
use taffrail_testkit::{SimulatedClock, SimulatedDisk, disk::SyncSite};

mod damage;

const DIRECTORY: &str = "/data/ship";
const LINES: u64 = 12;

/// A body and the answer to it.
type Answered = (Arc<[u8]>, Outcome);

/// A server that keeps its promise: what it has taken under a key it answers again.
#[derive(Default)]
struct Server {
    answers: RefCell<HashMap<String, Answered>>,
    /// How often each line was stored.
    stored: RefCell<BTreeMap<String, u32>>,
    requests: Cell<u64>,
    /// Requests of which the answer is lost, after they are stored.
    lose_answer_of: Cell<Option<u64>>,
    is_away: Cell<bool>,
    /// Lines with this word are rejected.
    hates: Option<&'static str>,
    refuses: Cell<bool>,
    /// Whether keys are forgotten: the harness must notice.
    is_forgetful: bool,
    /// Whether another body under a known key is refused; else it is a fault of the spool.
    is_lenient: bool,
}

impl Server {
    fn take(&self, part: &Part) -> Outcome {
        let body = match part.encoding {
            Encoding::Identity => part.body.to_vec(),
            Encoding::Zstd => zstd::decode_all(&*part.body).unwrap(),
        };
        let lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let mut rejected = Vec::new();
        let mut accepted = 0;
        for (index, line) in (0..).zip(lines) {
            let record: serde_json::Value = serde_json::from_slice(line).unwrap();
            let message = record["message"].as_str().unwrap().to_string();
            if self.hates.is_some_and(|word| message.contains(word)) {
                let detail = "hated".to_string();
                rejected.push(Reject {
                    index,
                    kind: RejectKind::TooOld,
                    detail,
                });
            } else {
                accepted += 1;
                *self.stored.borrow_mut().entry(message).or_default() += 1;
            }
        }
        assert_eq!(accepted + rejected.len() as u32, part.records);
        Outcome::Taken { accepted, rejected }
    }
}

impl Sender for &Server {
    fn send(&mut self, stream: &str, part: &Part) -> Outcome {
        assert_eq!(stream, "app.backend");
        self.requests.set(self.requests.get() + 1);
        let later = || Outcome::Later {
            after: None,
            reason: "away".into(),
        };
        if self.is_away.get() {
            return later();
        }
        if self.refuses.get() {
            return Outcome::Refused {
                reason: "400 no".into(),
            };
        }
        let known = self.answers.borrow().get(&part.key).cloned();
        let answer = match known {
            Some((body, _)) if self.is_lenient && body != part.body => Outcome::Refused {
                reason: "422 the key was used for another body".into(),
            },
            Some((body, answer)) if !self.is_forgetful => {
                assert_eq!(body, part.body, "a key stands for one body");
                answer
            }
            _ => {
                let answer = self.take(part);
                let entry = (part.body.clone(), answer.clone());
                self.answers.borrow_mut().insert(part.key.clone(), entry);
                answer
            }
        };
        if self.lose_answer_of.get() == Some(self.requests.get()) {
            return later();
        }
        answer
    }
}

/// What sending one batch came to.
#[derive(Debug, PartialEq)]
enum Delivery {
    Nothing,
    Delivered(Delivered),
    Lost(Lost),
    Later,
}

/// Sends the oldest batch, part by part.
fn deliver(spool: &mut Spool, mut server: &Server) -> Result<Delivery, SpoolError> {
    loop {
        let (stream, part) = match spool.proceed()? {
            Next::Nothing => return Ok(Delivery::Nothing),
            Next::Delivered(delivered) => return Ok(Delivery::Delivered(delivered)),
            Next::Lost(lost) => return Ok(Delivery::Lost(lost)),
            Next::Send(stream, part) => (stream, part),
        };
        let outcome = server.send(&stream, &part);
        spool.settle(&outcome);
        if matches!(outcome, Outcome::Later { .. } | Outcome::Stopped { .. }) {
            return Ok(Delivery::Later);
        }
    }
}

#[track_caller]
fn counts(delivery: Delivery) -> (u64, u64) {
    match delivery {
        Delivery::Delivered(delivered) => (delivered.accepted, delivered.rejected),
        other => panic!("{other:?}"),
    }
}

fn open(disk: &SimulatedDisk) -> Result<(Spool, SpoolReport), SpoolError> {
    open_as(disk, true)
}

fn open_as(disk: &SimulatedDisk, has_source: bool) -> Result<(Spool, SpoolReport), SpoolError> {
    let counter = std::sync::atomic::AtomicU64::new(1);
    let options = SpoolOptions {
        directory: DIRECTORY.into(),
        bytes_max: SPOOL_BYTES_MAX,
        compression: true,
        has_source,
        // Salts and names differ; that they are random is not what is tested.
        entropy: Arc::new(move |out: &mut [u8]| {
            let n = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            out.fill(0);
            out[..8].copy_from_slice(&n.to_le_bytes());
        }),
    };
    let kek = Arc::new(KeyFile::from_secret([7; 32]));
    let clock = Arc::new(SimulatedClock::new(Timestamp(1_767_540_645_000_000_000)));
    Spool::open(options, disk.files(), kek, clock)
}

fn stream() -> StreamDefinition {
    let catalogue = StreamCatalogue::built_in();
    StreamDefinition::clone(catalogue.by_name("app.backend").unwrap())
}

/// The batch of these records, each a list of fields.
fn bodies(records: &[&[(&str, Kind, &str)]]) -> Bodies {
    let mut bodies = Bodies::default();
    bodies.push(&clean(records));
    bodies
}

fn clean(records: &[&[(&str, Kind, &str)]]) -> CleanBatch {
    let mut columns = ColumnSet::default();
    for (row, record) in (0..).zip(records) {
        for (name, kind, text) in *record {
            columns.get_or_create(name).push(row, *kind, text);
        }
    }
    columns.set_rows(records.len() as u32);
    let raw = RawBatch {
        columns,
        indexes: (0..records.len() as u32).collect(),
        ..RawBatch::default()
    };
    let config = PipelineConfig {
        side: Side::Shipper,
        ..PipelineConfig::default()
    };
    let batch = Pipeline::new(config).unwrap().process(
        raw,
        &Arrival {
            tenant: DEFAULT_TENANT,
            stream: &stream(),
            received: Timestamp(1_767_540_645_000_000_000),
            catalogue: &StreamCatalogue::built_in(),
            may_write: &|_| true,
        },
    );
    assert_eq!(batch.rejects(), []);
    batch
}

/// The answer of a server that takes every record.
pub(super) fn counts_of(part: &Part) -> Outcome {
    Outcome::Taken {
        accepted: part.records,
        rejected: Vec::new(),
    }
}

pub(super) fn messages(texts: &[String]) -> Bodies {
    let records: Vec<Vec<_>> = texts
        .iter()
        .map(|text| vec![("message", Kind::String, text.as_str())])
        .collect();
    bodies(&records.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// What a shipper was told.
#[derive(Debug, Default, PartialEq)]
struct Told {
    read_again: Option<ReadAgain>,
    lost: Vec<Lost>,
}

/// Ships lines `0..LINES`, three a batch, as a program would: goes on at the checkpoint, persists
/// one or two batches ahead, delivers.
fn ship(disk: &SimulatedDisk, server: &Server) -> Result<Told, SpoolError> {
    let (mut spool, report) = open(disk)?;
    let mut told = Told {
        read_again: report.read_again,
        lost: Vec::new(),
    };
    let mut attempts = 0;
    loop {
        let next = spool
            .checkpoint()
            .map_or(0, |point| point.as_u64().unwrap());
        if next < LINES && spool.pending() < 2 {
            let texts: Vec<String> = (next..next + 3).map(|n| format!("line {n}")).collect();
            spool.persist("app.backend", &messages(&texts), (next + 3).into())?;
            continue;
        }
        match deliver(&mut spool, server)? {
            Delivery::Nothing => return Ok(told),
            Delivery::Delivered(_) => {}
            Delivery::Lost(lost) => told.lost.push(lost),
            other => {
                attempts += 1;
                assert!(attempts < 50, "{other:?}");
            }
        }
    }
}

fn disk() -> SimulatedDisk {
    let disk = SimulatedDisk::new(1);
    let files = disk.files();
    files.make_directory(Path::new("/data")).unwrap();
    files.sync_directory(Path::new("/")).unwrap();
    disk
}

fn each_once() -> BTreeMap<String, u32> {
    (0..LINES).map(|n| (format!("line {n}"), 1)).collect()
}

/// Runs the shipper with a power loss after each operation of the disk in turn, then again on
/// what is left; how many lines were not stored exactly once.
fn faults_over_crashes(
    make_server: impl Fn() -> Server,
    prepare: impl Fn(&SimulatedDisk),
) -> usize {
    let whole = disk();
    prepare(&whole);
    let first = whole.operations();
    ship(&whole, &make_server()).unwrap();
    let operations = whole.operations() - first;
    assert!(operations > 50, "{operations}");
    let mut faults = 0;
    for crash_after in 0..operations {
        for seed in [0, 1, 2, 3] {
            let server = make_server();
            let disk = disk();
            prepare(&disk);
            disk.lose_power_after(crash_after);
            assert!(ship(&disk, &server).is_err(), "{crash_after}");
            let after = disk.crash(seed);
            prepare(&after);
            match ship(&after, &server) {
                // That what is torn is read again is no excuse: a crash tears nothing.
                Ok(told) if told == Told::default() => {
                    faults += usize::from(*server.stored.borrow() != each_once());
                }
                Ok(_) | Err(_) => faults += 1,
            }
        }
    }
    faults
}

#[test]
fn a_crash_at_any_operation_delivers_each_line_once() {
    assert_eq!(faults_over_crashes(Server::default, |_| {}), 0);
}

#[test]
fn lost_answers_and_crashes_together_deliver_each_line_once() {
    for lost in 1..=4 {
        let make_server = || {
            let server = Server::default();
            server.lose_answer_of.set(Some(lost));
            server
        };
        assert_eq!(faults_over_crashes(make_server, |_| {}), 0);
    }
}

#[test]
fn the_harness_notices_a_server_that_forgets_and_a_sync_that_is_left_out() {
    let forgetful = || Server {
        is_forgetful: true,
        ..Server::default()
    };
    assert!(faults_over_crashes(forgetful, |_| {}) > 0);
    for site in [
        SyncSite::directory("pending"),
        SyncSite::file("pending"),
        SyncSite::file("state"),
        SyncSite::directory("ship").at_end(),
    ] {
        let faults = faults_over_crashes(Server::default, |disk| disk.skip_syncs(site.clone()));
        assert!(faults > 0, "{site:?}");
    }
}

#[test]
fn a_server_that_is_away_gets_everything_in_order_later() {
    let disk = disk();
    let server = Server::default();
    server.is_away.set(true);
    let (mut spool, report) = open(&disk).unwrap();
    assert_eq!(report, SpoolReport::default());
    assert_eq!(spool.checkpoint(), None);
    for n in 0..4u64 {
        let texts = [format!("line {}", 2 * n), format!("line {}", 2 * n + 1)];
        spool
            .persist("app.backend", &messages(&texts), n.into())
            .unwrap();
        assert!(matches!(
            deliver(&mut spool, &server).unwrap(),
            Delivery::Later
        ));
    }
    drop(spool);
    let (mut spool, report) = open(&disk.crash(0)).unwrap();
    assert_eq!(report.pending, 4);
    assert_eq!(spool.checkpoint(), Some(&3.into()));
    server.is_away.set(false);
    for pending in (0..4).rev() {
        let delivery = deliver(&mut spool, &server).unwrap();
        assert_eq!(counts(delivery), (2, 0));
        assert_eq!(spool.pending(), pending);
    }
    assert_eq!(deliver(&mut spool, &server).unwrap(), Delivery::Nothing);
    assert_eq!(spool.pending_bytes(), 0);
    assert_eq!(server.stored.borrow().values().sum::<u32>(), 8);
}

#[test]
fn what_the_server_never_takes_is_kept_and_not_sent_again() {
    let disk = disk();
    let server = Server {
        hates: Some("bad"),
        ..Server::default()
    };
    let (mut spool, _) = open(&disk).unwrap();
    let texts = [
        "good".to_string(),
        "bad \"1\"".to_string(),
        "fine".to_string(),
    ];
    spool
        .persist("app.backend", &messages(&texts), 1.into())
        .unwrap();
    let Delivery::Delivered(delivered) = deliver(&mut spool, &server).unwrap() else {
        panic!("not delivered");
    };
    let reason = Some("too_old: hated".to_string());
    assert_eq!(
        (
            delivered.accepted,
            delivered.rejected,
            delivered.first_reason
        ),
        (2, 1, reason)
    );
    server.refuses.set(true);
    spool
        .persist("app.backend", &messages(&["x".to_string()]), 2.into())
        .unwrap();
    let delivery = deliver(&mut spool, &server).unwrap();
    assert_eq!(counts(delivery), (0, 1));
    drop(spool);
    let (mut spool, report) = open(&disk.crash(0)).unwrap();
    assert_eq!(report.pending, 0);
    assert_eq!(deliver(&mut spool, &server).unwrap(), Delivery::Nothing);
    let kept = String::from_utf8(spool.rejected().unwrap()).unwrap();
    let kept: Vec<serde_json::Value> = kept
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(kept[0]["record"]["message"], "bad \"1\"");
    assert_eq!(kept[0]["reason"], "too_old: hated");
    assert_eq!(kept[1]["record"]["message"], "x");
    assert_eq!(kept[1]["reason"], "400 no");
    assert_eq!(kept.len(), 2);
}

#[test]
fn a_full_disk_loses_nothing() {
    let disk = disk();
    let server = Server::default();
    let (mut spool, _) = open(&disk).unwrap();
    spool
        .persist("app.backend", &messages(&["line 0".into()]), 1.into())
        .unwrap();
    let used: u64 = disk.all_files().iter().map(|(_, bytes)| bytes).sum();
    disk.set_capacity_bytes(Some(used + 100));
    let batch = messages(&["line 1".into()]);
    let error = spool.persist("app.backend", &batch, 2.into()).unwrap_err();
    assert!(error.is_no_space(), "{error}");
    assert_eq!(spool.checkpoint(), Some(&1.into()));
    disk.set_capacity_bytes(None);
    spool.persist("app.backend", &batch, 2.into()).unwrap();
    while deliver(&mut spool, &server).unwrap() != Delivery::Nothing {}
    let expected = BTreeMap::from([("line 0".to_string(), 1), ("line 1".to_string(), 1)]);
    assert_eq!(*server.stored.borrow(), expected);
}

#[test]
fn the_spool_is_bounded() {
    let disk = disk();
    let (mut spool, _) = open(&disk).unwrap();
    let batch = messages(&["x".repeat(1_000)]);
    spool.bytes_max = 3_000;
    let mut persisted = 0u64;
    while spool.has_room(&batch) {
        persisted += 1;
        spool
            .persist("app.backend", &batch, persisted.into())
            .unwrap();
        assert!(persisted < 10);
    }
    assert_eq!(persisted, 2);
    assert!(spool.pending_bytes() <= 3_000);
    spool.bytes_max = 10;
    while deliver(&mut spool, &Server::default()).unwrap() != Delivery::Nothing {}
    assert!(spool.has_room(&batch), "an empty spool takes any batch");
}

#[test]
fn every_file_is_sealed() {
    let disk = damage::pending(&Server::default());
    let files = disk.all_files();
    assert!(files.len() > 5);
    for (file, bytes) in files {
        let content = disk.contents(&file).unwrap();
        assert_eq!(content.len() as u64, bytes);
        let text = String::from_utf8_lossy(&content);
        assert!(
            !text.contains("line") && !text.contains("app.backend"),
            "{file:?}"
        );
    }
}

#[test]
fn records_keep_their_scalars() {
    let batch = bodies(&[
        &[
            ("message", Kind::String, "a\"\\\n\u{1}é"),
            ("n", Kind::Integer, "123456789012345678901234567890"),
            ("f", Kind::Float, "1.50"),
            ("b", Kind::Bool, "true"),
            ("s", Kind::String, "200"),
            ("list", Kind::Json, "[1,{\"k\":null}]"),
            ("metadata.x", Kind::Json, "{}"),
            ("_overflow", Kind::Json, "{\"o.1\":1,\"o\\\"2\":\"x\"}"),
            ("timestamp", Kind::String, "2026-01-04T15:30:45.123456789Z"),
        ],
        &[
            ("message", Kind::String, "second"),
            ("n", Kind::Float, "1e400"),
        ],
    ]);
    let Body { records, bytes, .. } = &batch.parts()[0];
    assert_eq!(*records, 2);
    let body = std::str::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = body.lines().collect();
    for member in [
        "\"timestamp\":\"2026-01-04T15:30:45.123456789Z\"",
        "\"message\":\"a\\\"\\\\\\n\\u0001é\"",
        "\"n\":123456789012345678901234567890",
        "\"f\":1.50",
        "\"b\":true",
        "\"s\":\"200\"",
        "\"list\":[1,{\"k\":null}]",
        "\"metadata.x\":{}",
        "\"o.1\":1,\"o\\\"2\":\"x\"",
    ] {
        assert!(lines[0].contains(member), "{member} in {}", lines[0]);
    }
    assert!(
        lines[1].contains("\"n\":1e400") && !lines[1].contains("\"f\""),
        "{}",
        lines[1]
    );
}

#[test]
fn bodies_and_records_are_bounded() {
    let large = "é\u{1}".repeat(taffrail_model::limits::RECORD_BYTES_MAX / 3);
    let batch = messages(&vec![large.clone(); 9]);
    assert!(batch.parts().len() > 1);
    assert_eq!(batch.records(), 9);
    for Body { bytes: body, .. } in batch.parts() {
        assert!(body.len() <= BODY_BYTES_MAX);
        for line in body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            assert!(line.len() <= taffrail_model::limits::RECORD_BYTES_MAX);
            let record: serde_json::Value = serde_json::from_slice(line).unwrap();
            assert!(large.starts_with(record["message"].as_str().unwrap()));
            assert_eq!(record["metadata.truncated"], true);
        }
    }
}

#[test]
fn redaction_is_before_the_spool() {
    let batch = bodies(&[&[
        ("message", Kind::String, "hi"),
        ("password", Kind::String, "hunter2"),
    ]]);
    let body = &batch.parts()[0].bytes;
    assert!(!String::from_utf8_lossy(body).contains("hunter2"));
}

#[test]
fn bodies_are_compressed_unless_that_is_in_vain_or_looks_like_a_bomb() {
    let check = |body: &[u8], expected: Encoding| {
        let request = Request::new(1, body, true);
        let sent = &*request.body;
        assert_eq!(request.encoding, expected, "{} bytes", body.len());
        match request.encoding {
            Encoding::Identity => assert_eq!(sent, body),
            Encoding::Zstd => {
                assert!(sent.len() < body.len());
                assert_eq!(zstd::decode_all(sent).unwrap(), body);
                // What the server allows, by its own limits.
                assert!(body.len() <= 1 << 20 || body.len() <= 400 * sent.len());
            }
        }
    };
    let lines = |count: u64| -> Vec<u8> {
        (0..count)
            .flat_map(|n| format!("line {n} of {count}\n").into_bytes())
            .collect()
    };
    check(&lines(10), Encoding::Identity);
    check(&lines(1_000), Encoding::Zstd);
    check(&lines(150_000), Encoding::Zstd);
    check(&vec![b'x'; 4 << 10], Encoding::Zstd);
    check(&vec![b'x'; 1 << 20], Encoding::Zstd);
    check(&vec![b'x'; 4 << 20], Encoding::Identity);
    let mut random = taffrail_testkit::Random::new(1);
    let noise: Vec<u8> = (0..10_000).map(|_| random.next() as u8).collect();
    check(&noise, Encoding::Identity);
}

#[test]
fn the_bytes_of_a_key_never_change() {
    let disk = disk();
    let (mut spool, _) = open(&disk).unwrap();
    let texts: Vec<String> = (0..1_000).map(|n| format!("line {n}")).collect();
    spool
        .persist("app.backend", &messages(&texts), 1.into())
        .unwrap();
    let first = spool.proceed().unwrap();
    let Next::Send(_, part) = &first else {
        panic!("{first:?}");
    };
    assert_eq!((part.encoding, part.records), (Encoding::Zstd, 1_000));
    assert!(spool.pending_bytes() < 20_000, "{}", spool.pending_bytes());
    drop(spool);
    let (mut spool, _) = open(&disk.crash(0)).unwrap();
    // Whether later batches are compressed is nothing to this one.
    spool.compression = false;
    assert_eq!(spool.proceed().unwrap(), first);
    spool
        .persist("app.backend", &messages(&texts), 2.into())
        .unwrap();
    assert_eq!(
        counts(deliver(&mut spool, &Server::default()).unwrap()),
        (1_000, 0)
    );
    let second = spool.proceed().unwrap();
    assert!(matches!(second, Next::Send(_, part) if part.encoding == Encoding::Identity));
}

#[test]
fn rejected_records_of_a_compressed_part_are_kept() {
    let disk = disk();
    let server = Server {
        hates: Some("line 77 "),
        ..Server::default()
    };
    let (mut spool, _) = open(&disk).unwrap();
    let texts: Vec<String> = (0..1_000).map(|n| format!("line {n} end")).collect();
    spool
        .persist("app.backend", &messages(&texts), 1.into())
        .unwrap();
    assert_eq!(counts(deliver(&mut spool, &server).unwrap()), (999, 1));
    let kept: serde_json::Value = serde_json::from_slice(&spool.rejected().unwrap()).unwrap();
    assert_eq!(kept["record"]["message"], "line 77 end");
}

#[test]
fn a_directory_that_its_lock_made_survives_a_power_loss() {
    let disk = SimulatedDisk::new(7);
    let files = disk.files();
    files.make_directory(Path::new("/data")).unwrap();
    files.sync_directory(Path::new("/")).unwrap();
    // As taking the lock did, without a sync.
    files.make_directory(Path::new(DIRECTORY)).unwrap();
    let (mut spool, _) = open(&disk).unwrap();
    let texts = ["line 0".to_string()];
    spool
        .persist("app.backend", &messages(&texts), 1.into())
        .unwrap();
    for seed in 0..8 {
        let (spool, report) = open(&disk.crash(seed)).unwrap();
        assert_eq!((report.pending, spool.checkpoint()), (1, Some(&1.into())));
    }
}

#[test]
fn parts_go_to_their_streams_in_the_order_of_each() {
    let disk = disk();
    let (mut spool, _) = open(&disk).unwrap();
    let (access, error): (Arc<str>, Arc<str>) = ("instance.access".into(), "instance.error".into());
    let mut batch = Bodies::default();
    for n in 0..30 {
        let clean = clean(&[&[("message", Kind::String, &format!("line {n}"))]]);
        match n % 3 {
            0 => batch.push(&clean),
            1 => batch.push_to(&access, &clean),
            _ => batch.push_to(&error, &clean),
        }
    }
    assert_eq!(batch.records(), 30);
    assert_eq!(
        spool.append("instance.app", &batch).unwrap(),
        Appended::Persisted
    );
    drop(spool);
    let (mut spool, _) = open(&disk.crash(0)).unwrap();
    let mut sent = BTreeMap::new();
    loop {
        match spool.proceed().unwrap() {
            Next::Nothing => break,
            Next::Lost(lost) => panic!("{lost:?}"),
            Next::Delivered(delivered) => assert_eq!(delivered.accepted, 30),
            Next::Send(stream, part) => {
                sent.insert(stream.to_string(), part.body.clone());
                spool.settle(&counts_of(&part));
            }
        }
    }
    let names: Vec<&str> = sent.keys().map(String::as_str).collect();
    assert_eq!(names, ["instance.access", "instance.app", "instance.error"]);
    for (first, body) in [1, 0, 2].into_iter().zip(sent.values()) {
        let messages: Vec<String> = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap())
            .map(|record| record["message"].as_str().unwrap().to_string())
            .collect();
        let expected: Vec<String> = (first..30)
            .step_by(3)
            .map(|n| format!("line {n}"))
            .collect();
        assert_eq!(messages, expected);
    }
}

#[test]
fn a_producer_that_does_not_wait_is_told_what_has_no_room() {
    let disk = disk();
    let server = Server::default();
    let (mut spool, _) = open(&disk).unwrap();
    spool.bytes_max = 3_000;
    let batch = messages(&["x".repeat(1_000)]);
    let mut append = || spool.append("app.backend", &batch).unwrap();
    assert_eq!(
        [append(), append(), append()],
        [Appended::Persisted, Appended::Persisted, Appended::Full]
    );
    let used: u64 = disk.all_files().iter().map(|(_, bytes)| bytes).sum();
    disk.set_capacity_bytes(Some(used + 100));
    spool.bytes_max = 1 << 20;
    assert_eq!(
        spool.append("app.backend", &batch).unwrap(),
        Appended::NoSpace
    );
    disk.set_capacity_bytes(None);
    assert_eq!(
        spool.append("app.backend", &batch).unwrap(),
        Appended::Persisted
    );
    let mut delivered = 0;
    while let Delivery::Delivered(batch) = deliver(&mut spool, &server).unwrap() {
        delivered += batch.accepted;
    }
    assert_eq!(delivered, 3);
    // However large the batch is: a producer that cannot wait is not let past the limit.
    spool.bytes_max = 500;
    assert_eq!(spool.append("app.backend", &batch).unwrap(), Appended::Full);
}
