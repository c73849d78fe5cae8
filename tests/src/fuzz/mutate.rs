//! Damage to honest inputs, reproducible from a number: for runs without coverage.

/// A stream of numbers from a seed (SplitMix64, Steele, Lea and Flood 2014), the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Damage number `number` to `input`, with parts of `other` spliced in at times. The kinds are those that find bugs in
/// decoders: flipped bits, lengths and numbers at their extremes, cuts, repeats, and grafts from another valid input.
pub fn mutated(input: &[u8], other: &[u8], number: u64) -> Vec<u8> {
    let mut numbers = Numbers(number);
    let mut out = Vec::with_capacity(input.len() + 192);
    out.extend_from_slice(input);
    for _ in 0..=numbers.below(3) {
        once(&mut out, other, &mut numbers);
    }
    out
}

fn once(out: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    const EXTREMES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
    let at = numbers.below(out.len());
    match numbers.below(10) {
        0 | 1 => {
            if let Some(byte) = out.get_mut(at) {
                *byte ^= 1 << numbers.below(8);
            }
        }
        2 => {
            if let Some(byte) = out.get_mut(at) {
                *byte = EXTREMES[numbers.below(EXTREMES.len())];
            }
        }
        3 => {
            let value = [0, u32::MAX, 1 << 31, out.len() as u32][numbers.below(4)];
            write(out, at, &value.to_le_bytes());
        }
        4 => {
            let value = [0, u64::MAX, u64::MAX - 1, 1 << 63, out.len() as u64][numbers.below(5)];
            write(out, at, &value.to_le_bytes());
        }
        5 => {
            let value = [0, u32::MAX, 1 << 31, out.len() as u32][numbers.below(4)];
            write(out, at, &value.to_be_bytes());
        }
        6 => out.truncate(at),
        7 => {
            let value = numbers.next() as u8;
            out.insert(at.min(out.len()), value);
        }
        8 => {
            let to = out.len().min(at + 1 + numbers.below(64));
            let part = out[at.min(to)..to].to_vec();
            out.splice(at.min(to)..at.min(to), part);
        }
        _ => {
            let from = numbers.below(other.len());
            let len = 1 + numbers.below(128);
            let graft = other.get(from..other.len().min(from + len)).unwrap_or_default();
            let to = out.len().min(at + graft.len());
            out.splice(at.min(to)..to, graft.iter().copied());
        }
    }
}

fn write(out: &mut [u8], at: usize, value: &[u8]) {
    for (to, from) in out.iter_mut().skip(at).zip(value) {
        *to = *from;
    }
}
