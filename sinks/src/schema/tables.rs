//! The tables of this version, by name.

use std::sync::LazyLock;

use super::cql::{Table, parse};

/// One file of `schemas/db`.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its number.
    pub version: i64,
    /// Its text.
    pub cql: &'static str,
}

/// Every file, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        cql: include_str!("../../../schemas/db/001_tables.cql"),
    },
    Migration {
        version: 2,
        cql: include_str!("../../../schemas/db/002_decisions.cql"),
    },
    Migration {
        version: 3,
        cql: include_str!("../../../schemas/db/003_keys.cql"),
    },
];

macro_rules! tables {
    ($($(#[$doc:meta])* $id:ident = $name:literal,)*) => {
        /// Names a table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum TableId { $($(#[$doc])* $id,)* }

        impl TableId {
            /// All of them.
            pub const ALL: &'static [TableId] = &[$(TableId::$id,)*];
            /// The name in both databases.
            pub fn name(self) -> &'static str {
                match self { $(TableId::$id => $name,)* }
            }
        }
    };
}

tables! {
    /// Applied files.
    SchemaMigrations = "schema_migrations",
    /// What a version is.
    Objects = "objects",
    /// Event messages about a version.
    ObjectEvents = "object_events",
    /// Its final state.
    ObjectFinals = "object_finals",
    /// Its deletion.
    ObjectDeletions = "object_deletions",
    /// Versions of a key.
    ObjectsByKey = "objects_by_key",
    /// The listing.
    ObjectsByDay = "objects_by_day",
    /// Days the listing has.
    DaysByTenant = "days_by_tenant",
    /// Buckets a tenant uses.
    BucketsByTenant = "buckets_by_tenant",
    /// Processors' results.
    ResultsByDoc = "results_by_doc",
    /// Commands' results.
    Commands = "commands",
    /// Failures nobody has overcome.
    DeadLetters = "dead_letters",
    /// Decisions about quarantined versions.
    ObjectDecisions = "object_decisions",
    /// Keys in their order.
    KeysByBucket = "keys_by_bucket",
}

/// A table's description.
pub fn table(id: TableId) -> &'static Table {
    static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
        let all: Vec<Table> = MIGRATIONS
            .iter()
            .flat_map(|file| parse(file.cql).unwrap_or_default())
            .collect();
        let find = |id: &TableId| all.iter().find(|table| table.name == id.name()).cloned();
        TableId::ALL.iter().filter_map(find).collect()
    });
    // Index safety: the text is part of the program, and the test below reads every table of it.
    &TABLES[id as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_an_id_and_every_id_a_table() {
        let names: Vec<String> = MIGRATIONS
            .iter()
            .flat_map(|file| parse(file.cql).unwrap())
            .map(|table| table.name)
            .collect();
        assert_eq!(
            names,
            TableId::ALL.iter().map(|id| id.name().to_owned()).collect::<Vec<_>>()
        );
        for id in TableId::ALL {
            assert_eq!(table(*id).name, id.name());
        }
    }
}
