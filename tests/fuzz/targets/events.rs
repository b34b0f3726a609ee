//! Messages on the streams, written by somebody else: three lines (subject, event type, what it is about), the rest is the body. A message is one kind of event at most.

use cofferdam_nats::worker::read_any;

pub fn run(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == b'\n');
    let mut line = || std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    let (subject, event_type, about) = (line(), line(), line());
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/x"),
        ("ce-time", "2026-01-01T00:00:00Z"),
        ("ce-type", event_type),
        ("ce-subject", about),
    ];
    let body = parts.next().unwrap_or_default();
    assert!(read_any(subject, &headers, body) <= 1);
    // Without its headers it is none.
    assert_eq!(read_any(subject, &[], body), 0);
}
