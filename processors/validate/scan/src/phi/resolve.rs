//! From everything found to the final list: votes are joined, weak finds dropped, overlaps resolved by confidence.

use std::collections::BTreeMap;

use super::kind::Kind;
use super::scan::{Found, Source};

/// Bytes between a year and a name that belong together.
const NEAR: usize = 250;
/// Below this a recognizer's find has not the form of what it looks for, and no vote helps it.
const FORM: f32 = 0.25;
/// What the tagger alone must be sure of.
pub const TAGGER: f32 = 0.5;

fn overlap(left: &Found, right: &Found) -> usize {
    left.span
        .end
        .min(right.span.end)
        .saturating_sub(left.span.start.max(right.span.start))
}

/// Joins the tagger's finds with the recognizers'. Both lists in any order; n log n.
pub fn vote(mut rules: Vec<Found>, mut tagged: Vec<Found>) -> Vec<Found> {
    rules.sort_by_key(|found| (found.span.start, found.span.end));
    tagged.sort_by_key(|found| (found.span.start, found.span.end));
    // Spans of rules may nest, so the search begins as far back as the longest reaches.
    let longest = rules.iter().map(|found| found.span.len()).max().unwrap_or(0);
    for tag in &mut tagged {
        let from = rules.partition_point(|rule| rule.span.start + longest < tag.span.start);
        let mut best: Option<(usize, (usize, f32))> = None;
        // At most a few hundred steps: a long span among very many short ones is not worth more.
        for (index, rule) in rules
            .iter()
            .enumerate()
            .skip(from)
            .take_while(|(_, rule)| rule.span.start < tag.span.end)
            .take(256)
        {
            let shared = overlap(rule, tag);
            let united = rule.span.len() + tag.span.len() - shared;
            if shared * 2 >= united
                && rule.kind.coarse() == tag.kind.coarse()
                && best.is_none_or(|(_, most)| (shared, rule.confidence) > most)
            {
                best = Some((index, (shared, rule.confidence)));
            }
        }
        if let Some((index, _)) = best {
            let rule = &mut rules[index];
            let free = matches!(rule.kind, Kind::Name | Kind::Location);
            // What has a form is judged by its form: the tagger helps, it does not decide.
            let joined = match free {
                true => 1.0 - (1.0 - rule.confidence) * (1.0 - tag.confidence),
                false if rule.confidence < FORM => rule.confidence,
                false => rule.confidence + (1.0 - rule.confidence) * 0.4 * tag.confidence,
            };
            if free && tag.confidence >= rule.confidence {
                rule.span = tag.span.clone();
            }
            rule.confidence = joined.min(0.99);
            rule.source = Source::Both;
            tag.confidence = 0.0;
        }
    }
    // Alone it may name people and places, and ids; forms it has not seen are not its to find.
    let alone = |tag: &Found| matches!(tag.kind, Kind::Name | Kind::Location) || tag.kind.by_cue();
    rules.extend(tagged.into_iter().filter(|tag| tag.confidence >= TAGGER && alone(tag)));
    rules
}

/// The final list, in the order of the text, without overlaps. `least` is what a kind needs to be reported.
pub fn resolve(mut found: Vec<Found>, least: impl Fn(Kind) -> f32) -> Vec<Found> {
    years(&mut found);
    found.retain(|found| found.confidence >= least(found.kind));
    found.sort_by(|left, right| {
        let length = |found: &Found| found.span.len();
        right
            .confidence
            .total_cmp(&left.confidence)
            .then(length(right).cmp(&length(left)))
            .then((left.span.start, left.kind).cmp(&(right.span.start, right.kind)))
    });
    let mut taken: BTreeMap<usize, Found> = BTreeMap::new();
    for found in found {
        let before = taken.range(..found.span.end).next_back();
        if before.is_none_or(|(_, before)| before.span.end <= found.span.start) {
            taken.insert(found.span.start, found);
        }
    }
    taken.into_values().collect()
}

/// A bare year is noted only beside the name of a person.
fn years(found: &mut [Found]) {
    let mut names: Vec<(usize, f32)> = found
        .iter()
        .filter(|found| found.kind == Kind::Name && found.confidence >= 0.5)
        .map(|found| (found.span.start, found.confidence))
        .collect();
    names.sort_by_key(|(start, _)| *start);
    for year in found.iter_mut().filter(|found| found.kind == Kind::PersonYear) {
        let from = names.partition_point(|(start, _)| *start + NEAR < year.span.start);
        if names.get(from).is_some_and(|(start, _)| *start < year.span.end + NEAR) {
            year.confidence = 0.5;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kind: Kind, span: std::ops::Range<usize>, confidence: f32) -> Found {
        Found {
            kind,
            span,
            confidence,
            source: Source::Rule,
        }
    }

    #[test]
    fn the_surer_of_two_stays_and_neighbours_do_not_hurt() {
        let list = vec![
            found(Kind::Phone, 0..12, 0.8),
            found(Kind::Mrn, 2..8, 0.9),
            found(Kind::Email, 12..20, 0.9),
            found(Kind::Url, 13..19, 0.9),
        ];
        let kinds: Vec<Kind> = resolve(list, |_| 0.5).into_iter().map(|found| found.kind).collect();
        assert_eq!(kinds, [Kind::Mrn, Kind::Email]);
    }

    #[test]
    fn two_votes_are_surer_than_one() {
        let both = vote(vec![found(Kind::Name, 0..5, 0.4)], vec![found(Kind::Name, 0..8, 0.6)]);
        assert_eq!(both.len(), 1);
        assert!((both[0].confidence - 0.76).abs() < 1e-6 && both[0].span == (0..8) && both[0].source == Source::Both);
    }

    #[test]
    fn a_year_counts_only_near_a_name() {
        let year = || found(Kind::PersonYear, 500..504, 0.3);
        assert!(resolve(vec![year()], |_| 0.45).is_empty());
        assert_eq!(
            resolve(vec![year(), found(Kind::Name, 480..490, 0.9)], |_| 0.45).len(),
            2
        );
        assert_eq!(resolve(vec![year(), found(Kind::Name, 10..20, 0.9)], |_| 0.45).len(), 1);
    }
}
