//! Whether a statement agrees with itself.

use std::collections::BTreeSet;

use super::{Batch, Bom, Counts, Part, Source, Split, Statement};

/// The most documents of a statement; a larger batch takes several.
pub const MOST_DOCUMENTS: usize = 200_000;
/// The most parts of a split.
const MOST_PARTS: usize = 16;

/// How a statement contradicts itself, or what it lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BomError {
    /// Nothing in it has a hash, and in-toto knows no statement about nothing.
    #[error("there is nothing to make a statement about: no document has a hash")]
    NoSubject,
    /// More than [`MOST_DOCUMENTS`], or more parts than there are verdicts.
    #[error("{0} entries are more than the {1} that a statement may have: make several, by prefix or by time")]
    TooMany(usize, usize),
    /// The subjects are not those of the predicate.
    #[error("the subjects are not the documents that the predicate lists")]
    Subjects,
    /// A count is not the number of entries.
    #[error("the counts by verdict are not those of the entries")]
    Counts,
    /// A document names versions that are not there.
    #[error("document {0} names rule versions that are not listed")]
    Versions(usize),
    /// A risk above 100.
    #[error("document {0} has a risk above 100")]
    Risk(usize),
    /// Documents and a split, or the batch says otherwise.
    #[error("the batch is not of the kind that its entries are")]
    Kind,
    /// Records of the input are in no part, or in several.
    #[error("the input has {input} records, its parts have {parts}")]
    Lost {
        /// In the input.
        input: u64,
        /// In all parts together.
        parts: u64,
    },
    /// Two parts with a name.
    #[error("two parts have the same name")]
    Twins,
}

impl Statement {
    /// Checks that subjects, counts, versions and, of a split, the numbers of records agree with the entries.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), BomError> {
        self.predicate.check()?;
        if self.subject.is_empty() {
            return Err(BomError::NoSubject);
        }
        if self.subject != self.predicate.subjects() {
            return Err(BomError::Subjects);
        }
        Ok(())
    }
}

impl Bom {
    fn check(&self) -> Result<(), BomError> {
        if self.documents.len() > MOST_DOCUMENTS {
            return Err(BomError::TooMany(self.documents.len(), MOST_DOCUMENTS));
        }
        let Batch { source, .. } = self.batch;
        match &self.split {
            Some(split) if source == Source::Split && self.documents.is_empty() => split.check(&self.counts),
            None if source != Source::Split => self.check_documents(),
            Some(_) | None => Err(BomError::Kind),
        }
    }

    fn check_documents(&self) -> Result<(), BomError> {
        let mut counts = Counts::default();
        for (at, document) in self.documents.iter().enumerate() {
            counts.add(document.verdict);
            let versions = document
                .versions
                .map(|place| usize::try_from(place).unwrap_or(usize::MAX));
            if versions.is_some_and(|place| place >= self.versions.len()) {
                return Err(BomError::Versions(at));
            }
            if document.risk.is_some_and(|risk| risk > 100) {
                return Err(BomError::Risk(at));
            }
        }
        if counts == self.counts {
            Ok(())
        } else {
            Err(BomError::Counts)
        }
    }
}

impl Split {
    fn check(&self, counts: &Counts) -> Result<(), BomError> {
        if self.parts.len() > MOST_PARTS {
            return Err(BomError::TooMany(self.parts.len(), MOST_PARTS));
        }
        let names: BTreeSet<&str> = self.parts.iter().map(|part| part.file.name.as_str()).collect();
        if names.len() != self.parts.len() {
            return Err(BomError::Twins);
        }
        let sum = |number: fn(&Part) -> u64| self.parts.iter().map(number).fold(0, u64::saturating_add);
        let (input, parts) = (self.input.records, sum(|part| part.file.records));
        if input != parts {
            return Err(BomError::Lost { input, parts });
        }
        let all = Counts {
            total: sum(|part| part.counts.total),
            pass: sum(|part| part.counts.pass),
            review: sum(|part| part.counts.review),
            incomplete: sum(|part| part.counts.incomplete),
            quarantine: sum(|part| part.counts.quarantine),
            no_verdict: sum(|part| part.counts.no_verdict),
        };
        let whole = |counts: &Counts, records: u64| counts.is_whole() && counts.total == records;
        let each = self.parts.iter().all(|part| whole(&part.counts, part.file.records));
        if each && all == *counts && whole(counts, input) {
            Ok(())
        } else {
            Err(BomError::Counts)
        }
    }
}

impl Counts {
    /// Whether the verdicts add up to the total.
    fn is_whole(&self) -> bool {
        let verdicts = [
            self.pass,
            self.review,
            self.incomplete,
            self.quarantine,
            self.no_verdict,
        ];
        verdicts.into_iter().fold(0, u64::saturating_add) == self.total
    }
}
