//! Little-endian numbers and varints: how storage's own structures are laid out inside containers.
//!
//! What is read here has been authenticated, so a malformed structure means a fault of this
//! program or of the machine's memory. It is an error all the same, never a panic, and no count
//! that is read makes the reader allocate more than the input could fill.

/// The bytes do not have the promised structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed at byte {at}: {expected}")]
pub struct Malformed {
    /// Offset in the decoded bytes.
    pub at: usize,
    /// What should have been there.
    pub expected: &'static str,
}

/// Appends a number of 7 bits a byte, least significant first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number, small magnitudes in few bytes.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a length and the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Unpacks what is left: the length of the plain bytes (4) and one lz4 block.
pub(crate) fn unpack_lz4(input: &mut Input<'_>) -> Result<Vec<u8>, Malformed> {
    let plain_bytes = input.lz4_length()?;
    let fault = input.malformed("an lz4 block");
    lz4_flex::block::decompress(input.rest(), plain_bytes).map_err(|_| fault)
}

/// Bytes that are read from the front.
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { bytes, at: 0 }
    }

    pub(crate) fn malformed(&self, expected: &'static str) -> Malformed {
        Malformed {
            at: self.at,
            expected,
        }
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let taken = self.rest().get(..count);
        let taken = taken.ok_or(self.malformed("more bytes"))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let fault = self.malformed("more bytes");
        self.take(N)?.try_into().map_err(|_| fault)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.array()
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self
                .bytes
                .get(self.at)
                .ok_or(self.malformed("more bytes"))?;
            self.at += 1;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.malformed("a varint of 64 bits"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Malformed> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A varint that fits 32 bits.
    pub(crate) fn varint_u32(&mut self) -> Result<u32, Malformed> {
        let fault = self.malformed("a number of 32 bits");
        u32::try_from(self.varint()?).map_err(|_| fault)
    }

    /// A count of things that take at least `bytes_each` bytes each in what follows.
    pub(crate) fn count(&mut self, bytes_each: usize) -> Result<usize, Malformed> {
        let fault = self.malformed("a count that the bytes can hold");
        let count = usize::try_from(self.varint()?).map_err(|_| fault)?;
        let bound = self.rest().len() / bytes_each.max(1);
        if count > bound { Err(fault) } else { Ok(count) }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.count(1)?;
        self.take(count)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let fault = self.malformed("UTF-8");
        std::str::from_utf8(self.bytes()?).map_err(|_| fault)
    }

    /// The plain length of the lz4 block that is all the rest.
    pub(crate) fn lz4_length(&mut self) -> Result<usize, Malformed> {
        let plain_bytes = self.u32()?;
        // An lz4 block grows at most 255-fold.
        if u64::from(plain_bytes) > 255 * (self.rest().len() as u64 + 1) {
            return Err(self.malformed("as many bytes as lz4 can give"));
        }
        Ok(plain_bytes as usize)
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(self.malformed("the end"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(values: Vec<(u64, i64)>) {
            let mut out = Vec::new();
            for (unsigned, signed) in &values {
                put_varint(&mut out, *unsigned);
                put_signed(&mut out, *signed);
            }
            let mut input = Input::new(&out);
            for (unsigned, signed) in values {
                prop_assert_eq!(input.varint(), Ok(unsigned));
                prop_assert_eq!(input.signed(), Ok(signed));
            }
            prop_assert_eq!(input.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut input = Input::new(&bytes);
            while input.text().is_ok() && !input.rest().is_empty() {}
        }
    }

    #[test]
    fn a_count_cannot_exceed_the_bytes() {
        let mut out = Vec::new();
        put_varint(&mut out, 5);
        out.extend([0; 9]);
        assert!(Input::new(&out).count(2).is_err());
        assert_eq!(Input::new(&out).count(1), Ok(5));
        assert!(Input::new(&[0xff; 10]).varint().is_err());
        assert!(Input::new(&[0x80]).varint().is_err());
    }
}
