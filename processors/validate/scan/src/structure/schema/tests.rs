use std::sync::Arc;

use super::*;
use crate::structure::csv::{Csv, CsvOptions, RowBuffer, RowSink};
use crate::structure::json::{Json, JsonLines, JsonOptions};
use crate::structure::report::{Collector, StructureReport};
use crate::structure::text::{Engine, TextOptions, TextScan};

fn run<E: Engine>(engine: E, text: &str, chunk: usize) -> StructureReport {
    let mut scan = TextScan::new(engine, TextOptions::default());
    text.as_bytes().chunks(chunk).for_each(|part| scan.feed(part));
    scan.finish().0
}

fn plan(text: &str) -> Result<TablePlan, SchemaErrors> {
    toml::from_str::<RawTable>(text).unwrap().plan()
}

#[track_caller]
fn table(contract: &str, text: &str) -> StructureReport {
    let plan = Arc::new(plan(contract).unwrap());
    let report = run(
        Csv::new(CsvOptions::default(), TableCheck::new(Arc::clone(&plan))),
        text,
        usize::MAX,
    );
    assert_eq!(
        report,
        run(Csv::new(CsvOptions::default(), TableCheck::new(plan)), text, 3)
    );
    report
}

const WARDS: &str = r#"
    null = ["", "NA"]
    min_rows = 2
    extra_columns = "deny"
    unique = [["ward", "year"]]
    column = [
        { name = "ward", type = "text", pattern = "[A-Z][a-z]+", max_length = 8 },
        { name = "year", type = "integer", min = 2000, max = 2030 },
        { name = "tested", type = "integer", nullable = true },
        { name = "positives", type = "integer", nullable = true },
        { name = "kind", type = "enum", values = ["urban", "rural"], required = false },
        { name = "seen", type = "date", min = "2001-01-01", required = false, nullable = true },
    ]
    check = [
        { name = "positives are tested", rule = "positives <= tested", severity = "high" },
        { name = "urban is tested", rule = "if kind == 'urban' then tested != null" },
    ]
"#;

#[test]
fn a_good_table_has_no_findings() {
    let report = table(
        WARDS,
        "ward,year,tested,positives,kind,seen\nAba,2020,5,5,urban,2020-01-01\nAba,2021, 5 ,NA,rural,\n",
    );
    assert!(
        report.findings.is_empty() && report.checked.contains(&"table contract"),
        "{:?}",
        report.findings
    );
}

