//! Rows against a contract.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use cofferdam_schemas::Severity;

use super::super::expr::Val;
use super::config::{Column, TablePlan};
use crate::structure::csv::{Row, RowSink};
use crate::structure::report::{Collector, Problem};

/// Checks the rows of one table; give it as the sink of a [`Csv`](crate::structure::csv::Csv), or feed it rows of a
/// [`RowBuffer`](crate::structure::csv::RowBuffer). Time: the cells times the rules. Memory: the values remembered for uniqueness.
#[derive(Debug)]
pub struct TableCheck {
    plan: Arc<TablePlan>,
    /// Where each column of the contract stands in the table.
    places: Vec<Option<usize>>,
    hashers: [RandomState; 2],
    /// For each set of unique columns the values seen, as 128-bit hashes with a random key, and their rows.
    seen: Vec<HashMap<u128, u64>>,
    remembered: usize,
    rows: u64,
}

impl TableCheck {
    /// A check of one table.
    pub fn new(plan: Arc<TablePlan>) -> Self {
        Self {
            places: Vec::new(),
            hashers: [RandomState::new(), RandomState::new()],
            seen: plan.unique.iter().map(|_| HashMap::new()).collect(),
            remembered: 0,
            rows: 0,
            plan,
        }
    }

    fn unique(&mut self, row: &Row<'_>, values: &[Val<'_>], out: &mut Collector) {
        let plan = Arc::clone(&self.plan);
        for (group, (set, seen)) in (0..).zip(plan.unique.iter().zip(&mut self.seen)) {
            if set
                .iter()
                .any(|column| values.get(*column).is_none_or(|value| *value == Val::Null))
            {
                continue;
            }
            let texts: Vec<&str> = set
                .iter()
                .filter_map(|column| text_of(&plan, self.places.get(*column).copied().flatten(), row))
                .collect();
            let [first, second] = self.hashers.each_ref().map(|hasher| hasher.hash_one(&texts));
            let hash = u128::from(first) << 64 | u128::from(second);
            if let Some(before) = seen.get(&hash) {
                let names: Vec<&str> = set
                    .iter()
                    .filter_map(|column| plan.columns.get(*column))
                    .map(|column| column.name.as_str())
                    .collect();
                let place = if let [column] = set[..] {
                    self.places.get(column).copied().flatten()
                } else {
                    None
                };
                out.add("schema/unique", group, || {
                    let message = format!("`{}` is the same as in row {before}", names.join("`, `"));
                    row.locate(Problem::new("schema/unique", Severity::Medium, message), place)
                        .remedy("remove the duplicate")
                });
            } else if self.remembered >= plan.unique_values {
                out.limit(
                    "table-unique",
                    plan.unique_values as u64,
                    "further values that occur twice",
                    None,
                );
            } else {
                seen.insert(hash, row.number);
                self.remembered += 1;
            }
        }
    }
}

fn text_of<'r>(plan: &TablePlan, place: Option<usize>, row: &Row<'r>) -> Option<&'r str> {
    let text = row.text(place?)?;
    Some(if plan.trim { text.trim() } else { text })
}

/// A breach: its rule and what is wrong, in words of the contract only.
type Breach = (&'static str, String);

fn judge<'t>(column: &Column, text: &'t str) -> (Val<'t>, Option<Breach>) {
    let name = &column.name;
    if column.null.contains(text) {
        let breach = (!column.nullable).then(|| ("schema/null", format!("`{name}` has no value")));
        return (Val::Null, breach);
    }
    let Some(value) = column.kind.read(text) else {
        return (
            Val::Null,
            Some(("schema/type", format!("`{name}` is not {}", column.kind.name()))),
        );
    };
    let breach = || {
        if let Val::Number(number) | Val::Time(number) = value {
            let below = column.min.is_some_and(|min| number < min);
            if below || column.max.is_some_and(|max| number > max) {
                return Some((
                    "schema/range",
                    format!("`{name}` is {} the range", if below { "below" } else { "above" }),
                ));
            }
        }
        let (least, most) = column.length;
        if least > 0 || most < usize::MAX {
            let length = text.chars().count();
            if !(least..=most).contains(&length) {
                return Some((
                    "schema/length",
                    format!(
                        "`{name}` has too {} characters",
                        if length < least { "few" } else { "many" }
                    ),
                ));
            }
        }
        if column.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
            return Some(("schema/pattern", format!("`{name}` does not have its pattern")));
        }
        if column.values.as_ref().is_some_and(|values| !values.contains(text)) {
            return Some(("schema/values", format!("`{name}` is none of the values allowed")));
        }
        None
    };
    (value, breach())
}

