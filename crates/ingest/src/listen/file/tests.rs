use super::*;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write,
};
use taffrail_model::limits::RECORD_BYTES_MAX;

/// A directory of logs, a follower of it and a clock.
struct Scene {
    directory: tempfile::TempDir,
    options: FollowOptions,
    follower: Follower,
    now: Instant,
}

impl Scene {
    fn new(pattern: &str, start: Start, prepare: impl FnOnce(&Path)) -> Scene {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        let options = FollowOptions {
            patterns: vec![directory.path().join(pattern).to_str().unwrap().to_string()],
            start,
            ..FollowOptions::default()
        };
        let follower = Follower::new(options.clone(), None).unwrap();
        Scene {
            directory,
            options,
            follower,
            now: Instant::now(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        append(&self.path(name), bytes.as_ref());
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn gzip(&self, from: &str, to: &str) {
        fs::write(self.path(to), gzip(&fs::read(self.path(from)).unwrap())).unwrap();
    }

    fn copytruncate(&self, name: &str, copy: &str) {
        fs::copy(self.path(name), self.path(copy)).unwrap();
        OpenOptions::new()
            .write(true)
            .open(self.path(name))
            .unwrap()
            .set_len(0)
            .unwrap();
    }

    /// Everything that is new.
    fn lines(&mut self) -> String {
        let mut out = Vec::new();
        let mut quiet = 0;
        while quiet < 3 {
            let poll = self.follower.poll(self.now);
            assert!(poll.troubles.is_empty(), "{:?}", poll.troubles);
            let is_quiet = poll.is_at_end && poll.chunks.is_empty();
            quiet = if is_quiet { quiet + 1 } else { 0 };
            for chunk in poll.chunks {
                out.extend_from_slice(&chunk.bytes);
            }
        }
        String::from_utf8(out).unwrap()
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn restart(&mut self) {
        let json = serde_json::to_string(&self.follower.checkpoints()).unwrap();
        let checkpoints = serde_json::from_str(&json).unwrap();
        self.follower = Follower::new(self.options.clone(), Some(checkpoints)).unwrap();
    }

    #[track_caller]
    fn check(&mut self, expected: &str) {
        assert_eq!(self.lines(), expected);
    }
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(bytes).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn follow(pattern: &str) -> Scene {
    Scene::new(pattern, Start::Beginning, |_| {})
}

#[test]
fn only_whole_lines_are_handed_out() {
    let mut scene = follow("app.log");
    scene.check("");
    scene.append("app.log", "a\nb");
    scene.check("a\n");
    // In the middle of a character.
    scene.append("app.log", b"\xc3");
    scene.check("");
    scene.append("app.log", b"\xa9\r\nc\n");
    scene.check("bé\r\nc\n");
    scene.restart();
    scene.check("");
    scene.append("app.log", "d\n");
    scene.check("d\n");
}

#[test]
fn a_line_without_an_end_is_handed_out_after_a_while() {
    let mut scene = follow("app.log");
    scene.append("app.log", b"half\xe2\x82");
    scene.check("");
    scene.wait(6);
    // The character that is not complete waits.
    scene.check("half\n");
    scene.append("app.log", b"\xac rest\n");
    scene.check("€ rest\n");
    scene.append("app.log", "end");
    scene.check("");
    let chunks = scene.follower.finish();
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].bytes, b"end\n");
    scene.restart();
    scene.check("");
}

#[test]
fn a_line_past_the_limit_is_cut_and_skipped_to_its_end() {
    for restart in [false, true] {
        let mut scene = follow("app.log");
        let long = "x".repeat(RECORD_BYTES_MAX * 5 / 2);
        scene.append("app.log", &long);
        let first = scene.lines();
        assert_eq!(first, format!("{}\n", &long[..RECORD_BYTES_MAX + 1]));
        if restart {
            scene.restart();
        }
        scene.append("app.log", format!("{long}\nnext\n"));
        scene.check("next\n");
    }
    let mut scene = follow("app.log");
    scene.append("app.log", format!("{}\nb\n", "x".repeat(RECORD_BYTES_MAX)));
    scene.check(&format!("{}\nb\n", "x".repeat(RECORD_BYTES_MAX)));
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_its_successor() {
    let mut scene = follow("app.log");
    scene.append("app.log", "a1\na2");
    scene.check("a1\n");
    scene.append("app.log", "!\na3\na4");
    scene.rename("app.log", "app.log.1");
    scene.append("app.log", "b1\n");
    scene.check("a2!\na3\nb1\n");
    // The program writes to the old file until it opens the new one.
    scene.append("app.log.1", " end\na5\n");
    scene.check("a4 end\na5\n");
    scene.append("app.log.1", "last");
    scene.append("app.log", "b2\n");
    scene.check("b2\n");
    scene.wait(31);
    scene.check("last\n");
    assert_eq!(scene.follower.open.len(), 1);
}

#[test]
fn a_renamed_file_that_the_pattern_matches_is_not_read_twice() {
    for restart in [false, true] {
        let mut scene = follow("app.log*");
        scene.append("app.log", "a1\na2\n");
        scene.check("a1\na2\n");
        scene.append("app.log", "a3\n");
        scene.rename("app.log", "app.log.1");
        scene.append("app.log", "b1\n");
        if restart {
            scene.restart();
        }
        scene.check("a3\nb1\n");
        scene.rename("app.log.1", "app.log.2");
        scene.rename("app.log", "app.log.1");
        scene.check("");
        if restart {
            scene.restart();
        }
        scene.check("");
    }
}

#[test]
fn a_file_that_was_renamed_while_nobody_followed_is_found_by_its_inode() {
    let mut scene = follow("app.log");
    scene.append("app.log", "a1\n");
    scene.append("other", "not meant\n");
    scene.check("a1\n");
    scene.append("app.log", "a2\n");
    scene.rename("app.log", "app.log.1");
    scene.append("app.log", "b1\n");
    scene.restart();
    scene.check("a2\nb1\n");
    scene.restart();
    scene.check("");
}

#[test]
fn copytruncate_begins_anew() {
    for (pattern, restart) in [
        ("app.log", false),
        ("app.log*", false),
        ("app.log", true),
        ("app.log*", true),
    ] {
        let mut scene = follow(pattern);
        scene.append("app.log", "a1\na2\n");
        scene.check("a1\na2\n");
        scene.copytruncate("app.log", "app.log.1");
        if restart {
            scene.restart();
        }
        scene.append("app.log", "b1\n");
        scene.check("b1\n");
        // Grown past the old length, with the same length.
        scene.copytruncate("app.log", "app.log.2");
        scene.append("app.log", "c1\nc2\nc3\n");
        if restart {
            scene.restart();
        }
        scene.check("c1\nc2\nc3\n");
        scene.copytruncate("app.log", "app.log.3");
        scene.append("app.log", "d1\nd2\nd3\n");
        scene.check("d1\nd2\nd3\n");
        scene.restart();
        scene.check("");
    }
}

#[test]
fn a_copy_goes_on_where_its_original_stood() {
    for restart in [false, true] {
        let mut scene = follow("app.log*");
        scene.append("app.log", "a1\n");
        scene.check("a1\n");
        scene.append("app.log", "a2\na3\n");
        scene.copytruncate("app.log", "app.log.1");
        scene.append("app.log", "b1\n");
        if restart {
            scene.restart();
        }
        let mut lines: Vec<String> = scene.lines().lines().map(str::to_string).collect();
        lines.sort();
        assert_eq!(lines, ["a2", "a3", "b1"]);
    }
}

#[test]
fn a_copy_that_is_being_made_waits_for_the_truncation() {
    let mut scene = follow("app.log*");
    scene.append("app.log", "a1\na2\n");
    scene.check("a1\na2\n");
    scene.append("app.log.1", "");
    scene.check("");
    scene.append("app.log.1", "a1\n");
    scene.check("");
    scene.append("app.log.1", "a2\n");
    scene.check("");
    scene.append("app.log", "a3\n");
    scene.append("app.log.1", "a3\n");
    scene.check("a3\n");
    File::create(scene.path("app.log")).unwrap();
    scene.check("");
    scene.append("app.log", "b\n");
    scene.check("b\n");
}

#[test]
fn a_file_that_only_begins_like_another_is_read_after_a_while() {
    let mut scene = follow("app*.log");
    scene.append("app-1.log", "banner\na\nb\n");
    scene.check("banner\na\nb\n");
    scene.append("app-2.log", "banner\n");
    scene.check("");
    scene.wait(61);
    scene.check("banner\n");
    scene.append("app-3.log", "banner\nx\nb\n");
    scene.check("banner\nx\nb\n");
}

#[test]
fn the_beginning_of_a_line_survives_a_truncation() {
    let mut scene = follow("app.log*");
    scene.append("app.log", b"a\nhalf \xc3");
    scene.check("a\n");
    scene.copytruncate("app.log", "app.log.1");
    scene.append("app.log", b"\xa9 b\n");
    let mut out = Vec::new();
    for chunk in scene.follower.poll(scene.now).chunks {
        out.extend_from_slice(&chunk.bytes);
    }
    assert_eq!(
        out,
        b"a\nhalf \xc3\n\xc3"[2..9]
            .iter()
            .copied()
            .chain(*b"\xa9 b\n")
            .collect::<Vec<u8>>()
    );
    scene.check("");
}

#[test]
fn a_hole_of_zeros_is_skipped() {
    let mut scene = follow("app.log");
    let mut writer = File::create(scene.path("app.log")).unwrap();
    writer.write_all(b"a\nb\n").unwrap();
    scene.check("a\nb\n");
    // Not in append mode: the program goes on at its old offset.
    scene.copytruncate("app.log", "copy");
    writer.write_all(b"c\n").unwrap();
    scene.check("c\n");
}

#[test]
fn a_compressed_file_is_read_once() {
    for restart in [false, true] {
        let mut scene = follow("app.log*");
        fs::write(
            scene.path("app.log.2.gz"),
            [gzip(b"old1\n"), gzip(b"old2\nold3")].concat(),
        )
        .unwrap();
        scene.check("old1\nold2\nold3\n");
        scene.append("app.log", "a1\n");
        scene.check("a1\n");
        scene.append("app.log", "a2\n");
        scene.rename("app.log", "app.log.1");
        if restart {
            scene.restart();
        }
        scene.check("a2\n");
        // The compressed file appears beside its original, half written at first.
        let bytes = gzip(b"a1\na2\n");
        scene.append("app.log.1.gz", &bytes[..1]);
        scene.check("");
        scene.append("app.log.1.gz", &bytes[1..bytes.len() / 2]);
        scene.check("");
        scene.append("app.log.1.gz", &bytes[bytes.len() / 2..]);
        scene.check("");
        fs::remove_file(scene.path("app.log.1")).unwrap();
        scene.check("");
        if restart {
            scene.restart();
        }
        scene.wait(31);
        scene.check("");
        scene.rename("app.log.2.gz", "app.log.3.gz");
        scene.rename("app.log.1.gz", "app.log.2.gz");
        scene.check("");
        scene.restart();
        scene.check("");
        assert!(scene.follower.open.is_empty());
    }
}

#[test]
fn what_was_compressed_while_nobody_followed_goes_on_where_it_stood() {
    let mut scene = follow("app.log*");
    scene.append("app.log", "a1\n");
    scene.check("a1\n");
    scene.append("app.log", "a2\na3\n");
    scene.gzip("app.log", "app.log.1.gz");
    fs::remove_file(scene.path("app.log")).unwrap();
    scene.append("app.log", "b1\n");
    scene.restart();
    scene.check("a2\na3\nb1\n");
}

#[test]
fn a_compressed_file_without_its_end_waits_and_a_broken_one_is_told() {
    let mut scene = follow("*.gz");
    let bytes = gzip("line\n".repeat(5_000).as_bytes());
    scene.append("a.gz", &bytes[..bytes.len() - 4]);
    let first = scene.lines();
    scene.check("");
    scene.append("a.gz", &bytes[bytes.len() - 4..]);
    assert_eq!(first + &scene.lines(), "line\n".repeat(5_000));
    let mut broken = gzip(b"x\n");
    let at = broken.len() - 6;
    broken[at] ^= 0xff;
    scene.append("b.gz", &broken);
    scene.follower.poll(scene.now);
    let poll = scene.follower.poll(scene.now);
    assert_eq!(poll.troubles.len(), 1);
    assert!(poll.troubles[0].to_string().contains("b.gz"));
    assert!(scene.follower.poll(scene.now).troubles.is_empty());
}

#[test]
fn from_the_end_means_what_is_there_at_the_first_start() {
    let mut scene = Scene::new("*.log*", Start::End, |directory| {
        append(&directory.join("a.log"), b"old\nhalf");
        append(&directory.join("empty.log"), b"");
        fs::write(directory.join("a.log.1.gz"), gzip(b"older\n")).unwrap();
    });
    scene.check("");
    scene.append("a.log", " new\n");
    scene.append("empty.log", "e\n");
    scene.append("b.log", "b\n");
    let mut lines: Vec<String> = scene.lines().lines().map(str::to_string).collect();
    lines.sort();
    assert_eq!(lines, ["b", "e", "half new"]);
    scene.append("c.log", "c\n");
    scene.restart();
    scene.check("c\n");
}

#[test]
fn globs_see_new_files_and_directories() {
    let mut scene = follow("*/[ab]?.{log,txt}");
    scene.check("");
    fs::create_dir(scene.path("one")).unwrap();
    scene.append("one/a1.log", "1\n");
    scene.append("one/c1.log", "no\n");
    scene.append("a1.log", "no\n");
    scene.check("1\n");
    fs::create_dir_all(scene.path("two/deep")).unwrap();
    scene.append("two/b2.txt", "2\n");
    scene.append("two/deep/b2.txt", "no\n");
    scene.check("2\n");
    let mut scene = follow("**/*.log");
    fs::create_dir_all(scene.path("x/y")).unwrap();
    scene.append("x/y/a.log", "1\n");
    scene.append("b.log", "2\n");
    assert_eq!(scene.lines().len(), 4);
    // A name with the characters of a glob is meant as it stands, if there is such a file.
    let mut scene = follow("[x].log");
    scene.append("[x].log", "1\n");
    scene.check("1\n");
    assert!(
        Follower::new(
            FollowOptions {
                patterns: vec!["[".into()],
                ..FollowOptions::default()
            },
            None
        )
        .is_err()
    );
}

#[test]
fn one_look_is_bounded_and_files_take_turns() {
    let mut scene = follow("*.log");
    scene.options.poll_bytes_max = 1_000;
    scene.follower = Follower::new(scene.options.clone(), None).unwrap();
    scene.append("a.log", "a\n".repeat(1 << 20));
    scene.append("b.log", "b\n");
    let mut seen_b = false;
    for _ in 0..2 {
        let poll = scene.follower.poll(scene.now);
        let bytes: usize = poll.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        assert!(bytes <= 129 << 10, "{bytes}");
        assert!(!poll.is_at_end);
        seen_b |= poll.chunks.iter().any(|chunk| chunk.bytes == b"b\n");
    }
    assert!(seen_b);
}

#[test]
fn checkpoints_of_gone_files_are_bounded() {
    let mut scene = follow("*.log");
    for n in 0..GONE_FILES_MAX + 20 {
        scene.append("x.log", format!("{n}\n"));
        scene.check(&format!("{n}\n"));
        fs::remove_file(scene.path("x.log")).unwrap();
        scene.wait(31);
        scene.check("");
    }
    assert_eq!(scene.follower.checkpoints().len(), GONE_FILES_MAX);
}

/// One step of a program that logs, of its rotation, or of the follower.
#[derive(Clone, Debug)]
enum Step {
    Write(u8),
    Rename,
    CopyTruncate,
    Compress,
    Poll,
    Restart,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..40).prop_map(Step::Write),
        1 => Just(Step::Rename),
        1 => Just(Step::CopyTruncate),
        1 => Just(Step::Compress),
        4 => Just(Step::Poll),
        1 => Just(Step::Restart),
        1 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is rotated in whatever way, each line comes once.
    #[test]
    fn each_line_comes_once(steps in proptest::collection::vec(step(), 1..60), small in any::<bool>()) {
        let mut scene = follow("app.log*");
        if small {
            scene.options.poll_bytes_max = 1;
            scene.follower = Follower::new(scene.options.clone(), None).unwrap();
        }
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let (mut written, mut rotated) = (0, 0);
        let mut collect = |chunks: Vec<Chunk>| {
            for chunk in chunks {
                for line in String::from_utf8(chunk.bytes).unwrap().lines() {
                    *seen.entry(line.to_string()).or_default() += 1;
                }
            }
        };
        let rotated_name = |n: usize| format!("app.log.{n}");
        for step in &steps {
            let has_content = fs::metadata(scene.path("app.log")).is_ok_and(|m| m.len() > 0);
            match step {
                Step::Write(lines) => for _ in 0..*lines {
                    scene.append("app.log", format!("line {written} é\n"));
                    written += 1;
                },
                Step::Rename if has_content => {
                    rotated += 1;
                    scene.rename("app.log", &rotated_name(rotated));
                }
                Step::CopyTruncate if has_content => {
                    rotated += 1;
                    scene.copytruncate("app.log", &rotated_name(rotated));
                }
                Step::Compress if rotated > 0 && scene.path(&rotated_name(rotated)).exists() => {
                    let name = rotated_name(rotated);
                    scene.gzip(&name, &format!("{name}.gz"));
                    fs::remove_file(scene.path(&name)).unwrap();
                }
                Step::Poll => collect(scene.follower.poll(scene.now).chunks),
                Step::Restart => scene.restart(),
                Step::Wait => scene.wait(31),
                _ => {}
            }
        }
        // Copies wait for their originals to close.
        let mut quiet = 0;
        while quiet < 8 {
            scene.wait(31);
            let chunks = scene.follower.poll(scene.now).chunks;
            quiet = if chunks.is_empty() { quiet + 1 } else { 0 };
            collect(chunks);
        }
        let expected: BTreeMap<String, usize> = (0..written).map(|n| (format!("line {n} é"), 1)).collect();
        prop_assert_eq!(seen, expected);
    }
}
