//! What is handed over of databases, and what is said of them.

use std::io::Read;

use cofferdam_inside::inside::{
    Cell, Kind, LimitName, Limits, Member, Place, Problem, Source, Table, Value, Visitor, look,
};

use crate::common::make::{self, Entry};

/// A row: its table, its number, and names and values.
type Row = (String, u64, Vec<(String, String)>);

#[derive(Default)]
struct All {
    rows: Vec<Row>,
    members: Vec<(String, Vec<u8>)>,
    problems: Vec<String>,
    limits: Vec<LimitName>,
}

impl Visitor for All {
    fn member(&mut self, member: &Member, bytes: &mut dyn Read) {
        let mut all = Vec::new();
        bytes.read_to_end(&mut all).unwrap();
        self.members.push((member.place.to_string(), all));
    }

    fn text(&mut self, _: &Place, _: &str) {}

    fn row(&mut self, table: &Table, row: u64, cells: &[Cell<'_>]) {
        let cells = cells.iter().map(|(column, value)| {
            let value = match value {
                Value::Text(text) => (*text).to_owned(),
                Value::Int(value) => value.to_string(),
                Value::Float(value) => value.to_string(),
                Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
                other => panic!("{other:?}"),
            };
            (table.columns[*column as usize].path.clone(), value)
        });
        self.rows.push((table.sheet.clone().unwrap(), row, cells.collect()));
    }

    fn problem(&mut self, problem: Problem) {
        self.limits.extend(problem.limit.map(|limit| limit.name));
        self.problems.push(problem.rule.into_owned());
    }
}

fn within(bytes: &[u8], limits: &Limits) -> All {
    let mut all = All::default();
    let kind = look(Source::memory(bytes.to_vec()), "a.db", None, limits, &mut all);
    assert_eq!(kind, Kind::Sqlite);
    all
}

fn all(bytes: &[u8]) -> All {
    within(bytes, &Limits::default())
}

const TWO: &str = "CREATE TABLE people(id INTEGER PRIMARY KEY, full_name TEXT, weight REAL, gone);
    INSERT INTO people VALUES (7, 'M Okonkwo', 61.5, NULL), (9, 'P Halloran', 80, x'00ff');
    CREATE TABLE \"odd \"\"name\"(\"a \"\" b\" PRIMARY KEY, twice AS (\"a \"\" b\" || '!')) WITHOUT ROWID;
    INSERT INTO \"odd \"\"name\" VALUES ('x');
    CREATE VIEW seen AS SELECT 1; CREATE TRIGGER t AFTER INSERT ON people BEGIN SELECT 1; END;";

#[test]
fn every_row_of_every_table_comes() {
    let all = all(&make::database(TWO));
    let cells = |cells: &[(&str, &str)]| -> Vec<(String, String)> {
        cells
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    assert_eq!(
        all.rows,
        [
            (
                "people".to_owned(),
                0,
                cells(&[("id", "7"), ("full_name", "M Okonkwo"), ("weight", "61.5")])
            ),
            (
                "people".to_owned(),
                1,
                cells(&[
                    ("id", "9"),
                    ("full_name", "P Halloran"),
                    ("weight", "80"),
                    ("gone", "2 bytes")
                ])
            ),
            ("odd \"name".to_owned(), 0, cells(&[("a \" b", "x"), ("twice", "x!")])),
        ]
    );
    assert!(all.problems.is_empty(), "{:?}", all.problems);
}

/// In any encoding, and as a program left it that writes ahead.
#[test]
fn letters_and_logs_do_not_matter() {
    let mut logged = make::database("CREATE TABLE a(b); INSERT INTO a VALUES ('Zoë');");
    logged[18..20].fill(2);
    let wide = make::database("PRAGMA encoding = 'UTF-16be'; CREATE TABLE a(b); INSERT INTO a VALUES ('Zoë');");
    for bytes in [logged, wide] {
        let all = all(&bytes);
        assert_eq!(all.rows[0].2, [("b".to_owned(), "Zoë".to_owned())]);
        assert!(all.problems.is_empty(), "{:?}", all.problems);
    }
}

#[test]
fn values_that_are_files_are_looked_at() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let zip = make::zip(&[Entry::new("in.txt", b"words")]);
    let all = all(&make::database(&format!(
        "CREATE TABLE mail(id, body); INSERT INTO mail VALUES (1, x'{}'), (2, x'{}'), (3, x'{}');",
        hex(&zip),
        hex(&[0xff; 64]),
        hex("Grüße".as_bytes())
    )));
    let members: Vec<_> = all.members.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(members, ["a.db!/mail!B1", "a.db!/mail!B1!/in.txt"]);
    assert_eq!(all.members[1].1, b"words");
    assert_eq!(all.rows[2].2[1].1, "Grüße");
    assert_eq!(all.problems, ["not-checked/text"]);
}

#[test]
fn what_is_wrong_is_said() {
    let sound = make::database(&format!(
        "{TWO} CREATE TABLE long(a); INSERT INTO long VALUES ('{}');",
        "x".repeat(30_000)
    ));
    assert_eq!(all(&sound[..sound.len() - 4_096]).problems, ["structure/truncated"]);
    assert_eq!(all(&sound[..90]).problems, ["structure/truncated"]);
    let mut broken = sound.clone();
    // The first page of the first table.
    broken[4_096..4_200].fill(0xee);
    let found = all(&broken);
    assert_eq!(found.problems, ["structure/broken"]);
    assert!(
        found.rows.iter().any(|(table, ..)| table == "long"),
        "other tables are read"
    );
    let longer = [sound.clone(), vec![b'x'; 5_000]].concat();
    assert_eq!(all(&longer).problems, ["polyglot/trailing-data"]);
    let deleted = make::database("CREATE TABLE a(b); INSERT INTO a VALUES (zeroblob(9000)); DELETE FROM a;");
    assert_eq!(all(&deleted).problems, ["not-checked/free-pages"]);
}

#[test]
fn bounds_are_kept() {
    let rows = make::database(
        "CREATE TABLE a(b); WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n WHERE x < 500) INSERT INTO a SELECT x FROM n;",
    );
    let few = Limits {
        cells: 100,
        ..Limits::default()
    };
    let found = within(&rows, &few);
    assert_eq!((found.rows.len(), found.limits), (100, vec![LimitName::Cells]));
    let small = Limits {
        whole_bytes: 4_096,
        ..Limits::default()
    };
    assert_eq!(within(&rows, &small).limits, [LimitName::WholeBytes]);
    // A column that is computed, to more than there is room for.
    let grows = make::database("CREATE TABLE a(b, c AS (hex(zeroblob(b)))); INSERT INTO a VALUES (20000000);");
    assert_eq!(all(&grows).limits, [LimitName::PartBytes]);
}
