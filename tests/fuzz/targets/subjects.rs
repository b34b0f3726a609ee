//! Subjects: what is read is written again as the same text.

use std::fmt::Display;
use std::str::FromStr;

use cofferdam_nats::subject::{Cmd, Dlq, Evt, Join, Res, read_any};

pub fn run(data: &[u8]) {
    let kinds = read_any(data);
    let Ok(text) = std::str::from_utf8(data) else {
        assert_eq!(kinds, 0);
        return;
    };
    let again = again::<Evt>(text) + again::<Cmd>(text) + again::<Res>(text) + again::<Join>(text) + again::<Dlq>(text);
    assert!(again <= 1 && again <= kinds);
}

fn again<T: FromStr + Display>(text: &str) -> usize {
    let Ok(subject) = text.parse::<T>() else { return 0 };
    assert_eq!(subject.to_string(), text);
    1
}
