//! Tables as SQLite DDL.

use std::fmt::Write;

use super::cql::{Order, Table};

/// One `CREATE TABLE`. Rows live in the key's own order (`WITHOUT ROWID`), and carry what SQLite lacks: `_wts`, the write timestamp in
/// microseconds, and `_exp`, the second at which the row expires; 0 marks a deleted row that still shadows older writes.
pub fn sqlite_ddl(table: &Table) -> String {
    let mut ddl = format!("CREATE TABLE {} (\n", table.name);
    for (index, column) in table.columns.iter().enumerate() {
        let required = if table.is_key(index) { " NOT NULL" } else { "" };
        // Writing to a String does not fail.
        let _ = writeln!(ddl, "  {} {}{required},", column.name, column.kind.sqlite());
    }
    let partition = table.partition.iter().map(|index| table.columns[*index].name.clone());
    let clustering = table.clustering.iter().map(|(index, order)| match order {
        Order::Asc => table.columns[*index].name.clone(),
        Order::Desc => format!("{} DESC", table.columns[*index].name),
    });
    let key: Vec<String> = partition.chain(clustering).collect();
    let _ = write!(
        ddl,
        "  _wts INTEGER NOT NULL,\n  _exp INTEGER,\n  PRIMARY KEY ({})\n) STRICT, WITHOUT ROWID;\n",
        key.join(", ")
    );
    ddl
}
