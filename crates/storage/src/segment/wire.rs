//! Reading and writing of the plain parts of a section: varints, byte runs, checked counts.
//!
//! Nothing here trusts its input: every read is checked against what is left, and every count
//! against a bound that the caller names, before anything is allocated.

/// What is wrong with the bytes of a section; becomes [`crate::read::ReadError::Damaged`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flaw(pub &'static str);

/// Appends `value` as LEB128: 7 bits a byte, low ones first, the high bit says that more follow.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed value as varint, the sign in the lowest bit.
pub(super) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a length and the bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A place in some bytes that are being read.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes }
    }

    /// Bytes that are left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], Flaw> {
        let (head, rest) = self
            .bytes
            .split_at_checked(bytes)
            .ok_or(Flaw("a part is cut short"))?;
        self.bytes = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (head, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(Flaw("a part is cut short"))?;
        self.bytes = rest;
        Ok(*head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Flaw> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64, Flaw> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(Flaw("a number is wider than 64 bits"));
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Flaw("a number is wider than 64 bits"))
    }

    pub(super) fn zigzag(&mut self) -> Result<i64, Flaw> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A number that may be at most `max`.
    pub(super) fn count(&mut self, max: usize) -> Result<usize, Flaw> {
        let value = self.varint()?;
        usize::try_from(value)
            .ok()
            .filter(|value| *value <= max)
            .ok_or(Flaw("a count is out of bounds"))
    }

    /// A length and that many bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Flaw> {
        let length = self.count(self.bytes.len())?;
        self.take(length)
    }

    /// Says that nothing may be left.
    pub(super) fn finish(self) -> Result<(), Flaw> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Flaw("bytes are left over"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(value: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_zigzag(&mut out, signed);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.varint(), Ok(value));
            prop_assert_eq!(cursor.zigzag(), Ok(signed));
            prop_assert_eq!(cursor.finish(), Ok(()));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes);
            while cursor.varint().is_ok() {}
            let _ = Cursor::new(&bytes).bytes();
        }
    }

    #[test]
    fn bounds_are_kept() {
        assert_eq!(
            Cursor::new(&[0xff; 10]).varint(),
            Err(Flaw("a number is wider than 64 bits"))
        );
        assert_eq!(
            Cursor::new(&[5]).count(4),
            Err(Flaw("a count is out of bounds"))
        );
        assert_eq!(
            Cursor::new(&[5, 1]).bytes(),
            Err(Flaw("a count is out of bounds"))
        );
        assert_eq!(Cursor::new(&[1]).finish(), Err(Flaw("bytes are left over")));
    }
}
