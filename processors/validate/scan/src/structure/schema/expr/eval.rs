//! The value of an expression for one row.

use super::parser::{Node, Op};

/// The value of a cell or expression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::structure::schema) enum Val<'a> {
    /// Missing or unknown.
    Null,
    Number(f64),
    Text(&'a str),
    Truth(bool),
    /// Seconds since 1970-01-01T00:00:00Z.
    Time(f64),
}

pub(super) fn eval<'v>(node: &'v Node, row: &'v [Val<'v>]) -> Val<'v> {
    match node {
        Node::Number(number) => Val::Number(*number),
        Node::Text(text) => Val::Text(text),
        Node::Truth(truth) => Val::Truth(*truth),
        Node::Time(time) => Val::Time(*time),
        Node::Null => Val::Null,
        Node::Column(index) => row.get(*index).copied().unwrap_or(Val::Null),
        Node::Not(inner) => match eval(inner, row) {
            Val::Truth(truth) => Val::Truth(!truth),
            _ => Val::Null,
        },
        Node::Minus(inner) => number(inner, row, |number| -number),
        Node::Abs(inner) => number(inner, row, f64::abs),
        Node::Length(inner) => match eval(inner, row) {
            Val::Text(text) => Val::Number(text.chars().count() as f64),
            _ => Val::Null,
        },
        Node::IsNull(inner) => Val::Truth(eval(inner, row) == Val::Null),
        Node::In(inner, values) => match eval(inner, row) {
            Val::Null => Val::Null,
            value => Val::Truth(
                values
                    .iter()
                    .any(|other| compare(Op::Equal, value, eval(other, row)) == Val::Truth(true)),
            ),
        },
        Node::Two(op, left, right) => two(*op, eval(left, row), || eval(right, row)),
    }
}

fn number<'v>(node: &'v Node, row: &'v [Val<'v>], change: impl Fn(f64) -> f64) -> Val<'v> {
    match eval(node, row) {
        Val::Number(number) => Val::Number(change(number)),
        _ => Val::Null,
    }
}

/// Three-valued logic, as in SQL.
fn two<'v>(op: Op, left: Val<'v>, right: impl FnOnce() -> Val<'v>) -> Val<'v> {
    match (op, left) {
        (Op::And, Val::Truth(false)) => left,
        (Op::Or, Val::Truth(true)) => left,
        (Op::Then, Val::Truth(false)) => Val::Truth(true),
        (Op::And | Op::Then, Val::Truth(true)) | (Op::Or, Val::Truth(false)) => right(),
        (Op::And, _) => {
            if right() == Val::Truth(false) {
                Val::Truth(false)
            } else {
                Val::Null
            }
        }
        (Op::Or | Op::Then, _) => {
            if right() == Val::Truth(true) {
                Val::Truth(true)
            } else {
                Val::Null
            }
        }
        (Op::Add | Op::Subtract | Op::Multiply | Op::Divide, _) => match (left, right()) {
            (Val::Number(a) | Val::Time(a), Val::Number(b) | Val::Time(b)) => calculate(op, a, b),
            _ => Val::Null,
        },
        _ => compare(op, left, right()),
    }
}

/// What has no number as its result is unknown: nothing can be said of 0/0.
fn calculate<'v>(op: Op, a: f64, b: f64) -> Val<'v> {
    let result = match op {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => a * b,
        _ => a / b,
    };
    if result.is_finite() {
        Val::Number(result)
    } else {
        Val::Null
    }
}

fn compare<'v>(op: Op, left: Val<'_>, right: Val<'_>) -> Val<'v> {
    use std::cmp::Ordering;
    let order = match (left, right) {
        (Val::Number(a), Val::Number(b)) | (Val::Time(a), Val::Time(b)) if near(a, b) => Ordering::Equal,
        (Val::Number(a), Val::Number(b)) | (Val::Time(a), Val::Time(b)) => a.total_cmp(&b),
        (Val::Text(a), Val::Text(b)) => a.cmp(b),
        (Val::Truth(a), Val::Truth(b)) => a.cmp(&b),
        _ => return Val::Null,
    };
    Val::Truth(match op {
        Op::Equal => order.is_eq(),
        Op::NotEqual => order.is_ne(),
        Op::Less => order.is_lt(),
        Op::LessEqual => order.is_le(),
        Op::Greater => order.is_gt(),
        _ => order.is_ge(),
    })
}

/// Equal but for rounding: 0.1 + 0.2 is 0.3, and integers below 2⁴⁹ are apart.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 8.0 * f64::EPSILON * a.abs().max(b.abs())
}