impl RowSink for TableCheck {
    fn header(&mut self, names: &[String], out: &mut Collector) {
        let plan = &self.plan;
        if names.is_empty() {
            // Without names the order decides.
            self.places = (0..plan.columns.len()).map(Some).collect();
            out.not_checked(
                "names of columns",
                "the table has no header; columns were taken in their order",
            );
            return;
        }
        let find = |column: &Column| names.iter().position(|name| name.trim() == column.name);
        self.places = plan.columns.iter().map(find).collect();
        for (group, (column, place)) in (0..).zip(plan.columns.iter().zip(&self.places)) {
            if place.is_none() && column.required {
                out.add("schema/missing-column", group, || {
                    let message = format!("the column `{}` is missing", column.name);
                    Problem::new("schema/missing-column", Severity::High, message)
                        .field(&column.name)
                        .remedy("add the column, or correct its name")
                });
            }
        }
        let Some(severity) = plan.extra else { return };
        for (index, name) in names.iter().enumerate() {
            if !self.places.contains(&Some(index)) {
                out.add("schema/extra-column", 0, || {
                    Problem::new(
                        "schema/extra-column",
                        severity,
                        format!("column {} is not in the contract", index + 1),
                    )
                    .field(name)
                });
            }
        }
    }

    fn row(&mut self, row: &Row<'_>, out: &mut Collector) {
        self.rows += 1;
        let plan = Arc::clone(&self.plan);
        let mut values = Vec::with_capacity(plan.columns.len());
        for (group, (column, place)) in (0..).zip(plan.columns.iter().zip(&self.places)) {
            // A cell that a short row lacks has no value; a column that is not there was told of once.
            let Some(index) = *place else {
                values.push(Val::Null);
                continue;
            };
            let (value, breach) = judge(column, text_of(&plan, Some(index), row).unwrap_or(""));
            values.push(value);
            if let Some((rule, message)) = breach {
                out.add(rule, group, || {
                    row.locate(Problem::new(rule, Severity::Medium, message), Some(index))
                        .field(&column.name)
                });
            }
        }
        for (group, check) in (0..).zip(&plan.checks) {
            if check.expr.is_broken(&values) {
                out.add("schema/rule", group, || {
                    let message = format!("the rule `{}` is broken", check.name);
                    row.locate(Problem::new("schema/rule", check.severity, message), None)
                });
            }
        }
        self.unique(row, &values, out);
    }

    fn finish(&mut self, whole: bool, out: &mut Collector) {
        let (least, most) = self.plan.rows;
        if !(least..=most).contains(&self.rows) {
            let few = self.rows < least;
            out.add("schema/rows", 0, || {
                let message = format!(
                    "the table has {} rows, {} than the contract says",
                    self.rows,
                    if few { "fewer" } else { "more" }
                );
                Problem::new("schema/rows", Severity::Medium, message)
            });
        }
        out.checked("table contract");
        let absent = |check: &&super::config::Check| {
            check
                .expr
                .columns
                .iter()
                .any(|column| self.places.get(*column).copied().flatten().is_none())
        };
        if self.plan.checks.iter().any(|check| absent(&check)) {
            out.not_checked("rules over absent columns", "a column they need is not in the table");
        }
        if !whole {
            out.not_checked("rows that were cut", "they are longer than the limit");
        }
    }
}
