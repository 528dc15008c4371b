//! Dates in HTTP headers: `Date`, and `Retry-After` in seconds or as a date (RFC 9110 §5.6.7, §10.2.3).

use crate::lenient::Number;
use crate::{Millis, limits};

/// The instant of a `Date` header; `None` when it is no date.
pub fn read(value: &str) -> Option<Millis> {
    Some(Millis(unix(value.trim())?.saturating_mul(1000)))
}

/// Seconds to wait, at most [`limits::RESET_MAX`]; 0 when the date has passed.
pub(crate) fn wait(value: &str, now: Millis) -> Option<u64> {
    let value = value.trim();
    let seconds = match Number::read(value) {
        Some(number) => Number(number.0.ceil()).count()?,
        None => u64::try_from(unix(value)?.saturating_sub(now.seconds()).max(0)).ok()?,
    };
    Some(seconds.min(limits::RESET_MAX.as_secs()))
}

/// Unix seconds of an IMF-fixdate (`Sun, 06 Nov 1994 08:49:37 GMT`), the one form that senders may still make.
fn unix(date: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = date.split_once(", ")?;
    let mut parts = date.split(' ');
    let day = small(parts.next()?)?;
    let name = parts.next()?;
    let month = i64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()? + 1;
    let year = parts.next().filter(|year| year.len() == 4).and_then(small)?;
    let mut clock = parts.next()?.split(':').map(small);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    (parts.next() == Some("GMT")).then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn small(text: &str) -> Option<i64> {
    (text.len() <= 4).then(|| text.parse::<u16>().ok().map(i64::from)).flatten()
}

/// Days from 1970-01-01 in the Gregorian calendar, years counted from March (Hinnant, "chrono-compatible low-level date
/// algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