#[test]
fn every_breach_is_told() {
    let text = "ward,year,tested,positives,kind,seen,note\nSecretone,1999,five,6,urban,2000-01-01,x\nabc,2020,5,6,urban,2020-02-30,x\nAba,,NA,1,town,,x\nAba,2021,1,1,urban,,x\nAba,2021,1,1,urban,,x\n";
    let report = table(WARDS, text);
    let found: Vec<(&str, &str, &str)> = report
        .findings
        .iter()
        .map(|p| {
            (
                p.rule,
                p.field.as_deref().unwrap_or(""),
                p.cell.as_deref().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("schema/extra-column", "note", ""),
            ("schema/length", "ward", "row 1"),
            ("schema/range", "year", "row 1"),
            ("schema/type", "tested", "row 1"),
            ("schema/range", "seen", "row 1"),
            ("schema/rule", "", "row 1"),
            ("schema/pattern", "ward", "row 2"),
            ("schema/type", "seen", "row 2"),
            ("schema/rule", "", "row 2"),
            ("schema/null", "year", "row 3"),
            ("schema/values", "kind", "row 3"),
            ("schema/unique", "", "row 5"),
        ]
    );
    assert!(report.findings[11].message.contains("row 4"));
    // No value of the table stands in what is said of it.
    let said = format!("{:?}", report.findings);
    assert!(
        ["Secretone", "1999", "five", "abc", "town", "2020-02-30"]
            .iter()
            .all(|value| !said.contains(value))
    );
}

#[test]
fn the_whole_table_is_judged() {
    let report = table(WARDS, "ward,year,tested\nAba,2020,1\n");
    let rules: Vec<_> = report.findings.iter().map(|p| p.rule).collect();
    assert_eq!(rules, ["schema/missing-column", "schema/rows"]);
    assert!(
        report
            .not_checked
            .iter()
            .any(|not| not.what == "rules over absent columns")
    );
}

#[test]
fn breaches_are_counted_beyond_the_list() {
    let rows: String = (0..1000).map(|row| format!("{row},x\n")).collect();
    let report = table(
        "column = [{ name = 'a', type = 'integer', max = 9 }, { name = 'b', type = 'integer' }]",
        &format!("a,b\n{rows}"),
    );
    assert_eq!((report.count("schema/range"), report.count("schema/type")), (990, 1000));
    assert_eq!(report.findings.len(), 40);
}

#[test]
fn uniqueness_has_a_limit() {
    let report = table(
        "unique_values = 2\ncolumn = [{ name = 'a', type = 'text', unique = true }, { name = 'b', type = 'text' }]",
        "a,b\nx,1\ny,1\nz,1\nx,1\n",
    );
    assert_eq!(
        (report.count("schema/unique"), report.limits[0].name),
        (1, "table-unique")
    );
    assert_eq!(report.findings[0].field.as_deref(), Some("a"));
}

#[test]
fn rows_come_from_elsewhere_too() {
    let plan = Arc::new(plan("column = [{ name = 'a', type = 'integer' }]").unwrap());
    let (mut check, mut out, names) = (TableCheck::new(plan), Collector::new(5), ["a".to_owned()]);
    let mut buffer = RowBuffer::default();
    check.header(&names, &mut out);
    for (number, text) in (1..).zip(["1", "x"]) {
        buffer.clear();
        buffer.push(text);
        check.row(&buffer.row(number, &names), &mut out);
    }
    check.finish(true, &mut out);
    let report = out.finish();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(
        (report.findings[0].cell.as_deref(), report.findings[0].span.clone()),
        (Some("row 2"), None)
    );
}

#[test]
fn all_problems_of_a_contract_at_once() {
    let text = r#"
        extra_columns = "maybe"
        min_rows = 5
        max_rows = 1
        unique = [["nope"]]
        column = [
            { name = "a", type = "integer", min = 5, max = 1 },
            { name = "a", type = "text", pattern = "(" , min = 1 },
            { name = "c", type = "enum" },
            { name = "d", type = "text", formats = ["%Y-%m-%d"], min_length = 5, max_length = 2 },
        ]
        check = [{ name = "x", rule = "a <= " }]
    "#;
    let keys: Vec<String> = plan(text)
        .unwrap_err()
        .0
        .into_iter()
        .map(|problem| problem.key)
        .collect();
    for key in [
        "extra_columns",
        "min_rows",
        "column[0].min",
        "column[1].name",
        "column[1].pattern",
        "column[1].min",
        "column[2].values",
        "column[3].formats",
        "column[3].min_length",
    ] {
        assert!(keys.iter().any(|found| found == key), "{key} {keys:?}");
    }
    let text =
        "column = [{ name = 'a', type = 'integer' }]\nunique = [['nope']]\ncheck = [{ name = 'x', rule = 'a <= ' }]";
    let errors = plan(text).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "schema is not valid: unique[0]: takes names of columns of the contract; check[0].rule: a value or a column should stand here (at character 6)"
    );
    assert!(toml::from_str::<RawTable>("colum = []").is_err());
    assert!(plan("column = [{ name = 'a', type = 'nope' }]").is_err());
}

const SCHEMA: &str = r##"{
    "type": "object",
    "required": ["id"],
    "additionalProperties": false,
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "maxItems": 3}
    },
    "$defs": {"tag": {"type": "string", "maxLength": 5, "pattern": "^[a-z]+$"}}
}"##;

fn schema() -> Arc<DocumentSchema> {
    Arc::new(DocumentSchema::compile(SCHEMA).unwrap())
}

fn document(text: &str, limits: SchemaLimits) -> StructureReport {
    let engine = || {
        (
            Json::new(JsonOptions::default(), ()),
            SchemaDocument::new(schema(), limits),
        )
    };
    let report = run(engine(), text, usize::MAX);
    assert_eq!(report, run(engine(), text, 3));
    report
}

#[test]
fn documents() {
    let report = document("{\"id\": 1, \"tags\": [\"ab\"]}", SchemaLimits::default());
    assert!(report.findings.is_empty() && report.checked.contains(&"JSON Schema"));
    let report = document(
        "{\n\"id\": -77,\n\"secretname\": 5,\n\"tags\": [\"ok\",\n\"SECRETVALUE\"]\n}",
        SchemaLimits::default(),
    );
    let mut found: Vec<_> = report
        .findings
        .iter()
        .map(|p| (p.rule, p.field.as_deref().unwrap(), p.line.unwrap()))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("schema/json-length", "/tags/1", 5),
            ("schema/json-members", "", 1),
            ("schema/json-pattern", "/tags/1", 5),
            ("schema/json-range", "/id", 2)
        ]
    );
    assert!(report.valid);
    let range = report.findings.iter().find(|p| p.rule == "schema/json-range").unwrap();
    assert_eq!(range.span, Some(8..11));
    let said = format!("{:?}", report.findings);
    assert!(
        ["-77", "secretname", "SECRETVALUE"]
            .iter()
            .all(|value| !said.contains(value)),
        "{said}"
    );
}

