//! Makes records of what passes a proxy, on a thread of its own.
use super::tap::{Empty, Passed, Side, Tapped, What};
use std::time::{Duration, Instant};
use taffrail_ingest::mcp::{
    Heard, attribute,
    http::Recorder,
    record::{Origin, Record, Route, Scalar},
};
use taffrail_model::{level::Level, time::Timestamp};

/// How long copies gather after the first.
const GATHER: Duration = Duration::from_millis(10);
/// Copies that are taken between two looks at the clock.
const COPIES_AT_ONCE: usize = 1_024;
/// How often what is due by time is looked at.
const TICK: Duration = Duration::from_millis(250);

/// Where records go.
pub trait Sink {
    /// What remains of it at the end.
    type Rest;

    /// Takes a record of a stream.
    fn record(&mut self, stream: &str, record: Record);
    /// Does what is due; returns how long it may wait for the next call.
    fn tend(&mut self, at: Timestamp) -> Duration;
    /// Ends, until then.
    fn finish(self, at: Timestamp, until: Instant) -> Self::Rest;
}

/// Records until no exchange can come any more; the time that is left then for the rest is
/// `patience`.
pub fn run<S: Sink>(
    tapped: &Tapped,
    mut recorder: Recorder,
    mut sink: S,
    patience: Duration,
) -> S::Rest {
    let clock = tapped.clock();
    let mut heard = Vec::new();
    let mut wait = Duration::ZERO;
    loop {
        let mut next = tapped.next(wait.min(TICK));
        if next.is_ok() && wait > GATHER {
            // A server in use says many things at once: they are recorded at once.
            std::thread::sleep(GATHER);
        }
        for _ in 0..COPIES_AT_ONCE {
            let Ok(passed) = next else {
                break;
            };
            apply(&mut recorder, passed, &mut heard);
            next = tapped.next(Duration::ZERO);
        }
        let at = clock.now();
        recorder.tick(at, &mut heard);
        say_lost(tapped, at, &mut heard);
        let is_over = matches!(next, Err(Empty::ForEver));
        if is_over {
            recorder.finish(at, &mut heard);
        }
        for heard in heard.drain(..) {
            // What is no message is part of no record here: bodies are not output.
            if let Heard::Record(record) = heard {
                sink.record(record.route.stream(), record);
            }
        }
        if is_over {
            return sink.finish(at, Instant::now() + patience);
        }
        wait = sink.tend(at);
        if let Ok(passed) = next {
            apply(&mut recorder, passed, &mut heard);
            wait = Duration::ZERO;
        }
    }
}

fn apply(recorder: &mut Recorder, passed: Passed, out: &mut Vec<Heard>) {
    let Passed { exchange, at, what } = passed;
    match what {
        What::Begin(head) => recorder.begin(exchange, at, *head),
        What::Answer(head) => recorder.answer(exchange, at, *head, out),
        What::Bytes(Side::Request, bytes) => recorder.request(exchange, &bytes),
        What::Bytes(Side::Answer, bytes) => recorder.answer_body(exchange, at, &bytes, out),
        What::Gap(Side::Request, bytes) => recorder.request_gap(exchange, at, bytes, out),
        What::Gap(Side::Answer, bytes) => recorder.answer_gap(exchange, at, bytes, out),
        What::RequestEnd { is_whole } => recorder.request_end(exchange, at, is_whole, out),
        What::End(end) => recorder.end(exchange, at, &end, out),
    }
}

fn say_lost(tapped: &Tapped, at: Timestamp, out: &mut Vec<Heard>) {
    let lost = tapped.take_lost();
    if lost == 0 {
        return;
    }
    let lost = i64::try_from(lost).unwrap_or(i64::MAX);
    out.push(Heard::Record(Record {
        time: at,
        level: Level::Warn,
        message: format!("recording gap: {lost} exchanges were too fast to be recorded"),
        route: Route::App,
        origin: Origin::System,
        fields: vec![(attribute::LOST_EXCHANGES.into(), Scalar::Integer(lost))],
    }));
}
