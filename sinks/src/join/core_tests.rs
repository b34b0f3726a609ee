//! The property: whatever the order, repetition, crashes and failed calls, every object whose results are all in has exactly one `done`, with the
//! content the results give, and in the end every result is acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cofferdam_schemas::{Outcome, Verdict};
use proptest::prelude::*;

use super::super::{Journal, JournalError, Last, Spilled, spill};
use super::*;
use crate::conformance::fixture;

/// `JOIN` as far as its two rules go: state and done of an object share one sequence, and only the first done is stored. It can lose answers.
#[derive(Default)]
struct Model {
    sequence: u64,
    last: HashMap<Key, (u64, Bytes)>,
    done: HashMap<Key, Vec<Done>>,
    /// Each call takes one: 0 works, 1 fails without effect, 2 has its effect but no answer.
    faults: VecDeque<u8>,
}

#[derive(Clone, Default)]
struct ModelJournal(Arc<Mutex<Model>>);

impl ModelJournal {
    fn call<R>(&self, act: impl FnOnce(&mut Model) -> R) -> Result<R, JournalError> {
        let mut model = self.0.lock().unwrap();
        match model.faults.pop_front().unwrap_or(0) {
            0 => Ok(act(&mut model)),
            1 => Err(JournalError::Contended),
            _ => {
                act(&mut model);
                Err(JournalError::Contended)
            }
        }
    }
}

#[async_trait]
impl Journal for ModelJournal {
    async fn last(&self, key: &Key) -> Result<Last, JournalError> {
        self.call(|model| match (model.done.get(key), model.last.get(key)) {
            (Some(_), _) => Last::Done,
            (None, Some((sequence, body))) => Last::State {
                sequence: *sequence,
                body: body.clone(),
            },
            (None, None) => Last::Nothing,
        })
    }
    async fn write(&self, key: &Key, body: Bytes, expected: u64) -> Result<bool, JournalError> {
        self.call(|model| {
            let found = if model.done.contains_key(key) {
                u64::MAX
            } else {
                model.last.get(key).map_or(0, |(sequence, _)| *sequence)
            };
            if found == expected {
                model.sequence += 1;
                model.last.insert(key.clone(), (model.sequence, body));
            }
            found == expected
        })
    }
    async fn finish(&self, done: &Done) -> Result<(), JournalError> {
        self.call(|model| {
            let all = model
                .done
                .entry((done.object.tenant.clone(), done.object.id))
                .or_default();
            if all.is_empty() {
                all.push(done.clone());
            }
        })
    }
}

struct Joiner {
    core: Core<u64>,
    journal: ModelJournal,
}

impl Joiner {
    fn new(journal: &ModelJournal, limits: &Limits) -> Self {
        Self {
            core: Core::new(limits.clone()),
            journal: journal.clone(),
        }
    }

    /// Does what is due and gives the sequences to acknowledge.
    async fn drive(&mut self, now: i64, tick: bool) -> Vec<u64> {
        let mut work = self.core.finished(now);
        if tick {
            work.extend(self.core.overdue(now));
        }
        let mut acks = Vec::new();
        for (key, work) in work {
            let how = match work {
                Work::Finish(done) => self.journal.finish(&done).await.map(|()| Settled::Final),
                Work::Spill(state) => spill(&self.journal, &key, &state, 0..1).await.map(|how| match how {
                    Spilled::Final => Settled::Final,
                    Spilled::Stored => Settled::Spilled,
                }),
            };
            acks.extend(self.core.settle(&key, how.unwrap_or(Settled::Failed), now));
        }
        acks
    }
}

/// One object's fate: which results ever come.
#[derive(Debug, Clone)]
struct Fate {
    /// By processor: 0 never, 1 done, 2 dead, 3 dead and later done, 4 superseded, 5 done twice with other times.
    processors: [u8; 2],
}