/// A byte that is no text is read as a character of three: what follows has no place in bytes, and a line still.
#[test]
fn bytes_that_are_no_text_take_no_places() {
    let engine = (
        Json::new(JsonOptions::default(), ()),
        SchemaDocument::new(schema(), SchemaLimits::default()),
    );
    let mut scan = TextScan::new(engine, TextOptions::default());
    let start = "{\"tags\": [\"ééééééé".as_bytes();
    for part in [start, b"\x80\"],", b"\n\"id\": -77}"] {
        scan.feed(part);
    }
    let report = scan.finish().0;
    let range = report.findings.iter().find(|p| p.rule == "schema/json-range").unwrap();
    assert_eq!((range.span.clone(), range.line), (None, Some(2)));
}

#[test]
fn what_is_too_large_is_said() {
    let bytes = SchemaLimits {
        bytes: 10,
        ..SchemaLimits::default()
    };
    assert_eq!(
        document("{\"id\": 1, \"tags\": []}", bytes).limits[0].name,
        "json-schema-bytes"
    );
    let values = SchemaLimits {
        values: 3,
        ..SchemaLimits::default()
    };
    assert_eq!(
        document("{\"id\": 1, \"tags\": []}", values).limits[0].name,
        "json-schema-values"
    );
    assert!(
        document("{\"id\"", SchemaLimits::default())
            .not_checked
            .iter()
            .any(|not| not.what == "JSON Schema")
    );
}

#[test]
fn records() {
    let engine = || {
        (
            JsonLines::new(JsonOptions::default(), ()),
            SchemaLines::new(schema(), SchemaLimits::default()),
        )
    };
    let text = "{\"id\":1}\n{\"id\":0}\nx\n{}\n\n";
    let report = run(engine(), text, usize::MAX);
    assert_eq!(report, run(engine(), text, 2));
    let found: Vec<_> = report
        .findings
        .iter()
        .filter(|p| p.rule.starts_with("schema"))
        .map(|p| (p.rule, p.cell.as_deref().unwrap(), p.line.unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("schema/json-range", "record 2", 2),
            ("schema/json-required", "record 4", 4)
        ]
    );
}

#[test]
fn schemas_refer_to_nothing_outside() {
    for target in [
        "http://example.invalid/a.json",
        "https://example.invalid/a#/b",
        "file:///etc/passwd",
        "other.json",
    ] {
        let errors =
            DocumentSchema::compile(&format!(r#"{{"properties": {{"a": {{"$ref": "{target}"}}}}}}"#)).unwrap_err();
        assert_eq!(errors.0[0].key, "/properties/a/$ref");
        assert!(errors.0[0].message.contains("never fetched"));
    }
    assert!(DocumentSchema::compile("{").is_err());
    assert!(DocumentSchema::compile(r#"{"type": "nope"}"#).is_err());
    assert!(
        DocumentSchema::compile(r#"{"pattern": "(?=x)"}"#).is_err(),
        "only patterns of linear time"
    );
    assert!(DocumentSchema::compile(r#"{"$schema": "http://example.invalid/s"}"#).is_err());
    assert!(
        DocumentSchema::compile(r##"{"$id": "https://example.invalid/s", "$ref": "#/$defs/a", "$defs": {"a": {}}}"##)
            .is_ok()
    );
}

#[test]
fn the_longest_prefix_wins() {
    let text = r#"
        schema = [
            { tenant = "*", json = "{}" },
            { tenant = "a", prefix = "x/", json = "false" },
            { tenant = "a", prefix = "x/y/", table = { column = [{ name = "c", type = "text" }] } },
        ]
    "#;
    let here = std::path::Path::new("/nowhere");
    let schemas = toml::from_str::<RawSchemas>(text).unwrap().plan(here).unwrap();
    let found = |tenant, key| {
        let selected = schemas.find(tenant, key);
        (selected.document.is_some(), selected.table.is_some(), selected.version)
    };
    let both = found("a", "x/y/z");
    assert_eq!((both.0, both.1), (true, true));
    let document = found("a", "x/z");
    assert_eq!((document.0, document.1), (true, false));
    let everybody = found("b", "x/y/z");
    assert_eq!((everybody.0, everybody.1), (true, false));
    assert!(
        both.2 != document.2 && document.2 != everybody.2,
        "versions tell them apart"
    );
    assert!(
        toml::from_str::<RawSchemas>("")
            .unwrap()
            .plan(here)
            .unwrap()
            .find("a", "x")
            .is_empty()
    );
    let text = r#"
        schema = [
            { tenant = "a" },
            { tenant = "a", prefix = "x", json = "{" },
            { tenant = "a", prefix = "y", table = { column = [] } },
            { tenant = "a", prefix = "z", json_file = "none.json" },
        ]
    "#;
    let errors = toml::from_str::<RawSchemas>(text).unwrap().plan(here).unwrap_err();
    let keys: Vec<&str> = errors.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        ["schema[0]", "schema[1].json.", "schema[2].table.column", "schema[3]"]
    );
    assert!(
        errors.0[3].message.contains("/nowhere/none.json"),
        "{}",
        errors.0[3].message
    );
}
