use super::*;

#[track_caller]
fn refused(text: &str, line: usize, part: &str) {
    let error = parse(text).expect_err("must be refused");
    assert_eq!(error.line, line, "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn reads_a_table() {
    let tables = parse(
        "-- words ; ( are comments\ncreate table t (a text, b int, -- why\n c timestamp, d blob,\n primary key ((a, b), c)) \
         WITH CLUSTERING ORDER BY (c DESC) AND default_time_to_live = 60;",
    )
    .unwrap();
    let [table] = &tables[..] else { panic!("one table") };
    assert_eq!(table.name, "t");
    assert_eq!(table.partition, [0, 1]);
    assert_eq!(table.clustering, [(2, Order::Desc)]);
    assert_eq!(table.time_to_live, Some(60));
    assert_eq!(
        table.columns[3],
        Column {
            name: "d".into(),
            kind: ColumnType::Blob
        }
    );
    assert!(table.is_key(2) && !table.is_key(3));
}

#[test]
fn refuses_what_is_outside_the_subset() {
    refused("CREATE TABLE t (\na list, PRIMARY KEY ((a)));", 2, "type list");
    refused("CREATE TABLE t (a text,\n\nb map<text,text>);", 3, "'<'");
    refused("CREATE TABLE t (a counter, PRIMARY KEY ((a)));", 1, "counter");
    refused("CREATE TABLE t (a text, PRIMARY KEY (a));", 1, "expected (");
    refused("CREATE TABLE t (a text, PRIMARY KEY ((b)));", 1, "no column b");
    refused(
        "CREATE TABLE t (a text, PRIMARY KEY ((a), a));",
        1,
        "in the key already",
    );
    refused("CREATE TABLE t (a text, a int, PRIMARY KEY ((a)));", 1, "already");
    refused("CREATE TABLE T (a text, PRIMARY KEY ((a)));", 1, "lower case");
    refused("CREATE INDEX i;", 1, "expected TABLE");
    refused(
        "CREATE TABLE t (a text, PRIMARY KEY ((a))) WITH gc_grace_seconds = 1;",
        1,
        "gc_grace_seconds",
    );
    refused(
        "CREATE TABLE t (a text, b int, PRIMARY KEY ((a), b)) WITH CLUSTERING ORDER BY (a ASC);",
        1,
        "not clustering column 1",
    );
    refused(
        "CREATE TABLE t (a text, PRIMARY KEY ((a))) WITH default_time_to_live = soon;",
        1,
        "seconds",
    );
    refused("CREATE TABLE t (a text, PRIMARY KEY ((a)))", 1, "expected ;");
    refused(
        "CREATE TABLE t (a text, PRIMARY KEY ((a)));\nCREATE TABLE t (a text, PRIMARY KEY ((a)));",
        2,
        "already",
    );
}

proptest::proptest! {
    /// No text makes the parser panic or loop.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z(),;= \n]{0,80}|(CREATE |TABLE |PRIMARY |KEY |\\(|\\)|a |text|,|;|WITH ){0,30}") {
        let _ = parse(&text);
    }
}
