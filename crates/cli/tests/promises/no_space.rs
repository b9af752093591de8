//! No space left: refused by name, nothing acknowledged is lost, and it goes on by itself once
//! there is room again.
use crate::harness::{
    server::{Answer, PATIENCE, Server, Start, TAILS_BYTES_LEAST},
    small_disk::SmallDisk,
};
use std::{ffi::OsString, time::Instant};

const STREAM: &str = "app.backend";
const BATCH_RECORDS: u64 = 500;
/// Size of the disk: some log files, some bundles, a filler.
const DISK_BYTES: u64 = 32 << 20;
/// What is left of it beside the filler.
const LEFT_BYTES: u64 = 3 << 20;

/// A sender that knows what was acknowledged.
#[derive(Default)]
struct Ledger {
    /// First number of each batch that was acknowledged.
    acknowledged: Vec<u64>,
    next: u64,
}

impl Ledger {
    /// Sends the next batch; its numbers are used again only if it is acknowledged. Anything but
    /// an acknowledgement and a documented refusal is a failure.
    fn send(&mut self, server: &Server) -> Result<(), Box<Answer>> {
        let first = self.next;
        let lines: Vec<String> = (first..first + BATCH_RECORDS)
            .map(|number| {
                // Text that does not compress to nothing.
                let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                format!(
                    r#"{{"message":"work {noise:x} {:x}","number":{number}}}"#,
                    noise.rotate_left(29)
                )
            })
            .collect();
        self.next += BATCH_RECORDS;
        let answer = server.ingest(STREAM, lines.join("\n"));
        if answer.status == 200 {
            assert_eq!(answer.data()["accepted"], BATCH_RECORDS);
            self.acknowledged.push(first);
            return Ok(());
        }
        let (status, ..) = answer.problem();
        assert_eq!(status, 503, "{answer:?}");
        let retry_after_s = answer.header("retry-after").map(str::parse::<u64>);
        assert!(matches!(retry_after_s, Some(Ok(1..))), "{answer:?}");
        Err(Box::new(answer))
    }

    /// Everything that was acknowledged is there once, and nothing that was refused.
    #[track_caller]
    fn check(&self, server: &Server, when: &str) {
        let mut found: Vec<u64> = server
            .all(STREAM, &["number"])
            .iter()
            .map(|record| record["number"].as_u64().unwrap())
            .collect();
        found.sort_unstable();
        let expected: Vec<u64> = self
            .acknowledged
            .iter()
            .flat_map(|first| *first..first + BATCH_RECORDS)
            .collect();
        let is_same = found == expected;
        assert!(
            is_same,
            "{when}: {} records, {} were acknowledged",
            found.len(),
            expected.len()
        );
    }
}

/// Sends until so many batches in a row were refused; the kinds of the refusals.
fn send_until_refused(server: &Server, ledger: &mut Ledger, in_a_row: usize) -> Vec<String> {
    const BATCHES_MAX: usize = 2_000;
    let mut words = Vec::new();
    let mut row = 0;
    for _ in 0..BATCHES_MAX {
        match ledger.send(server) {
            Ok(()) => row = 0,
            Err(refusal) => {
                row += 1;
                words.push(refusal.problem().1);
            }
        }
        if row == in_a_row {
            return words;
        }
    }
    panic!("never refused for long: {words:?}");
}

#[test]
fn no_space_left_is_said_loses_nothing_and_is_over_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let point = folder.path().join("disk");
    std::fs::create_dir(&point).unwrap();
    let Some(disk) = SmallDisk::mount(&point, DISK_BYTES) else {
        // What remains is in the test of writes that fail, which needs no permission.
        eprintln!(
            "NOT SHOWN HERE: a full disk. Neither root's mount nor a user namespace is permitted; \
             run this test where one of them is."
        );
        return;
    };
    let mut start = Start::in_folder(folder.path());
    start.data = point.join("data");
    start.through = disk.through.clone();
    // Flushes are met by it too.
    let (name, least) = TAILS_BYTES_LEAST;
    start.environment = vec![(name, least.to_owned())];
    let server = Server::start(&start);
    let mut ledger = Ledger::default();
    for _ in 0..20 {
        assert!(ledger.send(&server).is_ok());
    }
    assert!(disk.path("data").is_dir(), "the data is somewhere else");

    disk.fill(LEFT_BYTES);
    let words = send_until_refused(&server, &mut ledger, 5);
    assert!(words.iter().all(|word| word == "no-space"), "{words:?}");
    println!(
        "refused {} times with {} bytes left, {} batches acknowledged",
        words.len(),
        disk.free_bytes(),
        ledger.acknowledged.len()
    );
    // Reads go on; load balancers hear of it; the process is well.
    ledger.check(&server, "on the full disk");
    let newest = ledger.acknowledged.last().unwrap() + BATCH_RECORDS - 1;
    assert_eq!(server.count(STREAM, &format!("number:{newest}")), 1);
    assert_eq!(server.get("/healthz").status, 503);
    assert_eq!(server.get("/readyz").status, 503);
    assert_eq!(server.get("/livez").status, 200);

    // A start on the full disk serves what there is, too.
    server.kill();
    let server = Server::start(&start);
    ledger.check(&server, "after a start on the full disk");

    disk.make_room();
    let begun = Instant::now();
    while let Err(refusal) = ledger.send(&server) {
        assert!(
            begun.elapsed() < PATIENCE,
            "still refused although there is room: {refusal:?}"
        );
    }
    println!("takes records {:?} after there is room", begun.elapsed());
    for _ in 0..20 {
        let refusal = ledger.send(&server).err();
        assert!(refusal.is_none(), "refused with room: {refusal:?}");
    }
    assert_eq!(server.get("/healthz").status, 200);
    ledger.check(&server, "with room again");
    server.kill();
    ledger.check(&Server::start(&start), "after kill -9");
}

#[test]
fn writes_that_fail_are_refused_and_lose_nothing() {
    // A limit on the size of files: each log file and each bundle runs into it. Ignored, the
    // signal of the limit becomes an error of the write.
    const FILE_BYTES_MAX: u64 = 384 << 10;
    let folder = tempfile::tempdir().unwrap();
    let mut start = Start::in_folder(folder.path());
    // Flushes are met by it too.
    let (name, least) = TAILS_BYTES_LEAST;
    start.environment = vec![(name, least.to_owned())];
    let script = "trap '' XFSZ; exec prlimit --fsize=\"$0\" \"$@\"";
    let limit = FILE_BYTES_MAX.to_string();
    start.through = ["sh", "-c", script, &limit].map(OsString::from).into();
    let server = Server::start(&start);
    let mut ledger = Ledger::default();
    let words = send_until_refused(&server, &mut ledger, 3);
    let documented = ["not-writable", "no-space", "overloaded"];
    let is_documented = |word: &String| documented.contains(&word.as_str());
    assert!(words.iter().all(is_documented), "{words:?}");
    assert!(!ledger.acknowledged.is_empty());
    ledger.check(&server, "while writes fail");
    server.kill();
    // Without the limit.
    start.through.clear();
    let server = Server::start(&start);
    ledger.check(&server, "after the restart");
    assert!(ledger.send(&server).is_ok());
    ledger.check(&server, "with writes that do not fail");
}
