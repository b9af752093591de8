//! Where the answer of a key is: in the entry itself if it is very short, else in the table of
//! answers.
//!
//! Nearly all requests are accepted as a whole. What is kept of such an answer is a number of at
//! most seven digits, which costs nothing beside its key: no tenant can push out another's by it.
use super::answers::PackedAnswer;

/// Bytes of an answer that are kept in the entry.
const INLINE_BYTES_MAX: usize = 7;
/// Lowest byte of a place in the table of answers; other values are the length of an answer.
const IN_TABLE: u64 = 8;

/// Eight bytes: the lowest one a length and the answer above it, or [`IN_TABLE`] and the number of
/// an answer in the upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u64);

impl Place {
    /// The place of an answer that needs no table.
    pub(super) fn inline(answer: &PackedAnswer) -> Option<Place> {
        Place::of_bytes(answer.as_plain()?)
    }

    /// The place that holds these bytes; `None` if they are too many.
    pub(crate) fn of_bytes(answer: &[u8]) -> Option<Place> {
        if answer.len() > INLINE_BYTES_MAX {
            return None;
        }
        let mut bytes = [0; 8];
        bytes[0] = answer.len() as u8;
        bytes[1..=answer.len()].copy_from_slice(answer);
        Some(Place(u64::from_le_bytes(bytes)))
    }

    /// The place of the answer with this number.
    pub(crate) fn in_table(number: u32) -> Place {
        Place(IN_TABLE | u64::from(number) << 32)
    }

    /// The number of the answer in the table; `None` if it is here.
    pub(crate) fn number(self) -> Option<u32> {
        (self.0 & 0xff == IN_TABLE).then_some((self.0 >> 32) as u32)
    }

    /// The answer, if it is here, as `(length, bytes)`.
    pub(crate) fn bytes(self) -> Option<(usize, [u8; INLINE_BYTES_MAX])> {
        let [length, bytes @ ..] = self.0.to_le_bytes();
        let length = usize::from(length);
        (length <= INLINE_BYTES_MAX).then_some((length, bytes))
    }

    /// The answer, if it is here.
    pub(super) fn answer(self) -> Option<PackedAnswer> {
        let (length, bytes) = self.bytes()?;
        Some(PackedAnswer::new(&bytes[..length]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_answers_are_kept_as_they_are() {
        for answer in ["", "0", "1000000"] {
            let packed = PackedAnswer::new(answer.as_bytes());
            let place = Place::inline(&packed).unwrap();
            assert_eq!(place.number(), None);
            assert_eq!(place.answer(), Some(packed));
        }
        assert_eq!(Place::inline(&PackedAnswer::new(b"12345678")), None);
        assert_eq!(Place::inline(&PackedAnswer::new(&[b'x'; 1_000])), None);
    }

    #[test]
    fn others_have_a_number() {
        for number in [0, 1, u32::MAX] {
            let place = Place::in_table(number);
            assert_eq!(place.number(), Some(number));
            assert_eq!(place.answer(), None);
        }
    }
}
