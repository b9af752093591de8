//! Round trips of a message through a program that answers each line with a line, such as `cat`:
//! `message_latency COMMAND…` prints the percentiles. Run it bare and behind `taffrail run`.
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Messages, and those before them that are not counted.
const MESSAGES: usize = 20_000;
const WARM_UP: usize = 500;
/// Bytes of a message: a call of a tool with some arguments.
const MESSAGE_BYTES: usize = 400;
/// Between two messages, as a client that thinks.
const PAUSE: Duration = Duration::from_micros(200);

fn main() -> std::io::Result<()> {
    let mut words = std::env::args_os().skip(1);
    let program = words.next().unwrap_or_else(|| "cat".into());
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::Error::other("no pipes"));
    };
    let mut stdout = BufReader::new(stdout);
    let mut times = Vec::with_capacity(MESSAGES);
    let mut answer = String::new();
    for number in 0..WARM_UP + MESSAGES {
        let head = format!(
            r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{"name":"echo","arguments":{{"text":""#
        );
        let text = "x".repeat(MESSAGE_BYTES - head.len());
        let message = format!("{head}{text}\"}}}}}}\n");
        let begun = Instant::now();
        stdin.write_all(message.as_bytes())?;
        answer.clear();
        stdout.read_line(&mut answer)?;
        if answer != message {
            return Err(std::io::Error::other("another message came back"));
        }
        if number >= WARM_UP {
            times.push(begun.elapsed());
        }
        std::thread::sleep(PAUSE);
    }
    drop(stdin);
    child.wait()?;
    times.sort_unstable();
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        let at = (share * times.len() as f64) as usize;
        println!(
            "{name} {:.1} µs",
            times[at.min(times.len() - 1)].as_secs_f64() * 1e6
        );
    }
    Ok(())
}
