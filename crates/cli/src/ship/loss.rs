//! What a person is told of batches that cannot be read any more: which, and where their lines
//! are, so that these can be found.
use std::fmt::Write;
use taffrail_engine::spool::{LossCause, Lost, ReadAgain};
use taffrail_ingest::listen::file::Checkpoint;

/// Files that are named; a person who follows more looks at the checkpoints' difference in the
/// files' own times.
const FILES_SHOWN_MAX: usize = 50;

/// The lines of text of a loss.
pub(super) fn lines_of_lost(lost: &Lost) -> Vec<String> {
    let mut head = batches(lost.first, lost.last);
    let _ = match &lost.cause {
        LossCause::Damaged { file, detail } => {
            let file = file.display();
            write!(
                head,
                " lost, since it cannot be read ({detail}); it is kept as {file}"
            )
        }
        LossCause::Missing => write!(head, " missing and lost"),
    };
    let _ = match lost.records {
        Some(records) => write!(head, "; it had {records} records"),
        None => write!(head, "; how many records it had is not known"),
    };
    if lost.may_be_stored {
        head.push_str("; it may have been sent before, and is then at the server");
    }
    let mut lines = vec![head];
    lines.push(match lost.is_exact {
        true => "its lines are:".to_string(),
        false => "its lines are among these, with some that are not lost:".to_string(),
    });
    lines.extend(ranges(lost.before.as_ref(), lost.after.as_ref()));
    lines
}

/// The text of what is read again.
pub(super) fn text_of_read_again(again: &ReadAgain) -> String {
    let mut text = batches(again.first, again.last);
    text.push_str(" unreadable; the lines are read from the files again");
    if again.may_be_stored {
        text.push_str(
            ", and refused if the server has the batch already: `--show-rejected` prints them then",
        );
    }
    let files: Vec<String> = again
        .files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    if !files.is_empty() {
        let _ = write!(text, "; kept as {}", files.join(", "));
    }
    text
}

fn batches(first: u64, last: u64) -> String {
    match first == last {
        true => format!("batch {first} is"),
        false => format!("batches {first} to {last} are"),
    }
}

/// The bytes of each file between two checkpoints; `None`: the beginning, or an end that is not
/// known.
fn ranges(before: Option<&serde_json::Value>, after: Option<&serde_json::Value>) -> Vec<String> {
    let parse = |point: Option<&serde_json::Value>| -> Vec<Checkpoint> {
        let parsed = point.map(|point| serde_json::from_value(point.clone()));
        // What is there was written as a checkpoint; a newer form is only not shown.
        parsed.and_then(Result::ok).unwrap_or_default()
    };
    let starts = parse(before);
    let mut lines = Vec::new();
    if after.is_none() {
        let line = |it: &Checkpoint| format!("  {}: from byte {} on", it.path.display(), it.offset);
        lines.extend(starts.iter().map(line));
        lines.push("  and all of any other file".to_string());
    }
    for end in parse(after) {
        let same = |it: &&Checkpoint| (it.device, it.inode) == (end.device, end.inode);
        let start = starts.iter().find(same).map_or(0, |start| start.offset);
        // A file that was truncated began anew.
        let start = if start > end.offset { 0 } else { start };
        if start < end.offset {
            let path = end.path.display();
            lines.push(format!("  {path}: bytes {start} to {}", end.offset));
        }
    }
    if lines.len() > FILES_SHOWN_MAX {
        let more = lines.len() - FILES_SHOWN_MAX;
        lines.truncate(FILES_SHOWN_MAX);
        lines.push(format!("  and {more} more files"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn point(files: &[(&str, u64, u64)]) -> Value {
        let none = json!({ "bytes": 0, "hash": 0 });
        let file = |(path, inode, offset): &(&str, u64, u64)| {
            json!({ "path": path, "device": 1, "inode": inode, "offset": offset,
                    "head": none, "tail": none })
        };
        files.iter().map(file).collect()
    }

    #[test]
    fn ranges_lie_between_checkpoints() {
        let check = |before: Option<Value>, after: Option<Value>, expected: &[&str]| {
            assert_eq!(ranges(before.as_ref(), after.as_ref()), expected);
        };
        let first = point(&[("/a", 1, 10), ("/b", 2, 20), ("/c", 3, 30)]);
        // Rotated, not read on, truncated, new.
        let second = point(&[("/a.1", 1, 15), ("/b", 2, 20), ("/c", 3, 5), ("/d", 4, 7)]);
        let expected = [
            "  /a.1: bytes 10 to 15",
            "  /c: bytes 0 to 5",
            "  /d: bytes 0 to 7",
        ];
        check(Some(first.clone()), Some(second), &expected);
        check(
            None,
            Some(first.clone()),
            &[
                "  /a: bytes 0 to 10",
                "  /b: bytes 0 to 20",
                "  /c: bytes 0 to 30",
            ],
        );
        let open = [
            "  /a: from byte 10 on",
            "  /b: from byte 20 on",
            "  /c: from byte 30 on",
            "  and all of any other file",
        ];
        check(Some(first), None, &open);
    }

    #[test]
    fn a_loss_is_told_with_what_is_known() {
        let lost = Lost {
            first: 7,
            last: 7,
            records: Some(12),
            cause: LossCause::Damaged {
                file: "/s/7.damaged".into(),
                detail: "bad tag".into(),
            },
            may_be_stored: true,
            before: None,
            after: Some(point(&[("/a", 1, 10)])),
            is_exact: true,
        };
        let expected = [
            "batch 7 is lost, since it cannot be read (bad tag); it is kept as /s/7.damaged; it \
             had 12 records; it may have been sent before, and is then at the server",
            "its lines are:",
            "  /a: bytes 0 to 10",
        ];
        assert_eq!(lines_of_lost(&lost), expected);
        let lost = Lost {
            last: 9,
            records: None,
            cause: LossCause::Missing,
            may_be_stored: false,
            is_exact: false,
            ..lost
        };
        let expected = [
            "batches 7 to 9 are missing and lost; how many records it had is not known",
            "its lines are among these, with some that are not lost:",
        ];
        assert_eq!(lines_of_lost(&lost)[..2], expected);
    }
}
