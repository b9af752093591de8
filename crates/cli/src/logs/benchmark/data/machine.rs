//! Made-up machine logs: records of services with templates, ids, addresses, users and traces.
//!
//! What holds, so that needles can be found by their rules
//! - Levels: debug 20%, info 70%, warn 7%, error 3%.
//! - A trace has about ten records; 200 users, a few of them with most of the records.
//! - [`RARE_WORD`] is in one message of 10,000.
//! - 5% of the records come up to two seconds late.
use super::{
    super::random::Random,
    message::{Pools, Template, write_number},
    services::{ERRORS, NOUNS, SERVICES},
    time::Times,
};
use anyhow::Result;
use std::io::Write;

/// A word of one message in 10,000.
pub const RARE_WORD: &str = "zirconquill";
const RARE_ONE_OF: u64 = 10_000;
const USERS: usize = 200;
const TENANTS: usize = 12;
/// Traces that go on at the same time.
const TRACES: u64 = 3_000;
/// Records of a trace, at most.
const TRACE_RECORDS_MAX: u64 = 19;
/// Instances of a service.
const INSTANCES: usize = 63;
const LATE_PERCENT: u64 = 5;
/// Messages in a hundred that get a random name, if there are any.
const NAMED_PERCENT: u64 = 20;
/// How much rarer each next service is.
const RARER: f64 = 0.35;
const STATUSES: &[u64] = &[
    200, 200, 200, 200, 200, 201, 204, 301, 302, 400, 401, 403, 404, 404, 409, 429, 500, 502, 503,
];
const METHODS: &[&str] = &["GET", "GET", "GET", "POST", "PUT", "DELETE"];
const REGIONS: &[&str] = &["eu-west-1", "us-east-1", "us-west-2", "ap-south-1"];
const ENVIRONMENTS: &[&str] = &["prod", "prod", "prod", "staging"];
const FLAGS: &[&str] = &[
    "checkout_v2",
    "dark_mode",
    "new_router",
    "beta_search",
    "fast_path",
];

/// How much of what.
#[derive(Clone, Debug)]
pub struct MachineOptions {
    /// Records.
    pub rows: u64,
    /// Days that they are spread over.
    pub days: u16,
    /// Random names that messages are given, to make templates explode; 0: none.
    pub names: u64,
    /// Names the data.
    pub seed: u64,
}

/// Writes records, one line each.
pub struct Machine {
    random: Random,
    times: Times,
    services: Vec<Running>,
    traces: Vec<Trace>,
    users: Vec<String>,
    names: Vec<String>,
    message: Vec<u8>,
}

/// A service that runs.
struct Running {
    name: &'static str,
    /// Share of the records that are of this service or one before it.
    upto: f64,
    templates: Vec<(Template, &'static str)>,
    pools: Pools,
    instances: Vec<String>,
    duration_ms: f64,
}

struct Trace {
    id: String,
    user: usize,
    records_left: u64,
}

impl Machine {
    /// A generator at its first record.
    pub fn new(options: &MachineOptions) -> Result<Machine> {
        let mut random = Random::new(options.seed);
        let services = services(&mut random);
        let names = (0..options.names).map(|_| name(&mut random)).collect();
        let traces = (0..TRACES).map(|_| trace(&mut random)).collect();
        Ok(Machine {
            times: Times::new(options.rows, options.days, LATE_PERCENT)?,
            users: (0..USERS).map(|user| format!("user-{user:04}")).collect(),
            message: Vec::new(),
            random,
            services,
            traces,
            names,
        })
    }

