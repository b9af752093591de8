//! Quantiles within 1% of the value.
//!
//! Up to [`EXACT_MAX`] numbers are kept as they are, and quantiles are exact. Past it numbers are
//! counted in buckets: each power of two is cut into 64 of equal width, so that a bucket is at most
//! 1/64 of its values wide, and its middle is within 0.8% of them. The number of a bucket is the
//! upper bits of the float: exponent and six bits of the mantissa, without a logarithm. (Numbers
//! nearer to 0 than 2.3e-308 lose this precision.) Counts add up, so any order of merging gives the
//! same quantiles.
//!
//! The quantile q of n numbers is the ⌈q·n⌉-th of them in order, the first one for q = 0.

/// Numbers that are kept as they are.
pub(super) const EXACT_MAX: usize = 32;
/// Bits of a float that are not part of the number of its bucket.
const BUCKET_SHIFT: u32 = 46;

/// The numbers of a group.
pub(super) enum Quantiles {
    Few(Vec<f64>),
    Many(Box<Buckets>),
}

impl Default for Quantiles {
    fn default() -> Quantiles {
        Quantiles::Few(Vec::new())
    }
}

/// Counts of numbers by sign and size.
pub(super) struct Buckets {
    above: Side,
    below: Side,
    zeros: u64,
    least: f64,
    greatest: f64,
}

/// Counts of the numbers of one sign, from bucket `first` on.
#[derive(Clone, Default)]
struct Side {
    first: usize,
    counts: Vec<u64>,
}

impl Quantiles {
    /// Adds a finite number; the bytes that this took.
    #[inline]
    pub(super) fn add(&mut self, number: f64) -> usize {
        match self {
            Quantiles::Many(buckets) => buckets.add(number, 1),
            Quantiles::Few(_) => self.add_to_few(number),
        }
    }

    /// Adds one of the first numbers, or the one that makes them many.
    #[cold]
    #[inline(never)]
    fn add_to_few(&mut self, number: f64) -> usize {
        let Quantiles::Few(numbers) = self else {
            return 0;
        };
        numbers.push(number);
        if numbers.len() <= EXACT_MAX {
            return size_of::<f64>();
        }
        let mut buckets = Box::new(Buckets::new());
        let bytes: usize = numbers.iter().map(|number| buckets.add(*number, 1)).sum();
        *self = Quantiles::Many(buckets);
        bytes + size_of::<Buckets>()
    }

    /// Takes over the numbers of another; the bytes that this took.
    pub(super) fn merge(&mut self, other: &Quantiles) -> usize {
        match other {
            Quantiles::Few(numbers) => numbers.iter().map(|number| self.add(*number)).sum(),
            Quantiles::Many(theirs) => {
                let mut bytes = 0;
                if let Quantiles::Few(numbers) = self {
                    let mut buckets = Box::new(Buckets::new());
                    bytes += numbers
                        .iter()
                        .map(|number| buckets.add(*number, 1))
                        .sum::<usize>();
                    *self = Quantiles::Many(buckets);
                }
                if let Quantiles::Many(mine) = self {
                    bytes += mine.merge(theirs);
                }
                bytes
            }
        }
    }

    /// The number below or at which this share of the numbers lies; `None` if there is none.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        match self {
            Quantiles::Few(numbers) => {
                let mut sorted = numbers.clone();
                sorted.sort_by(f64::total_cmp);
                let at = rank(share, sorted.len() as u64).checked_sub(1)?;
                sorted.get(at as usize).copied()
            }
            Quantiles::Many(buckets) => Some(buckets.quantile(share)),
        }
    }
}

/// Which of `count` numbers in order the quantile is, counted from 1 on; 0 if there is none.
fn rank(share: f64, count: u64) -> u64 {
    ((share * count as f64).ceil() as u64).clamp(count.min(1), count)
}

impl Buckets {
    fn new() -> Buckets {
        Buckets {
            above: Side::default(),
            below: Side::default(),
            zeros: 0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
        }
    }

    #[inline]
    fn add(&mut self, number: f64, count: u64) -> usize {
        // Numbers are finite, and seldom further out than all before: a branch is foreseen.
        if number < self.least {
            self.least = number;
        }
        if number > self.greatest {
            self.greatest = number;
        }
        if number > 0.0 {
            self.above.add(bucket_of(number), count)
        } else if number < 0.0 {
            self.below.add(bucket_of(-number), count)
        } else {
            self.zeros += count;
            0
        }
    }

    fn merge(&mut self, other: &Buckets) -> usize {
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
        self.zeros += other.zeros;
        self.above.merge(&other.above) + self.below.merge(&other.below)
    }

