//! Sends records: as fast as they are taken, or at a pace; fills tails; and looks how soon a
//! record is found after its acknowledgement.
use super::{
    data::{Chunk, Source, batches},
    process::Cpu,
    server::{STREAMS, Server, http_client},
};
use anyhow::{Context, Result, anyhow, bail};
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};
use taffrail_model::limits::{TAIL_ROWS_MAX, TAILS_BYTES_MAX};

/// Records of a large batch.
pub const BATCH_RECORDS: usize = 10_000;
/// Records of a batch of ordinary size: about 1 MB, as shippers send by default.
pub const ORDINARY_BATCH_RECORDS: usize = 2_000;
/// Records of a small batch.
pub const SMALL_BATCH_RECORDS: usize = 500;
/// Bytes after which a batch is sent with fewer records.
const BATCH_BYTES: usize = 8 << 20;
/// Batches that wait for their senders.
const BATCHES_WAITING_MAX: usize = 4;
/// Connections of a paced run at least: so many that a request is not kept waiting for one by those
/// before it. Small batches at half rate come every few milliseconds.
const PACED_CONNECTIONS_MIN: usize = 8;
/// Requests of a paced run: enough for a 99th percentile.
const PACED_REQUESTS_MAX: f64 = 2_000.0;
/// Seconds of a paced run.
const PACED_S_MAX: f64 = 20.0;
/// Records whose freshness is measured.
const FRESH_SAMPLES: usize = 200;
/// How long a record may take to be found or seen.
const FRESH_TIMEOUT: Duration = Duration::from_secs(60);
/// Share of a bound at which tails count as full.
const FULL: f64 = 0.85;
/// Records of a batch that fills tails: small against a tail, so that it is not filled past its end.
pub const FILL_BATCH_RECORDS: usize = 2_000;
/// Batches after which tails that do not fill up count as full as they get.
const FILL_BATCHES_MAX: usize = 400;

/// To whom records are sent.
#[derive(Clone)]
pub struct Target<'a> {
    pub server: &'a Server,
    pub stream: &'static str,
    /// Names of tenants, if it is not the credential's own.
    pub tenants: &'a [String],
    pub connections: usize,
}

/// What sending at full rate took.
pub struct FullRate {
    pub accepted: u64,
    pub took: Duration,
    /// Of the server, until its work in the background ended.
    pub cpu: Cpu,
    /// From the begin of each request until its answer.
    pub latencies: Vec<Duration>,
}

