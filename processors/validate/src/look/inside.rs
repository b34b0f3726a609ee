//! What is inside containers, as the child process sees it: every member and every text goes through the same engines as a document.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use cofferdam_inside::inside::{
    self, Cell, Class, Column, Kind, Limits, Member, Place, Problem, Role, Source, Table, Value, Visitor,
};
use cofferdam_scan::reading::Notation;
use cofferdam_scan::structure::csv::{RowBuffer, RowSink};
use cofferdam_scan::structure::report::Collector;
use cofferdam_scan::structure::schema::{Contract, RawTable, TableCheck};
use cofferdam_scan::structure::text::Encoding;
use cofferdam_schemas::{Finding, Span};
use serde::{Deserialize, Serialize};

use super::document::Look;
use super::labels::Labels;
use super::structure::told;
use super::text::show;
use super::{Engines, Gather, Outcome, TextScan};
use crate::kind::Claim;
use crate::scan::{End, Scanner, SignatureScanner};
use crate::yara::{self, Found, YaraScan};

/// Bytes of cells that are scanned together.
const ROWS: usize = 64 * 1024;
/// Columns of a table that are compared with its contract.
const COLUMNS: usize = 16_384;
/// Breaches of a contract that are listed, for each of its rules.
const PER_RULE: usize = 20;

/// What the child is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The document's name.
    pub name: String,
    /// What it is; none where it is not to be opened.
    pub kind: Option<Kind>,
    /// Bytes it has. The child may be handed only the first ones.
    pub size: u64,
    /// Bytes of it that rules look at.
    pub bytes: u64,
    /// How far to go.
    pub limits: Limits,
    /// Findings listed.
    pub most: usize,
    /// What keys the hashes of values.
    pub hash_key: Option<String>,
    /// What its first table has to conform to, if it is a book or a columnar file itself.
    pub table: Option<RawTable>,
}

/// What the child answers: findings as they are made, so that they are known whatever becomes of it, and in the end everything. Each is short enough
/// to be sent, however many findings there are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// Further findings.
    Part(Vec<Finding>),
    /// Findings of the whole.
    Listed(Vec<Finding>),
    /// All else there is to say. It and what is listed take the place of the parts.
    Whole(Box<Outcome>),
}

/// Bytes of findings that are sent together, as JSON; of what a frame may have there is room for one more.
const TOGETHER: usize = 256 << 10;

/// Findings in lists that can be sent.
fn lists(findings: &[Finding]) -> Vec<Vec<Finding>> {
    let mut lists: Vec<Vec<Finding>> = Vec::new();
    let mut bytes = TOGETHER;
    for finding in findings {
        if bytes >= TOGETHER {
            lists.push(Vec::new());
            bytes = 0;
        }
        bytes += serde_json::to_vec(finding).map_or(0, |json| json.len());
        if let Some(list) = lists.last_mut() {
            list.push(finding.clone());
        }
    }
    lists
}

/// Answers one request, giving answers to `tell`.
pub fn answer(
    engines: &Arc<Engines>,
    request: Request,
    document: File,
    tell: &mut dyn FnMut(Answer),
) -> std::io::Result<()> {
    let key = request.hash_key.and_then(|key| hex::decode(key).ok());
    let mut visitor = Inside {
        engines: engines.clone(),
        told: 0,
        tell,
        gather: Gather::new(request.most, key),
        rows: None,
        labels: None,
        contract: request.table.and_then(Checking::new),
    };
    let most = request.bytes.min(yara::MOST);
    visitor.yara(&request.name, (request.size, most), &document)?;
    if request.kind.is_some() {
        let source = Source::file(document)?;
        inside::look(source, &request.name, request.kind, &request.limits, &mut visitor);
        visitor.flush();
        if let Some(contract) = visitor.contract {
            contract.finish(&mut visitor.gather);
        }
        visitor.gather.checked("structure");
        visitor.gather.checked("contents");
    }
    let mut outcome = visitor.gather.finish();
    let findings = std::mem::take(&mut outcome.findings);
    for list in lists(&findings) {
        (visitor.tell)(Answer::Listed(list));
    }
    (visitor.tell)(Answer::Whole(Box::new(outcome)));
    Ok(())
}

