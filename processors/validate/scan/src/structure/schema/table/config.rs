//! The contract as it is written, and made sure of.

use std::collections::HashSet;

use cofferdam_schemas::Severity;
use serde::{Deserialize, Serialize};

use super::super::expr::{Expr, Val};
use super::super::{Problems, SchemaErrors};
use super::kind::Kind;

/// A contract as it is written.
///
/// ```
/// let text = r#"
///     null = ["", "NA"]
///     min_rows = 1
///     extra_columns = "deny"
///     unique = [["ward", "year"]]
///
///     [[column]]
///     name = "ward"
///     type = "text"
///     pattern = "[A-Z][a-z ]+"
///     max_length = 80
///
///     [[column]]
///     name = "year"
///     type = "integer"
///     min = 2000
///     max = 2100
///
///     [[column]]
///     name = "tested"
///     type = "integer"
///     min = 0
///     nullable = true
///
///     [[column]]
///     name = "positives"
///     type = "integer"
///     nullable = true
///
///     [[column]]
///     name = "reported"
///     type = "date"
///     formats = ["%d.%m.%Y"]
///     required = false
///
///     [[check]]
///     name = "positives are tested"
///     rule = "positives <= tested"
///     severity = "high"
/// "#;
/// let raw: cofferdam_scan::structure::schema::RawTable = toml::from_str(text).unwrap();
/// raw.plan().unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTable {
    /// Cells that mean a missing value. The empty cell unless set.
    #[serde(default = "empty_cell")]
    pub null: Vec<String>,
    /// Whether white space around cells is left out. True unless set.
    #[serde(default = "yes")]
    pub trim: bool,
    /// What columns that are not in the contract are: `allow`, `warn` (low) or `deny` (medium). `warn` unless set.
    #[serde(default = "warn")]
    pub extra_columns: String,
    /// Fewest rows, the header not counted.
    pub min_rows: Option<u64>,
    /// Most rows.
    pub max_rows: Option<u64>,
    /// Sets of columns whose values together occur once only. Rows with a missing value among them are left out, as in SQL.
    #[serde(default)]
    pub unique: Vec<Vec<String>>,
    /// Values remembered for uniqueness, about 40 bytes each. 1 Mi unless set; beyond, duplicates may be missed and it is said so.
    #[serde(default = "million")]
    pub unique_values: usize,
    /// The columns. At least one, at most 10 000.
    #[serde(default)]
    pub column: Vec<RawColumn>,
    /// Rules over several columns.
    #[serde(default)]
    pub check: Vec<RawCheck>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawColumn {
    /// Its name in the header.
    pub name: String,
    /// `integer`, `decimal`, `text`, `enum`, `boolean`, `date` or `datetime`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the column must be there. True unless set.
    #[serde(default = "yes")]
    pub required: bool,
    /// Whether values may be missing. False unless set.
    #[serde(default)]
    pub nullable: bool,
    /// Cells that mean a missing value, instead of the table's.
    pub null: Option<Vec<String>>,
    /// Smallest value: a number, or a text in the first format of a date.
    pub min: Option<toml::Value>,
    /// Largest value.
    pub max: Option<toml::Value>,
    /// Fewest characters of a text.
    pub min_length: Option<usize>,
    /// Most characters of a text.
    pub max_length: Option<usize>,
    /// A regular expression for the whole text of a cell, in the syntax of the crate `regex` (linear time).
    pub pattern: Option<String>,
    /// The values allowed; needed for `enum`.
    pub values: Option<Vec<String>>,
    /// Formats of a date or time, see the engine's documentation; ISO 8601 unless set.
    #[serde(default)]
    pub formats: Vec<String>,
    /// Whether each value occurs once only.
    #[serde(default)]
    pub unique: bool,
}

/// A rule over several columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCheck {
    /// What it is called in findings.
    pub name: String,
    /// An expression that has to be true of every row, for example `positives <= tested`.
    pub rule: String,
    /// How grave a breach is. `medium` unless set.
    #[serde(default = "medium")]
    pub severity: Severity,
}

fn empty_cell() -> Vec<String> {
    vec![String::new()]
}
fn yes() -> bool {
    true
}
fn warn() -> String {
    "warn".to_owned()
}
fn million() -> usize {
    1 << 20
}
fn medium() -> Severity {
    Severity::Medium
}

/// A contract known to be valid.
#[derive(Debug, Clone)]
pub struct TablePlan {
    pub(super) trim: bool,
    pub(super) extra: Option<Severity>,
    pub(super) rows: (u64, u64),
    pub(super) unique: Vec<Vec<usize>>,
    pub(super) unique_values: usize,
    pub(super) columns: Vec<Column>,
    pub(super) checks: Vec<Check>,
}

#[derive(Debug, Clone)]
pub(super) struct Column {
    pub name: String,
    pub kind: Kind,
    pub required: bool,
    pub nullable: bool,
    pub null: HashSet<String>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub length: (usize, usize),
    pub pattern: Option<regex::Regex>,
    pub values: Option<HashSet<String>>,
}

