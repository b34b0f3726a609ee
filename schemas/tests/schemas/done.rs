//! Completion: when it is reached, what it says, and that order and repeats change nothing.

use cofferdam_schemas::{
    Done, FinalState, ObjectRef, Outcome, Plan, ProcessorName, ResultEvent, SealedCopy, Timestamp, Verb, Verdict,
    generate,
};
use proptest::prelude::*;

fn example() -> ResultEvent {
    let wire = generate::wire_types()
        .into_iter()
        .find(|wire| wire.name == "result")
        .unwrap();
    serde_json::from_value(wire.example).unwrap()
}

fn sealed() -> SealedCopy {
    let wire = generate::wire_types()
        .into_iter()
        .find(|wire| wire.name == "done")
        .unwrap();
    serde_json::from_value::<Done>(wire.example).unwrap().sealed.unwrap()
}

fn result(processor: &str, version: &str, outcome: Outcome, verdict: Option<Verdict>, ended: i64) -> ResultEvent {
    let mut result = example();
    let object: &ObjectRef = &result.object;
    result.processor = processor.parse().unwrap();
    result.id = ResultEvent::result_id(&object.event_id(Verb::Put), &result.processor, version, outcome);
    result.processor_version = version.to_owned();
    result.outcome = outcome;
    result.verdict = verdict;
    result.finished_at = Timestamp::from_unix_millis(ended);
    result.sealed = (processor == "encrypt" && outcome == Outcome::Done).then(sealed);
    result.plan = Plan::new(["encrypt", "validate"].map(|name| name.parse().unwrap()), "p");
    result
}

#[test]
fn nothing_is_done_before_everything_is() {
    let encrypt = result("encrypt", "1", Outcome::Done, None, 1);
    assert_eq!(Done::conclude([]), None);
    assert_eq!(Done::conclude([&encrypt]), None);
    let dead = result("validate", "1", Outcome::Dead, None, 2);
    assert_eq!(
        Done::conclude([&encrypt, &dead]),
        None,
        "a dead letter waits for a person"
    );
    let replayed = result("validate", "1", Outcome::Done, Some(Verdict::Pass), 3);
    let done = Done::conclude([&encrypt, &dead, &replayed]).unwrap();
    assert_eq!(
        (done.state, done.verdict, done.sealed.is_some()),
        (FinalState::Done, Verdict::Pass, true)
    );
    let names: Vec<&ProcessorName> = done.results.iter().map(|summary| &summary.processor).collect();
    assert_eq!(
        names,
        ["encrypt", "validate"]
            .map(|name| name.parse().unwrap())
            .iter()
            .collect::<Vec<_>>()
    );
}

#[test]
fn what_is_not_required_neither_delays_nor_decides() {
    let both = [
        result("encrypt", "1", Outcome::Done, None, 1),
        result("validate", "1", Outcome::Done, Some(Verdict::Pass), 2),
    ];
    let extra = result("analyse", "1", Outcome::Done, Some(Verdict::Quarantine), 3);
    let done = Done::conclude(both.iter().chain([&extra])).unwrap();
    assert_eq!((done.verdict, done.results.len()), (Verdict::Pass, 2));
}

#[test]
fn states() {
    let state = |encrypt: Outcome, validate: Outcome, verdict| {
        let results = [
            result("encrypt", "1", encrypt, None, 1),
            result("validate", "1", validate, verdict, 2),
        ];
        Done::conclude(&results).map(|done| done.state)
    };
    use Outcome::{Done as D, Superseded as S};
    assert_eq!(state(D, D, Some(Verdict::Pass)), Some(FinalState::Done));
    assert_eq!(state(D, D, Some(Verdict::Incomplete)), Some(FinalState::Done));
    assert_eq!(state(D, D, Some(Verdict::Quarantine)), Some(FinalState::Quarantined));
    assert_eq!(state(S, D, Some(Verdict::Pass)), Some(FinalState::Superseded));
    assert_eq!(
        state(S, D, Some(Verdict::Quarantine)),
        Some(FinalState::Quarantined),
        "it must not be given out either way"
    );
    assert_eq!(state(S, S, None), Some(FinalState::Superseded));
}

#[test]
fn later_versions_win_as_numbers() {
    let encrypt = result("encrypt", "1", Outcome::Done, None, 1);
    let of = |versions: [&str; 2]| {
        let results = versions.map(|version| result("validate", version, Outcome::Done, None, 2));
        Done::conclude([&encrypt, &results[0], &results[1]]).unwrap().results[1]
            .processor_version
            .clone()
    };
    assert_eq!(of(["9", "10"]), "10");
    assert_eq!(of(["1.10", "1.9"]), "1.10");
    assert_eq!(of(["2", "1.99"]), "2");
}

fn any_result() -> impl Strategy<Value = ResultEvent> {
    let verdicts = [
        None,
        Some(Verdict::Pass),
        Some(Verdict::Review),
        Some(Verdict::Incomplete),
        Some(Verdict::Quarantine),
    ];
    (
        prop::sample::select(vec!["encrypt", "validate", "analyse"]),
        prop::sample::select(vec!["1", "2", "10"]),
        prop::sample::select(vec![Outcome::Done, Outcome::Superseded, Outcome::Dead]),
        prop::sample::select(verdicts.to_vec()),
        0_i64..3,
    )
        .prop_map(|(processor, version, outcome, verdict, ended)| result(processor, version, outcome, verdict, ended))
}

proptest! {
    #[test]
    fn order_and_repeats_change_nothing(
        (results, shuffled) in prop::collection::vec(any_result(), 0..8).prop_flat_map(|results| (Just(results.clone()), Just(results).prop_shuffle())),
        repeats in 0usize..3,
    ) {
        let one = Done::conclude(&results);
        let twice = shuffled.iter().chain(shuffled.iter().take(repeats));
        prop_assert_eq!(&one, &Done::conclude(twice));
        // More results never take a conclusion back, and the worst required verdict stands.
        if let Some(done) = &one {
            let names: Vec<_> = done.results.iter().map(|summary| summary.processor.clone()).collect();
            prop_assert_eq!(names, done.plan.required.clone());
            let worst = done.results.iter().filter_map(|summary| summary.verdict).max().unwrap_or(Verdict::Pass);
            prop_assert_eq!(done.verdict, worst);
            prop_assert_eq!(done.state == FinalState::Quarantined, worst == Verdict::Quarantine);
        }
    }
}