impl Target<'_> {
    fn post(&self, http: &Client, number: usize, body: Vec<u8>) -> Result<u64> {
        self.post_to(http, self.stream, number, body)
    }

    /// Sends a batch; how many records were taken.
    fn post_to(&self, http: &Client, stream: &str, number: usize, body: Vec<u8>) -> Result<u64> {
        let url = format!("{}/api/v1/ingest/{stream}", self.server.url());
        let mut request = http.post(url).bearer_auth(self.server.key());
        if !self.tenants.is_empty() {
            request = request.header("X-Scope-OrgID", &self.tenants[number % self.tenants.len()]);
        }
        let response = request.body(body).send().context("sending records")?;
        let status = response.status();
        let body = response.bytes().context("reading an acknowledgement")?;
        if !status.is_success() {
            bail!(
                "ingest answered {status}: {}",
                String::from_utf8_lossy(&body)
            );
        }
        let answer: Value = serde_json::from_slice(&body).context("reading an acknowledgement")?;
        answer["data"]["accepted"]
            .as_u64()
            .context("an acknowledgement without a number")
    }

    /// Sends all of a source as fast as it is taken.
    pub fn send_all(&self, source: &Source) -> Result<FullRate> {
        let cpu = self.server.cpu()?;
        let begun = Instant::now();
        let sent = self.send(source)?;
        let took = begun.elapsed();
        Ok(FullRate {
            accepted: sent.iter().map(|(accepted, _)| accepted).sum(),
            took,
            cpu: self.server.settled_cpu()?.since(cpu),
            latencies: sent.into_iter().map(|(_, latency)| latency).collect(),
        })
    }

    /// Sends a source over all connections; what was taken of each batch, and how long that took.
    fn send(&self, source: &Source) -> Result<Vec<(u64, Duration)>> {
        let (sender, receiver) = mpsc::sync_channel::<(usize, Vec<u8>)>(BATCHES_WAITING_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        std::thread::scope(|scope| {
            let connections: Vec<_> = (0..self.connections)
                .map(|_| {
                    let receiver = receiver.clone();
                    scope.spawn(move || self.send_received(&receiver))
                })
                .collect();
            // Only the connections hold it: when they have ended, sending to them fails.
            drop(receiver);
            let mut batch = Batch::default();
            let read =
                source.read(|chunk| Ok(batch.take(&chunk, |next| sender.send(next).is_ok())));
            if !batch.bytes.is_empty() {
                // A connection that has ended tells why below.
                let _ = sender.send((batch.number, std::mem::take(&mut batch.bytes)));
            }
            drop(sender);
            let mut sent = Vec::new();
            for connection in connections {
                let part = connection.join().map_err(|_| anyhow!("a sender ended"))?;
                sent.extend(part?);
            }
            read.map(|()| sent)
        })
    }

    fn send_received(
        &self,
        batches: &Mutex<mpsc::Receiver<(usize, Vec<u8>)>>,
    ) -> Result<Vec<(u64, Duration)>> {
        let http = http_client()?;
        let next = || {
            batches
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv()
        };
        let mut sent = Vec::new();
        while let Ok((number, body)) = next() {
            let begun = Instant::now();
            let accepted = self.post(&http, number, body)?;
            sent.push((accepted, begun.elapsed()));
        }
        Ok(sent)
    }

    /// Sends batches at even distances, whether the one before is answered or not, as far as the
    /// connections go; how many records were taken, and the latencies. They count from the moment
    /// at which a request was due, so that a server that falls behind cannot hide it.
    /// They are at most `records_max` all together.
    pub fn send_paced(
        &self,
        bodies: &[Vec<u8>],
        records_a_second: f64,
        records_max: u64,
    ) -> Result<(u64, Vec<Duration>)> {
        let records = bodies
            .first()
            .map_or(1, |body| memchr::memchr_iter(b'\n', body).count());
        let records = records as f64;
        let most = PACED_REQUESTS_MAX.min(PACED_S_MAX * records_a_second / records);
        let most = most.min(records_max as f64 / records);
        let connections = self.connections.max(PACED_CONNECTIONS_MIN);
        let requests = (most as usize).max(connections);
        let distance = Duration::from_secs_f64(records / records_a_second);
        // Making a client takes longer than most requests, so that is done before.
        let clients = (0..connections).map(|_| http_client());
        let clients = clients.collect::<Result<Vec<_>>>()?;
        let begun = Instant::now() + distance;
        let run = |connection: usize, http: &Client| {
            let mut sent = Vec::new();
            for request in (connection..requests).step_by(connections) {
                let due = begun + distance * u32::try_from(request).unwrap_or(u32::MAX);
                let body = bodies[request % bodies.len()].clone();
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let accepted = self.post(http, request, body)?;
                sent.push((accepted, due.elapsed()));
            }
            Ok::<_, anyhow::Error>(sent)
        };
        let run = &run;
        std::thread::scope(|scope| {
            let senders: Vec<_> = clients
                .iter()
                .enumerate()
                .map(|(connection, http)| scope.spawn(move || run(connection, http)))
                .collect();
            let (mut accepted, mut latencies) = (0, Vec::new());
            for sender in senders {
                let sent = sender.join().map_err(|_| anyhow!("a sender ended"))??;
                accepted += sent.iter().map(|(accepted, _)| accepted).sum::<u64>();
                latencies.extend(sent.into_iter().map(|(_, latency)| latency));
            }
            Ok((accepted, latencies))
        })
    }

    /// Sends batches at a pace until `goes_on` says no more; how many records were taken.
    pub fn send_while(
        &self,
        bodies: &[Vec<u8>],
        records_a_second: f64,
        goes_on: impl Fn() -> bool,
    ) -> Result<u64> {
        let http = http_client()?;
        let begun = Instant::now();
        let (mut accepted, mut number) = (0, 0);
        while goes_on() {
            let due = begun + Duration::from_secs_f64(accepted as f64 / records_a_second);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            accepted += self.post(&http, number, bodies[number % bodies.len()].clone())?;
            number += 1;
        }
        Ok(accepted)
    }

    /// Sends batches to the stream, one after the other and at most `records_max` records, until
    /// its tail is full; how many records were sent.
    pub fn fill_tail(&self, bodies: &[Vec<u8>], records_max: u64) -> Result<u64> {
        let rows = FULL * TAIL_ROWS_MAX as f64 * self.tenants.len().max(1) as f64;
        self.fill(bodies, &[self.stream], rows, records_max)
    }

    /// Sends batches to several streams until the tails are full by their bytes.
    pub fn fill_tails(&self, bodies: &[Vec<u8>], records_max: u64) -> Result<u64> {
        self.fill(bodies, &STREAMS, f64::INFINITY, records_max)
    }

    fn fill(
        &self,
        bodies: &[Vec<u8>],
        streams: &[&str],
        rows_max: f64,
        records_max: u64,
    ) -> Result<u64> {
        let http = http_client()?;
        let mut accepted = 0;
        for number in 0..FILL_BATCHES_MAX {
            if accepted >= records_max {
                break;
            }
            let bytes = self.server.metric("taffrail_store_tails_bytes")?;
            let rows = self.server.metric("taffrail_store_tails_rows")?;
            if bytes >= FULL * TAILS_BYTES_MAX as f64 || rows >= rows_max {
                break;
            }
            let stream = streams[number % streams.len()];
            let body = bodies[number % bodies.len()].clone();
            accepted += self.post_to(&http, stream, number, body)?;
        }
        Ok(accepted)
    }
}

