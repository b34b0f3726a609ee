//! An object version is finished: the message on `JOIN`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Verdict;
use crate::ids::{EventId, ProcessorName};
use crate::object::ObjectRef;
use crate::plan::Plan;
use crate::result::{Outcome, ResultEvent, SealedCopy};
use crate::timestamp::Timestamp;

/// The one final state of an object version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FinalState {
    /// Every required processor has its result.
    Done,
    /// Done, sealed, and not to be given out.
    Quarantined,
    /// Gone or replaced at its source before all of it could be processed.
    Superseded,
}

impl FinalState {
    /// The word in rows and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            FinalState::Done => "done",
            FinalState::Quarantined => "quarantined",
            FinalState::Superseded => "superseded",
        }
    }
}
impl fmt::Display for FinalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One processor's result as the `done` event repeats it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessorSummary {
    /// The processor.
    pub processor: ProcessorName,
    /// Its version.
    pub processor_version: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What it concluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// How many findings it has.
    pub findings: u32,
    /// When its work ended.
    pub finished_at: Timestamp,
}

/// All required results are in. There is exactly one of these per object version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// The event that started it all.
    pub event: EventId,
    /// The object version.
    pub object: ObjectRef,
    /// The plan that is now fulfilled.
    pub plan: Plan,
    /// The final state.
    pub state: FinalState,
    /// The worst verdict of all processors; `pass` when none drew one.
    pub verdict: Verdict,
    /// The sealed copy, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealedCopy>,
    /// Each required processor's result, sorted by processor.
    pub results: Vec<ProcessorSummary>,
}

impl Done {
    /// The CloudEvents type.
    pub const TYPE: &'static str = "cofferdam.object.done.v1";

    /// Concludes from the results of all required processors. `None` while one is missing or dead-lettered.
    ///
    /// The order in which results came does not matter. Of two from one processor the later version wins; of two that are the same work done
    /// twice, the one that ended first.
    pub fn conclude<'a>(results: impl IntoIterator<Item = &'a ResultEvent>) -> Option<Done> {
        let mut by_processor = BTreeMap::<&ProcessorName, &ResultEvent>::new();
        for result in results {
            match by_processor.entry(&result.processor) {
                Entry::Vacant(place) => {
                    place.insert(result);
                }
                Entry::Occupied(mut place) if preference(result, place.get()) == Ordering::Greater => {
                    place.insert(result);
                }
                Entry::Occupied(_) => {}
            }
        }
        let first = by_processor.values().next()?;
        let (event, object, plan) = (first.event.clone(), first.object.clone(), first.plan.clone());
        let required: Option<Vec<&ResultEvent>> = plan
            .required
            .iter()
            .map(|name| by_processor.get(name).copied().filter(|r| r.outcome != Outcome::Dead))
            .collect();
        let required = required?;
        let verdict = required.iter().filter_map(|r| r.verdict).max().unwrap_or(Verdict::Pass);
        let sealed = required.iter().find_map(|r| r.sealed.clone());
        let superseded = required.iter().any(|r| r.outcome == Outcome::Superseded);
        let state = match verdict {
            Verdict::Quarantine => FinalState::Quarantined,
            _ if superseded => FinalState::Superseded,
            _ => FinalState::Done,
        };
        let results = required
            .iter()
            .map(|r| ProcessorSummary {
                processor: r.processor.clone(),
                processor_version: r.processor_version.clone(),
                outcome: r.outcome,
                verdict: r.verdict,
                findings: u32::try_from(r.findings.len()).unwrap_or(u32::MAX),
                finished_at: r.finished_at,
            })
            .collect();
        Some(Done {
            event,
            object,
            plan,
            state,
            verdict,
            sealed,
            results,
        })
    }
}

/// Which of two results of one processor counts; a total order, so that it does not matter which was seen first.
fn preference(one: &ResultEvent, other: &ResultEvent) -> Ordering {
    let alive = |result: &ResultEvent| result.outcome != Outcome::Dead;
    let done = |result: &ResultEvent| result.outcome == Outcome::Done;
    let text = |result: &ResultEvent| serde_json::to_string(result).unwrap_or_default();
    alive(one)
        .cmp(&alive(other))
        .then_with(|| version_order(&one.processor_version, &other.processor_version))
        .then_with(|| done(one).cmp(&done(other)))
        .then_with(|| other.finished_at.cmp(&one.finished_at))
        .then_with(|| text(one).cmp(&text(other)))
}

/// Versions by their parts, numbers as numbers: 9 before 10, 1.9 before 1.10.
fn version_order(one: &str, other: &str) -> Ordering {
    let part = |text: &str| (text.parse::<u64>().ok(), text.to_owned());
    one.split('.')
        .map(part)
        .cmp(other.split('.').map(part))
        .then_with(|| one.cmp(other))
}
