//! From text to a typed tree.

use super::lexer::{Token, tokens};
use super::{ExprError, Type};
use crate::structure::schema::table::time;

/// Characters of a rule.
const LENGTH: usize = 4096;
/// Brackets and operators within each other.
const DEPTH: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    And,
    Or,
    /// If the first, then the second.
    Then,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Number(f64),
    Text(String),
    Truth(bool),
    Time(f64),
    Null,
    Column(usize),
    Not(Box<Node>),
    Minus(Box<Node>),
    Length(Box<Node>),
    Abs(Box<Node>),
    Two(Op, Box<Node>, Box<Node>),
    IsNull(Box<Node>),
    In(Box<Node>, Vec<Node>),
}

type Columns<'a> = &'a dyn Fn(&str) -> Option<(usize, Type)>;
type Parsed = Result<(Node, Type), ExprError>;

pub(super) fn parse(text: &str, column: Columns<'_>) -> Result<(Node, Vec<usize>), ExprError> {
    if text.len() > LENGTH {
        return error(1, format!("a rule takes at most {LENGTH} bytes"));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
        column,
        used: Vec::new(),
    };
    let (node, kind) = parser.rule()?;
    if *parser.peek() != Token::End {
        return error(parser.at(), "the rule should end here");
    }
    if kind != Type::Truth {
        return error(
            1,
            format!("a rule has to be true or false, and this is {}", kind.name()),
        );
    }
    if parser.used.is_empty() {
        return error(1, "a rule has to name a column");
    }
    Ok((node, parser.used))
}

fn error<T>(at: usize, message: impl Into<String>) -> Result<T, ExprError> {
    Err(ExprError {
        at,
        message: message.into(),
    })
}

