//! Thresholds of memory and processor, and memory that only grows.
use super::{
    programs::{Running, Scene, ended, wait_until},
    records,
};
use crate::harness::server::KEY;

/// What is sampled of a program, and what is said of limits: `limited` is passed, the other not.
#[track_caller]
fn check(options: &[&str], script: &str, limited: &str, other: &str, words: &str) {
    let (_folder, _, server) = records::server();
    let scene = Scene::with_server(&server.url());
    let asked = [&["--service", "greedy", "--sample-s", "1"], options].concat();
    let mut command = scene.run(&asked);
    command
        .args(["sh", "-c", script])
        .env("TAFFRAIL_TOKEN", KEY);
    let mut running = Running::start(command);
    let count = |event: &str| server.count("system.pm2", &format!("process.event:{event}"));
    wait_until("the limit is said", || (count(limited) > 0).then_some(()));
    drop(running.child.stdin.take());
    assert_eq!(ended(running.end()), (Some(0), None));
    let fields = [
        "process.event",
        "level",
        "message",
        "process.memory_bytes",
        "process.count",
    ];
    let events = server.all("system.pm2", &fields);
    let of = |name: &str| {
        events
            .iter()
            .filter(|it| it["process.event"] == name)
            .collect::<Vec<_>>()
    };
    // It is said once, for it was not kept meanwhile.
    let [said] = of(limited)[..] else {
        panic!("{events:?}");
    };
    assert_eq!(said["level"], "warn");
    let message = said["message"].as_str().unwrap();
    assert!(
        message.starts_with("greedy uses ") && message.ends_with(words),
        "{message}"
    );
    assert!(of(other).is_empty(), "{events:?}");
    let samples = of("sample");
    assert!(samples.iter().all(|sample| sample["level"] == "debug"));
    // The sample that passed it is there too.
    let is_there = |name: &str| samples.iter().any(|sample| sample[name] == said[name]);
    assert!(
        is_there("process.memory_bytes") && is_there("process.count"),
        "{events:?}"
    );
}

#[test]
fn a_program_that_takes_memory_is_said() {
    // `tail` keeps what may be the last line; it is a process that the program has started.
    check(
        &["--memory-limit-mib", "48", "--cpu-limit-percent", "100000"],
        "{ head -c 64000000 /dev/zero; cat; } | tail | head -c 1",
        "memory_limit",
        "cpu_limit",
        "above its limit of 48 MiB",
    );
}

#[test]
fn a_program_that_spins_is_said() {
    check(
        &["--memory-limit-mib", "100000", "--cpu-limit-percent", "1"],
        "while :; do :; done & cat; kill $!",
        "cpu_limit",
        "memory_limit",
        "above its limit of 1%",
    );
}

/// Grows by a MiB ten times a second, a minute long and while the shell is there: `tail` keeps what may
/// be its last line, and that has no end.
const GROWING: &str = "{ i=0; while [ $i -lt 600 ] && kill -0 $$; do \
                       head -c 1048576 /dev/zero; sleep 0.1; i=$((i+1)); done; } | tail";

#[test]
fn a_program_that_only_grows_is_hinted_at() {
    let (_folder, _, server) = records::server();
    let scene = Scene::with_server(&server.url());
    let options = ["--service", "growing", "--sample-s", "0.1"];
    let _running = Running::start(records::script(&scene, &options, GROWING));
    wait_until("the growth is hinted at", || {
        (server.count("system.pm2", "process.event:leak_hint") > 0).then_some(())
    });
    let fields = [
        "process.event",
        "level",
        "message",
        "process.memory_growth_bytes_per_s",
        "instance_id",
    ];
    let events = server.all("system.pm2", &fields);
    let is_hint = |event: &&serde_json::Value| event["process.event"] == "leak_hint";
    let hint = events.iter().find(is_hint).unwrap();
    assert_eq!(
        (&hint["level"], &hint["instance_id"]),
        (&"warn".into(), &"i1".into())
    );
    let message = hint["message"].as_str().unwrap();
    assert!(
        message.starts_with("growing may leak memory: it has grown by "),
        "{message}"
    );
    let bytes_per_s = hint["process.memory_growth_bytes_per_s"].as_f64().unwrap();
    // Sixteen MiB at the least, in two minutes at the most.
    assert!(bytes_per_s > 16.0 * 1_048_576.0 / 120.0, "{hint}");
    // It was not hinted at before there were so many samples.
    let is_sample = |event: &&serde_json::Value| event["process.event"] == "sample";
    let before = events.iter().take_while(|event| !is_hint(event));
    assert!(before.filter(is_sample).count() >= 30, "{events:?}");
}