    /// Appends a record and its line break.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        let trace = self.next_trace();
        let random = &mut self.random;
        let share = random.share();
        let service = self
            .services
            .iter()
            .position(|service| share < service.upto);
        let service = &self.services[service.unwrap_or(self.services.len() - 1)];
        let trace = &self.traces[trace];
        let user = &self.users[trace.user];
        let level = match random.below(100) {
            0..20 => "debug",
            20..90 => "info",
            90..97 => "warn",
            _ => "error",
        };
        let (template, logger) = &service.templates[random.skewed(service.templates.len())];
        self.message.clear();
        template.write(&mut self.message, &service.pools, user, random);
        write_ending(&mut self.message, level, &self.names, random);
        out.extend_from_slice(b"{\"timestamp\":\"");
        self.times.write(out, random);
        // Writing to memory cannot fail.
        drop(write!(
            out,
            r#"","level":"{level}","service":"{}","logger":"{logger}","message":""#,
            service.name
        ));
        out.extend_from_slice(&self.message);
        let instance = random.skewed(INSTANCES);
        drop(write!(
            out,
            r#"","instance_id":"{}","trace_id":"{}""#,
            service.instances[instance], trace.id
        ));
        if random.percent(80) {
            drop(write!(out, r#","user_id":"{user}""#));
        }
        drop(write!(
            out,
            r#","tenant":"tenant-{:02}""#,
            trace.user % TENANTS
        ));
        write_measures(out, service.duration_ms, random);
        write_metadata(out, instance, random);
        out.extend_from_slice(b"}\n");
    }

    /// A trace that the next record belongs to.
    fn next_trace(&mut self) -> usize {
        let index = self.random.below(TRACES) as usize;
        if self.traces[index].records_left == 0 {
            self.traces[index] = trace(&mut self.random);
        }
        self.traces[index].records_left -= 1;
        index
    }
}

fn services(random: &mut Random) -> Vec<Running> {
    let weight = |index: usize| 1.0 / (1.0 + index as f64 * RARER);
    let all: f64 = (0..SERVICES.len()).map(weight).sum();
    let mut upto = 0.0;
    let running = SERVICES.iter().enumerate().map(|(index, service)| {
        upto += weight(index) / all;
        let templates = service.messages.iter().enumerate().map(|(number, text)| {
            let logger = service.loggers[number % service.loggers.len()];
            (Template::new(text), logger)
        });
        let templates = templates.collect();
        let pools = Pools::new(service.name, random);
        let instances = (0..INSTANCES)
            .map(|number| format!("{}-{number:03}-{:06x}", service.name, random.below(1 << 24)))
            .collect();
        Running {
            name: service.name,
            upto,
            templates,
            pools,
            instances,
            duration_ms: 8.0 + index as f64 * 3.0,
        }
    });
    running.collect()
}

fn trace(random: &mut Random) -> Trace {
    Trace {
        id: random.uuid().to_string(),
        user: random.skewed(USERS),
        records_left: 1 + random.below(TRACE_RECORDS_MAX),
    }
}

/// A word of syllables that nobody has heard.
fn name(random: &mut Random) -> String {
    let syllables = 2 + random.below(3);
    let mut name = String::new();
    for _ in 0..syllables {
        name.push(char::from(*random.pick(b"bcdfghjklmnprstvwz")));
        name.push(char::from(*random.pick(b"aeiou")));
    }
    name
}

/// What follows the message of a template.
fn write_ending(message: &mut Vec<u8>, level: &str, names: &[String], random: &mut Random) {
    if level == "error" {
        message.extend_from_slice(b" error=");
        message.extend_from_slice(ERRORS[random.skewed(ERRORS.len())].as_bytes());
    }
    if random.below(RARE_ONE_OF) == 0 {
        message.extend_from_slice(b" ");
        message.extend_from_slice(RARE_WORD.as_bytes());
        message.extend_from_slice(b" noticed");
    }
    if !names.is_empty() && random.percent(NAMED_PERCENT) {
        message.extend_from_slice(b" peer=");
        message.extend_from_slice(names[random.skewed(names.len())].as_bytes());
    }
}

/// Numbers beside the message.
fn write_measures(out: &mut Vec<u8>, duration_ms: f64, random: &mut Random) {
    if random.percent(70) {
        let duration_ms = (random.wait() * duration_ms).powf(1.3);
        drop(write!(out, r#","duration_ms":{duration_ms:.3}"#));
    }
    if random.percent(50) {
        out.extend_from_slice(b",\"status\":");
        write_number(out, *random.pick(STATUSES));
        let share = random.share();
        out.extend_from_slice(b",\"bytes\":");
        write_number(out, (share * share * share * 200_000.0) as u64);
    }
}

/// Attributes, most of which most records do not have.
fn write_metadata(out: &mut Vec<u8>, instance: usize, random: &mut Random) {
    drop(write!(
        out,
        r#","metadata":{{"env":"{}","region":"{}","version":"2.{}.{}""#,
        ENVIRONMENTS[instance % ENVIRONMENTS.len()],
        REGIONS[instance % REGIONS.len()],
        instance % 5,
        instance % 9
    ));
    if random.percent(40) {
        let (method, noun) = (random.pick(METHODS), NOUNS[random.skewed(NOUNS.len())]);
        drop(write!(
            out,
            r#","http":{{"method":"{method}","path":"/api/v1/{noun}/{}"}}"#,
            random.below(100_000)
        ));
    }
    if random.percent(15) {
        let (attempt, backoff) = (1 + random.below(5), 50 << random.below(6));
        drop(write!(
            out,
            r#","retry":{{"attempt":{attempt},"backoff_ms":{backoff}}}"#
        ));
    }
    if random.percent(10) {
        drop(write!(
            out,
            r#","db":{{"table":"t_{}","rows":{},"cached":{}}}"#,
            random.below(40),
            random.skewed(10_000),
            random.percent(50)
        ));
    }
    if random.percent(5) {
        let (one, other) = (random.pick(FLAGS), random.pick(FLAGS));
        drop(write!(out, r#","flags":["{one}","{other}"]"#));
    }
    if random.percent(4) {
        let (attribute, value) = (random.below(30), random.below(1_000));
        drop(write!(out, r#","attr_{attribute:02}":"v{value}""#));
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(seed: u64, names: u64) -> String {
        let options = MachineOptions {
            rows: 5_000,
            days: 1,
            names,
            seed,
        };
        let mut machine = Machine::new(&options).unwrap();
        let mut out = Vec::new();
        (0..options.rows).for_each(|_| machine.write(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_seed_names_the_data_to_the_byte() {
        assert_eq!(lines(42, 0), lines(42, 0));
        assert_ne!(lines(42, 0), lines(43, 0));
        assert_ne!(lines(42, 100), lines(42, 0));
    }

    #[test]
    fn shares_are_those_that_the_needles_need() {
        let text = lines(42, 0);
        let records: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let share = |test: &dyn Fn(&serde_json::Value) -> bool| {
            records.iter().filter(|record| test(record)).count() as f64 / records.len() as f64
        };
        let level = |level| share(&|record| record["level"] == level);
        assert!((0.18..0.22).contains(&level("debug")));
        assert!((0.02..0.04).contains(&level("error")));
        assert!((0.76..0.84).contains(&share(&|record| record["user_id"].is_string())));
        let services = SERVICES
            .iter()
            .map(|service| share(&|r| r["service"] == service.name));
        assert!(services.into_iter().all(|share| share > 0.02));
        // About the size of real records.
        assert!((350..550).contains(&(text.len() / records.len())));
    }
}