struct Inside<'t> {
    engines: Arc<Engines>,
    /// Findings that were told.
    told: usize,
    tell: &'t mut dyn FnMut(Answer),
    gather: Gather,
    rows: Option<Rows>,
    labels: Option<Labels>,
    contract: Option<Checking>,
}

/// The check of one table against its contract.
struct Checking {
    check: TableCheck,
    out: Collector,
    /// The table: the first one of the document itself.
    table: Option<Table>,
    names: Vec<String>,
    headed: bool,
    buffer: RowBuffer,
    rows: u64,
    /// Whether cells were missed, because they came in another way than by whole rows.
    whole: bool,
}

impl Checking {
    fn new(raw: RawTable) -> Option<Self> {
        // The parent has made a plan of the same contract.
        let contract = Contract::new(raw).ok()?;
        Some(Self {
            check: TableCheck::new(contract.plan),
            out: Collector::new(PER_RULE),
            table: None,
            names: Vec::new(),
            headed: false,
            buffer: RowBuffer::default(),
            rows: 0,
            whole: true,
        })
    }

    fn row(&mut self, table: &Table, cells: &[Cell<'_>]) {
        let own = |known: &Table| known.document == table.document && known.sheet == table.sheet;
        match &self.table {
            None if table.document.inside().is_none() => {
                self.table = Some(table.clone());
                self.whole = table.whole_rows;
                if !table.columns.is_empty() {
                    self.header(table.columns.iter().map(|column| column.path.clone()).collect());
                }
            }
            Some(known) if own(known) => {}
            // A further sheet, or a table of something inside.
            None | Some(_) => return,
        }
        let last = cells.iter().map(|(column, _)| *column as usize + 1).max().unwrap_or(0);
        let mut texts = vec![Cow::Borrowed(""); last.min(COLUMNS)];
        for (column, value) in cells {
            if let Some(place) = texts.get_mut(*column as usize) {
                *place = text_of(value).unwrap_or_default();
            }
        }
        if !self.headed {
            self.header(texts.iter().map(|text| text.trim().to_owned()).collect());
            return;
        }
        self.rows += 1;
        self.buffer.clear();
        texts.resize(texts.len().max(self.names.len()), Cow::Borrowed(""));
        texts.iter().for_each(|text| self.buffer.push(text));
        self.check.row(&self.buffer.row(self.rows, &self.names), &mut self.out);
    }

    fn header(&mut self, names: Vec<String>) {
        self.names = names;
        self.headed = true;
        self.check.header(&self.names, &mut self.out);
    }

    fn finish(mut self, gather: &mut Gather) {
        // A document without a table does not conform; the conclusion says so.
        if self.table.is_some() {
            self.check.finish(self.whole, &mut self.out);
            told(self.out.finish(), None, gather);
        }
    }
}

/// The text of a cell, of values that have one.
fn text_of<'v>(value: &Value<'v>) -> Option<Cow<'v, str>> {
    match value {
        Value::Text(text) => Some((*text).into()),
        Value::Int(value) => Some(value.to_string().into()),
        Value::Float(value) => Some(value.to_string().into()),
        Value::Bool(value) => Some(value.to_string().into()),
        Value::Null | Value::Bytes(_) => None,
    }
}

/// Cells that wait to be scanned together, one row a line, so that each is context to its neighbours.
struct Rows {
    table: Table,
    text: String,
    /// Where each cell begins in the text.
    cells: Vec<(usize, u64, u32)>,
    /// Cells whose label led to findings, by index, with the category: what the scan of the text finds there is the same.
    labelled: HashSet<(usize, String)>,
    /// Names of the columns: of the format, or the first row of a sheet.
    names: Vec<String>,
    first: bool,
}

