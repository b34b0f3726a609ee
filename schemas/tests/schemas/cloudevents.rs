//! CloudEvents headers: anything comes back, nothing breaks a header line, and what is missing is named.

use std::collections::BTreeMap;

use cofferdam_schemas::Timestamp;
use cofferdam_schemas::cloudevent::{AttributeError, Attributes};
use proptest::prelude::*;

fn attributes() -> Attributes {
    Attributes {
        id: "00ff".to_owned(),
        source: "/cofferdam/normalise".to_owned(),
        event_type: "cofferdam.object.put.v1".to_owned(),
        subject: "a b%\"\u{20ac}".to_owned(),
        time: Timestamp::from_unix_millis(1_767_225_600_123),
    }
}

fn read(headers: &BTreeMap<&str, String>) -> Result<Attributes, AttributeError> {
    Attributes::read(|name| headers.get(name).map(String::as_str))
}

#[test]
fn headers_as_the_binding_writes_them() {
    let headers: BTreeMap<_, _> = attributes().headers().into_iter().collect();
    let get = |name: &str| headers.get(name).map(String::as_str);
    assert_eq!(get("ce-specversion"), Some("1.0"));
    // The example of the specification: a space, a quote, a per cent sign and the euro sign.
    assert_eq!(get("ce-subject"), Some("a%20b%25%22%E2%82%AC"));
    assert_eq!(get("ce-time"), Some("2026-01-01T00:00:00.123Z"));
    assert_eq!(get("ce-datacontenttype"), Some("application/json"));
    assert_eq!(read(&headers), Ok(attributes()));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let full: BTreeMap<_, _> = attributes().headers().into_iter().collect();
    for name in ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"] {
        let mut headers = full.clone();
        headers.remove(name);
        assert_eq!(read(&headers), Err(AttributeError::Missing(name)));
    }
    let with = |name: &'static str, value: &str| {
        let mut headers = full.clone();
        headers.insert(name, value.to_owned());
        read(&headers)
    };
    assert_eq!(
        with("ce-specversion", "0.3"),
        Err(AttributeError::Version("0.3".to_owned()))
    );
    assert!(matches!(
        with("ce-time", "noon"),
        Err(AttributeError::Invalid { name: "ce-time", .. })
    ));
    assert!(matches!(
        with("ce-id", "%ff"),
        Err(AttributeError::Invalid { name: "ce-id", .. })
    ));
    let mut headers = full.clone();
    headers.remove("ce-subject");
    assert_eq!(read(&headers).unwrap().subject, "", "a subject may be absent");
}

proptest! {
    #[test]
    fn anything_comes_back(id: String, source: String, event_type: String, subject: String, millis in 0..253_402_300_799_999_i64) {
        let sent = Attributes { id, source, event_type, subject, time: Timestamp::from_unix_millis(millis) };
        let headers: BTreeMap<_, _> = sent.headers().into_iter().collect();
        for value in headers.values() {
            prop_assert!(value.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'"'), "{:?}", value);
        }
        prop_assert_eq!(read(&headers).unwrap(), sent);
    }
}
