//! SQLite databases.

use cofferdam_inside::inside::LimitName;

use super::{Case, Want, case};
use crate::common::eicar;
use crate::common::make::{self, Entry};

/// A sound one of some pages.
pub fn sound() -> Vec<u8> {
    make::database(&format!(
        "CREATE TABLE a(b); INSERT INTO a VALUES ('{}'), ('Halloran');",
        "word ".repeat(4_000)
    ))
}

pub fn databases() -> Vec<Case> {
    let hex: String = make::zip(&[Entry::new("in.txt", &eicar())])
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let counted = |what: &str| {
        make::database(&format!(
            "CREATE TABLE a(b); WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n WHERE x < 2000000) INSERT INTO a SELECT {what} FROM n;"
        ))
    };
    let tables: String = (0..3_000).map(|number| format!("CREATE TABLE t{number}(a);")).collect();
    let wide: String = (0..1_900).map(|number| format!("c{number},")).collect();
    let mut looped = sound();
    // The interior page of a table is its own child.
    let page = 4_096;
    looped[page..page + 12].copy_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    vec![
        case("sound.db", sound(), Want::Text("Halloran")),
        case(
            "file.db",
            make::database(&format!("CREATE TABLE a(b); INSERT INTO a VALUES (x'{hex}');")),
            Want::Signature("file.db!/a!A1!/in.txt"),
        ),
        case("rows.db", counted("x"), Want::Text("Int(20)")),
        case("loop.db", looped, Want::Refused),
        case("tables.db", make::database(&tables), Want::Clean("")),
        case(
            "wide.db",
            make::database(&format!(
                "CREATE TABLE a({wide} last); INSERT INTO a(last) VALUES ('end');"
            )),
            Want::Clean("end"),
        ),
        case(
            "grows.db",
            make::database(
                "CREATE TABLE a(b, c AS (replace(hex(zeroblob(b)), '0', hex(zeroblob(b))))); INSERT INTO a(b) VALUES (3000);",
            ),
            Want::Limit(LimitName::PartBytes),
        ),
        case("headless.db", b"SQLite format 3\0".to_vec(), Want::Refused),
        case(
            "zeros.db",
            [b"SQLite format 3\0".as_slice(), &[0; 100_000]].concat(),
            Want::Refused,
        ),
    ]
}
