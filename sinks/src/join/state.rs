//! What is in so far of one object version.

use std::cmp::Ordering;

use cofferdam_schemas::{Done, ResultEvent};
use serde::{Deserialize, Serialize};

/// A result without what `done` does not need, so that a state stays small however much was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The result, without findings, artefacts, details and error.
    pub result: ResultEvent,
    /// How many findings it had.
    pub findings: u32,
}

impl Kept {
    fn new(result: &ResultEvent) -> Self {
        let findings = u32::try_from(result.findings.len()).unwrap_or(u32::MAX);
        let result = ResultEvent {
            id: result.id.clone(),
            event: result.event.clone(),
            processor: result.processor.clone(),
            processor_version: result.processor_version.clone(),
            outcome: result.outcome,
            object: result.object.clone(),
            plan: result.plan.clone(),
            verdict: result.verdict,
            findings: Vec::new(),
            sealed: result.sealed.clone(),
            artefacts: Vec::new(),
            details: std::collections::BTreeMap::new(),
            error: None,
            started_at: result.started_at,
            finished_at: result.finished_at,
        };
        Self { result, findings }
    }

    fn place(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.result, &other.result);
        (&a.processor, &a.processor_version, a.outcome).cmp(&(&b.processor, &b.processor_version, b.outcome))
    }

    /// Which of two results with one id is kept: the one that was finished first, so that it does not depend on which came first.
    fn before(&self, other: &Self) -> bool {
        let (a, b) = (&self.result, &other.result);
        match (a.finished_at, a.started_at).cmp(&(b.finished_at, b.started_at)) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => {
                serde_json::to_string(self).unwrap_or_default() < serde_json::to_string(other).unwrap_or_default()
            }
        }
    }
}

/// The results of one object version so far: one for each processor, version and outcome. Merging is commutative, associative and idempotent, so
/// order, repetition and detours do not matter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    results: Vec<Kept>,
}

/// A stored state cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("join state cannot be read")]
pub struct StateError(#[from] serde_json::Error);

impl State {
    /// Adds a result.
    pub fn add(&mut self, result: &ResultEvent) {
        self.keep(Kept::new(result));
    }

    fn keep(&mut self, kept: Kept) {
        match self.results.binary_search_by(|other| other.place(&kept)) {
            Err(at) => self.results.insert(at, kept),
            Ok(at) if kept.before(&self.results[at]) => self.results[at] = kept,
            Ok(_) => {}
        }
    }

    /// Adds what another state has.
    pub fn merge(&mut self, other: &State) {
        other.results.iter().cloned().for_each(|kept| self.keep(kept));
    }

    /// The `done` event, if every required result is in.
    pub fn conclude(&self) -> Option<Done> {
        let mut done = Done::conclude(self.results.iter().map(|kept| &kept.result))?;
        for summary in &mut done.results {
            let same = |kept: &&Kept| {
                let result = &kept.result;
                result.processor == summary.processor
                    && result.processor_version == summary.processor_version
                    && result.outcome == summary.outcome
            };
            if let Some(kept) = self.results.iter().find(same) {
                summary.findings = kept.findings;
            }
        }
        Some(done)
    }

    /// As it is stored.
    pub fn to_json(&self) -> Result<Vec<u8>, StateError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Reads what was stored.
    pub fn from_json(body: &[u8]) -> Result<Self, StateError> {
        Ok(serde_json::from_slice(body)?)
    }
}

#[cfg(test)]
mod tests {
    use cofferdam_schemas::Outcome;

    use super::*;
    use crate::conformance::fixture;

    #[test]
    fn findings_are_counted_not_kept() {
        let doc = fixture::object(&fixture::tenant(), "inbox", "k", 0);
        let mut result = fixture::result(&doc, "validate", Outcome::Done);
        result.findings = (0..5000).map(|n| fixture::finding(&format!("rule/{n}"))).collect();
        result.details.insert("large".into(), "x".repeat(100_000).into());
        let mut state = State::default();
        state.add(&result);
        state.add(&fixture::result(&doc, "encrypt", Outcome::Done));
        let body = state.to_json().unwrap();
        assert!(body.len() < 8192, "{}", body.len());
        let back = State::from_json(&body).unwrap();
        assert_eq!(back, state);
        let done = back.conclude().unwrap();
        assert_eq!(
            done.results.iter().map(|summary| summary.findings).collect::<Vec<_>>(),
            [0, 5000]
        );
        assert_eq!(done.sealed, Some(fixture::sealed(&doc)));
    }

    #[test]
    fn merging_commutes() {
        let doc = fixture::object(&fixture::tenant(), "inbox", "k", 0);
        let mut results = vec![
            fixture::result(&doc, "encrypt", Outcome::Dead),
            fixture::result(&doc, "encrypt", Outcome::Done),
            fixture::result(&doc, "validate", Outcome::Done),
        ];
        // The same work done twice: other times under one id.
        let mut again = results[1].clone();
        again.finished_at = again.finished_at.plus_millis(5);
        results.push(again);
        let of = |order: &[usize]| {
            let mut state = State::default();
            order.iter().for_each(|n| state.add(&results[*n]));
            state
        };
        let whole = of(&[0, 1, 2, 3]);
        for order in [[3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
            assert_eq!(of(&order), whole);
            let (mut left, right) = (of(&order[..2]), of(&order[1..]));
            left.merge(&right);
            left.merge(&right);
            assert_eq!(left, whole);
        }
        assert_eq!(whole.conclude().unwrap().results[0].finished_at, fixture::at(200));
        assert!(of(&[0, 2]).conclude().is_none(), "a dead result completes nothing");
    }
}
