//! Small expressions over the columns of a row, for rules such as `positives <= tested`.
//!
//! ```text
//! rule    = ["if" or "then"] or
//! or      = and {"or" and}            and  = not {"and" not}           not = ["not"] compare
//! compare = sum [("==" | "!=" | "<" | "<=" | ">" | ">=") sum | "in" "[" literal {"," literal} "]"]
//! sum     = term {("+" | "-") term}   term = factor {("*" | "/") factor}
//! factor  = number | 'text' | "text" | true | false | null | column | `column` | "-" factor | "(" rule ")"
//!         | length(text) | abs(number)
//! ```
//!
//! Types are checked when the contract is loaded. Numbers are IEEE 754 binary64; equal are those that differ by rounding only
//! (8 units of the last place). Times compare with each other and with texts written as ISO 8601; their difference is a number of days.
//! A missing value makes a comparison unknown, and an unknown rule is not broken, as in SQL; `x == null` asks for it.

mod eval;
mod lexer;
mod parser;

#[cfg(test)]
mod tests;

pub(super) use eval::Val;

use parser::Node;

/// The type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Number,
    Text,
    Truth,
    Time,
    Null,
}

impl Type {
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Truth => "true or false",
            Self::Time => "a time",
            Self::Null => "null",
        }
    }
}

/// What is wrong with an expression, and at which character (from 1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at character {at})")]
pub(super) struct ExprError {
    pub at: usize,
    pub message: String,
}

/// An expression known to be valid.
#[derive(Debug, Clone)]
pub(super) struct Expr {
    root: Node,
    /// The columns it reads.
    pub columns: Vec<usize>,
}

impl Expr {
    /// Parses a rule; `column` gives number and type of a column.
    pub fn parse(text: &str, column: &dyn Fn(&str) -> Option<(usize, Type)>) -> Result<Self, ExprError> {
        let (root, columns) = parser::parse(text, column)?;
        Ok(Self { root, columns })
    }

    /// Whether a row breaks the rule.
    pub fn is_broken<'v>(&'v self, row: &'v [Val<'v>]) -> bool {
        matches!(eval::eval(&self.root, row), Val::Truth(false))
    }
}
