use super::*;
use crate::conformance::fixture;

#[test]
fn links_are_taken_out_and_nothing_else() {
    let mut values = serde_json::json!({
        "url": "x",
        "deep": {"url": 5, "Link": "https://h/p?sig=1", "plain": "https://h/p", "list": [["s3://b/k?x=y"], "a?b"]},
        "odd": "…&X-AMZ-Signature=ff",
        "size": 1,
        "question": "what is this?",
    });
    without_links(values.as_object_mut().unwrap());
    assert_eq!(
        values,
        serde_json::json!({"deep": {"plain": "https://h/p", "list": [[], "a?b"]}, "size": 1, "question": "what is this?"})
    );
}

#[test]
fn a_redelivery_gives_the_same_mutations() {
    let tenant = fixture::tenant();
    let doc = fixture::object(&tenant, "inbox", "k", 0);
    let make = || {
        let mut out = Vec::new();
        event(&fixture::stamped(fixture::event(&doc), 1), 1, &mut out);
        result(
            &fixture::stamped(fixture::result(&doc, "validate", Outcome::Done), 2),
            &mut out,
        );
        result(
            &fixture::stamped(fixture::result(&doc, "validate", Outcome::Dead), 3),
            &mut out,
        );
        done(&fixture::stamped(fixture::done(&doc), 4), 1, &mut out);
        command(
            &fixture::stamped(fixture::command_result(&tenant, "c", &doc), 5),
            &mut out,
        );
        out
    };
    assert_eq!(make(), make());
    // Every key column has a value, and rows are as long as their tables are wide.
    for mutation in make() {
        let Change::Put(record) = mutation.change else {
            panic!("only puts")
        };
        let table = crate::schema::table(record.table);
        assert_eq!(record.values.len(), table.columns.len());
        for index in table.key() {
            assert_ne!(
                record.values[index],
                crate::store::Value::Null,
                "{} in {}",
                table.columns[index].name,
                table.name
            );
        }
    }
}

#[test]
fn an_error_is_cut_to_its_limit() {
    let mut error = fixture::error();
    error.message = "m".repeat(50_000);
    error.details.insert("x".into(), "y".repeat(50_000));
    let text = bounded_error(&error);
    assert!(text.len() <= ERROR_LIMIT);
    let back: WireError = serde_json::from_str(&text).unwrap();
    assert_eq!((back.code, back.message.len()), (error.code, 1000));
}
