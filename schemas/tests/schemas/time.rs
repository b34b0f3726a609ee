//! Times come back as they were, in order, and in one form.

use ::time::OffsetDateTime;
use cofferdam_schemas::Timestamp;
use proptest::prelude::*;

const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;

#[track_caller]
fn check(text: &str, millis: i64, written: &str) {
    let at: Timestamp = text.parse().unwrap();
    assert_eq!((at.unix_millis(), at.to_string().as_str()), (millis, written));
}

#[test]
fn forms() {
    check("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z");
    check(
        "2026-01-01T01:00:00.1239+01:00",
        1_767_225_600_123,
        "2026-01-01T00:00:00.123Z",
    );
    check("1969-12-31T23:59:59.9995Z", -1, "1969-12-31T23:59:59.999Z");
    for text in [
        "",
        "yesterday",
        "2026-01-01",
        "2026-13-01T00:00:00Z",
        "2026-01-01T00:00:00",
    ] {
        assert!(text.parse::<Timestamp>().is_err(), "{text}");
    }
}

#[test]
fn bounds_hold() {
    assert_eq!(
        Timestamp::from_unix_millis(i64::MAX).to_string(),
        "9999-12-31T23:59:59.999Z"
    );
    assert_eq!(
        Timestamp::from_unix_millis(i64::MIN).to_string(),
        "0000-01-01T00:00:00.000Z"
    );
    assert_eq!(
        Timestamp::from_unix_millis(LAST).plus_millis(i64::MAX).unix_millis(),
        LAST
    );
    assert_eq!(
        Timestamp::from_unix_millis(FIRST).plus_millis(i64::MIN).unix_millis(),
        FIRST
    );
}

proptest! {
    #[test]
    fn text_json_and_order(one in FIRST..=LAST, other in FIRST..=LAST) {
        let (one, other) = (Timestamp::from_unix_millis(one), Timestamp::from_unix_millis(other));
        prop_assert_eq!(one.to_string().parse::<Timestamp>().unwrap(), one);
        prop_assert_eq!(serde_json::from_value::<Timestamp>(serde_json::to_value(one)?)?, one);
        prop_assert_eq!(Timestamp::from(OffsetDateTime::from(one)), one);
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
    }
}