impl Inside<'_> {
    /// Tells what was found since the last time, before going on to what may end this process.
    fn tell(&mut self) {
        let found = self.gather.listed();
        for further in lists(found.get(self.told..).unwrap_or_default()) {
            self.told += further.len();
            (self.tell)(Answer::Part(further));
        }
    }

    fn signatures(&self) -> SignatureScanner {
        SignatureScanner::new(self.engines.signatures().clone())
    }

    fn found_in(&mut self, scanner: SignatureScanner, place: &Place) {
        let findings = Box::new(scanner).finish(End::Whole).findings;
        self.add(findings, place.inside().as_ref());
    }

    /// Adds findings of what has this path inside the document, but for those that are silenced.
    fn add(&mut self, findings: Vec<Finding>, inside: Option<&String>) {
        for mut finding in findings {
            finding.inside = inside.cloned();
            if self.engines.reports(&finding.rule) {
                self.gather.add(finding);
            }
        }
    }

    /// Passes the first bytes of the document itself, at most so many of its size, to the YARA rules.
    fn yara(&mut self, name: &str, (size, most): (u64, u64), document: &File) -> std::io::Result<()> {
        let engines = self.engines.clone();
        let Some(yara) = engines.yara() else { return Ok(()) };
        let mut scan = YaraScan::new(yara, name);
        let mut buffer = vec![0; 256 * 1024];
        let mut at = 0;
        while at < most {
            let room = usize::try_from(most - at).unwrap_or(usize::MAX).min(buffer.len());
            let count = document.read_at(&mut buffer[..room], at)?;
            if count == 0 {
                break;
            }
            at += count as u64;
            scan.feed(&buffer[..count]);
        }
        let mut found = scan.finish();
        found.beyond = size.saturating_sub(at);
        self.take(found, None, most);
        self.tell();
        Ok(())
    }

    /// Takes what YARA rules say of at most so many bytes.
    fn take(&mut self, found: Found, inside: Option<String>, most: u64) {
        self.gather.checked("yara");
        self.add(found.findings, inside.as_ref());
        let place = inside.map_or_else(String::new, |inside| format!("{inside}: "));
        for what in found.not_checked {
            self.gather.not_checked(format!("{place}{what}"));
        }
        if found.beyond > 0 {
            self.gather.limit("yara_bytes", most);
            self.gather
                .not_checked(format!("{place}yara: the last {} bytes", found.beyond));
        }
    }

    /// Scans the cells that wait.
    fn flush(&mut self) {
        let Some(rows) = &mut self.rows else { return };
        let text = std::mem::take(&mut rows.text);
        let cells = std::mem::take(&mut rows.cells);
        let labelled = std::mem::take(&mut rows.labelled);
        if text.is_empty() {
            return;
        }
        let name = rows.table.document.name().to_owned();
        let (found, told) = self.engines.scan(&text, &name, Some(Notation::Cells));
        told.into_iter().for_each(|told| told.to(&mut self.gather));
        for one in found {
            let at = cells.partition_point(|(start, ..)| *start <= one.hit.span.start).max(1) - 1;
            let Some((_, row, column)) = cells.get(at) else {
                continue;
            };
            let span = one.hit.span.clone();
            let mut finding = Finding::from(one.hit);
            if let Some(rows) = &self.rows {
                locate(&mut finding, rows, *row, *column);
            }
            show(&mut finding, &text[span], self.gather.hash_key());
            if !labelled.contains(&(at, finding.category.clone())) {
                self.gather.add(finding);
            }
        }
    }
}

