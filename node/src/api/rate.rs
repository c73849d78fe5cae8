//! Token buckets that bound how many requests one client may send.
//!
//! A client is an IPv4 address or an IPv6 /64 (who has one of those has all its addresses). Time is an
//! argument.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// Clients remembered at once. At 64 bytes each this is 1 MiB; past it, the fullest bucket is forgotten,
/// which is the one that loses least by starting over.
const MAX_CLIENTS: usize = 16_384;

/// Tokens are counted in thousandths, so that slow refills do not round to nothing.
const MILLI: u64 = 1_000;

/// How fast one client may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Requests a second, at least 1.
    pub(crate) per_second: u32,
    /// Requests that may come at once after a pause, at least 1.
    pub(crate) burst: u32,
}

/// The buckets of all recent clients.
#[derive(Debug)]
pub(crate) struct RateLimit {
    rate: Rate,
    buckets: BTreeMap<IpAddr, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Thousandths of a request.
    tokens: u64,
    refilled_ms: u64,
}

impl RateLimit {
    pub(crate) fn new(rate: Rate) -> Self {
        let rate = Rate {
            per_second: rate.per_second.max(1),
            burst: rate.burst.max(1),
        };
        Self {
            rate,
            buckets: BTreeMap::new(),
        }
    }

    /// Takes one request's worth from the client's bucket, or says after how many seconds there will be one.
    pub(crate) fn take(&mut self, client: IpAddr, now_ms: u64) -> Result<(), u64> {
        let full = u64::from(self.rate.burst) * MILLI;
        let per_ms = u64::from(self.rate.per_second);
        let key = network_of(client);
        if !self.buckets.contains_key(&key) {
            self.make_room(now_ms, full, per_ms);
        }
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            tokens: full,
            refilled_ms: now_ms,
        });
        // One request a second is one thousandth of a request a millisecond.
        let gained = now_ms.saturating_sub(bucket.refilled_ms).saturating_mul(per_ms);
        bucket.tokens = bucket.tokens.saturating_add(gained).min(full);
        bucket.refilled_ms = bucket.refilled_ms.max(now_ms);
        match bucket.tokens.checked_sub(MILLI) {
            Some(rest) => {
                bucket.tokens = rest;
                Ok(())
            }
            None => Err((MILLI - bucket.tokens).div_ceil(per_ms).div_ceil(1_000).max(1)),
        }
    }

    /// Forgets clients whose buckets are full again, and if all are in use, the one with most left.
    fn make_room(&mut self, now_ms: u64, full: u64, per_ms: u64) {
        if self.buckets.len() < MAX_CLIENTS {
            return;
        }
        let level = |b: &Bucket| {
            b.tokens
                .saturating_add(now_ms.saturating_sub(b.refilled_ms).saturating_mul(per_ms))
                .min(full)
        };
        self.buckets.retain(|_, bucket| level(bucket) < full);
        if self.buckets.len() >= MAX_CLIENTS
            && let Some(key) = self
                .buckets
                .iter()
                .max_by_key(|(_, b)| level(b))
                .map(|(key, _)| *key)
        {
            self.buckets.remove(&key);
        }
    }
}

/// The network that counts as one client.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let mut limit = RateLimit::new(Rate {
            per_second: 2,
            burst: 3,
        });
        for _ in 0..3 {
            assert_eq!(limit.take(client(1), 1_000), Ok(()));
        }
        assert_eq!(limit.take(client(1), 1_000), Err(1));
        assert_eq!(
            limit.take(client(2), 1_000),
            Ok(()),
            "another client has its own bucket"
        );
        assert_eq!(limit.take(client(1), 1_499), Err(1));
        assert_eq!(limit.take(client(1), 1_500), Ok(()));
        assert_eq!(limit.take(client(1), 1_500), Err(1));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let mut limit = RateLimit::new(Rate {
            per_second: 1,
            burst: 1,
        });
        assert_eq!(limit.take(client(1), 10_000), Ok(()));
        assert_eq!(limit.take(client(1), 0), Err(1));
        assert_eq!(limit.take(client(1), 10_500), Err(1));
        assert_eq!(limit.take(client(1), 11_000), Ok(()));
    }

    #[test]
    fn one_ipv6_network_is_one_client_and_mapped_ipv4_is_ipv4() {
        let a: IpAddr = "2001:db8:1:2::1".parse().expect("address");
        let b: IpAddr = "2001:db8:1:2:ffff::9".parse().expect("address");
        assert_eq!(network_of(a), network_of(b));
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().expect("address");
        assert_eq!(network_of(mapped), client(1));
    }

    #[test]
    fn memory_is_bounded() {
        let mut limit = RateLimit::new(Rate {
            per_second: 1,
            burst: 2,
        });
        for n in 0..(MAX_CLIENTS as u32 + 100) {
            assert_eq!(limit.take(IpAddr::from(n.to_be_bytes()), 5), Ok(()));
        }
        assert!(limit.buckets.len() <= MAX_CLIENTS);
    }
}
