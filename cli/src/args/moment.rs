//! Moments as people write them, RFC 3339; and sets of bits, in hex.

use std::time::{Duration, UNIX_EPOCH};

/// Reads a moment such as `2026-03-31T22:20:07Z` or `2026-04-01T00:20:07.5+02:00`, as Unix time in milliseconds.
///
/// # Errors
/// A sentence for the command line's own error.
pub(crate) fn moment(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a moment: write it as 2026-03-31T22:20:07Z");
    let (local, offset) = split_offset(text).ok_or_else(wrong)?;
    let time = humantime::parse_rfc3339(&format!("{local}Z")).map_err(|_| wrong())?;
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| wrong())?;
    // East of Greenwich the clock is ahead of UTC.
    let utc = match offset {
        Offset::East(ahead) => since.checked_sub(ahead),
        Offset::West(behind) => since.checked_add(behind),
    };
    utc.and_then(|time| u64::try_from(time.as_millis()).ok())
        .ok_or_else(wrong)
}

/// Reads bits such as `0x21`; without the prefix too.
///
/// # Errors
/// A sentence for the command line's own error.
pub(crate) fn bits(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| format!("{text:?} are no bits: write them as 0x21"))
}

enum Offset {
    East(Duration),
    West(Duration),
}

/// The local part without its zone, and the zone.
fn split_offset(text: &str) -> Option<(&str, Offset)> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return Some((local, Offset::East(Duration::ZERO)));
    }
    let (local, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let number = |text: &str, below: u64| -> Option<u64> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && *number < below)
    };
    let offset = Duration::from_secs(number(hours, 24)? * 3600 + number(minutes, 60)? * 60);
    match zone.chars().next()? {
        '+' => Some((local, Offset::East(offset))),
        '-' => Some((local, Offset::West(offset))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{bits, moment};

    #[test]
    fn moments_are_milliseconds_of_unix_time_whatever_the_zone() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-03-31T22:20:07Z", 1_774_995_607_000),
            ("2026-04-01T00:20:07+02:00", 1_774_995_607_000),
            ("2026-03-31T16:50:07.250-05:30", 1_774_995_607_250),
        ] {
            assert_eq!(moment(text), Ok(ms), "{text}");
        }
        for text in [
            "",
            "Z",
            "now",
            "2026-03-31",
            "2026-03-31T22:20:07",
            "2026-03-31T22:20:07+2:00",
            "2026-03-31T22:20:07+24:00",
            "2026-02-30T22:20:07Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "2026-03-31T22:20:07é+02:00",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bits_are_hex() {
        assert_eq!((bits("0x21"), bits("1")), (Ok(0x21), Ok(1)));
        for text in ["", "0x", "21h", "-1", "0x1ffffffffffffffff"] {
            assert!(bits(text).is_err(), "{text}");
        }
    }
}