/// Lines that are gathered for one request.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: usize,
    number: usize,
}

impl Batch {
    /// Takes a chunk, giving out whole batches; whether they were taken.
    fn take(&mut self, chunk: &Chunk, mut give: impl FnMut((usize, Vec<u8>)) -> bool) -> bool {
        for line in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
            self.bytes.extend_from_slice(line);
            self.lines += 1;
            if self.lines == BATCH_RECORDS || self.bytes.len() >= BATCH_BYTES {
                let next = Vec::with_capacity(self.bytes.len());
                let bytes = std::mem::replace(&mut self.bytes, next);
                let number = self.number;
                (self.lines, self.number) = (0, number + 1);
                if !give((number, bytes)) {
                    return false;
                }
            }
        }
        true
    }
}

/// The first batches of a source, with so many records each.
pub fn first_bodies(source: &Source, records: usize, bodies_max: usize) -> Result<Vec<Vec<u8>>> {
    let mut bodies = Vec::new();
    let mut rest = Chunk::default();
    source.read(|chunk| {
        rest.bytes.extend_from_slice(&chunk.bytes);
        rest.lines += chunk.lines;
        Ok(rest.lines < (records * bodies_max) as u64)
    })?;
    bodies.extend(batches(&rest, records).take(bodies_max).map(<[u8]>::to_vec));
    Ok(bodies)
}

/// How soon records are found after their acknowledgement.
#[derive(Default)]
pub struct Freshness {
    /// By a search.
    pub found: Vec<Duration>,
    /// By a live tail; zero if it was before the acknowledgement arrived.
    pub seen: Vec<Duration>,
}

/// Measures freshness with records of their own, one after the other.
pub fn freshness(target: &Target<'_>) -> Result<Freshness> {
    let seen = open_tail(target)?;
    let http = http_client()?;
    let mut freshness = Freshness::default();
    for number in 0..FRESH_SAMPLES {
        let word = format!("fresh{number}q{}", std::process::id());
        let record = json!({"message": word, "source": "freshness"}).to_string();
        target.post(&http, 0, record.into_bytes())?;
        let acknowledged = Instant::now();
        let question = json!({
            "query": word, "streams": [target.stream], "limit": 1, "count": false,
            "start_time": "now-1m",
        });
        loop {
            let data = target.server.ask("/api/v1/search", &question)?.data()?;
            if data["records"]
                .as_array()
                .is_some_and(|records| !records.is_empty())
            {
                break;
            }
            if acknowledged.elapsed() > FRESH_TIMEOUT {
                bail!("a record is not found a minute after its acknowledgement");
            }
        }
        freshness.found.push(acknowledged.elapsed());
        let at = loop {
            let (text, at) = seen
                .recv_timeout(FRESH_TIMEOUT)
                .context("the live tail is silent")?;
            if text.contains(&word) {
                break at;
            }
        };
        freshness
            .seen
            .push(at.saturating_duration_since(acknowledged));
    }
    Ok(freshness)
}

/// Opens a live tail; what it gives, and when.
fn open_tail(target: &Target<'_>) -> Result<mpsc::Receiver<(String, Instant)>> {
    let http = http_client()?;
    let url = format!(
        "{}/api/v1/tail?query=source:freshness&streams={}&backlog=0",
        target.server.url(),
        target.stream
    );
    let response = http
        .get(url)
        .bearer_auth(target.server.key())
        .send()
        .context("live tail")?;
    if !response.status().is_success() {
        bail!("the live tail answered {}", response.status());
    }
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(response).lines().map_while(Result::ok) {
            // Nobody listens any more.
            if line.starts_with("data:") && sender.send((line, Instant::now())).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// A percentile in milliseconds; 0 of nothing.
pub fn percentile_ms(durations: &[Duration], hundredths: usize) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(index)
        .map_or(0.0, |duration| duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let durations: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile_ms(&durations, 50), 51.0);
        assert_eq!(percentile_ms(&durations, 99), 100.0);
        assert_eq!(percentile_ms(&durations[..1], 99), 1.0);
        assert_eq!(percentile_ms(&[], 50), 0.0);
    }

    #[test]
    fn batches_are_full_but_the_last() {
        let chunk = Chunk {
            bytes: b"x\n".repeat(BATCH_RECORDS + 1),
            lines: BATCH_RECORDS as u64 + 1,
        };
        let (mut batch, mut given) = (Batch::default(), Vec::new());
        for _ in 0..2 {
            assert!(batch.take(&chunk, |(number, bytes)| {
                given.push((number, bytes.len() / 2));
                true
            }));
        }
        assert_eq!(given, [(0, BATCH_RECORDS), (1, BATCH_RECORDS)]);
        assert_eq!(batch.lines, 2);
    }
}
