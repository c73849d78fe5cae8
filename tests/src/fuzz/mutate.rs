//! Damage to honest inputs, reproducible from a number: for runs without coverage.

/// A stream of numbers from a seed, the same in every run.
struct Numbers(blake3::OutputReader);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

/// Damage number `number` to `input`, with parts of `other` spliced in at times. The kinds are those that find bugs in
/// decoders: flipped bits, lengths at their extremes, cuts, repeats, and grafts from another valid input.
pub fn mutated(input: &[u8], other: &[u8], number: u64) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes()).update(input);
    let mut numbers = Numbers(hasher.finalize_xof());
    let mut out = input.to_vec();
    for _ in 0..=numbers.below(3) {
        once(&mut out, other, &mut numbers);
    }
    out
}

fn once(out: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    const EXTREMES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
    let at = numbers.below(out.len());
    match numbers.below(8) {
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
            for (to, from) in out.iter_mut().skip(at).zip(value.to_le_bytes()) {
                *to = from;
            }
        }
        4 => out.truncate(at),
        5 => {
            let value = numbers.byte();
            out.insert(at.min(out.len()), value);
        }
        6 => {
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