fn locate(finding: &mut Finding, rows: &Rows, row: u64, column: u32) {
    let place = rows.table.place(row, column);
    finding.inside = rows.table.document.inside();
    finding.cell = Some(match place.name().rsplit_once('!') {
        Some((_, cell)) if rows.table.sheet.is_some() => cell.to_owned(),
        _ => format!("row {}", row + 1),
    });
    if let Some(sheet) = &rows.table.sheet {
        let outer = finding.inside.take();
        finding.inside = Some(outer.map_or_else(|| sheet.clone(), |outer| format!("{outer}!/{sheet}")));
    }
    finding.field = rows.names.get(column as usize).filter(|name| !name.is_empty()).cloned();
}

impl Visitor for Inside<'_> {
    fn member(&mut self, member: &Member, bytes: &mut dyn Read) {
        self.flush();
        self.tell();
        let mut signatures = self.signatures();
        let engines = self.engines.clone();
        let mut rules = engines.yara().map(|yara| YaraScan::new(yara, member.place.name()));
        let claims: Vec<Claim> = Claim::of_name(member.place.name()).into_iter().collect();
        let mut look = (member.role == Role::File).then(|| {
            let size = member.declared.unwrap_or(u64::MAX);
            Look::new(
                self.engines.clone(),
                member.place.name(),
                member.place.inside(),
                claims,
                size,
            )
        });
        let mut buffer = vec![0; 64 * 1024];
        // It never fails by contract; a problem says where it ended early.
        while let Ok(count @ 1..) = bytes.read(&mut buffer) {
            signatures.feed(&buffer[..count]);
            if let Some(rules) = &mut rules {
                rules.feed(&buffer[..count]);
            }
            if let Some(look) = &mut look {
                look.feed(&buffer[..count], &mut self.gather);
            }
        }
        if let Some(look) = look {
            look.finish(&mut self.gather);
        }
        self.found_in(signatures, &member.place);
        if let Some(rules) = rules {
            self.take(rules.finish(), member.place.inside(), yara::MOST);
        }
        self.tell();
    }

    fn text(&mut self, place: &Place, text: &str) {
        self.flush();
        let mut scan = TextScan::new(self.engines.clone(), place.name(), place.inside(), Encoding::Utf8, 0);
        scan.feed(text.as_bytes());
        scan.finish(&mut self.gather);
        self.tell();
    }

    fn row(&mut self, table: &Table, row: u64, cells: &[Cell<'_>]) {
        if let Some(contract) = &mut self.contract {
            contract.row(table, cells);
        }
        // The columns of a DICOM file are known when it was read.
        let same = |rows: &Rows| {
            let one = &rows.table;
            one.document == table.document && one.sheet == table.sheet && one.columns.len() == table.columns.len()
        };
        if !self.rows.as_ref().is_some_and(same) {
            self.flush();
            self.labels = Some(Labels::new(
                self.engines.clone(),
                table.document.inside(),
                self.gather.hash_key(),
            ));
            self.rows = Some(Rows {
                table: table.clone(),
                text: String::new(),
                cells: Vec::new(),
                labelled: HashSet::new(),
                names: table.columns.iter().map(|column| column.path.clone()).collect(),
                first: table.columns.is_empty(),
            });
        }
        let (Some(rows), Some(labels)) = (&mut self.rows, &mut self.labels) else {
            return;
        };
        let header = std::mem::take(&mut rows.first);
        for (column, value) in cells {
            if matches!(value, Value::Bool(_)) {
                continue;
            }
            let Some(text) = text_of(value) else { continue };
            if header && (*column as usize) < 4_096 {
                rows.names
                    .resize(rows.names.len().max(*column as usize + 1), String::new());
                rows.names[*column as usize] = text.chars().take(128).collect();
            }
            rows.cells.push((rows.text.len(), row, *column));
            rows.text.push_str(&text);
            rows.text.push('\t');
            let meaning = rows
                .table
                .columns
                .get(*column as usize)
                .and_then(|column| column.logical.as_deref());
            let hint = match rows.names.get(*column as usize) {
                Some(_) if meaning == Some(Column::PERSON) => labels.hint("full_name"),
                Some(name) => labels.hint(name),
                None => None,
            };
            if let Some(hint) = hint.filter(|_| !header) {
                labels.value(&text, hint, |finding, _| locate(finding, rows, row, *column));
                for finding in labels.take() {
                    rows.labelled.insert((rows.cells.len() - 1, finding.category.clone()));
                    self.gather.add(finding);
                }
            }
        }
        rows.text.push('\n');
        if rows.text.len() >= ROWS {
            self.flush();
            self.tell();
        }
    }

    fn stood(&mut self, place: &Place, bytes: Range<u64>) {
        self.gather.decoded(place.inside(), bytes);
    }

    fn problem(&mut self, problem: Problem) {
        match problem.class {
            Class::Limit | Class::NotChecked => {
                if let Some(limit) = &problem.limit {
                    self.gather.limit(&limit.name.to_string(), limit.value);
                    if let Some(bytes) = limit.bytes_not_looked_at {
                        self.gather.fact("bytes_not_looked_at_inside", bytes);
                    }
                }
                let inside = problem.place.inside().unwrap_or_else(|| "the document".to_owned());
                self.gather.not_checked(format!("{inside}: {}", problem.message));
            }
            Class::Damaged | Class::Danger => {
                if !self.engines.reports(&problem.rule) {
                    return;
                }
                let mut finding = Finding::new(problem.rule, problem.severity, problem.confidence, problem.message);
                finding.inside = problem.place.inside();
                finding.span = problem.offset.map(|at| Span { start: at, end: at });
                finding.remediation = problem.remediation.map(Into::into);
                finding.citation = problem.citation.map(Into::into);
                self.gather.add(finding);
                self.tell();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Packs;
    use super::*;

    /// However many findings there are, none of what is sent is longer than a frame may be, and nothing is sent twice.
    #[test]
    fn many_findings_are_sent_in_lists() {
        let finding = |n: usize| Finding {
            field: Some(format!("{n}{}", "x".repeat(300))),
            ..Finding::new("phi/ssn", cofferdam_schemas::Severity::High, 1.0, "a number")
        };
        let findings: Vec<Finding> = (0..10_000).map(finding).collect();
        let sent = lists(&findings);
        assert!(sent.len() > 5);
        assert!(
            sent.iter()
                .all(|list| serde_json::to_vec(list).unwrap().len() < 2 * TOGETHER)
        );
        assert_eq!(sent.concat(), findings);
        assert!(lists(&[]).is_empty());
    }

    /// Every value of a cell is found, and one that its column's name gives away is not found twice.
    #[test]
    fn cells_keep_all_their_values_once() {
        let mut parts = 0;
        let mut inside = Inside {
            told: 0,
            tell: &mut |answer| parts += usize::from(matches!(answer, Answer::Part(_))),
            engines: Arc::new(Engines::load(&Packs::default()).unwrap()),
            gather: Gather::new(100, None),
            rows: None,
            labels: None,
            contract: None,
        };
        let table = Table {
            document: Place::root("book.xlsx"),
            sheet: Some("people".to_owned()),
            columns: Vec::new(),
            whole_rows: true,
        };
        let rows = [
            ("ssn", "remarks"),
            ("536-22-1189", "SSN 530-11-4021 was SSN 531-24-7766 before"),
        ];
        for (row, (one, two)) in (0..).zip(rows) {
            inside.row(&table, row, &[(0, Value::Text(one)), (1, Value::Text(two))]);
        }
        inside.flush();
        inside.tell();
        inside.tell();
        let findings = inside.gather.finish().findings;
        let cells = findings.iter().filter(|found| found.rule == "phi/ssn");
        let cells: Vec<_> = cells.map(|found| found.cell.as_deref().unwrap()).collect();
        assert_eq!(cells, ["A2", "B2", "B2"]);
        assert_eq!(parts, 1, "what was told is not told again");
    }
}
