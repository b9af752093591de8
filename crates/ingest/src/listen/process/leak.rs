//! A hint that a program never gives its memory back.
//!
//! The slope is that of Theil and Sen: the median of the slopes between all pairs of samples, which
//! a third of wild samples does not move. A hint needs more than a slope:
//! - the growth over the window is large, absolutely and for the size of the program;
//! - it is steady: of all pairs, almost none goes down;
//! - it has not ended: the last third grows as fast as the whole, or nearly. A cache that fills
//!   and then stays is no leak.
use std::collections::VecDeque;

/// Samples before anything is said: five minutes at one in ten seconds.
pub const LEAK_SAMPLES_MIN: usize = 30;
/// Samples that are looked at: twenty minutes at one in ten seconds, 7,140 pairs.
pub const LEAK_SAMPLES_MAX: usize = 120;
/// Growth below it is noise of an allocator.
pub const LEAK_BYTES_MIN: f64 = 16.0 * 1_048_576.0;
/// Growth over the window for the size at its beginning.
pub const LEAK_GROWTH_MIN: f64 = 0.10;
/// Pairs that go up, minus those that go down, of all (Kendall's tau).
pub const LEAK_STEADINESS_MIN: f64 = 0.8;
/// Slope of the last third for that of the whole.
pub const LEAK_LAST_THIRD_MIN: f64 = 0.5;

/// What a hint says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leak {
    /// Growth.
    pub bytes_per_second: f64,
    /// Since when, in seconds.
    pub window_s: f64,
}

/// Looks for a leak in samples.
#[derive(Clone, Debug, Default)]
pub struct LeakDetector {
    /// Seconds and bytes.
    samples: VecDeque<(f64, f64)>,
}

impl LeakDetector {
    /// Takes a sample; a hint if there is one.
    pub fn push(&mut self, at_s: f64, memory_bytes: u64) -> Option<Leak> {
        if self.samples.len() == LEAK_SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((at_s, memory_bytes as f64));
        self.leak()
    }

    /// Forgets what was sampled: another process, or a hint that was given.
    pub fn reset(&mut self) {
        self.samples.clear();
    }

    fn leak(&self) -> Option<Leak> {
        let samples: Vec<_> = self.samples.iter().copied().collect();
        if samples.len() < LEAK_SAMPLES_MIN {
            return None;
        }
        let whole = Trend::of(&samples)?;
        let last = Trend::of(&samples[samples.len() * 2 / 3..])?;
        let (first, newest) = (samples.first()?, samples.last()?);
        let window_s = newest.0 - first.0;
        let growth = whole.slope * window_s;
        let is_leak = growth >= LEAK_BYTES_MIN
            && growth >= LEAK_GROWTH_MIN * first.1
            && whole.steadiness >= LEAK_STEADINESS_MIN
            && last.slope >= LEAK_LAST_THIRD_MIN * whole.slope;
        is_leak.then_some(Leak {
            bytes_per_second: whole.slope,
            window_s,
        })
    }
}

struct Trend {
    slope: f64,
    steadiness: f64,
}

impl Trend {
    fn of(samples: &[(f64, f64)]) -> Option<Trend> {
        let mut slopes = Vec::new();
        let mut balance = 0.0;
        for (index, (at, bytes)) in samples.iter().enumerate() {
            for (later, more) in &samples[index + 1..] {
                if later > at {
                    slopes.push((more - bytes) / (later - at));
                    balance += match more.partial_cmp(bytes) {
                        Some(std::cmp::Ordering::Greater) => 1.0,
                        Some(std::cmp::Ordering::Less) => -1.0,
                        _ => 0.0,
                    };
                }
            }
        }
        if slopes.is_empty() {
            return None;
        }
        let pairs = slopes.len();
        let (_, median, _) = slopes.select_nth_unstable_by(pairs / 2, f64::total_cmp);
        Some(Trend {
            slope: *median,
            steadiness: balance / pairs as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1_048_576.0;

    /// Whether a series, given in MiB by the number of the sample, is ever called a leak.
    #[track_caller]
    fn check(samples: usize, is_leak: bool, mib: impl Fn(usize) -> f64) {
        let mut detector = LeakDetector::default();
        let found = (0..samples).find(|at| {
            detector
                .push(10.0 * *at as f64, (MIB * mib(*at)) as u64)
                .is_some()
        });
        assert_eq!(found.is_some(), is_leak, "at sample {found:?}");
    }

    fn noise(at: usize) -> f64 {
        ((at * 7_919) % 13) as f64 / 13.0
    }

    #[test]
    fn steady_growth_is_a_leak() {
        check(60, true, |at| 100.0 + at as f64);
        check(60, true, |at| 100.0 + at as f64 + noise(at));
        // One sample in ten is wild.
        check(120, true, |at| match at % 10 {
            9 => 400.0,
            _ => 100.0 + 2.0 * at as f64,
        });
    }

    #[test]
    fn what_stays_falls_or_is_young_is_none() {
        check(200, false, |_| 500.0);
        check(200, false, |at| 500.0 + 20.0 * noise(at));
        check(200, false, |at| 500.0 - at as f64);
        check(LEAK_SAMPLES_MIN - 1, false, |at| 100.0 + 10.0 * at as f64);
    }

    #[test]
    fn a_cache_that_fills_and_a_collector_that_works_are_none() {
        // Full after two minutes.
        check(200, false, |at| 100.0 + 100.0 * (at.min(12) as f64 / 12.0));
        // A saw tooth.
        check(200, false, |at| 100.0 + 5.0 * (at % 15) as f64);
        // Too slow to matter: 1 MiB in five minutes.
        check(200, false, |at| 100.0 + at as f64 / 30.0);
        // Slow for its size: 24 MiB in twenty minutes of 4 GiB.
        check(200, false, |at| 4_096.0 + at as f64 / 5.0);
    }

    #[test]
    fn the_slope_is_right() {
        let mut detector = LeakDetector::default();
        let mut hint = None;
        for at in 0..LEAK_SAMPLES_MIN {
            hint = detector.push(10.0 * at as f64, (MIB * (50.0 + at as f64)) as u64);
        }
        let hint = hint.unwrap();
        assert!((hint.bytes_per_second - MIB / 10.0).abs() < 1.0, "{hint:?}");
        assert!((hint.window_s - 290.0).abs() < f64::EPSILON, "{hint:?}");
        detector.reset();
        assert_eq!(detector.push(300.0, 1 << 40), None);
    }
}
