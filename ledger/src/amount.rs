//! Amounts: whole numbers of the smallest unit, six decimals when people read or write them.

use crate::error::AmountError;

/// An amount in smallest units: one millionth of a token. Sums of all amounts fit because genesis checks it.
pub type Amount = u128;

/// Decimals that people see.
pub const DECIMALS: usize = 6;
/// One whole token in smallest units.
pub const UNIT: Amount = 1_000_000;

/// Reads a decimal such as `5`, `0.25` or `995.000000`: digits, at most one point, at most six decimals, no
/// sign, no exponent, no separators, at least one digit on each side of a point.
pub fn parse_amount(text: &str) -> Result<Amount, AmountError> {
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) if !decimals.is_empty() => (whole, decimals),
        Some(_) => return Err(AmountError::Malformed),
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) {
        return Err(AmountError::Malformed);
    }
    if decimals.len() > DECIMALS {
        return Err(AmountError::TooFine { have: decimals.len() });
    }
    let fraction: Amount = format!("{decimals:0<DECIMALS$}")
        .parse()
        .map_err(|_| AmountError::Malformed)?;
    let whole: Amount = whole.parse().map_err(|_| AmountError::TooLarge)?;
    whole
        .checked_mul(UNIT)
        .and_then(|units| units.checked_add(fraction))
        .ok_or(AmountError::TooLarge)
}

/// Writes an amount with all six decimals: `995.000000`.
pub fn format_amount(amount: Amount) -> String {
    format!("{}.{:0DECIMALS$}", amount / UNIT, amount % UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_read_and_write() {
        for (text, units, written) in [
            ("5", 5_000_000, "5.000000"),
            ("0.25", 250_000, "0.250000"),
            ("995.000000", 995_000_000, "995.000000"),
            ("0.000001", 1, "0.000001"),
        ] {
            assert_eq!(parse_amount(text), Ok(units));
            assert_eq!(format_amount(units), written);
        }
        assert_eq!(parse_amount(&format_amount(Amount::MAX)), Ok(Amount::MAX));
    }

    #[test]
    fn what_is_not_an_amount_is_refused_by_name() {
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "1,000", " 1", "1.2.3", "٣",
        ] {
            assert_eq!(parse_amount(text), Err(AmountError::Malformed), "{text}");
        }
        assert_eq!(parse_amount("1.0000001"), Err(AmountError::TooFine { have: 7 }));
        assert_eq!(
            parse_amount("340282366920938463463374607431769"),
            Err(AmountError::TooLarge)
        );
        assert_eq!(parse_amount(&"9".repeat(99)), Err(AmountError::TooLarge));
    }
}
