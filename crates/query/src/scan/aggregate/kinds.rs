//! The kinds of the values that have one text: `200` and `"200"` are the same value of a key.
use taffrail_model::column::Kind;

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    /// One kind.
    pub(super) fn of(kind: Kind) -> Kinds {
        Kinds(1 << (kind as u8))
    }

    /// Adds those of another set.
    pub(super) fn add(&mut self, other: Kinds) {
        self.0 |= other.0;
    }

    /// Whether the text is that of a number or of a boolean wherever it was: it then stays one.
    pub(super) fn are_json(self) -> bool {
        const NUMBERS: u8 = 1 << (Kind::Integer as u8) | 1 << (Kind::Float as u8);
        const BOOLS: u8 = 1 << (Kind::Bool as u8);
        self.0 & !NUMBERS == 0 || self.0 & !BOOLS == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_json_if_it_always_was_one_kind_of_it() {
        let check = |kinds: &[Kind], expected| {
            let mut set = Kinds::of(kinds[0]);
            kinds.iter().for_each(|kind| set.add(Kinds::of(*kind)));
            assert_eq!(set.are_json(), expected, "{kinds:?}");
        };
        check(&[Kind::Integer], true);
        check(&[Kind::Integer, Kind::Float], true);
        check(&[Kind::Bool], true);
        check(&[Kind::String], false);
        check(&[Kind::Json], false);
        check(&[Kind::Integer, Kind::String], false);
        check(&[Kind::Bool, Kind::String], false);
    }
}