struct Parser<'a> {
    /// Never empty: the last is the end, and `next` never goes beyond.
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
    column: Columns<'a>,
    used: Vec<usize>,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(1, |(_, at)| *at)
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(found) if found == word);
        self.next += usize::from(found);
        found
    }

    fn sign(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let Token::Sign(sign) = *self.peek() else { return None };
        let found = signs.contains(&sign).then_some(sign);
        self.next += usize::from(found.is_some());
        found
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), ExprError> {
        match self.sign(&[sign]) {
            Some(_) => Ok(()),
            None => error(self.at(), format!("`{sign}` should stand here")),
        }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, ExprError>) -> Result<T, ExprError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return error(self.at(), format!("nested deeper than {DEPTH}"));
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn rule(&mut self) -> Parsed {
        self.deeper(|parser| {
            if !parser.word("if") {
                return parser.or();
            }
            let condition = parser.truth(Self::or)?;
            if !parser.word("then") {
                return error(parser.at(), "`then` should stand here");
            }
            let result = parser.truth(Self::or)?;
            Ok((two(Op::Then, condition, result), Type::Truth))
        })
    }

    fn truth(&mut self, part: impl Fn(&mut Self) -> Parsed) -> Result<Node, ExprError> {
        let at = self.at();
        match part(self)? {
            (node, Type::Truth) => Ok(node),
            (_, other) => error(
                at,
                format!("true or false should stand here, and this is {}", other.name()),
            ),
        }
    }

    fn or(&mut self) -> Parsed {
        self.chain(Self::and, "or", Op::Or)
    }

    fn and(&mut self) -> Parsed {
        self.chain(Self::not, "and", Op::And)
    }

    fn chain(&mut self, part: fn(&mut Self) -> Parsed, word: &str, op: Op) -> Parsed {
        let at = self.at();
        let (mut node, kind) = part(self)?;
        let mut links = 0;
        while self.word(word) {
            if kind != Type::Truth {
                return error(at, format!("`{word}` joins truths, and this is {}", kind.name()));
            }
            links += 1;
            if links > DEPTH {
                return error(self.at(), format!("more than {DEPTH} parts"));
            }
            let right = self.truth(part)?;
            node = two(op, node, right);
        }
        Ok((node, kind))
    }

    fn not(&mut self) -> Parsed {
        if !self.word("not") {
            return self.compare();
        }
        let inner = self.deeper(|parser| parser.truth(Self::not))?;
        Ok((Node::Not(Box::new(inner)), Type::Truth))
    }

    fn compare(&mut self) -> Parsed {
        let (left, left_type) = self.sum()?;
        let at = self.at();
        if self.word("in") {
            return self.list(left, left_type);
        }
        let Some(sign) = self.sign(&["==", "!=", "<=", ">=", "<", ">"]) else {
            return Ok((left, left_type));
        };
        let op = match sign {
            "==" => Op::Equal,
            "!=" => Op::NotEqual,
            "<=" => Op::LessEqual,
            ">=" => Op::GreaterEqual,
            "<" => Op::Less,
            _ => Op::Greater,
        };
        let (right, right_type) = self.sum()?;
        if left_type == Type::Null || right_type == Type::Null {
            let asked = if left_type == Type::Null { right } else { left };
            let is_null = Node::IsNull(Box::new(asked));
            return match op {
                Op::Equal => Ok((is_null, Type::Truth)),
                Op::NotEqual => Ok((Node::Not(Box::new(is_null)), Type::Truth)),
                _ => error(at, "null has no order"),
            };
        }
        let (left, right) = match (left_type, right_type) {
            (Type::Time, Type::Text) => (left, as_time(right, at)?),
            (Type::Text, Type::Time) => (as_time(left, at)?, right),
            (a, b) if a == b => (left, right),
            (a, b) => return error(at, format!("{} cannot be compared with {}", a.name(), b.name())),
        };
        let ordered = !matches!(op, Op::Equal | Op::NotEqual);
        if ordered && left_type == Type::Truth {
            return error(at, "true and false have no order");
        }
        Ok((two(op, left, right), Type::Truth))
    }

    fn list(&mut self, left: Node, left_type: Type) -> Parsed {
        self.expect("[")?;
        let mut values = Vec::new();
        loop {
            let at = self.at();
            let (value, kind) = self.factor()?;
            let value = match (left_type, kind) {
                (Type::Time, Type::Text) => as_time(value, at)?,
                (a, b) if a == b => value,
                (a, b) => return error(at, format!("{} cannot be among values that are {}", a.name(), b.name())),
            };
            values.push(value);
            if self.sign(&[","]).is_none() {
                break;
            }
        }
        self.expect("]")?;
        Ok((Node::In(Box::new(left), values), Type::Truth))
    }

    fn sum(&mut self) -> Parsed {
        let (mut left, mut left_type) = self.term()?;
        let mut links = 0;
        loop {
            let at = self.at();
            let Some(sign) = self.sign(&["+", "-"]) else {
                return Ok((left, left_type));
            };
            links += 1;
            if links > DEPTH {
                return error(at, format!("more than {DEPTH} parts"));
            }
            let (right, right_type) = self.term()?;
            let op = if sign == "+" { Op::Add } else { Op::Subtract };
            left_type = match (left_type, right_type, op) {
                (Type::Number, Type::Number, _) => Type::Number,
                (Type::Time, Type::Time, Op::Subtract) => Type::Number,
                (a, b, _) => return error(at, format!("`{sign}` cannot join {} and {}", a.name(), b.name())),
            };
            // Times are seconds, their difference is in days.
            let days = matches!(right_type, Type::Time);
            left = two(op, left, right);
            if days {
                left = two(Op::Divide, left, Node::Number(86_400.0));
            }
        }
    }

    fn term(&mut self) -> Parsed {
        let (mut left, left_type) = self.factor()?;
        let mut links = 0;
        loop {
            let at = self.at();
            let Some(sign) = self.sign(&["*", "/"]) else {
                return Ok((left, left_type));
            };
            links += 1;
            let (right, right_type) = self.factor()?;
            if links > DEPTH || (left_type, right_type) != (Type::Number, Type::Number) {
                return error(at, format!("`{sign}` takes numbers, at most {DEPTH} of them"));
            }
            left = two(if sign == "*" { Op::Multiply } else { Op::Divide }, left, right);
        }
    }

    fn factor(&mut self) -> Parsed {
        let at = self.at();
        let token = self.peek().clone();
        self.next += usize::from(token != Token::End);
        match token {
            Token::Number(number) => Ok((Node::Number(number), Type::Number)),
            Token::Text(text) => Ok((Node::Text(text), Type::Text)),
            Token::Name(name) => self.named(&name, at),
            Token::Sign("-") => {
                let inner = self.deeper(|parser| parser.typed(Type::Number))?;
                Ok((Node::Minus(Box::new(inner)), Type::Number))
            }
            Token::Sign("(") => {
                let inner = self.rule()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Word(word) => match word.as_str() {
                "true" => Ok((Node::Truth(true), Type::Truth)),
                "false" => Ok((Node::Truth(false), Type::Truth)),
                "null" => Ok((Node::Null, Type::Null)),
                "if" | "then" | "and" | "or" | "not" | "in" => error(at, format!("`{word}` may not stand here")),
                "length" | "abs" if *self.peek() == Token::Sign("(") => {
                    self.next += 1;
                    let takes = if word == "abs" { Type::Number } else { Type::Text };
                    let inner = self.deeper(|parser| parser.typed_sum(takes))?;
                    self.expect(")")?;
                    let inner = Box::new(inner);
                    Ok((
                        if word == "abs" {
                            Node::Abs(inner)
                        } else {
                            Node::Length(inner)
                        },
                        Type::Number,
                    ))
                }
                _ => self.named(&word, at),
            },
            _ => error(at, "a value or a column should stand here"),
        }
    }

    fn typed(&mut self, expected: Type) -> Result<Node, ExprError> {
        let at = self.at();
        match self.factor()? {
            (node, found) if found == expected => Ok(node),
            (_, found) => error(
                at,
                format!("{} should stand here, and this is {}", expected.name(), found.name()),
            ),
        }
    }

    fn typed_sum(&mut self, expected: Type) -> Result<Node, ExprError> {
        let at = self.at();
        match self.sum()? {
            (node, found) if found == expected => Ok(node),
            (_, found) => error(
                at,
                format!("{} should stand here, and this is {}", expected.name(), found.name()),
            ),
        }
    }

    fn named(&mut self, name: &str, at: usize) -> Parsed {
        match (self.column)(name) {
            Some((index, kind)) => {
                if !self.used.contains(&index) {
                    self.used.push(index);
                }
                Ok((Node::Column(index), kind))
            }
            None => error(at, format!("there is no column `{name}`")),
        }
    }
}

fn two(op: Op, left: Node, right: Node) -> Node {
    Node::Two(op, Box::new(left), Box::new(right))
}

fn as_time(node: Node, at: usize) -> Result<Node, ExprError> {
    match &node {
        Node::Text(text) => match time::iso(text) {
            Some(seconds) => Ok(Node::Time(seconds)),
            None => error(at, "a time is compared with a text that is no ISO 8601 date or time"),
        },
        _ => error(at, "a time is compared with a text column"),
    }
}
