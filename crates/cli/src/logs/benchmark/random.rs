//! Random numbers that are the same for the same seed, on every machine and in every version: the
//! data of a benchmark is named by its seed.
//!
//! Xorshift with 128 bits of state: far cheaper than what is done with its numbers, and good
//! enough for data that only has to look uneven in the right places.

/// Numbers that are thrown away first, until a small seed has reached every bit of the state.
const WARM_UP: usize = 16;

/// A sequence of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64, u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Random {
        let mixed = seed.wrapping_mul(0xd134_2543_de82_ef95) | 1;
        let mut random = Random(seed ^ 0x9e37_79b9_7f4a_7c15, mixed);
        (0..WARM_UP).for_each(|_| {
            random.next();
        });
        random
    }

    /// Any number.
    #[inline]
    pub fn next(&mut self) -> u64 {
        let (mut a, b) = (self.0, self.1);
        self.0 = b;
        a ^= a << 23;
        self.1 = a ^ b ^ (a >> 18) ^ (b >> 5);
        self.1.wrapping_add(b)
    }

    /// A number below `end`; 0 if `end` is.
    #[inline]
    pub fn below(&mut self, end: u64) -> u64 {
        // The upper half of a product is below `end`.
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// A number from 0 to below 1.
    #[inline]
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something of so many in a hundred happens.
    #[inline]
    pub fn percent(&mut self, hundredths: u64) -> bool {
        self.below(100) < hundredths
    }

    /// A number below `end`, small ones far more often: as words, users and addresses are.
    #[inline]
    pub fn skewed(&mut self, end: usize) -> usize {
        let share = self.share();
        ((share * share * share) * end as f64) as usize
    }

    /// How long until the next of events that come by chance, one a unit of time on average.
    #[inline]
    pub fn wait(&mut self) -> f64 {
        -(1.0 - self.share()).ln()
    }

    /// One of a list that is not empty.
    #[inline]
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }

    /// A UUID of version 4.
    pub fn uuid(&mut self) -> uuid::Uuid {
        let (high, low) = (self.next(), self.next());
        let bits = (u128::from(high) << 64) | u128::from(low);
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_its_numbers() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(numbers(42), numbers(42));
        assert_ne!(numbers(42), numbers(43));
        assert_ne!(numbers(0), numbers(1));
    }

    #[test]
    fn numbers_stay_in_their_bounds() {
        let mut random = Random::new(7);
        for _ in 0..10_000 {
            assert!(random.below(3) < 3);
            assert!(random.skewed(5) < 5);
            assert!((0.0..1.0).contains(&random.share()));
            assert!(random.wait() >= 0.0);
        }
        assert_eq!(random.below(0), 0);
        assert_eq!(random.uuid().get_version_num(), 4);
    }
}
