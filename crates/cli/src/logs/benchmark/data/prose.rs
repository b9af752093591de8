//! Made-up records of agents: prompts and answers, tool calls with JSON arguments, commands with
//! their output, exceptions with stack traces. About 2.4 KB a record; every text is new, so
//! templates do not help here.
use super::{super::random::Random, time::Times, words::Words};
use anyhow::Result;
use std::io::Write;

const MODELS: &[&str] = &[
    "atlas-large-2",
    "atlas-mini-2",
    "borealis-7",
    "cirrus-pro",
    "dune-70b",
];
const TOOLS: &[&str] = &[
    "read_file",
    "write_file",
    "search_code",
    "run_command",
    "create_issue",
    "fetch_page",
    "post_message",
    "query_table",
];
const AGENTS: &[&str] = &["coder", "reviewer", "planner", "tester", "support"];
const FOLDERS: &[&str] = &["api", "core", "web"];
const ERRORS: &[&str] = &[
    "TimeoutError: tool call exceeded 30000 ms",
    "ProtocolError: -32602 invalid arguments",
    "ConnectionResetError: peer closed the connection",
    "RateLimitError: 429 retry after 12 s",
    "DecodeError: expected a value in line 1, column 1",
];
const PACKAGES: &[&str] = &["agents", "tools", "mcp"];
const MODULES: &[&str] = &["runner", "client", "session", "loop"];
const FUNCTIONS: &[&str] = &["run", "call", "step", "send", "receive"];
const USERS: u64 = 500;
/// Bytes of prose in a message: at least, and how many more at most; most are short.
const PROSE_BYTES: (usize, f64) = (200, 9_800.0);

/// How much of what.
#[derive(Clone, Debug)]
pub struct ProseOptions {
    /// Records.
    pub rows: u64,
    /// Days that they are spread over.
    pub days: u16,
    /// Names the data.
    pub seed: u64,
}

/// Writes records, one line each.
pub struct Prose {
    random: Random,
    times: Times,
    words: Words,
    task: Task,
    message: String,
}

/// What the records of one run of an agent have in common.
struct Task {
    trace: String,
    id: String,
    user: u64,
    records_left: u64,
}

impl Task {
    fn new(random: &mut Random) -> Task {
        Task {
            trace: format!("{:016x}{:016x}", random.next(), random.next()),
            id: format!("task-{:08x}", random.next() as u32),
            user: random.below(USERS),
            records_left: 3 + random.below(40),
        }
    }
}

impl Prose {
    /// A generator at its first record.
    pub fn new(options: &ProseOptions) -> Result<Prose> {
        // Other numbers than those of the machine logs of the same seed.
        let mut random = Random::new(options.seed ^ 0x0070_726f_7365);
        Ok(Prose {
            times: Times::new(options.rows, options.days, 0)?,
            words: Words::new(&mut random),
            task: Task::new(&mut random),
            message: String::new(),
            random,
        })
    }

    /// Appends a record and its line break.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        if self.task.records_left == 0 {
            self.task = Task::new(&mut self.random);
        }
        self.task.records_left -= 1;
        let random = &mut self.random;
        let share = random.share();
        let prose = PROSE_BYTES.0 + (PROSE_BYTES.1 * share * share * share) as usize;
        self.message.clear();
        let (message, words) = (&mut self.message, &self.words);
        let (level, operation, rest) = match random.below(100) {
            0..45 => ("info", "chat", chat(message, words, prose, random)),
            45..80 => ("info", "execute_tool", tool(message, words, prose, random)),
            80..95 => ("debug", "command", command(message, words, prose, random)),
            _ => ("error", "exception", exception(message, random)),
        };
        out.extend_from_slice(b"{\"timestamp\":\"");
        self.times.write(out, random);
        // Writing to memory cannot fail.
        drop(write!(
            out,
            r#"","level":"{level}","source":"agent-runner","logger":"agent.{operation}","message":"#
        ));
        write_text(out, &self.message);
        let share = random.share();
        drop(write!(
            out,
            r#","trace_id":"{}","task_id":"{}","user_id":"user-{:04}","agent_id":"{}","duration_ms":{:.3},"gen_ai.operation.name":"{operation}"{rest}"#,
            self.task.trace,
            self.task.id,
            self.task.user,
            random.pick(AGENTS),
            share * share * share * share * 60_000.0
        ));
        out.extend_from_slice(b"}\n");
    }
}

