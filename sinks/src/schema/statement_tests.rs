use super::*;

fn statement(table: TableId, verb: Verb) -> Statement {
    Statement { table, verb }
}

#[test]
fn cql_has_the_expected_shape() {
    let check = |table, verb, expected: &str| assert_eq!(statement(table, verb).cql(), expected);
    check(
        TableId::DaysByTenant,
        Verb::Upsert,
        "INSERT INTO days_by_tenant (tenant, day) VALUES (?, ?) USING TIMESTAMP ?",
    );
    check(
        TableId::Commands,
        Verb::Upsert,
        "INSERT INTO commands (tenant, command_id, verb, outcome, object_id, returned, error_code, error, finished_at, trace_id) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
    );
    check(
        TableId::DeadLetters,
        Verb::Delete,
        "DELETE FROM dead_letters USING TIMESTAMP ? WHERE tenant = ? AND object_id = ? AND processor = ?",
    );
    check(
        TableId::ObjectsByKey,
        Verb::Range { after: true },
        "SELECT tenant, bucket, object_key, last_modified, object_id FROM objects_by_key \
         WHERE tenant = ? AND bucket = ? AND object_key = ? AND (last_modified, object_id) < (?, ?) LIMIT ?",
    );
    check(
        TableId::ObjectDeletions,
        Verb::One,
        "SELECT tenant, object_id, deleted_at FROM object_deletions WHERE tenant = ? AND object_id = ?",
    );
    check(
        TableId::SchemaMigrations,
        Verb::InsertIfAbsent,
        "INSERT INTO schema_migrations (app, version, checksum, applied_at) VALUES (?, ?, ?, ?) IF NOT EXISTS",
    );
}

#[test]
fn statements_keep_to_the_rules() {
    for statement in catalogue() {
        let (sql, cql) = (statement.sql(), statement.cql());
        for text in [&sql, &cql] {
            assert!(!text.contains("UPDATE ") || text.contains("DO UPDATE SET"), "{text}");
            assert!(!text.contains("ALLOW FILTERING") && !text.contains("BATCH"), "{text}");
        }
        // Never a conditional statement with a client timestamp: Paxos and ordinary writes of one row do not mix.
        assert!(!(cql.contains("IF NOT EXISTS") && cql.contains("TIMESTAMP")), "{cql}");
        let table = table(statement.table);
        if let Verb::Range { .. } | Verb::One = statement.verb {
            for index in &table.partition {
                assert!(
                    cql.contains(&format!("{} = ?", table.columns[*index].name)),
                    "partition key is bound: {cql}"
                );
            }
        }
    }
}

#[test]
fn sql_compiles_and_seeks_by_the_key() {
    let db = rusqlite::Connection::open_in_memory().unwrap();
    for id in TableId::ALL {
        db.execute_batch(&crate::schema::sqlite_ddl(table(*id))).unwrap();
    }
    for statement in catalogue() {
        let sql = statement.sql();
        db.prepare(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        if matches!(statement.verb, Verb::One | Verb::Range { .. }) {
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let bound = vec![rusqlite::types::Null; plan.parameter_count()];
            let steps: Vec<String> = plan
                .query_map(rusqlite::params_from_iter(bound), |row| row.get(3))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert!(
                steps
                    .iter()
                    .all(|step| step.starts_with("SEARCH") && step.contains("PRIMARY KEY")),
                "{sql}: {steps:?}"
            );
        }
    }
}
