//! Shows control characters instead of obeying them.
//!
//! Log text is written by strangers. On a terminal an escape sequence in it could recolour or
//! erase other lines, set the title, or (some terminals) type commands; a bidirectional override
//! makes text read differently from what it is. So whatever is printed passes through here, to
//! pipes too, since those end in terminals. Nothing is lost: JSON keeps the character as `\u001b`.
use std::borrow::Cow;

/// Whether a terminal, or the eye, would be misled by the character.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\n'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Marks and overrides of direction, and line separators.
        | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        // Invisible copies of ASCII.
        | '\u{e0000}'..='\u{e007f}')
}

/// The text on one line, with every hostile character as an escape (`\n`, `\x1b`, `\u{202e}`).
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    replace(text, |c, out| match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        c if u32::from(c) < 0x80 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
    })
}

/// JSON text with every hostile character inside its strings as `\u` escapes; the same value.
///
/// Outside strings JSON has no such characters but line breaks, which compact text has not.
#[must_use]
pub fn shown_json(json: &str) -> Cow<'_, str> {
    replace(json, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    })
}

/// Appends a cell of a CSV file (RFC 4180) that a spreadsheet cannot mistake for a formula: one that
/// begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets a `'` in front. Line breaks are
/// data in a quoted cell; other hostile characters are shown.
pub fn push_csv_cell(line: &mut String, text: &str) {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let lines: Vec<_> = text
        .split('\n')
        .map(|part| shown(part.trim_end_matches('\r')))
        .collect();
    let clean = lines.join("\n");
    debug_assert!(!clean.chars().any(|c| c != '\n' && is_hostile(c)));
    let prefix = if is_formula { "'" } else { "" };
    if clean.contains(['"', ',', '\n', '\t', '\'']) || clean.starts_with(' ') || is_formula {
        line.push('"');
        line.push_str(prefix);
        line.push_str(&clean.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(&clean);
    }
}

fn replace(text: &str, mut escape: impl FnMut(char, &mut String)) -> Cow<'_, str> {
    let Some(first) = text.find(is_hostile) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        if is_hostile(c) {
            escape(c, &mut out);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(shown(text), expected, "{text:?}");
        assert!(!shown(text).chars().any(is_hostile));
    }

    #[test]
    fn escapes_are_shown() {
        check(
            "plain, naïve, 日本, 😀 and\ttabs",
            "plain, naïve, 日本, 😀 and\ttabs",
        );
        check("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m");
        check("\x1b]0;title\x07", "\\x1b]0;title\\x07");
        check("a\r\nb", "a\\r\\nb");
        check("over\x08strike\x7f", "over\\x08strike\\x7f");
        check("\u{9b}2J", "\\u{9b}2J");
        check("\0", "\\x00");
    }

    #[test]
    fn what_misleads_the_eye_is_shown() {
        check("exe.\u{202e}gpj", "exe.\\u{202e}gpj");
        check("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}");
        check("\u{e0041}", "\\u{e0041}");
        // A joiner is part of some emoji and scripts.
        check("👩\u{200d}💻", "👩\u{200d}💻");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = "\u{9b}\u{202e}\u{e0041}\u{7f}";
        let json = serde_json::to_string(value).unwrap();
        let escaped = shown_json(&json);
        assert_eq!(escaped, "\"\\u009b\\u202e\\udb40\\udc41\\u007f\"");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), value);
    }

    #[track_caller]
    fn check_cell(text: &str, expected: &str) {
        let mut line = String::new();
        push_csv_cell(&mut line, text);
        assert_eq!(line, expected, "{text:?}");
    }

    #[test]
    fn cells_are_quoted_when_they_must_be() {
        check_cell("plain", "plain");
        check_cell("", "");
        check_cell("a,b", "\"a,b\"");
        check_cell("say \"no\"", "\"say \"\"no\"\"\"");
        check_cell("two\nlines", "\"two\nlines\"");
        check_cell("two\r\nlines", "\"two\nlines\"");
        check_cell("\x1b[2J", "\\x1b[2J");
    }

    #[test]
    fn formulas_are_neutralised() {
        check_cell("=1+1", "\"'=1+1\"");
        check_cell("+1", "\"'+1\"");
        check_cell("-1", "\"'-1\"");
        check_cell("@SUM(A1)", "\"'@SUM(A1)\"");
        check_cell("\t=1", "\"'\t=1\"");
        check_cell("\r=1", "\"'\\r=1\"");
        check_cell("1=1", "1=1");
    }
}