/// A call of a model; what follows the message in the record.
fn chat(message: &mut String, words: &Words, prose: usize, random: &mut Random) -> String {
    words.write(message, prose, random);
    let (input, output) = (500 + random.below(60_000), 20 + random.below(4_000));
    let micro_usd = input * 3 + output * 15;
    format!(
        r#","gen_ai.request.model":"{}","gen_ai.usage.input_tokens":{input},"gen_ai.usage.output_tokens":{output},"cost_usd":{}.{:06},"gen_ai.response.finish_reasons":["stop"]"#,
        random.pick(MODELS),
        micro_usd / 1_000_000,
        micro_usd % 1_000_000
    )
}

fn tool(message: &mut String, words: &Words, prose: usize, random: &mut Random) -> String {
    let tool = random.pick(TOOLS);
    message.push_str(&format!(
        r#"{tool} {{"limit":{},"path":"src/{}/{}.rs","query":""#,
        random.below(100),
        random.pick(FOLDERS),
        random.below(400)
    ));
    let mut question = String::new();
    words.write(&mut question, 40, random);
    message.push_str(&question.replace(['"', '\n'], " "));
    message.push_str("\"}\n");
    words.write(message, prose / 2, random);
    format!(
        r#","gen_ai.tool.name":"{tool}","gen_ai.tool.call.id":"call_{:012x}","mcp.method.name":"tools/call""#,
        random.next() >> 16
    )
}

fn command(message: &mut String, words: &Words, prose: usize, random: &mut Random) -> String {
    let folder = random.pick(FOLDERS);
    message.push_str(&format!("$ make -C {folder} check\n"));
    words.write(message, prose, random);
    format!(r#","exit_code":{}"#, random.below(3))
}

fn exception(message: &mut String, random: &mut Random) -> String {
    let error = random.pick(ERRORS);
    message.push_str(error);
    let mut stack = String::from("Traceback (most recent call last):\n");
    for _ in 0..6 + random.below(20) {
        stack.push_str(&format!(
            "  File \"app/{}/{}.py\", line {}, in {}\n",
            random.pick(PACKAGES),
            random.pick(MODULES),
            1 + random.below(900),
            random.pick(FUNCTIONS)
        ));
    }
    stack.push_str(error);
    let mut text = Vec::new();
    write_text(&mut text, &stack);
    let kind = error.split(':').next().unwrap_or_default();
    format!(
        r#","error":{{"type":"{kind}","message":"{error}","stack":{}}}"#,
        String::from_utf8_lossy(&text)
    )
}

/// Appends a JSON string. Of what must be escaped, the texts here have quotes and line breaks.
fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(seed: u64) -> String {
        let options = ProseOptions {
            rows: 2_000,
            days: 1,
            seed,
        };
        let mut prose = Prose::new(&options).unwrap();
        let mut out = Vec::new();
        (0..options.rows).for_each(|_| prose.write(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_seed_names_the_data_to_the_byte() {
        assert_eq!(lines(42), lines(42));
        assert_ne!(lines(42), lines(43));
    }

    #[test]
    fn records_are_of_all_kinds_and_long() {
        let text = lines(42);
        let records: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let count = |member: &str| records.iter().filter(|r| !r[member].is_null()).count();
        for (member, least) in [
            ("gen_ai.request.model", 700),
            ("gen_ai.tool.name", 500),
            ("exit_code", 200),
            ("error", 50),
        ] {
            assert!(count(member) > least, "{member}: {}", count(member));
        }
        assert!((1_600..3_200).contains(&(text.len() / records.len())));
    }
}
