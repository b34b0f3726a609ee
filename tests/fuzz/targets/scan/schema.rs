//! What a tenant promises of its documents: contracts that somebody wrote badly, and documents against contracts.

use std::sync::Arc;

use cofferdam_scan::structure::csv::{Csv, CsvOptions};
use cofferdam_scan::structure::json::{Json, JsonLines, JsonOptions};
use cofferdam_scan::structure::report::StructureReport;
use cofferdam_scan::structure::schema::{
    DocumentSchema, RawTable, SchemaDocument, SchemaErrors, SchemaLimits, SchemaLines, TableCheck,
};
use cofferdam_scan::structure::text::TextOptions;

use super::report::scan;

/// A refusal says where and what, and is no longer than what is refused allows.
fn refused(errors: &SchemaErrors, contract: &str) {
    assert!(!errors.0.is_empty());
    assert!(errors.0.iter().all(|problem| !problem.message.is_empty()));
    assert!(errors.to_string().len() < 2_000 + contract.len() * 40);
}

/// No message holds a value of the document that is not in the contract too.
fn discreet(report: &StructureReport, contract: &str, values: &str) {
    let words = values
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() >= 12);
    for word in words.filter(|word| !contract.contains(word)).take(50) {
        for problem in report
            .findings
            .iter()
            .filter(|problem| problem.rule.starts_with("schema/"))
        {
            assert!(!problem.message.contains(word), "{} says {word:?}", problem.rule);
        }
    }
}

fn halves(data: &[u8]) -> Option<(&str, &[u8])> {
    let at = data.iter().position(|byte| *byte == 0)?;
    Some((std::str::from_utf8(&data[..at]).ok()?, &data[at + 1..]))
}

/// Byte: piece; a contract in TOML, NUL, a table.
pub fn table_contract(data: &[u8]) {
    let Some(([piece], data)) = super::chosen(data) else {
        return;
    };
    let Some((contract, table)) = halves(data) else { return };
    let Ok(raw) = toml::from_str::<RawTable>(contract) else {
        return;
    };
    let plan = match raw.plan() {
        Ok(plan) => Arc::new(plan),
        Err(errors) => return refused(&errors, contract),
    };
    check_table(&plan, contract, table, piece);
}

fn check_table(plan: &Arc<cofferdam_scan::structure::schema::TablePlan>, contract: &str, table: &[u8], piece: u8) {
    let engine = || Csv::new(CsvOptions::default(), TableCheck::new(plan.clone()));
    let (report, ()) = scan(
        table,
        piece,
        TextOptions {
            per_kind: 3,
            ..TextOptions::default()
        },
        engine,
        |_| (),
    );
    // The header is no value.
    let text = String::from_utf8_lossy(table);
    let rows = text
        .split_once(['\n', '\r'])
        .map_or("", |(header, rows)| if header.is_empty() { "" } else { rows });
    let head = text.lines().next().unwrap_or_default();
    discreet(&report, &format!("{contract}{head}{:?}", report.columns), rows);
}

/// A rule over columns of every type, NUL, formats of a date by lines, NUL, rows.
pub fn expressions(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let mut next = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (rule, formats, rows) = (next(), next(), next());
    let contract = r#"
        column = [
            { name = "n", type = "decimal", nullable = true }, { name = "t", type = "text", nullable = true },
            { name = "b", type = "boolean", nullable = true }, { name = "d", type = "date", nullable = true },
        ]
    "#;
    let mut raw: RawTable = toml::from_str(contract).expect("a contract");
    raw.column[3].formats = formats.lines().map(str::to_owned).collect();
    raw.check = toml::from_str::<RawTable>("check = [{ name = 'c', rule = 'n > 0' }]")
        .expect("a check")
        .check;
    raw.check[0].rule.clone_from(&rule);
    let written = format!("{contract}{rule}{formats}");
    let plan = match raw.plan() {
        Ok(plan) => Arc::new(plan),
        Err(errors) => return refused(&errors, &written),
    };
    check_table(&plan, &written, format!("n,t,b,d\n{rows}").as_bytes(), 7);
}

/// Byte: piece; a JSON Schema, NUL, a document.
pub fn document_schema(data: &[u8]) {
    let Some(([piece], data)) = super::chosen(data) else {
        return;
    };
    let Some((contract, document)) = halves(data) else {
        return;
    };
    let schema = match DocumentSchema::compile(contract) {
        Ok(schema) => Arc::new(schema),
        Err(errors) => return refused(&errors, contract),
    };
    let limits = SchemaLimits {
        bytes: 4_096,
        values: 256,
    };
    let options = TextOptions {
        per_kind: 3,
        ..TextOptions::default()
    };
    let text = String::from_utf8_lossy(document);
    let one = || {
        (
            Json::new(JsonOptions::default(), ()),
            SchemaDocument::new(schema.clone(), limits),
        )
    };
    let (report, ()) = scan(document, piece, options, one, |_| ());
    discreet(&report, contract, &text);
    if document.len() > limits.bytes * 2 && report.valid {
        assert!(report.limits.iter().any(|limit| limit.name.starts_with("json-schema-")));
    }
    let lines = || {
        (
            JsonLines::new(JsonOptions::default(), ()),
            SchemaLines::new(schema.clone(), limits),
        )
    };
    let (report, ()) = scan(document, piece, options, lines, |_| ());
    discreet(&report, contract, &text);
}
