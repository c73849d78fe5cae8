//! Verifiable secret sharing after Pedersen (1991): Shamir's polynomial over the scalars of secp256k1, a second one
//! that blinds it, and commitments to both.
//!
//! Not `vsss-rs`: see `docs/adr/0018-recovery-sharing.md`. Nothing here takes randomness, and nothing gives a secret from shares that
//! the caller has not checked.

use k256::{
    CompressedPoint, ProjectivePoint, Scalar,
    elliptic_curve::{
        ff::{FromUniformBytes, PrimeField},
        group::{Group, GroupEncoding},
    },
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Size of a compressed point.
pub(super) const POINT_BYTES: usize = 33;
/// The second generator H, of which nobody knows the logarithm: the point with even ordinate whose abscissa is the first
/// of BLAKE3 derive_key "tacit 2026 recovery generator" over (0), (1), … (one byte) that is one.
const BLINDING_GENERATOR: [u8; POINT_BYTES] = [
    0x02, 0x9a, 0x50, 0xd7, 0xfb, 0xe1, 0xa7, 0x6b, 0x07, 0xf5, 0xbc, 0x5e, 0x21, 0x5f, 0x0c, 0x1c, 0x61,
    0xd7, 0x3f, 0x37, 0x4c, 0x08, 0xa2, 0xff, 0x63, 0x0d, 0x2b, 0x8b, 0xd4, 0x47, 0xaa, 0xe5, 0x2b,
];

/// A share, or the two coefficients of one degree. No `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct Pair {
    value: Scalar,
    blind: Scalar,
}

impl Pair {
    /// Both 0.
    pub(super) const ZERO: Self = Self {
        value: Scalar::ZERO,
        blind: Scalar::ZERO,
    };

    /// Two scalars, big endian; `None` unless there are 64 bytes and both are below the order.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let ([value, blind], []) = bytes.as_chunks::<32>() else {
            return None;
        };
        let scalar = |bytes: &[u8; 32]| Option::<Scalar>::from(Scalar::from_repr((*bytes).into()));
        Some(Self {
            value: scalar(value)?,
            blind: scalar(blind)?,
        })
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; 64]> {
        let mut bytes = Zeroizing::new([0; 64]);
        let (value, blind) = bytes.split_at_mut(32);
        value.copy_from_slice(&self.value.to_bytes());
        blind.copy_from_slice(&self.blind.to_bytes());
        bytes
    }

    fn commitment(&self) -> ProjectivePoint {
        ProjectivePoint::mul_by_generator(&self.value) + blinding_generator() * self.blind
    }

    /// Whether this is the share number `x` of the polynomials behind `commitments`.
    pub(super) fn fits(&self, commitments: &[ProjectivePoint], x: u64) -> bool {
        let x = Scalar::from(x);
        let expected = commitments
            .iter()
            .rev()
            .fold(ProjectivePoint::IDENTITY, |sum, point| sum * x + point);
        self.commitment() == expected
    }
}

/// The polynomials, lowest degree first.
pub(super) struct Polynomial(Vec<Pair>);

impl Polynomial {
    /// The polynomials of degree `threshold` - 1 that follow from a uniform seed.
    pub(super) fn derive(seed: &[u8; 32], threshold: usize) -> Self {
        let coefficient = |which: u8, degree: u64| {
            let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 recovery coefficient");
            hasher.update(seed).update(&[which]).update(&degree.to_le_bytes());
            // Twice the size of a scalar: the rest of the division is uniform to 2^-256.
            let mut wide = Zeroizing::new([0; 64]);
            hasher.finalize_xof().fill(&mut wide[..]);
            Scalar::from_uniform_bytes(&wide)
        };
        let pair = |degree| Pair {
            value: coefficient(0, degree),
            blind: coefficient(1, degree),
        };
        Self((0u64..).take(threshold).map(pair).collect())
    }

    /// A commitment to each pair of coefficients.
    pub(super) fn commitments(&self) -> Vec<[u8; POINT_BYTES]> {
        self.0.iter().map(|pair| encoded(&pair.commitment())).collect()
    }

    /// Both polynomials at `x`.
    pub(super) fn at(&self, x: u64) -> Pair {
        let x = Scalar::from(x);
        self.0.iter().rev().fold(Pair::ZERO, |sum, pair| Pair {
            value: sum.value * x + pair.value,
            blind: sum.blind * x + pair.blind,
        })
    }

    /// What is shared: the first polynomial at 0, big endian.
    pub(super) fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.at(0).value.to_bytes().into())
    }
}

