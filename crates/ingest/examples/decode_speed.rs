//! Speed of the decoder on a file of NDJSON, beside `serde_json` reading the same records into
//! trees of values. Usage: `cargo run --release -p taffrail-ingest --example decode_speed -- FILE`
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: decode_speed FILE");
        std::process::exit(2);
    };
    let bytes = std::fs::read(&path)?;
    let batches = cut(&bytes, 4 << 20);
    for _ in 0..3 {
        let mut rows = 0;
        let mut memory_bytes = 0;
        let start = Instant::now();
        for batch in &batches {
            let decoded = taffrail_ingest::decode::ndjson::decode(batch)?;
            assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects[0]);
            rows += decoded.indexes.len();
            memory_bytes = memory_bytes.max(decoded.columns.memory_bytes());
        }
        report("columns", bytes.len(), rows, start);
        println!("  at most {memory_bytes} bytes of columns for a batch of 4 MiB");
    }
    let start = Instant::now();
    let mut rows = 0;
    for line in bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let value: serde_json::Value = serde_json::from_slice(line)?;
        rows += usize::from(value.is_object());
    }
    report("serde_json::Value", bytes.len(), rows, start);
    names()
}

/// A record in thousands of random names must cost what its bytes cost.
fn names() -> Result<(), Box<dyn std::error::Error>> {
    for fields in [1_000usize, 2_000, 4_000, 8_000, 16_000, 32_000] {
        let record = |seed: usize| {
            let members: Vec<String> = (0..fields)
                .map(|n| {
                    format!(
                        "\"f{:x}\":{n}",
                        (n * 7919 + seed * 104_729) * 2_654_435_761 % (1 << 40)
                    )
                })
                .collect();
            format!("{{{}}}\n", members.join(","))
        };
        let body: String = (0..(8 << 20) / (fields * 18)).map(record).collect();
        let start = Instant::now();
        let decoded = taffrail_ingest::decode::ndjson::decode(body.as_bytes())?;
        report(
            &format!("{fields} random names"),
            body.len(),
            decoded.indexes.len(),
            start,
        );
    }
    Ok(())
}

fn cut(bytes: &[u8], size: usize) -> Vec<&[u8]> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while rest.len() > size {
        let end = rest[..size]
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(size, |at| at + 1);
        out.push(&rest[..end]);
        rest = &rest[end..];
    }
    out.push(rest);
    out
}

fn report(what: &str, bytes: usize, rows: usize, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{what}: {:.0} MB/s, {rows} records in {seconds:.3} s",
        bytes as f64 / 1e6 / seconds
    );
}
