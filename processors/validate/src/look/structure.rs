//! The structure of one text document, and the labelled values in it.

use std::sync::Arc;

use cofferdam_scan::structure::csv::{Csv, CsvOptions, Dialect};
use cofferdam_scan::structure::geojson::GeoJson;
use cofferdam_scan::structure::json::{Json, JsonLines, JsonOptions};
use cofferdam_scan::structure::report::{Problem, StructureReport};
use cofferdam_scan::structure::schema::{SchemaDocument, SchemaLimits, SchemaLines, Selected, TableCheck};
use cofferdam_scan::structure::text::{TextOptions, TextScan};
use cofferdam_schemas::{Finding, Span};

use super::labels::Labels;
use super::{Engines, Gather};

/// A scan of the structure that the type calls for.
pub struct Structure {
    inside: Option<String>,
    scan: Scan,
}

/// What takes the rows of a table.
type Rows = (Labels, Option<TableCheck>);

enum Scan {
    Plain(Box<TextScan<()>>),
    Json(Box<TextScan<(Json<Labels>, Option<SchemaDocument>)>>),
    Lines(Box<TextScan<(JsonLines<Labels>, Option<SchemaLines>)>>),
    Geo(Box<TextScan<(GeoJson<Labels>, Option<SchemaDocument>)>>),
    Csv(Box<TextScan<Csv<Rows>>>),
}

impl Structure {
    /// For a text of the type `name` as detection names it; `delimiter` is that of a table. `schemas` is what it has to conform to.
    pub fn new(
        name: &str,
        delimiter: Option<u8>,
        engines: Arc<Engines>,
        inside: Option<String>,
        schemas: &Selected,
        gather: &Gather,
    ) -> Self {
        let options = TextOptions::default();
        let labels = Labels::new(engines, inside.clone(), gather.hash_key());
        let json = JsonOptions::default();
        let limits = SchemaLimits::default();
        let document = || {
            let schema = schemas.document.clone()?;
            Some(SchemaDocument::new(schema, limits))
        };
        let scan = match name {
            "json" => Scan::Json(Box::new(TextScan::new((Json::new(json, labels), document()), options))),
            "ndjson" => {
                let schema = schemas.document.clone().map(|schema| SchemaLines::new(schema, limits));
                Scan::Lines(Box::new(TextScan::new((JsonLines::new(json, labels), schema), options)))
            }
            "geojson" => Scan::Geo(Box::new(TextScan::new(
                (GeoJson::new(json, labels), document()),
                options,
            ))),
            "csv" | "tsv" => {
                let dialect = delimiter.map(|delimiter| Dialect {
                    delimiter,
                    header: None,
                });
                let csv = CsvOptions {
                    dialect,
                    ..CsvOptions::default()
                };
                let check = schemas
                    .table
                    .as_ref()
                    .map(|contract| TableCheck::new(contract.plan.clone()));
                Scan::Csv(Box::new(TextScan::new(Csv::new(csv, (labels, check)), options)))
            }
            _ => Scan::Plain(Box::new(TextScan::new((), options))),
        };
        Self { inside, scan }
    }

    /// The next bytes.
    pub fn feed(&mut self, chunk: &[u8], gather: &mut Gather) {
        let labels = match &mut self.scan {
            Scan::Plain(scan) => {
                scan.feed(chunk);
                return;
            }
            Scan::Json(scan) => {
                scan.feed(chunk);
                &mut scan.engine_mut().0.sink
            }
            Scan::Lines(scan) => {
                scan.feed(chunk);
                &mut scan.engine_mut().0.sink
            }
            Scan::Geo(scan) => {
                scan.feed(chunk);
                scan.engine_mut().0.sink_mut()
            }
            Scan::Csv(scan) => {
                scan.feed(chunk);
                &mut scan.engine_mut().sink.0
            }
        };
        let found = labels.take();
        found.into_iter().for_each(|finding| gather.labelled(finding));
    }

    /// There are no more.
    pub fn finish(self, gather: &mut Gather) {
        let (mut report, found) = match self.scan {
            Scan::Plain(scan) => (scan.finish().0, Vec::new()),
            Scan::Json(scan) => {
                let (report, mut engine) = scan.finish();
                (report, engine.0.sink.take())
            }
            Scan::Lines(scan) => {
                let (report, mut engine) = scan.finish();
                (report, engine.0.sink.take())
            }
            Scan::Geo(scan) => {
                let (report, engine) = scan.finish();
                (report, engine.0.into_sink().take())
            }
            Scan::Csv(scan) => {
                let (report, mut engine) = scan.finish();
                (report, engine.sink.0.take())
            }
        };
        found.into_iter().for_each(|finding| gather.labelled(finding));
        // Facts are about the document itself, not about each file in an archive.
        if self.inside.is_none() {
            for (name, value) in std::mem::take(&mut report.facts) {
                gather.fact(name, value);
            }
            for (name, value) in std::mem::take(&mut report.words) {
                gather.fact(name, value);
            }
            gather.fact("well_formed", report.valid);
        }
        told(report, self.inside.as_deref(), gather);
    }
}

/// Gathers what was found, and what was not looked at.
pub(super) fn told(report: StructureReport, inside: Option<&str>, gather: &mut Gather) {
    for problem in report.findings {
        gather.add(finding(problem, inside));
    }
    for limit in report.limits {
        gather.limit(limit.name, limit.value);
        gather.not_checked(limit.lost);
    }
    report.checked.iter().for_each(|what| gather.checked(what));
    for part in report.not_checked {
        gather.not_checked(format!("{}: {}", part.what, part.why));
    }
}

fn finding(problem: Problem, inside: Option<&str>) -> Finding {
    let mut finding = Finding::new(problem.rule, problem.severity, 1.0, problem.message);
    finding.span = problem.span.map(|span| Span {
        start: span.start,
        end: span.end,
    });
    finding.line = problem.line;
    finding.column = problem.column;
    finding.field = problem.field;
    finding.cell = problem.cell;
    finding.inside = inside.map(str::to_owned);
    finding.citation = problem.citation.map(str::to_owned);
    finding.remediation = problem.remediation.map(str::to_owned);
    finding.count = (problem.count > 1).then_some(problem.count);
    finding
}
