//! Scenarios, their names, and which of them are the same.

use std::{fmt, str::FromStr};

/// Cores: A is 0, the honest are 1 to 3, B is 4.
pub(super) const CORES: usize = 5;
/// Seats: the twins' is 0.
const SEATS: u16 = 4;

/// One round: who leads, and which cores are not on A's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round {
    /// The leader's seat.
    pub leader: u16,
    /// Bit i: core i is on the other side. Bit 0 is never set.
    pub cut: u8,
}

/// All rounds that there are: 4 leaders, 16 cuts.
pub(super) fn rounds() -> impl Iterator<Item = Round> {
    (0..SEATS).flat_map(|leader| {
        (0..16u8).map(move |side| Round {
            leader,
            cut: side << 1,
        })
    })
}

/// Rounds, one after the other. Written `0:01100-2:00000`: leader, and the side of A, 1, 2, 3 and B.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario(pub Vec<Round>);

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, round) in self.0.iter().enumerate() {
            let dash = if at > 0 { "-" } else { "" };
            write!(f, "{dash}{}:", round.leader)?;
            for core in 0..CORES {
                write!(f, "{}", (round.cut >> core) & 1)?;
            }
        }
        Ok(())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let round = |text: &str| {
            let (leader, sides) = text.split_once(':')?;
            let leader: u16 = leader.parse().ok().filter(|leader| *leader < SEATS)?;
            let bits: Vec<u8> = sides
                .bytes()
                .map(|side| side.checked_sub(b'0').filter(|bit| *bit < 2))
                .collect::<Option<_>>()?;
            if bits.len() != CORES || bits.first() != Some(&0) {
                return None;
            }
            let cut = bits.iter().enumerate().map(|(core, bit)| bit << core).sum();
            Some(Round { leader, cut })
        };
        let rounds: Option<Vec<Round>> = text.split('-').map(round).collect();
        rounds
            .map(Self)
            .ok_or_else(|| "expected rounds like 0:01100-2:00000".into())
    }
}

/// A renaming of cores that changes nothing: of the honest among themselves, and of the twins.
type Renaming = [usize; CORES];

/// The renamings that leave the rounds so far as they are.
#[derive(Debug, Clone)]
pub(super) struct Symmetry(Vec<Renaming>);

impl Symmetry {
    /// Twelve: six of the honest, two of the twins.
    pub(super) fn all() -> Self {
        let honest = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
        let twins = [[0, 4], [4, 0]];
        let pairs = honest.iter().flat_map(|h| twins.iter().map(move |t| (h, t)));
        Self(pairs.map(|(h, t)| [t[0], h[0], h[1], h[2], t[1]]).collect())
    }

    /// The renamings that fix this round too; none if one of them makes it a lesser round, which stands for it.
    pub(super) fn fixing(&self, round: Round) -> Option<Self> {
        let mut rest = Vec::new();
        for renaming in &self.0 {
            match rename(round, renaming).cmp(&round) {
                std::cmp::Ordering::Less => return None,
                std::cmp::Ordering::Equal => rest.push(*renaming),
                std::cmp::Ordering::Greater => {}
            }
        }
        Some(Self(rest))
    }
}

fn rename(round: Round, renaming: &Renaming) -> Round {
    let to = |core: usize| renaming.get(core).copied().unwrap_or(core);
    let leader = match round.leader {
        0 => 0,
        seat => to(usize::from(seat)) as u16,
    };
    let cut: u8 = (0..CORES).map(|core| ((round.cut >> core) & 1) << to(core)).sum();
    // A's side is the one without a name.
    let cut = if cut & 1 == 1 { !cut & 0b11111 } else { cut };
    Round { leader, cut }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn count(symmetry: &Symmetry, depth: usize) -> usize {
        if depth == 0 {
            return 1;
        }
        let kept = rounds().filter_map(|round| symmetry.fixing(round));
        kept.map(|rest| count(&rest, depth - 1)).sum()
    }

    /// All scenarios of two rounds, each by the least of its names: what the walk must not miss or repeat.
    #[test]
    fn each_class_is_walked_exactly_once() {
        let least = |a: Round, b: Round| {
            let names = Symmetry::all().0;
            names.iter().map(|name| (rename(a, name), rename(b, name))).min()
        };
        let classes: BTreeSet<_> = rounds()
            .flat_map(|a| rounds().map(move |b| least(a, b)))
            .collect();
        assert_eq!(count(&Symmetry::all(), 2), classes.len());
        assert_eq!(rounds().count(), 64);
    }

    #[test]
    fn a_scenario_is_read_from_its_name() {
        let scenario = Scenario(vec![
            Round {
                leader: 0,
                cut: 0b00110,
            },
            Round { leader: 2, cut: 0 },
        ]);
        assert_eq!(scenario.to_string(), "0:01100-2:00000");
        assert_eq!(scenario.to_string().parse(), Ok(scenario));
        for wrong in ["", "0:0110", "4:00000", "0:11100", "0:02100"] {
            assert!(wrong.parse::<Scenario>().is_err(), "{wrong}");
        }
    }
}