#[derive(Debug, Clone)]
pub(super) struct Check {
    pub name: String,
    pub expr: Expr,
    pub severity: Severity,
}

impl RawTable {
    /// Checks the contract, reporting every problem.
    pub fn plan(self) -> Result<TablePlan, SchemaErrors> {
        let mut problems = Problems::default();
        if !(1..=10_000).contains(&self.column.len()) {
            problems.add("column", "takes 1 to 10 000 columns");
        }
        let extra = match self.extra_columns.as_str() {
            "allow" => None,
            "warn" => Some(Severity::Low),
            "deny" => Some(Severity::Medium),
            _ => {
                problems.add("extra_columns", "takes allow, warn or deny");
                None
            }
        };
        let rows = (self.min_rows.unwrap_or(0), self.max_rows.unwrap_or(u64::MAX));
        if rows.0 > rows.1 {
            problems.add("min_rows", "is more than max_rows");
        }
        let mut unique = Vec::new();
        let mut columns: Vec<Column> = Vec::new();
        let mut names = HashSet::new();
        for (index, raw) in self.column.into_iter().enumerate() {
            if !names.insert(raw.name.clone()) {
                problems.add(format!("column[{index}].name"), "is used twice");
            }
            if raw.unique {
                unique.push(vec![index]);
            }
            let key = format!("column[{index}]");
            columns.extend(raw.plan(&key, &self.null, &mut problems));
        }
        // Numbers of columns make sense only if all of them are there.
        let complete = columns.len() == names.len();
        let find = |name: &str| columns.iter().position(|column| column.name == name);
        let mut checks = Vec::new();
        if complete {
            for (index, set) in self.unique.iter().enumerate() {
                let found: Option<Vec<usize>> = set.iter().map(|name| find(name)).collect();
                match found {
                    Some(set) if !set.is_empty() => unique.push(set),
                    _ => problems.add(format!("unique[{index}]"), "takes names of columns of the contract"),
                }
            }
            for (index, raw) in self.check.into_iter().enumerate() {
                let column = |name: &str| find(name).map(|index| (index, columns[index].kind.expr()));
                match Expr::parse(&raw.rule, &column) {
                    Ok(expr) => checks.push(Check {
                        name: raw.name,
                        expr,
                        severity: raw.severity,
                    }),
                    Err(error) => problems.add(format!("check[{index}].rule"), error.to_string()),
                }
            }
        }
        problems.finish(TablePlan {
            trim: self.trim,
            extra,
            rows,
            unique,
            unique_values: self.unique_values,
            columns,
            checks,
        })
    }
}

impl RawColumn {
    fn plan(self, key: &str, null: &[String], problems: &mut Problems) -> Option<Column> {
        let kind = match Kind::of(&self.kind, &self.formats) {
            Ok(kind) => kind,
            Err(message) => {
                problems.add(format!("{key}.type"), message);
                return None;
            }
        };
        if !self.formats.is_empty() && !matches!(kind, Kind::Time(..)) {
            problems.add(format!("{key}.formats"), "applies to date and datetime only");
        }
        if self.kind == "enum" && self.values.as_ref().is_none_or(Vec::is_empty) {
            problems.add(format!("{key}.values"), "an enum needs its values");
        }
        let mut bound = |name: &str, value: Option<toml::Value>| {
            let value = value?;
            let found = match &value {
                toml::Value::Integer(number) => Some(Val::Number(*number as f64)),
                toml::Value::Float(number) if number.is_finite() => Some(Val::Number(*number)),
                toml::Value::String(text) => kind.read(text),
                _ => None,
            };
            match (found, &kind) {
                (Some(Val::Number(number)), Kind::Integer | Kind::Decimal) => Some(number),
                (Some(Val::Time(time)), _) => Some(time),
                _ => {
                    problems.add(
                        format!("{key}.{name}"),
                        "takes a number, or for dates a text in one of the formats; it applies to no other types",
                    );
                    None
                }
            }
        };
        let (min, max) = (bound("min", self.min), bound("max", self.max));
        if min.zip(max).is_some_and(|(min, max)| min > max) {
            problems.add(format!("{key}.min"), "is more than max");
        }
        let length = (self.min_length.unwrap_or(0), self.max_length.unwrap_or(usize::MAX));
        if length.0 > length.1 {
            problems.add(format!("{key}.min_length"), "is more than max_length");
        }
        let compile = |pattern: String| {
            let built = regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
                .size_limit(1 << 20)
                .dfa_size_limit(1 << 20)
                .build();
            built
                .map_err(|error| problems.add(format!("{key}.pattern"), error.to_string()))
                .ok()
        };
        let pattern = self.pattern.and_then(compile);
        Some(Column {
            name: self.name,
            kind,
            required: self.required,
            nullable: self.nullable,
            null: self.null.unwrap_or_else(|| null.to_vec()).into_iter().collect(),
            min,
            max,
            length,
            pattern,
            values: self.values.map(|values| values.into_iter().collect()),
        })
    }
}
