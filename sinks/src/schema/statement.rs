//! The kinds of statements there are, and their text in SQL and CQL.
//!
//! Values are bound in the order of the table's columns (for an upsert all of them, for the others those the key needs), then what each
//! verb names. A `SELECT` gives all columns in the table's order. `UPDATE` does not exist: in CQL it is a hidden upsert.

use super::cql::{Order, Table};
use super::tables::{TableId, table};

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Writes a whole row if its write timestamp is not older than the stored one. Then bound: write timestamp (µs), and in
    /// SQLite the expiry second or NULL, in CQL the time to live in seconds where the table has one.
    Upsert,
    /// Writes a row only if there is none. Only for migrations: in CQL it is a Paxos round, and must never touch rows that are upserted.
    InsertIfAbsent,
    /// Removes a row, shadowing writes that are not newer. Bound: the key, write timestamp (in CQL the timestamp first).
    Delete,
    /// One row by its whole key. In SQLite, then bound: now (s).
    One,
    /// Rows of one partition in clustering order. Bound: the partition key, then with `after` a position (all clustering columns)
    /// behind which rows begin, in SQLite now (s), the number of rows.
    Range {
        /// Whether it begins behind a position.
        after: bool,
    },
}

/// A statement over one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Statement {
    /// The table.
    pub table: TableId,
    /// What it does.
    pub verb: Verb,
}

/// Every statement the stores make: a backend prepares these and no others.
pub fn catalogue() -> Vec<Statement> {
    let mut all = vec![Statement {
        table: TableId::SchemaMigrations,
        verb: Verb::InsertIfAbsent,
    }];
    for id in TableId::ALL.iter().filter(|id| **id != TableId::SchemaMigrations) {
        all.push(Statement {
            table: *id,
            verb: Verb::Upsert,
        });
        if table(*id).clustering.is_empty() {
            all.push(Statement {
                table: *id,
                verb: Verb::One,
            });
        } else {
            all.push(Statement {
                table: *id,
                verb: Verb::Range { after: false },
            });
            all.push(Statement {
                table: *id,
                verb: Verb::Range { after: true },
            });
        }
    }
    all.push(Statement {
        table: TableId::DeadLetters,
        verb: Verb::Delete,
    });
    all.push(Statement {
        table: TableId::SchemaMigrations,
        verb: Verb::Range { after: false },
    });
    all
}

fn names(table: &Table, indexes: impl Iterator<Item = usize>) -> Vec<&str> {
    indexes.map(|index| table.columns[index].name.as_str()).collect()
}

fn equal(columns: &[&str]) -> String {
    columns
        .iter()
        .map(|name| format!("{name} = ?"))
        .collect::<Vec<_>>()
        .join(" AND ")
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// The condition for rows behind a position. Tuples compare in one direction only, so all clustering columns must share it.
fn behind(table: &Table) -> String {
    let columns = names(table, table.clustering.iter().map(|(index, _)| *index));
    let sign = match table.clustering.first() {
        Some((_, Order::Desc)) => "<",
        Some((_, Order::Asc)) | None => ">",
    };
    debug_assert!(
        table.clustering.windows(2).all(|pair| pair[0].1 == pair[1].1),
        "{}: mixed order",
        table.name
    );
    format!("({}) {sign} ({})", columns.join(", "), marks(columns.len()))
}

impl Statement {
    /// The text for SQLite.
    pub fn sql(self) -> String {
        let table = table(self.table);
        let name = &table.name;
        let all = names(table, 0..table.columns.len());
        let key = names(table, table.key());
        let rest = names(table, (0..table.columns.len()).filter(|index| !table.is_key(*index)));
        let alive = "(_exp IS NULL OR _exp > ?)";
        match self.verb {
            Verb::Upsert => {
                let set: Vec<String> = rest
                    .iter()
                    .chain(&["_wts", "_exp"])
                    .map(|c| format!("{c} = excluded.{c}"))
                    .collect();
                format!(
                    "INSERT INTO {name} ({}, _wts, _exp) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {} \
                     WHERE excluded._wts > {name}._wts OR (excluded._wts = {name}._wts AND {name}._exp IS NOT 0)",
                    all.join(", "),
                    marks(all.len() + 2),
                    key.join(", "),
                    set.join(", ")
                )
            }
            Verb::InsertIfAbsent => format!(
                "INSERT INTO {name} ({}, _wts, _exp) VALUES ({}) ON CONFLICT ({}) DO NOTHING",
                all.join(", "),
                marks(all.len() + 2),
                key.join(", ")
            ),
            Verb::Delete => {
                let clear: Vec<String> = rest.iter().map(|c| format!("{c} = NULL, ")).collect();
                format!(
                    "INSERT INTO {name} ({}, _wts, _exp) VALUES ({}, 0) ON CONFLICT ({}) DO UPDATE SET {}_wts = excluded._wts, _exp = 0 \
                     WHERE excluded._wts >= {name}._wts",
                    key.join(", "),
                    marks(key.len() + 1),
                    key.join(", "),
                    clear.concat()
                )
            }
            Verb::One => format!(
                "SELECT {} FROM {name} WHERE {} AND {alive}",
                all.join(", "),
                equal(&key)
            ),
            Verb::Range { after } => {
                let mut conditions = vec![equal(&names(table, table.partition.iter().copied()))];
                if after {
                    conditions.push(behind(table));
                }
                conditions.push(alive.to_owned());
                let order: Vec<String> = table
                    .clustering
                    .iter()
                    .map(|(index, order)| match order {
                        Order::Asc => table.columns[*index].name.clone(),
                        Order::Desc => format!("{} DESC", table.columns[*index].name),
                    })
                    .collect();
                format!(
                    "SELECT {} FROM {name} WHERE {} ORDER BY {} LIMIT ?",
                    all.join(", "),
                    conditions.join(" AND "),
                    order.join(", ")
                )
            }
        }
    }

    /// The text for ScyllaDB and Cassandra. Expiry is the server's there, so `SELECT` needs no time; rows come in clustering order.
    pub fn cql(self) -> String {
        let table = table(self.table);
        let name = &table.name;
        let all = names(table, 0..table.columns.len());
        let key = names(table, table.key());
        match self.verb {
            Verb::Upsert => {
                let expires = if table.time_to_live.is_some() { " AND TTL ?" } else { "" };
                format!(
                    "INSERT INTO {name} ({}) VALUES ({}) USING TIMESTAMP ?{expires}",
                    all.join(", "),
                    marks(all.len())
                )
            }
            Verb::InsertIfAbsent => format!(
                "INSERT INTO {name} ({}) VALUES ({}) IF NOT EXISTS",
                all.join(", "),
                marks(all.len())
            ),
            Verb::Delete => format!("DELETE FROM {name} USING TIMESTAMP ? WHERE {}", equal(&key)),
            Verb::One => format!("SELECT {} FROM {name} WHERE {}", all.join(", "), equal(&key)),
            Verb::Range { after } => {
                let mut conditions = vec![equal(&names(table, table.partition.iter().copied()))];
                if after {
                    conditions.push(behind(table));
                }
                format!(
                    "SELECT {} FROM {name} WHERE {} LIMIT ?",
                    all.join(", "),
                    conditions.join(" AND ")
                )
            }
        }
    }
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
