//! Latencies as percentiles.

use std::time::Duration;

use serde::Serialize;

/// Percentiles by nearest rank: each is a latency that was really measured. Milliseconds; all zero when nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half were at most this.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl Percentiles {
    /// Of any number of samples, in any order.
    pub fn of(samples: &[Duration]) -> Percentiles {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted
                .get(rank - 1)
                .map_or(0.0, |sample| sample.as_micros() as f64 / 1_000.0)
        };
        Percentiles {
            p50: rank(50),
            p90: rank(90),
            p99: rank(99),
            max: rank(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ms: impl IntoIterator<Item = u64>) -> Percentiles {
        Percentiles::of(&ms.into_iter().map(Duration::from_millis).collect::<Vec<_>>())
    }

    #[test]
    fn ranks_are_samples() {
        assert_eq!(
            of(1..=100),
            Percentiles {
                p50: 50.0,
                p90: 90.0,
                p99: 99.0,
                max: 100.0
            }
        );
        assert_eq!(
            of((1..=10).rev()),
            Percentiles {
                p50: 5.0,
                p90: 9.0,
                p99: 10.0,
                max: 10.0
            }
        );
        assert_eq!(
            of([7]),
            Percentiles {
                p50: 7.0,
                p90: 7.0,
                p99: 7.0,
                max: 7.0
            }
        );
        assert_eq!(of([]), Percentiles::default());
    }
}