/// The first polynomial at 0, by Lagrange, from its values at distinct points other than 0. `None` when a point is
/// given twice.
pub(super) fn interpolate(points: &[(u64, &Pair)]) -> Option<Zeroizing<[u8; 32]>> {
    let mut sum = Zeroizing::new(Scalar::ZERO);
    for (i, (x, pair)) in points.iter().enumerate() {
        let (mut over, mut under) = (Scalar::ONE, Scalar::ONE);
        for (_, (other, _)) in points.iter().enumerate().filter(|(j, _)| *j != i) {
            over *= Scalar::from(*other);
            under *= Scalar::from(*other) - Scalar::from(*x);
        }
        let inverse = Option::<Scalar>::from(under.invert())?;
        *sum += pair.value * over * inverse;
    }
    Some(Zeroizing::new(sum.to_bytes().into()))
}

/// Decodes commitments; `None` when one is no point, or none at all.
pub(super) fn points(commitments: &[[u8; POINT_BYTES]]) -> Option<Vec<ProjectivePoint>> {
    let point = |bytes: &[u8; POINT_BYTES]| {
        let point =
            Option::<ProjectivePoint>::from(ProjectivePoint::from_bytes(&CompressedPoint::from(*bytes)))?;
        (!bool::from(point.is_identity())).then_some(point)
    };
    commitments.iter().map(point).collect()
}

fn encoded(point: &ProjectivePoint) -> [u8; POINT_BYTES] {
    point.to_bytes().into()
}

fn blinding_generator() -> ProjectivePoint {
    let point = ProjectivePoint::from_bytes(&CompressedPoint::from(BLINDING_GENERATOR));
    Option::from(point).expect("a test shows that the constant is a point")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_chose_the_second_generator() {
        let candidate = |counter: u8| {
            let mut bytes = [2; POINT_BYTES];
            bytes[1..].copy_from_slice(&blake3::derive_key("tacit 2026 recovery generator", &[counter]));
            points(&[bytes]).map(|_| bytes)
        };
        let first = (0..=255).find_map(candidate).unwrap();
        assert_eq!(hex::encode(first), hex::encode(BLINDING_GENERATOR));
        assert_ne!(blinding_generator(), ProjectivePoint::GENERATOR);
    }

    /// Made by a program in another language that shares nothing with this one but the formulas.
    #[test]
    fn polynomials_shares_and_commitments_are_pinned() {
        let polynomial = Polynomial::derive(&[3; 32], 3);
        let commitments = polynomial.commitments();
        assert_eq!(
            commitments.iter().map(hex::encode).collect::<Vec<_>>(),
            [
                "03b8601b7eeca2f7affa2903b1eca138ebde072213c9bce1441e9cc34034b60f03",
                "03c2ecb3d70de7f9be4f51705b2f9d7e8fd2b8e0ee1b7afe730d55134114d07527",
                "0339a12de5d0642f29261c501943e42ef70104395a2888d3364ec41ed4ad6671b9",
            ]
        );
        let shares = [
            (
                1,
                "402199f18db23ead94eff636dfd9378c77e8cbb37f729328242635393f1cb90e\
                 dc1fd249d13d966b95a2533c71b4afae9843a1b09ed78a21b5363a1cd15168ab",
            ),
            (
                2,
                "0ffc1f47fd2efb89e2a11c4fa956862763ea6f568ee53a4817e4f19766e51a8e\
                 a34118a121ca7eb6c804e0f42ddf0b2a1ad771722c2e3d95495438b78c861849",
            ),
            (
                32,
                "5d12609f75848f3f5e73e0f264987e7a9cc82b2530fee77bce9bba0772795b0d\
                 a83b09c3e0af59af905e4e74cdbb9f82287a9a841c18d5296c90c75d83cccf02",
            ),
        ];
        let points = points(&commitments).unwrap();
        let pairs = shares.map(|(x, expected)| {
            let pair = polynomial.at(x);
            assert_eq!(hex::encode(pair.to_bytes()), expected, "share {x}");
            assert!(pair.fits(&points, x));
            (x, pair)
        });
        let secret = interpolate(&pairs.each_ref().map(|(x, pair)| (*x, pair))).unwrap();
        let expected = "02b07f34d5c2d6d8603a71979ba7a6329d027d36688b7cb3be30ea437f305d60";
        assert_eq!(hex::encode(*secret), expected);
        assert_eq!(hex::encode(polynomial.secret()), expected);
        let twice = [(1, &pairs[0].1), (1, &pairs[0].1)];
        assert!(interpolate(&twice).is_none());
    }
}
