//! What the engine says about a document: problems with positions, facts, and what was and was not checked.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use cofferdam_schemas::Severity;

/// Bytes of a field path or column name that a problem carries at most.
pub const FIELD_BYTES: usize = 256;

/// One thing wrong with the form of a document. It holds no value of the document; names of columns and members are names, not values.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// `structure/…`, `schema/…` or `active/…`.
    pub rule: &'static str,
    /// How grave.
    pub severity: Severity,
    /// Bytes of the document as it is stored, whatever its encoding.
    pub span: Option<Range<u64>>,
    /// Line of the file, from 1.
    pub line: Option<u64>,
    /// Bytes from the beginning of the line, from 1, counted in UTF-8; `u32::MAX` stands for that and more.
    pub column: Option<u32>,
    /// JSON Pointer (RFC 6901) or column name, cut at [`FIELD_BYTES`].
    pub field: Option<String>,
    /// Where in a table or a set of records: `row 7`, counted from 1 without the header.
    pub cell: Option<String>,
    /// One sentence for a person, without any value.
    pub message: Cow<'static, str>,
    /// The standard behind the rule.
    pub citation: Option<&'static str>,
    /// What to do about it.
    pub remediation: Option<&'static str>,
    /// How many times. 1, except in the last that is listed of its kind: that one counts those that are no more listed as well, so that
    /// the sum over a kind is the number there are.
    pub count: u64,
}

impl Problem {
    /// One problem, so far without a place.
    pub fn new(rule: &'static str, severity: Severity, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            rule,
            severity,
            span: None,
            line: None,
            column: None,
            field: None,
            cell: None,
            message: message.into(),
            citation: None,
            remediation: None,
            count: 1,
        }
    }

    /// Says where it is.
    pub fn at(mut self, place: Place, end: u64) -> Self {
        self.span = Some(place.at..end.max(place.at));
        self.line = Some(place.line);
        self.column = Some(place.column);
        self
    }

    /// Says which member or column it is, cut at [`FIELD_BYTES`].
    pub fn field(mut self, field: &str) -> Self {
        self.field = Some(cut(field).to_owned());
        self
    }

    /// Says which row or record it is.
    pub fn row(mut self, row: u64) -> Self {
        self.cell = Some(format!("row {row}"));
        self
    }

    /// Says which standard is behind it.
    pub fn cite(mut self, citation: &'static str) -> Self {
        self.citation = Some(citation);
        self
    }

    /// Says what to do.
    pub fn remedy(mut self, remediation: &'static str) -> Self {
        self.remediation = Some(remediation);
        self
    }
}

/// Cuts a name at [`FIELD_BYTES`], on a character boundary.
pub fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(FIELD_BYTES)]
}

/// A place in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Byte of the document as it is stored.
    pub at: u64,
    /// Line, from 1.
    pub line: u64,
    /// See [`Problem::column`].
    pub column: u32,
}

/// A limit that was reached: the document was not looked at as a whole, and the verdict has to say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name, for example `json-depth`.
    pub name: &'static str,
    /// Its value, in the unit the name says.
    pub value: u64,
    /// What was not looked at because of it.
    pub lost: &'static str,
    /// First byte of the document that was affected.
    pub at: Option<u64>,
}

/// What was not checked, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotChecked {
    /// What.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
}

/// The outcome for one document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StructureReport {
    /// Whether the document obeys the grammar of its format. Schema violations and warnings leave it true; a limit that kept the grammar
    /// from being checked makes it false.
    pub valid: bool,
    /// What is wrong, in the order it was found, bounded per kind.
    pub findings: Vec<Problem>,
    /// Counts by name: `lines`, `records`, `values`, `depth` and so on.
    pub facts: BTreeMap<&'static str, u64>,
    /// Words by name: `encoding`, `delimiter`, `line_ends`.
    pub words: BTreeMap<&'static str, String>,
    /// Column names of a table, each cut at [`FIELD_BYTES`], at most 10 000.
    pub columns: Vec<String>,
    /// Limits that were reached. Not empty means the verdict is `incomplete`.
    pub limits: Vec<Limit>,
    /// What was checked.
    pub checked: Vec<&'static str>,
    /// What was not.
    pub not_checked: Vec<NotChecked>,
    /// Where the grammar was left, so that structure is unknown from this byte on and values behind it were not given to the sink: the
    /// rest has to be scanned as plain text.
    pub stopped_at: Option<u64>,
}

