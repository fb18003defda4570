//! Numbers, bytes and times for people.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes, in the unit that suits them.
pub fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{:.1} KiB", count as f64 / 1_024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

/// A span of time, in the units that suit it: `500 ms`, `12.3 s`, `58m 29s`, `28d 0h`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How many times: whole numbers from ten on, for whatever is less the tenths matter.
pub fn factor(times: f64) -> String {
    if times < 10.0 { format!("{times:.1}") } else { format!("{times:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_can_read_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.5, 1.0, 240.0, 1e9].map(factor), ["0.5", "1.0", "240", "1000000000"]);
        assert_eq!([9_999, 10_240, 20 << 20].map(bytes), ["9999 B", "10.0 KiB", "20.0 MiB"]);
        assert_eq!(
            [250, 12_300, 3_509_000, 28 * 86_400_000].map(|millis| span(Duration::from_millis(millis))),
            ["250 ms", "12.3 s", "58m 29s", "28d 0h"]
        );
    }
}
