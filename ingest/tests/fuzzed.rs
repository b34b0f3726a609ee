//! The fuzz target of this crate (`tests/fuzz/targets`), run on any compiler: over bytes from nothing, and over a good notification with damage.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/fuzz/targets/dialects.rs"]
mod dialects;

use proptest::prelude::*;
use proptest::sample::Index;

const GOOD: &[u8] = include_bytes!("../fixtures/notifications/minio/02-put.json");

/// As the target takes it.
fn input(pick: u8, body: &[u8]) -> Vec<u8> {
    [&[pick], body].concat()
}

#[test]
fn good_bytes_pass_in_every_dialect() {
    for pick in 0..=u8::MAX {
        dialects::run(&input(pick, GOOD));
    }
    dialects::run(b"");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes(pick: u8, changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4), cut: Index) {
        let mut body = GOOD.to_vec();
        for (at, value) in changes {
            let at = at.index(body.len());
            body[at] = value;
        }
        dialects::run(&input(pick, &body));
        body.truncate(cut.index(body.len()));
        dialects::run(&input(pick, &body));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..1000)) {
        dialects::run(&bytes);
    }
}