fn messages(fates: &[Fate]) -> Vec<ResultEvent> {
    let tenant = cofferdam_schemas::TenantName::new("acme").unwrap();
    let mut all = Vec::new();
    for (n, fate) in fates.iter().enumerate() {
        let doc = fixture::object(&tenant, "inbox", &format!("k{n}"), n as i64);
        for (processor, what) in ["encrypt", "validate"].iter().zip(fate.processors) {
            let mut push = |outcome| {
                let mut result = fixture::result(&doc, processor, outcome);
                if n % 3 == 0 && result.verdict.is_some() {
                    result.verdict = Some(Verdict::Quarantine);
                }
                all.push(result);
            };
            match what {
                0 => {}
                1 => push(Outcome::Done),
                2 => push(Outcome::Dead),
                3 => {
                    push(Outcome::Dead);
                    push(Outcome::Done);
                }
                4 => push(Outcome::Superseded),
                _ => {
                    push(Outcome::Done);
                    push(Outcome::Done);
                }
            }
        }
    }
    all
}

#[derive(Debug, Clone)]
enum Step {
    /// Deliver a message (again) to a joiner.
    Deliver {
        message: prop::sample::Index,
        joiner: usize,
    },
    /// Time passes for a joiner and it does what is due.
    Tick { joiner: usize, millis: i64 },
    /// A joiner dies: its memory is gone, what it held comes again.
    Crash { joiner: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<prop::sample::Index>(), 0..2_usize).prop_map(|(message, joiner)| Step::Deliver { message, joiner }),
        2 => (0..2_usize, prop::sample::select(vec![0_i64, 100, 2000, 10_000])).prop_map(|(joiner, millis)| Step::Tick { joiner, millis }),
        1 => (0..2_usize).prop_map(|joiner| Step::Crash { joiner }),
    ]
}

