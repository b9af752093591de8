//! `taffrail logs benchmark` from end to end: a small data set of each kind, and a log of one's
//! own. What the figures are does not matter here; that every answer is right does.
#![allow(clippy::unwrap_used, reason = "what a test cannot do is a failed test")]
mod harness;

use harness::program;
use serde_json::Value;
use std::{collections::BTreeMap, path::Path, process::Output};

/// Runs the benchmark; its output and the figures that it wrote.
fn run(folder: &Path, arguments: &[&str]) -> (Output, Value) {
    let figures = folder.join("figures.json");
    let mut command = program();
    command
        .args(["logs", "benchmark", "--runs", "1", "--output"])
        .arg(&figures);
    command.args(arguments).env("TMPDIR", folder);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let json = serde_json::from_slice(&std::fs::read(&figures).unwrap()).unwrap();
    let table = std::fs::read(figures.with_extension("txt")).unwrap();
    assert_eq!(table, output.stdout);
    (output, json)
}

/// Answers by question.
fn answers(set: &Value) -> BTreeMap<&str, &str> {
    let questions = set["questions"].as_array().unwrap().iter();
    questions
        .map(|q| (q["id"].as_str().unwrap(), q["answer"].as_str().unwrap()))
        .collect()
}

#[test]
fn made_up_data_is_measured_and_every_answer_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let rows = ["--rows", "2000", "--prose-rows", "300", "--tenants", "2"];
    let (output, figures) = run(folder.path(), &rows);
    let sets = figures["sets"].as_array().unwrap();
    let names: Vec<&str> = sets
        .iter()
        .map(|set| set["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["machine logs", "agent prose"]);
    assert_eq!(sets[0]["records"], 2_000);
    let machine = answers(&sets[0]);
    for id in [
        "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "q9", "q11", "q12", "q13", "q14",
    ] {
        assert_eq!(machine.get(id), Some(&"right"), "{id}: {machine:?}");
    }
    let prose = answers(&sets[1]);
    for id in [
        "p1",
        "p2",
        "p2 common",
        "p3",
        "p4",
        "p5",
        "p6",
        "p7",
        "p8",
        "p9",
    ] {
        assert_eq!(prose.get(id), Some(&"right"), "{id}: {prose:?}");
    }
    let table = String::from_utf8(output.stdout).unwrap();
    for figure in ["records/s", "server CPU / zstd -3", "restart after kill -9"] {
        assert!(table.contains(figure), "{table}");
    }
    // What was temporary is gone.
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "the figures and the table");
}

#[test]
fn an_own_log_is_measured_with_own_questions() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("mine.jsonl");
    let line = |number: usize| {
        let level = if number.is_multiple_of(10) {
            "error"
        } else {
            "info"
        };
        format!(
            r#"{{"time":"2025-03-01T08:{:02}:{:02}Z","level":"{level}","msg":"worker {number} finished cleanly"}}"#,
            number / 60 % 60,
            number % 60
        )
    };
    let lines: Vec<String> = (0..500).map(line).collect();
    std::fs::write(&log, lines.join("\n")).unwrap();
    let questions = folder.path().join("mine.txt");
    std::fs::write(&questions, "errors level:error\n").unwrap();
    let arguments = [
        "--input",
        log.to_str().unwrap(),
        "--queries",
        questions.to_str().unwrap(),
    ];
    let (_, figures) = run(folder.path(), &arguments);
    let set = &figures["sets"][0];
    assert_eq!(set["records"], 500);
    assert_eq!(answers(set)["q1"], "right");
    let own = set["questions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|q| q["id"] == "errors count");
    assert_eq!(own.unwrap()["records"], 50);
}
