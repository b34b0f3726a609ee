//! The battery, and the counting itself.

use cofferdam_processor::Registration;
use cofferdam_processor::battery::{Case, Sample};
use proptest::prelude::*;

use crate::WordCount;
use crate::core::{Counter, Counts};

#[tokio::test(flavor = "multi_thread")]
async fn battery() {
    let limited = |_: &_| "max_bytes = 10".parse().unwrap();
    let case = Case::new(Registration::of::<WordCount>(&[]).unwrap());
    case.oversize(limited, Sample::new("long.txt", "more than ten bytes"))
        .run()
        .await
        .assert_passed();
}

#[track_caller]
fn check(text: &str, words: u64, lines: u64) {
    let mut counter = Counter::default();
    counter.feed(text.as_bytes());
    assert_eq!(
        counter.finish(),
        Counts {
            words,
            lines,
            bytes: text.len() as u64
        },
        "{text:?}"
    );
}

#[test]
fn counts_like_wc() {
    check("", 0, 0);
    check("one", 1, 0);
    check("  two words\n", 2, 1);
    check("a\tb\x0bc\x0cd\re\n\n", 5, 2);
    check("na\u{ef}ve caf\u{e9}\n", 2, 1);
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let problems = Registration::of::<WordCount>(&[])
        .unwrap()
        .check("max_bytes = 0".parse().unwrap())
        .unwrap_err();
    assert_eq!(problems.0[0].key, "processors.word-count.max_bytes");
}

proptest! {
    #[test]
    fn cuts_change_nothing(text in "[a \n]{0,40}", at: prop::sample::Index) {
        let cut = at.index(text.len() + 1);
        let (mut whole, mut parts) = (Counter::default(), Counter::default());
        whole.feed(text.as_bytes());
        parts.feed(&text.as_bytes()[..cut]);
        parts.feed(&text.as_bytes()[cut..]);
        prop_assert_eq!(whole.finish(), parts.finish());
    }
}
