//! How far a stream may be emptied: values in, a decision out.

/// What is known of a stream at one look. Sequences are the stream's; `0` stands before its first message.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The first message that may be removed at all (in `JOIN` only a `done`); past [`Facts::last`] if there is none.
    pub first: u64,
    /// The last message.
    pub last: u64,
    /// How full it is: 1 is the limit where it refuses messages.
    pub fill: f64,
    /// The consumers the topology has on it, and up to where each needs nothing any more.
    pub consumers: Vec<(String, u64)>,
    /// The lowest of those a look ago, `None` at the first look.
    pub before: Option<u64>,
    /// The oldest message that the broker gave up and nobody has copied into `DLQ` yet.
    pub uncopied: Option<u64>,
    /// The first message that is too young to go, however full the stream is.
    pub young: u64,
    /// The oldest message that has a dead letter. The letter is a full copy, so the message itself is a convenience.
    pub letter: Option<u64>,
    /// The first message of the replay time.
    pub replay: u64,
}

/// When to remove, as shares of the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Marks {
    /// From here on what nobody needs is removed.
    pub start: f64,
    /// From here on conveniences yield: the replay time, and messages that have a dead letter.
    pub pressure: f64,
}

/// What stands in the way of removing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fence {
    /// This consumer has not acknowledged it.
    Consumer(String),
    /// It was acknowledged, but not yet at the last look.
    Settling,
    /// The broker gave it up and the dead-letter writer has not copied it.
    Uncopied,
    /// It is too young.
    Young,
    /// It has a dead letter that waits for a person.
    DeadLetter,
    /// It is within the replay time.
    Replay,
}

