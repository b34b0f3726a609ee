use proptest::prelude::*;

use super::*;

fn column(name: &str) -> Option<(usize, Type)> {
    let columns = [
        ("a", Type::Number),
        ("b", Type::Number),
        ("total", Type::Number),
        ("x", Type::Text),
        ("on", Type::Truth),
        ("start", Type::Time),
        ("end", Type::Time),
        ("two words", Type::Number),
    ];
    columns
        .iter()
        .position(|(known, _)| *known == name)
        .map(|index| (index, columns[index].1))
}

const DAY: f64 = 86_400.0;

fn row() -> [Val<'static>; 8] {
    [
        Val::Number(0.1),
        Val::Number(0.2),
        Val::Number(0.3),
        Val::Text("yes"),
        Val::Truth(true),
        Val::Time(0.0),
        Val::Time(3.0 * DAY),
        Val::Null,
    ]
}

#[track_caller]
fn check(text: &str, broken: bool) {
    let expr = Expr::parse(text, &column).unwrap();
    assert_eq!(expr.is_broken(&row()), broken, "{text}");
}

#[track_caller]
fn fails(text: &str, at: usize, part: &str) {
    let error = Expr::parse(text, &column).unwrap_err();
    assert!(error.at == at && error.message.contains(part), "{text}: {error}");
}

#[test]
fn values() {
    check("a + b == total", false);
    check("a - b == total", true);
    check("b <= a", true);
    check("end >= start", false);
    check("end - start == 3", false);
    check("end < '1970-01-04'", true);
    check("start in ['1970-01-01', '1970-01-02']", false);
    check("if x == \"yes\" then on", false);
    check("if x == 'no' then not on", false);
    check("if x == 'yes' then total > 1", true);
    check("x in ['no', 'maybe']", true);
    check("length(x) == 3 and abs(-a) == a", false);
    check("`two words` > 5", false);
    check("`two words` != null", true);
    check("not (`two words` > 5)", false);
    check("`two words` > 5 and a > 1", true);
    check("a / 0 == 1", false);
    check("a * 2 + 1 > b / (3 - 1) or false", false);
    check("on == false", true);
}

#[test]
fn errors_have_a_place() {
    fails("a + b", 1, "true or false");
    fails("a = b", 3, "==");
    fails("a == x", 3, "cannot be compared");
    fails("a == c", 6, "no column `c`");
    fails("(a == b", 8, "`)`");
    fails("a == b b", 8, "end here");
    fails("if a == b", 10, "then");
    fails("a and on", 1, "joins truths");
    fails("end > 'tomorrow'", 5, "ISO 8601");
    fails("on < on", 4, "no order");
    fails("a == 'open", 6, "not closed");
    fails("a # b", 3, "no meaning");
    fails("1 == 1", 1, "name a column");
    fails("", 1, "should stand here");
    fails(&"(".repeat(1000), 65, "deeper");
    fails(&"not ".repeat(500), 257, "deeper");
}

proptest! {
    #[test]
    fn nothing_panics(parts in prop::collection::vec(prop::sample::select(&["a", "b", "x", "on", "end", "`two words`", "1", ".5", "'t'", "(", ")", "[", "]", ",", "==", "<", "-", "+", "*", "/", "if", "then", "and", "or", "not", "in", "null", "true", "length(", "abs(", "é", "`"][..]), 0..30)) {
        if let Ok(expr) = Expr::parse(&parts.join(" "), &column) {
            expr.is_broken(&row());
            expr.is_broken(&[]);
        }
    }
}
