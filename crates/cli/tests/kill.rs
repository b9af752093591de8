//! kill -9 under load: every acknowledged record is there exactly once afterwards.
//!
//! Eight clients, each with a ledger of its own, send NDJSON with idempotency keys to the real
//! binary, which is killed after a random number of acknowledgements, in flushes too: its tails
//! are bounded so tightly that it flushes all the time. After the restart each client repeats
//! what it got no answer to, and everything is read back over the search route.
//!
//! `TAFFRAIL_KILL_ROUNDS` says how often (5 in a normal test run), `TAFFRAIL_KILL_SEED` from
//! which seed. The harness bites: built with the feature `harness-early-acknowledgement`, the
//! store answers before it writes, and the same rounds must then miss records.
use anyhow::{Context, Result, bail, ensure};
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};
use taffrail_model::{
    clock::{Clock, SystemClock},
    tenant::DEFAULT_TENANT,
};
use taffrail_testkit::{
    PlainRecord, Random, RecordGenerator,
    record::{SERIAL, STREAMS},
};

const CLIENTS: u64 = 8;
const RECORDS_PER_REQUEST_MAX: u64 = 60;
const KEY: &str = "kill-harness-bootstrap-key-of-more-than-32-characters";
/// How long a server may take to be ready, and to take a request after a restart. Generous: the
/// budget is measured and printed, a busy machine is no failure.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Bytes of all tails together: the least that the product takes, so that a flush runs every few
/// hundred requests.
const TAILS_BYTES: &str = "8MiB";

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(directory: &Path) -> Result<(Server, Duration)> {
        let port_file = directory.join("port");
        if port_file.exists() {
            std::fs::remove_file(&port_file)?;
        }
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(directory.join("server.log"))?;
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_taffrail"))
            .arg("serve")
            .arg("--data-dir")
            .arg(directory.join("data"))
            .arg("--key-file")
            .arg(directory.join("keys/test.key"))
            .args(["--listen", "127.0.0.1:0", "--port-file"])
            .arg(&port_file)
            .env_clear()
            .env("HOME", directory)
            .env("TAFFRAIL_BOOTSTRAP_KEY", KEY)
            .env("TAFFRAIL_TAILS_BYTES", TAILS_BYTES)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the server")?;
        loop {
            if let Some(address) = std::fs::read_to_string(&port_file)
                .ok()
                .and_then(|text| text.trim().parse().ok())
            {
                return Ok((Server { child, address }, begun.elapsed()));
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended with {status}: {}", tail_of_log(directory));
            }
            if begun.elapsed() > READY_WITHIN {
                child.kill()?;
                bail!("the server is not ready: {}", tail_of_log(directory));
            }
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// SIGKILL: nothing of the program runs after it.
    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that fails leaves no server behind; an ended one cannot be killed again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail_of_log(directory: &Path) -> String {
    let text = std::fs::read_to_string(directory.join("server.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// A request that was sent, and whether it was acknowledged.
struct Sent {
    stream: &'static str,
    key: String,
    body: String,
    records: Vec<PlainRecord>,
    is_acknowledged: bool,
}

/// One client: sends until the server is gone.
struct Client {
    http: reqwest::blocking::Client,
    generator: RecordGenerator,
    random: Random,
    name: String,
    sent: Vec<Sent>,
}

impl Client {
    fn new(seed: u64, round: u64, number: u64) -> Result<Client> {
        let today = SystemClock.now().day().context("the clock is off")?;
        Ok(Client {
            http: http_client()?,
            generator: RecordGenerator::new(round * CLIENTS + number + 1, today, 3),
            random: Random::from_seeds(&[seed, round, number]),
            name: format!("{seed}-{round}-{number}"),
            sent: Vec::new(),
        })
    }

    fn prepare(&mut self) {
        let stream = self.random.pick(&STREAMS);
        let records = 1 + self.random.below(RECORDS_PER_REQUEST_MAX) as usize;
        let request = self.generator.request_of(DEFAULT_TENANT, stream, records);
        self.sent.push(Sent {
            stream,
            key: format!("{}-{}", self.name, self.sent.len()),
            body: request.ndjson(),
            records: request.records,
            is_acknowledged: false,
        });
    }

    fn run(
        mut self,
        address: SocketAddr,
        acknowledged: &AtomicU64,
        is_over: &AtomicBool,
    ) -> Client {
        while !is_over.load(Ordering::SeqCst) {
            self.prepare();
            let Some(last) = self.sent.last_mut() else {
                break;
            };
            if post(&self.http, address, last).is_err() {
                break;
            }
            if last.is_acknowledged {
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        }
        self
    }

    /// Sends again what has no answer, with the same keys.
    fn repeat_unanswered(&mut self, address: SocketAddr) -> Result<usize> {
        let mut repeated = 0;
        for sent in self.sent.iter_mut().filter(|sent| !sent.is_acknowledged) {
            let begun = Instant::now();
            while !sent.is_acknowledged {
                post(&self.http, address, sent)?;
                ensure!(
                    begun.elapsed() < READY_WITHIN,
                    "a repeat is refused for ever"
                );
            }
            repeated += 1;
        }
        Ok(repeated)
    }
}

fn http_client() -> Result<reqwest::blocking::Client> {
    // The library asks for a provider even where nothing is encrypted; an error only says that
    // there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::blocking::Client::builder().timeout(READY_WITHIN);
    Ok(builder.build()?)
}

/// Sends a request; an error means that there was no answer. 429 and 503 are answers: not stored.
fn post(http: &reqwest::blocking::Client, address: SocketAddr, sent: &mut Sent) -> Result<()> {
    let answer = http
        .post(format!("http://{address}/api/v1/ingest/{}", sent.stream))
        .bearer_auth(KEY)
        .header("Content-Type", "application/x-ndjson")
        .header("Idempotency-Key", &sent.key)
        .body(sent.body.clone())
        .send()?;
    let status = answer.status();
    let body = answer.text()?;
    match status.as_u16() {
        200 => {
            let answer: serde_json::Value = serde_json::from_str(&body)?;
            let accepted = answer["data"]["accepted"].as_u64();
            assert_eq!(
                accepted,
                Some(sent.records.len() as u64),
                "not every record was taken: {body}"
            );
            sent.is_acknowledged = true;
        }
        429 | 503 => {}
        _ => panic!("ingest answered {status}: {body}"),
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Page {
    data: PageData,
}

#[derive(serde::Deserialize)]
struct PageData {
    records: Vec<BTreeMap<String, Box<RawValue>>>,
    cursor: Option<String>,
    #[serde(default)]
    partial: bool,
}

/// All records of the harness' streams that a query finds.
fn search_all(address: SocketAddr, query: &str) -> Result<Vec<BTreeMap<String, Box<RawValue>>>> {
    let http = http_client()?;
    let mut records = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let answer = http
            .post(format!("http://{address}/api/v1/search"))
            .bearer_auth(KEY)
            .json(&serde_json::json!({
                "query": query, "streams": STREAMS, "limit": 5_000, "cursor": cursor,
            }))
            .send()?;
        let status = answer.status();
        let body = answer.text()?;
        ensure!(status.is_success(), "search answered {status}: {body}");
        let page: Page = serde_json::from_str(&body).with_context(|| body.clone())?;
        ensure!(!page.data.partial, "the answer is partial");
        let is_last = page.data.records.is_empty();
        records.extend(page.data.records);
        cursor = page.data.cursor;
        if is_last || cursor.is_none() {
            return Ok(records);
        }
    }
}

/// What is wrong between what was sent and what is found.
fn judge(clients: &[Client], found: &[BTreeMap<String, Box<RawValue>>]) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    let mut by_serial: BTreeMap<u64, &BTreeMap<String, Box<RawValue>>> = BTreeMap::new();
    for record in found {
        let serial = record
            .get(SERIAL)
            .with_context(|| format!("a record without {SERIAL}"))?
            .get()
            .parse()?;
        if by_serial.insert(serial, record).is_some() {
            violations.push(format!("record {serial} is there twice"));
        }
    }
    let mut sent_serials = BTreeSet::new();
    for sent in clients.iter().flat_map(|client| &client.sent) {
        let there: Vec<bool> = sent
            .records
            .iter()
            .filter_map(PlainRecord::serial)
            .map(|serial| {
                sent_serials.insert(serial);
                by_serial.contains_key(&serial)
            })
            .collect();
        let missing = there.iter().filter(|is_there| !**is_there).count();
        if sent.is_acknowledged && missing > 0 {
            violations.push(format!(
                "request {} was acknowledged and lacks {missing} of {} records",
                sent.key,
                there.len()
            ));
        } else if missing > 0 && missing < there.len() {
            violations.push(format!("request {} is there by half", sent.key));
        }
        for record in &sent.records {
            let Some(found) = record.serial().and_then(|serial| by_serial.get(&serial)) else {
                continue;
            };
            for (name, text) in &record.fields {
                if !found.get(name).is_some_and(|raw| is_same(text, raw)) {
                    violations.push(format!("{name} of {record:?} is {:?}", found.get(name)));
                }
            }
        }
    }
    violations.extend(
        by_serial
            .keys()
            .filter(|serial| !sent_serials.contains(serial))
            .map(|serial| format!("record {serial} was never sent")),
    );
    Ok(violations)
}

/// Strings may be escaped in other ways; everything else is the text that was sent.
fn is_same(sent: &str, found: &RawValue) -> bool {
    if !sent.starts_with('"') {
        return sent == found.get();
    }
    let text = |json: &str| serde_json::from_str::<String>(json).ok();
    text(sent).is_some() && text(sent) == text(found.get())
}

/// Numbers of the report.
#[derive(Default)]
struct Totals {
    acknowledged: u64,
    records: usize,
    repeated: usize,
    restart_longest: Duration,
}

/// One round: load, kill, restart, repeat, read back.
fn round(
    directory: &Path,
    server: Server,
    seed: u64,
    number: u64,
    totals: &mut Totals,
) -> Result<(Server, Vec<String>)> {
    let mut random = Random::from_seeds(&[seed, number]);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let (done, is_done) = mpsc::channel();
    for client in 0..CLIENTS {
        let client = Client::new(seed, number, client)?;
        let (acknowledged, is_over, done) = (acknowledged.clone(), is_over.clone(), done.clone());
        let address = server.address;
        std::thread::spawn(move || {
            // The receiver is there until every client is back.
            let _ = done.send(client.run(address, &acknowledged, &is_over));
        });
    }
    drop(done);
    let kill_after = random.below(200);
    let begun = Instant::now();
    while acknowledged.load(Ordering::SeqCst) < kill_after {
        ensure!(
            begun.elapsed() < READY_WITHIN,
            "only {} acknowledgements: {}",
            acknowledged.load(Ordering::SeqCst),
            tail_of_log(directory)
        );
        std::thread::yield_now();
    }
    // Some way into the commit or flush that runs then.
    let into = Duration::from_micros(random.below(20_000));
    let moment = Instant::now() + into;
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
    server.kill()?;
    is_over.store(true, Ordering::SeqCst);
    let mut clients: Vec<Client> = is_done.iter().collect();
    ensure!(clients.len() as u64 == CLIENTS, "a client failed");
    let (server, restart) = Server::start(directory)?;
    totals.restart_longest = totals.restart_longest.max(restart);
    let mine = format!(
        "{SERIAL}:[{} TO {}]",
        (number * CLIENTS + 1) << 20,
        ((number + 1) * CLIENTS + 1) << 20
    );
    let mut violations = judge(&clients, &search_all(server.address, &mine)?)?;
    for client in &mut clients {
        totals.repeated += client.repeat_unanswered(server.address)?;
    }
    let found = search_all(server.address, &mine)?;
    violations.extend(judge(&clients, &found)?);
    totals.acknowledged += acknowledged.load(Ordering::SeqCst);
    totals.records += found.len();
    Ok((server, violations))
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

fn run(rounds: u64) -> Result<Vec<String>> {
    let seed = from_environment("TAFFRAIL_KILL_SEED", 1);
    let directory = tempfile::tempdir()?;
    let path: PathBuf = directory.path().to_path_buf();
    let mut totals = Totals::default();
    let mut violations = Vec::new();
    let (mut server, _) = Server::start(&path)?;
    for number in 0..rounds {
        let (next, found) = round(&path, server, seed, number, &mut totals)
            .with_context(|| format!("seed {seed}, round {number}"))?;
        server = next;
        violations.extend(
            found
                .into_iter()
                .map(|violation| format!("seed {seed}, round {number}: {violation}")),
        );
    }
    let all = search_all(server.address, "")?.len();
    if all != totals.records {
        violations.push(format!(
            "{all} records in the end, {} over all rounds",
            totals.records
        ));
    }
    let segments = segments_below(&path.join("data"))?;
    println!(
        "seed {seed}: {rounds} kills, {segments} segment files, {} requests acknowledged under load, {} repeated after, \
         {} records, longest restart {:?}, {} violations",
        totals.acknowledged,
        totals.repeated,
        totals.records,
        totals.restart_longest,
        violations.len()
    );
    Ok(violations)
}

/// How many segment files there are: whether flushes ran while the server was killed.
fn segments_below(directory: &Path) -> Result<usize> {
    let mut files = 0;
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files += segments_below(&path)?;
        } else if path.extension().is_some_and(|end| end == "bundle") {
            files += 1;
        }
    }
    Ok(files)
}

#[cfg(not(feature = "harness-early-acknowledgement"))]
#[test]
fn kill_9_under_load_loses_nothing_and_shows_nothing_twice() {
    let violations = run(from_environment("TAFFRAIL_KILL_ROUNDS", 5)).unwrap();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[cfg(feature = "harness-early-acknowledgement")]
#[test]
fn an_acknowledgement_before_the_write_is_noticed() {
    let violations = run(from_environment("TAFFRAIL_KILL_ROUNDS", 10)).unwrap();
    let lost = violations
        .iter()
        .filter(|violation| violation.contains("was acknowledged and lacks"))
        .count();
    assert!(lost > 0, "the harness is blind: {violations:#?}");
}
