//! Tokens that clients give back unread: hexadecimal text of some bytes and a CRC-32C over them,
//! which tells a cut or mistyped token from a good one. They grant nothing.

const SUM_BYTES: usize = 4;

/// Writes the bytes and their sum.
pub(crate) fn write(f: &mut std::fmt::Formatter<'_>, mut bytes: Vec<u8>) -> std::fmt::Result {
    bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// A token of `BYTES` bytes, sum included.
pub(crate) struct Token<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> Token<BYTES> {
    /// The token of a text, if it is one.
    pub(crate) fn read(text: &str) -> Option<Token<BYTES>> {
        if text.len() != BYTES * 2 {
            return None;
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = (high << 4 | low) as u8;
        }
        let (body, sum) = bytes.split_at(BYTES - SUM_BYTES);
        (sum == crc32c::crc32c(body).to_be_bytes()).then_some(Token(bytes))
    }

    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.0[at]
    }

    /// Eight bytes, big-endian.
    pub(crate) fn number(&self, at: usize) -> u64 {
        self.0[at..at + 8]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// Checks that nothing but the token itself is read.
#[cfg(test)]
pub(crate) fn check_changes<T: std::str::FromStr>(token: &str) {
    for at in 0..token.len() {
        let mut changed = token.to_owned().into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(changed.parse::<T>().is_err(), "{changed}");
    }
    for bad in ["", "x", &token[2..], &format!("{token}00"), "é"] {
        assert!(bad.parse::<T>().is_err(), "{bad}");
    }
}