    fn quantile(&self, share: f64) -> f64 {
        let total = self.below.total() + self.zeros + self.above.total();
        let mut left = rank(share, total);
        // From the least number on: the largest below zero come first.
        for (bucket, count) in self.below.iter().rev() {
            if left <= count {
                return (-middle_of(bucket)).clamp(self.least, self.greatest);
            }
            left -= count;
        }
        if left <= self.zeros {
            return 0.0;
        }
        left -= self.zeros;
        for (bucket, count) in self.above.iter() {
            if left <= count {
                return middle_of(bucket).clamp(self.least, self.greatest);
            }
            left -= count;
        }
        self.greatest
    }
}

/// The bucket of a number above 0.
fn bucket_of(number: f64) -> usize {
    (number.to_bits() >> BUCKET_SHIFT) as usize
}

fn middle_of(bucket: usize) -> f64 {
    let half = 1 << (BUCKET_SHIFT - 1);
    f64::from_bits((bucket as u64) << BUCKET_SHIFT | half)
}

impl Side {
    #[inline]
    fn add(&mut self, bucket: usize, count: u64) -> usize {
        match self.counts.get_mut(bucket.wrapping_sub(self.first)) {
            Some(have) => {
                *have += count;
                0
            }
            None => self.grow(bucket, count),
        }
    }

    /// Makes room up to a bucket that is not there yet.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, bucket: usize, count: u64) -> usize {
        let before = self.counts.len();
        if self.counts.is_empty() {
            self.first = bucket;
        }
        if let Some(missing) = self.first.checked_sub(bucket) {
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = bucket;
        }
        let at = bucket - self.first;
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += count;
        (self.counts.len() - before) * size_of::<u64>()
    }

    fn merge(&mut self, other: &Side) -> usize {
        let filled = other.iter().filter(|(_, count)| *count > 0);
        filled.map(|(bucket, count)| self.add(bucket, count)).sum()
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, u64)> + '_ {
        let counts = self.counts.iter().enumerate();
        counts.map(|(at, count)| (self.first + at, *count))
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(numbers: &[f64]) -> Quantiles {
        let mut quantiles = Quantiles::default();
        for number in numbers {
            quantiles.add(*number);
        }
        quantiles
    }

    /// The quantile of sorted numbers.
    fn exact(sorted: &[f64], share: f64) -> f64 {
        let below = sorted.len() as f64 * share;
        sorted[(below.ceil() as usize).max(1) - 1]
    }

    #[track_caller]
    fn check(mut numbers: Vec<f64>) {
        let quantiles = of(&numbers);
        let (one, other) = numbers.split_at(numbers.len() / 3);
        let (mut merged, mut reversed) = (of(one), of(other));
        merged.merge(&of(other));
        reversed.merge(&of(one));
        numbers.sort_by(f64::total_cmp);
        for share in [0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0] {
            let wanted = exact(&numbers, share);
            let found = quantiles.quantile(share).unwrap();
            assert!(
                (found - wanted).abs() <= wanted.abs() * 0.01,
                "{share}: {found} for {wanted}"
            );
            assert_eq!(merged.quantile(share), Some(found));
            assert_eq!(reversed.quantile(share), Some(found));
        }
    }

    #[test]
    fn distributions() {
        let steps = || (1..5_000u32).map(f64::from);
        check(steps().collect());
        check(steps().map(|x| x.powi(3) * 1e-9).collect());
        check(steps().map(|x| (x / 300.0).exp()).collect());
        check(steps().map(|x| -x * x).collect());
        check(steps().map(|x| x - 2_500.0).collect());
        check(
            steps()
                .map(|x| if x > 4_900.0 { 1e12 } else { 3.0 })
                .collect(),
        );
        check(vec![0.25; 1_000]);
        check([f64::MIN_POSITIVE, 1e300, -1e-300, 0.0, -1e300].repeat(20));
    }

    #[test]
    fn few_numbers_are_exact_and_the_next_is_not() {
        let numbers: Vec<f64> = (0..EXACT_MAX + 1)
            .map(|n| 100.0 + n as f64 * 0.37)
            .collect();
        let few = of(&numbers[..EXACT_MAX]);
        assert_eq!(few.quantile(0.5), Some(numbers[EXACT_MAX / 2 - 1]));
        assert!(matches!(few, Quantiles::Few(_)));
        assert!(matches!(of(&numbers), Quantiles::Many(_)));
        assert_eq!(Quantiles::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn any_numbers(numbers in prop::collection::vec(
            prop_oneof![-1e6..1e6f64, 0.0..1.0f64, Just(0.0), (-1e3..1e3f64).prop_map(f64::round)],
            1..300,
        )) {
            check(numbers);
        }
    }
}