async fn run(fates: Vec<Fate>, steps: Vec<Step>, faults: Vec<u8>, limits: Limits) {
    let all = messages(&fates);
    let journal = ModelJournal::default();
    journal.0.lock().unwrap().faults = faults.into();
    let mut joiners = [Joiner::new(&journal, &limits), Joiner::new(&journal, &limits)];
    let mut acked = BTreeSet::new();
    let mut now = 1_000_000;
    for step in steps {
        match step {
            Step::Deliver { message, joiner } if !all.is_empty() => {
                let sequence = message.index(all.len());
                // Acknowledged messages are delivered again too: acknowledgements get lost.
                let back = joiners[joiner]
                    .core
                    .offer(sequence as u64, sequence as u64, &all[sequence], false, now);
                acked.extend(back);
                acked.extend(joiners[joiner].drive(now, false).await);
            }
            Step::Deliver { .. } => {}
            Step::Tick { joiner, millis } => {
                now += millis;
                acked.extend(joiners[joiner].drive(now, true).await);
            }
            Step::Crash { joiner } => joiners[joiner] = Joiner::new(&journal, &limits),
        }
        for joiner in &joiners {
            // The largest batch is one message here, so the bound holds but for what could not be settled because of faults.
            assert!(joiner.core.open() <= all.len() && joiner.core.held() <= all.len());
        }
    }
    // Faults end. What was never acknowledged is delivered until it is.
    journal.0.lock().unwrap().faults.clear();
    for _ in 0..4 {
        for (sequence, result) in all.iter().enumerate() {
            if !acked.contains(&(sequence as u64)) {
                acked.extend(
                    joiners[sequence % 2]
                        .core
                        .offer(sequence as u64, sequence as u64, result, false, now),
                );
            }
        }
        for joiner in &mut joiners {
            now += 10_000;
            acked.extend(joiner.drive(now, true).await);
        }
    }
    assert_eq!(acked.len(), all.len(), "every result is acknowledged in the end");
    assert!(
        joiners
            .iter()
            .all(|joiner| joiner.core.open() == 0 && joiner.core.held() == 0)
    );

    let model = journal.0.lock().unwrap();
    let mut expected = BTreeMap::<Key, State>::new();
    for result in &all {
        expected
            .entry((result.object.tenant.clone(), result.object.id))
            .or_default()
            .add(result);
    }
    for (key, state) in expected {
        let found = model.done.get(&key).map_or(&[][..], Vec::as_slice);
        match state.conclude() {
            Some(done) => assert_eq!(found, [done]),
            None => assert!(found.is_empty(), "nothing is invented"),
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn exactly_one_done_with_the_same_content(
        fates in prop::collection::vec([0..6_u8, 0..6_u8].prop_map(|processors| Fate { processors }), 1..5),
        steps in prop::collection::vec(step(), 0..60),
        faults in prop::collection::vec(prop::sample::select(vec![0_u8, 0, 0, 1, 2]), 0..40),
        held in 1..20_usize,
        remembered in 1..4_usize,
    ) {
        runtime().block_on(run(fates, steps, faults, Limits { held, remembered, ..Limits::default() }));
    }
}

fn doc() -> cofferdam_schemas::ObjectRef {
    fixture::object(&cofferdam_schemas::TenantName::new("acme").unwrap(), "inbox", "k", 0)
}

#[test]
fn a_complete_object_costs_one_message_and_no_read() {
    let mut core = Core::new(Limits::default());
    let doc = doc();
    assert_eq!(
        core.offer(1, 'a', &fixture::result(&doc, "encrypt", Outcome::Done), false, 0),
        None
    );
    assert!(core.finished(0).is_empty() && core.overdue(1999).is_empty());
    assert_eq!(
        core.offer(2, 'b', &fixture::result(&doc, "validate", Outcome::Done), false, 1999),
        None
    );
    let work = core.finished(1999);
    let [(key, Work::Finish(done))] = &work[..] else {
        panic!("{work:?}")
    };
    assert_eq!(**done, fixture::done(&doc));
    assert!(core.overdue(9999).is_empty(), "a complete object is never spilled");
    assert_eq!(core.settle(key, Settled::Final, 1999), ['a', 'b']);
    // Late duplicates are acknowledged at once, but not those of an object that was published again.
    let late = fixture::result(&doc, "encrypt", Outcome::Done);
    assert_eq!(core.offer(1, 'c', &late, false, 2000), Some('c'));
    assert_eq!(core.offer(9, 'd', &late, true, 2000), None);
}

#[test]
fn what_was_spilled_is_looked_at_without_delay() {
    let mut core = Core::new(Limits::default());
    let doc = doc();
    core.offer(1, 'a', &fixture::result(&doc, "validate", Outcome::Dead), false, 0);
    let work = core.overdue(2000);
    let [(key, Work::Spill(state))] = &work[..] else {
        panic!("{work:?}")
    };
    assert!(state.conclude().is_none());
    assert_eq!(core.settle(key, Settled::Spilled, 2000), ['a']);
    core.offer(2, 'b', &fixture::result(&doc, "encrypt", Outcome::Done), false, 50_000);
    assert_eq!(core.overdue(50_000).len(), 1);
}

#[test]
fn a_failure_is_tried_again_after_a_pause_and_a_redelivery_replaces_its_ticket() {
    let mut core = Core::new(Limits::default());
    let doc = doc();
    core.offer(1, 'a', &fixture::result(&doc, "encrypt", Outcome::Done), false, 0);
    core.offer(2, 'b', &fixture::result(&doc, "validate", Outcome::Done), false, 0);
    let key = core.finished(0)[0].0.clone();
    assert!(core.settle(&key, Settled::Failed, 0).is_empty());
    assert!(core.finished(50).is_empty());
    core.offer(1, 'c', &fixture::result(&doc, "encrypt", Outcome::Done), false, 60);
    assert_eq!(core.held(), 2);
    assert_eq!(core.finished(100).len(), 1);
    assert_eq!(core.settle(&key, Settled::Final, 100), ['c', 'b']);
    assert_eq!(core.held(), 0);
}

#[test]
fn too_many_held_results_spill_the_oldest_first() {
    let mut core = Core::new(Limits {
        held: 4,
        ..Limits::default()
    });
    let tenant = cofferdam_schemas::TenantName::new("acme").unwrap();
    for n in 0..5 {
        let doc = fixture::object(&tenant, "inbox", &format!("k{n}"), n);
        core.offer(n as u64, n, &fixture::result(&doc, "encrypt", Outcome::Done), false, n);
    }
    let work = core.overdue(10);
    assert_eq!(work.len(), 2, "down to three quarters");
    for (key, _) in work {
        let tickets = core.settle(&key, Settled::Spilled, 10);
        assert!(tickets[0] < 2, "{tickets:?}");
    }
}

#[test]
fn a_clock_set_back_does_not_keep_objects_open() {
    let mut core = Core::new(Limits::default());
    core.offer(
        1,
        'a',
        &fixture::result(&doc(), "encrypt", Outcome::Done),
        false,
        1_000_000,
    );
    assert!(core.overdue(0).is_empty());
    assert_eq!(core.overdue(2000).len(), 1);
}
