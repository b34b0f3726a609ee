//! Words of an expression.

use super::ExprError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    /// A name or keyword.
    Word(String),
    /// A name in backticks, never a keyword.
    Name(String),
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 16] = [
    "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "(", ")", "[", "]", ",", "=",
];

/// Tokens, each with the number of its first character, from 1.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, ExprError> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let at = text[..text.len() - rest.len()].chars().count() + 1;
        let error = |message: &str| ExprError {
            at,
            message: message.to_owned(),
        };
        let Some(first) = rest.chars().next() else {
            found.push((Token::End, at));
            return Ok(found);
        };
        let (token, length) = match first {
            '"' | '\'' | '`' => {
                let end = rest[1..].find(first).ok_or_else(|| error("a quote is not closed"))?;
                let inner = rest[1..=end].to_owned();
                let token = if first == '`' {
                    Token::Name(inner)
                } else {
                    Token::Text(inner)
                };
                (token, end + 2)
            }
            '0'..='9' | '.' => {
                let part = |c: char| c.is_ascii_digit() || c == '.';
                let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
                let number = rest[..length].parse().map_err(|_| error("this is not a number"))?;
                (Token::Number(number), length)
            }
            c if c.is_alphabetic() || c == '_' => {
                let length = rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .unwrap_or(rest.len());
                (Token::Word(rest[..length].to_owned()), length)
            }
            _ => {
                let sign = SIGNS
                    .into_iter()
                    .find(|sign| rest.starts_with(sign))
                    .ok_or_else(|| error("this character has no meaning here"))?;
                if sign == "=" {
                    return Err(error("equality is written =="));
                }
                (Token::Sign(sign), sign.len())
            }
        };
        found.push((token, at));
        rest = &rest[length..];
    }
}
