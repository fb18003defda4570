//! Numbers as logs have them.

use std::fmt;

use super::{Why, cut};

/// What is wrong with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is below zero, and not -1.
    Negative,
    /// It is no number at all.
    NotNumeric,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negative => "is negative, but not -1",
            Self::NotNumeric => "is not a number",
        })
    }
}

/// Reads `text` as a number in units of 10^-`places`, rounded to the nearest, halves up; `None` for -1.
pub(super) fn number(name: &'static str, text: &[u8], places: u32) -> Result<Option<u64>, Why> {
    parse(text, places).map_err(|fault| Why::Field { name, text: cut(text), fault })
}

fn parse(text: &[u8], places: u32) -> Result<Option<u64>, Fault> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let value = if digits.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        scientific(digits, places)?
    } else {
        decimal(digits, places)?
    };
    match (negative, value) {
        (false, value) => Ok(Some(value)),
        (true, 0) => Ok(Some(0)),
        (true, value) if value == 10_u64.pow(places) => Ok(None),
        (true, _) => Err(Fault::Negative),
    }
}

/// Exact to the last digit, which a detour over `f64` is not.
fn decimal(text: &[u8], places: u32) -> Result<u64, Fault> {
    let point = text.iter().position(|&byte| byte == b'.').unwrap_or(text.len());
    let (whole, fraction) = (&text[..point], text.get(point + 1..).unwrap_or(&[]));
    if whole.is_empty() && fraction.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(Fault::NotNumeric);
    }
    let kept = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(places as usize);
    let value = whole
        .iter()
        .copied()
        .chain(kept)
        .fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    let half = fraction.get(places as usize).is_some_and(|&digit| digit >= b'5');
    Ok(value.saturating_add(u64::from(half)))
}

fn scientific(text: &[u8], places: u32) -> Result<u64, Fault> {
    // The sign was taken off before, and there is one at most. `f64` reads words, too, such as `infinity`.
    let plain = !text.starts_with(b"+")
        && !text.starts_with(b"-")
        && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let text = std::str::from_utf8(text).ok().filter(|_| plain).ok_or(Fault::NotNumeric)?;
    let value: f64 = text.parse().map_err(|_| Fault::NotNumeric)?;
    // `as` saturates.
    Ok((value * 10_f64.powi(places as i32)).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_and_rounded_to_the_nearest() {
        for (text, milli) in [
            ("0", 0),
            ("7", 7_000),
            ("+7", 7_000),
            ("552.21", 552_210),
            ("182.9995", 183_000),
            ("182.99949999", 182_999),
            (".5", 500),
            ("5.", 5_000),
            ("-0", 0),
            ("-0.0001", 0),
            ("1e3", 1_000_000),
            ("1.5E-3", 2),
            ("9007199254740993", 9_007_199_254_740_993_000),
            ("99999999999999999999999", u64::MAX),
            ("1e300", u64::MAX),
        ] {
            assert_eq!(parse(text.as_bytes(), 3), Ok(Some(milli)), "{text}");
        }
        assert_eq!(parse(b"12.5", 0), Ok(Some(13)));
        assert_eq!(parse(b"12.4999", 0), Ok(Some(12)));
    }

    #[test]
    fn only_minus_one_is_unknown() {
        for text in ["-1", "-1.0", "-1.000"] {
            assert_eq!(parse(text.as_bytes(), 3), Ok(None), "{text}");
        }
        for text in ["-2", "-1.5", "-0.5", "-10", "-99999999999999999999999"] {
            assert_eq!(parse(text.as_bytes(), 3), Err(Fault::Negative), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "-", "+", ".", "x", "1x", "1.2.3", "--1", "+-1", "1,5", "nan", "inf", "e", "1e", "1e5x",
            "-e", "0x10", "1_000", "١", "--1e0", "+-5e3", "++1e3",
        ] {
            assert_eq!(parse(text.as_bytes(), 3), Err(Fault::NotNumeric), "{text}");
        }
    }
}
