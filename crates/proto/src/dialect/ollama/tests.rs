use std::time::Duration;

use super::stamp::stamp;

#[test]
fn stamps_are_dates() {
    let text = |seconds: u64, nanos: u32| String::from_utf8(stamp(Duration::new(seconds, nanos)).to_vec()).unwrap();
    for (seconds, nanos, expected) in [
        (0, 0, "1970-01-01T00:00:00.000000000Z"),
        (951_782_399, 999_999_999, "2000-02-28T23:59:59.999999999Z"),
        (951_782_400, 1, "2000-02-29T00:00:00.000000001Z"),
        (951_868_800, 0, "2000-03-01T00:00:00.000000000Z"),
        (1_709_164_800, 0, "2024-02-29T00:00:00.000000000Z"),
        (1_767_225_599, 500_000_000, "2025-12-31T23:59:59.500000000Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00.000000000Z"),
        (u64::MAX, 0, "9999-12-31T23:59:59.000000000Z"),
    ] {
        assert_eq!(text(seconds, nanos), expected);
    }
}
