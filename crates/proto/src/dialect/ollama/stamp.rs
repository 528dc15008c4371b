//! Timestamps in Ollama's format.

use std::time::Duration;

/// Length of a timestamp in bytes.
pub(super) const LENGTH: usize = 30;
/// 9999-12-31T23:59:59Z, the last second that fits the format.
const LAST: u64 = 253_402_300_799;

/// A time since 1970 as RFC 3339 in UTC with nanoseconds: `2026-11-21T09:30:00.000000000Z`.
pub(super) fn stamp(since: Duration) -> [u8; LENGTH] {
    let seconds = since.as_secs().min(LAST);
    let (year, month, day) = date(seconds / 86_400);
    let second = seconds % 86_400;
    let mut out = *b"0000-00-00T00:00:00.000000000Z";
    let parts = [
        (0..4, year),
        (5..7, month),
        (8..10, day),
        (11..13, second / 3600),
        (14..16, second / 60 % 60),
        (17..19, second % 60),
        (20..29, u64::from(since.subsec_nanos())),
    ];
    for (range, number) in parts {
        digits(&mut out[range], number);
    }
    out
}

fn digits(out: &mut [u8], mut number: u64) {
    for byte in out.iter_mut().rev() {
        *byte += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// Year, month and day of a day since 1970-01-01: Howard Hinnant's `civil_from_days`, whose years begin in March.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}
