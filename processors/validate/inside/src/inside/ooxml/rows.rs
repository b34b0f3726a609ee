//! Gathers cells, as they come, into rows.

use crate::inside::visitor::{Cell, Table, Value};
use crate::inside::walk::Walk;

/// A value of its own.
#[derive(Debug, Clone)]
pub(crate) enum Owned {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Text(text) => Value::Text(text),
        }
    }
}

/// The row that is being read.
pub(crate) struct Rows {
    table: Table,
    row: u64,
    cells: Vec<(u32, Owned)>,
    /// Cells of all rows so far.
    taken: u64,
}

impl Rows {
    pub fn new(table: Table) -> Self {
        Self {
            table,
            row: 0,
            cells: Vec::new(),
            taken: 0,
        }
    }

    /// Takes a cell; false once there may be no more. The bound counts cells that hold something.
    pub fn cell(&mut self, walk: &mut Walk<'_>, row: u64, column: u32, value: Owned) -> bool {
        if row != self.row {
            self.flush(walk, 1);
            self.row = row;
        }
        if let Err(name) = walk.budget.cells(1) {
            walk.limit(name, &self.table.document, None);
            return false;
        }
        if let Owned::Text(text) = &value
            && let Err(name) = walk.budget.text(text.len())
        {
            walk.limit(name, &self.table.document, None);
            return false;
        }
        self.cells.push((column, value));
        // Time and patience cost something to ask for.
        self.taken += 1;
        !self.taken.is_multiple_of(256) || walk.more(&self.table.document)
    }

    /// Cells of the row so far, and bytes of their text.
    pub fn size(&self) -> (usize, usize) {
        let text = self.cells.iter().map(|(_, value)| match value {
            Owned::Text(text) => text.len(),
            _ => 0,
        });
        (self.cells.len(), text.sum())
    }

    /// Hands the row over, `times` times.
    pub fn flush(&mut self, walk: &mut Walk<'_>, times: u64) {
        if self.cells.is_empty() {
            return;
        }
        let cells: Vec<Cell<'_>> = self
            .cells
            .iter()
            .map(|(column, value)| (*column, value.value()))
            .collect();
        for again in 0..times.max(1) {
            walk.visitor.row(&self.table, self.row.saturating_add(again), &cells);
            if again % 1_024 == 1_023 && !walk.more(&self.table.document) {
                break;
            }
        }
        self.cells.clear();
    }

    /// Begins a row of which the number is known.
    pub fn begin(&mut self, row: u64) {
        self.row = row;
    }
}
