//! Sizes as people write them: `100663296`, `96MiB`, `1 GB`.

/// Reads a size in bytes: digits, then nothing or a unit (`B`, `KiB`, `MiB`, `GiB` of 1,024;
/// `kB`, `MB`, `GB` of 1,000); case does not matter.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let count: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        _ => return None,
    };
    count.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("96MiB", Some(96 << 20)),
            ("1 gb", Some(1_000_000_000)),
            ("2g", Some(2 << 30)),
            ("10 B", Some(10)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("1.5GiB", None),
            ("1 TiBB", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
