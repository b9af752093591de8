//! Codes of symbols: whole bytes, the first of which tells how many.
//!
//! Invariants
//! - No code is the begin of another.
//! - A symbol of lower rank, which comes more often, never has a longer code.

/// First bytes that begin codes; the two others announce what is spelled out.
const FIRST_BYTES: usize = 254;
/// Then the length and the bytes of a word.
pub(super) const WORD: u8 = 254;
/// Then the length and the bytes of anything else; in front of it stands no space.
pub(super) const TEXT: u8 = 255;

/// How many first bytes begin codes of one and two bytes; the rest begin codes of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Codes {
    pub one: usize,
    pub two: usize,
}

impl Codes {
    /// What makes codes shortest in sum for symbols that come so often, descending.
    pub(super) fn choose(uses: &[u32]) -> Codes {
        let mut before = vec![0u64];
        for uses in uses {
            before.push(before.last().copied().unwrap_or_default() + u64::from(*uses));
        }
        let uses_until = |rank: usize| before[rank.min(uses.len())];
        let bytes = |codes: &Codes| {
            let (one, two) = (uses_until(codes.one), uses_until(codes.two_end()));
            one + 2 * (two - one) + 3 * (uses_until(uses.len()) - two)
        };
        let codes = (0..=FIRST_BYTES).filter_map(|two| {
            let rest = uses.len().saturating_sub(two << 8 | (FIRST_BYTES - two));
            let one = (FIRST_BYTES - two).checked_sub(rest.div_ceil((1 << 16) - 1))?;
            Some(Codes { one, two })
        });
        codes.min_by_key(bytes).unwrap_or(Codes {
            one: 0,
            two: FIRST_BYTES,
        })
    }

    /// Whether there are first bytes for them.
    pub(super) fn are_possible(self) -> bool {
        self.one + self.two <= FIRST_BYTES
    }

    /// Rank of the first symbol whose code has three bytes.
    pub(super) fn two_end(self) -> usize {
        self.one + (self.two << 8)
    }

    /// The code of the symbol with a rank: its bytes from the lowest on, and how many.
    pub(super) fn of(self, rank: usize) -> (u32, usize) {
        if let Some(wide) = rank.checked_sub(self.two_end()) {
            let first = self.one + self.two + (wide >> 16);
            let bytes = [first as u8, (wide >> 8) as u8, wide as u8, 0];
            return (u32::from_le_bytes(bytes), 3);
        }
        match rank.checked_sub(self.one) {
            Some(wide) => {
                let bytes = [(self.one + (wide >> 8)) as u8, wide as u8, 0, 0];
                (u32::from_le_bytes(bytes), 2)
            }
            None => (rank as u32, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::symbols::{Reading, SYMBOLS_MAX, Written},
        *,
    };

    /// Codes of all ranks are read as what they are, and none is the begin of another.
    #[track_caller]
    fn check_codes(form: Codes, symbols: usize) {
        let mut all = Vec::new();
        let ranks = || (0..symbols).filter(|rank| rank % 97 == 0 || rank + 3 > symbols);
        for rank in ranks() {
            let (code, length) = form.of(rank);
            all.extend_from_slice(&code.to_le_bytes()[..length]);
        }
        let mut reading = Reading::new(form, &all);
        for rank in ranks() {
            assert_eq!(
                reading.next().unwrap(),
                Some(Written::Symbol(rank)),
                "{form:?}"
            );
        }
        assert_eq!(reading.next().unwrap(), None);
    }

    #[test]
    fn codes_are_enough_and_frequent_symbols_get_short_ones() {
        for symbols in [
            0,
            1,
            254,
            255,
            508,
            509,
            65_024,
            65_025,
            70_000,
            SYMBOLS_MAX,
        ] {
            let uses: Vec<u32> = (0..symbols)
                .map(|rank| 1 + 1_000_000 / (rank as u32 + 1))
                .collect();
            let form = Codes::choose(&uses);
            assert!(form.are_possible());
            check_codes(form, symbols);
            if symbols > 0 {
                assert_eq!(form.of(0).1, 1, "{symbols}");
            }
        }
        assert_eq!(Codes::choose(&[1; 254]).of(253).1, 1);
        check_codes(Codes { one: 0, two: 0 }, SYMBOLS_MAX);
    }
}