/// Gathers problems within bounds.
#[derive(Debug)]
pub struct Collector {
    report: StructureReport,
    per_kind: usize,
    kinds: HashMap<(&'static str, u32), Listed>,
}

#[derive(Debug)]
struct Listed {
    number: usize,
    last: usize,
}

impl Collector {
    /// Lists at most `per_kind` problems of a kind (at least 1).
    pub fn new(per_kind: usize) -> Self {
        Self {
            report: StructureReport {
                valid: true,
                ..StructureReport::default()
            },
            per_kind: per_kind.max(1),
            kinds: HashMap::new(),
        }
    }

    /// Adds one of a kind; `group` tells kinds of one rule apart (a column, a line of a contract) and must come from a bounded set.
    pub fn add(&mut self, rule: &'static str, group: u32, make: impl FnOnce() -> Problem) {
        let listed = self.kinds.entry((rule, group)).or_insert(Listed { number: 0, last: 0 });
        if listed.number < self.per_kind {
            listed.number += 1;
            listed.last = self.report.findings.len();
            self.report.findings.push(make());
        } else if let Some(last) = self.report.findings.get_mut(listed.last) {
            last.count += 1;
        }
    }

    /// Adds a problem after which the document does not obey its grammar.
    pub fn reject(&mut self, problem: Problem) {
        self.report.valid = false;
        self.add(problem.rule, 0, || problem);
    }

    /// Says that a limit was reached; each is named once.
    pub fn limit(&mut self, name: &'static str, value: u64, lost: &'static str, at: Option<u64>) {
        if !self.report.limits.iter().any(|limit| limit.name == name) {
            self.report.limits.push(Limit { name, value, lost, at });
        }
    }

    /// Says what was checked.
    pub fn checked(&mut self, what: &'static str) {
        if !self.report.checked.contains(&what) {
            self.report.checked.push(what);
        }
    }

    /// Says what was not checked.
    pub fn not_checked(&mut self, what: &'static str, why: &'static str) {
        let not = NotChecked { what, why };
        if !self.report.not_checked.contains(&not) {
            self.report.not_checked.push(not);
        }
    }

    /// Sets a count.
    pub fn fact(&mut self, name: &'static str, value: u64) {
        self.report.facts.insert(name, value);
    }

    /// Sets a word.
    pub fn word(&mut self, name: &'static str, value: impl Into<String>) {
        self.report.words.insert(name, value.into());
    }

    /// The report so far, to write into.
    pub fn report(&mut self) -> &mut StructureReport {
        &mut self.report
    }

    /// Takes over the problems and the validity of another.
    pub fn merge(&mut self, other: Self) {
        self.report.valid &= other.report.valid;
        self.report.findings.extend(other.report.findings);
    }

    /// The report.
    pub fn finish(self) -> StructureReport {
        self.report
    }
}

impl StructureReport {
    /// How often a rule was broken.
    pub fn count(&self, rule: &str) -> u64 {
        let of_rule = self.findings.iter().filter(|problem| problem.rule == rule);
        of_rule.map(|problem| problem.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_counted() {
        let mut collector = Collector::new(2);
        for _ in 0..5 {
            collector.add("structure/a", 0, || Problem::new("structure/a", Severity::Low, "a"));
            collector.add("structure/a", 1, || Problem::new("structure/a", Severity::Low, "a"));
        }
        let report = collector.finish();
        assert_eq!(report.findings.len(), 4);
        assert_eq!(report.count("structure/a"), 10);
        assert!(report.valid);
    }

    #[test]
    fn names_are_cut_between_characters() {
        let problem = Problem::new("structure/a", Severity::Low, "a").field(&"é".repeat(200));
        assert_eq!(problem.field.unwrap().len(), 256);
        let problem = Problem::new("structure/a", Severity::Low, "a").field(&format!("x{}", "é".repeat(200)));
        assert_eq!(problem.field.unwrap().len(), 255);
    }
}