impl Fence {
    /// As a metric label. Consumers are those of the topology, so there is a bound to it.
    pub fn label(&self) -> &str {
        match self {
            Fence::Consumer(name) => name,
            Fence::Settling => "settling",
            Fence::Uncopied => "uncopied",
            Fence::Young => "young",
            Fence::DeadLetter => "dead-letter",
            Fence::Replay => "replay",
        }
    }
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cut {
    /// Remove up to this sequence, inclusive.
    pub through: Option<u64>,
    /// What holds the stream above the mark; `None` when it is not above it, or will not be.
    pub held_by: Option<Fence>,
}

/// A stream that is not full is not cut for less than this share of it: each cut costs the server a scan.
const LEAST_SHARE: u64 = 64;

/// How far to cut.
///
/// | fence | yields under pressure | why |
/// |---|---|---|
/// | a consumer's floor | no | its work would be lost |
/// | the floor a look ago | no | a floor jumps past a message that used up its deliveries the moment before the broker's advisory is stored |
/// | a message given up and not copied | no | its body is nowhere else |
/// | young | no | whoever relies on a message being there for a moment |
/// | a dead letter | yes | the letter holds a full copy, and one that nobody looks at must not stop everything else |
/// | the replay time | yes | a convenience |
///
/// Under pressure no more is removed than brings the stream down to the start mark.
pub fn floor(facts: &Facts, marks: Marks) -> Cut {
    if facts.fill < marks.start {
        return Cut::default();
    }
    let consumers = facts
        .consumers
        .iter()
        .map(|(name, floor)| (*floor, Fence::Consumer(name.clone())));
    let hard = consumers
        .chain([
            (facts.before.unwrap_or(0), Fence::Settling),
            (before(facts.young), Fence::Young),
            (facts.uncopied.map_or(u64::MAX, before), Fence::Uncopied),
        ])
        .min_by_key(|(floor, _)| *floor);
    let soft = [
        (before(facts.replay), Fence::Replay),
        (facts.letter.map_or(u64::MAX, before), Fence::DeadLetter),
    ]
    .into_iter()
    .min_by_key(|(floor, _)| *floor);
    // Both lists have members.
    let (Some(hard), Some(soft)) = (hard, soft) else {
        return Cut::default();
    };
    let span = facts.last.saturating_sub(before(facts.first));
    let pressed = facts.fill >= marks.pressure;
    let excess = (span as f64 * (1.0 - marks.start / facts.fill)).ceil() as u64;
    let wanted = before(facts.first).saturating_add(excess);

    let (mut through, mut fence) = if hard.0 <= soft.0 { hard.clone() } else { soft };
    if pressed && through < wanted {
        (through, fence) = if hard.0 < wanted { hard } else { (wanted, Fence::Young) };
    }
    let through = through.min(facts.last);
    let held_by = (through < wanted).then_some(fence);
    let gain = through.saturating_sub(before(facts.first));
    let enough = gain > 0 && (pressed || gain >= span / LEAST_SHARE);
    Cut {
        through: enough.then_some(through),
        held_by,
    }
}

fn before(sequence: u64) -> u64 {
    sequence.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks {
        start: 0.5,
        pressure: 0.85,
    };

    /// A thousand messages, all acknowledged, none within the replay time.
    fn facts(fill: f64) -> Facts {
        Facts {
            first: 1,
            last: 1000,
            fill,
            consumers: vec![("a".into(), 1000), ("b".into(), 1000)],
            before: Some(1000),
            uncopied: None,
            young: 1001,
            letter: None,
            replay: 1001,
        }
    }

    #[track_caller]
    fn check(facts: &Facts, through: Option<u64>, held_by: Option<&str>) {
        let cut = floor(facts, MARKS);
        assert_eq!(
            (cut.through, cut.held_by.as_ref().map(Fence::label)),
            (through, held_by)
        );
    }

    #[test]
    fn nothing_is_removed_below_the_mark() {
        check(&facts(0.0), None, None);
        check(&facts(0.49), None, None);
    }

    #[test]
    fn what_everybody_has_acknowledged_goes() {
        check(&facts(0.5), Some(1000), None);
        check(&facts(0.99), Some(1000), None);
    }

    #[test]
    fn every_hard_fence_holds_whatever_the_pressure() {
        for fill in [0.6, 0.99, 1.0] {
            let full = facts(fill);
            let lagging = vec![("a".into(), 1000), ("b".into(), 100)];
            for (facts, fence) in [
                (
                    Facts {
                        consumers: lagging,
                        ..full.clone()
                    },
                    "b",
                ),
                (
                    Facts {
                        before: Some(100),
                        ..full.clone()
                    },
                    "settling",
                ),
                (
                    Facts {
                        uncopied: Some(101),
                        ..full.clone()
                    },
                    "uncopied",
                ),
                (
                    Facts {
                        young: 101,
                        ..full.clone()
                    },
                    "young",
                ),
            ] {
                check(&facts, Some(100), Some(fence));
            }
        }
    }

    #[test]
    fn at_the_first_look_nothing_goes() {
        check(
            &Facts {
                before: None,
                ..facts(1.0)
            },
            None,
            Some("settling"),
        );
    }

    #[test]
    fn the_lowest_fence_counts() {
        let mut all = facts(0.6);
        all.consumers = vec![("a".into(), 90), ("b".into(), 80)];
        all.before = Some(70);
        all.uncopied = Some(61);
        all.letter = Some(51);
        all.replay = 41;
        check(&all, Some(40), Some("replay"));
        all.replay = 1001;
        check(&all, Some(50), Some("dead-letter"));
        all.letter = None;
        check(&all, Some(60), Some("uncopied"));
        all.uncopied = None;
        check(&all, Some(70), Some("settling"));
        all.before = Some(1000);
        check(&all, Some(80), Some("b"));
    }

    #[test]
    fn conveniences_hold_until_there_is_pressure_and_then_yield_what_is_needed() {
        let replay = Facts {
            replay: 101,
            ..facts(0.6)
        };
        check(&replay, Some(100), Some("replay"));
        // 0.9 down to 0.5 is four ninths of it.
        check(
            &Facts {
                fill: 0.9,
                ..replay.clone()
            },
            Some(445),
            None,
        );
        check(
            &Facts {
                fill: 1.0,
                ..replay.clone()
            },
            Some(500),
            None,
        );
        let letter = Facts {
            letter: Some(1),
            ..facts(0.6)
        };
        check(&letter, None, Some("dead-letter"));
        check(
            &Facts {
                fill: 1.0,
                ..letter.clone()
            },
            Some(500),
            None,
        );
        // Not past what is needed by somebody.
        let behind = vec![("a".into(), 300)];
        check(
            &Facts {
                fill: 1.0,
                consumers: behind,
                ..letter
            },
            Some(300),
            Some("a"),
        );
        // More is free than is needed: it goes as without pressure.
        check(
            &Facts {
                fill: 0.9,
                replay: 801,
                ..facts(0.9)
            },
            Some(800),
            None,
        );
    }

    #[test]
    fn a_small_gain_waits_unless_there_is_pressure() {
        let small = Facts {
            replay: 11,
            ..facts(0.6)
        };
        check(&small, None, Some("replay"));
        let enough = Facts {
            replay: 17,
            ..facts(0.6)
        };
        check(&enough, Some(16), Some("replay"));
        let behind = vec![("a".into(), 3)];
        check(
            &Facts {
                consumers: behind,
                ..facts(0.9)
            },
            Some(3),
            Some("a"),
        );
    }

    #[test]
    fn odd_numbers_do_no_harm() {
        // Empty of what may be removed: JOIN with open objects only.
        check(
            &Facts {
                first: 1001,
                ..facts(0.9)
            },
            None,
            None,
        );
        // A floor beyond the last message, or before the first.
        check(
            &Facts {
                consumers: vec![("a".into(), 5000)],
                before: Some(5000),
                ..facts(0.9)
            },
            Some(1000),
            None,
        );
        let old = vec![("a".into(), 3)];
        check(
            &Facts {
                first: 500,
                consumers: old,
                ..facts(0.9)
            },
            None,
            Some("a"),
        );
        check(
            &Facts {
                consumers: Vec::new(),
                ..facts(0.9)
            },
            Some(1000),
            None,
        );
        check(
            &Facts {
                first: 0,
                last: 0,
                ..facts(0.9)
            },
            None,
            None,
        );
    }

    proptest::proptest! {
        #[test]
        fn never_past_a_hard_fence(
            last in 1u64..10_000, first in 1u64..10_000, fill in 0.0f64..2.0, a in 0u64..12_000, b in 0u64..12_000,
            before in proptest::option::of(0u64..12_000), uncopied in proptest::option::of(1u64..12_000), young in 1u64..12_000,
            letter in proptest::option::of(1u64..12_000), replay in 1u64..12_000,
        ) {
            let facts = Facts {
                first, last, fill, consumers: vec![("a".into(), a), ("b".into(), b)], before, uncopied, young, letter, replay,
            };
            let cut = floor(&facts, MARKS);
            if let Some(through) = cut.through {
                assert!(fill >= MARKS.start && through >= first && through <= last);
                assert!(through <= a && through <= b && through <= before.unwrap_or(0) && through < young);
                assert!(uncopied.is_none_or(|at| through < at));
                if fill < MARKS.pressure {
                    assert!(through < replay && letter.is_none_or(|at| through < at));
                }
            }
        }
    }
}
