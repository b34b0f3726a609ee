//! A parser for the subset of CQL in `schemas/db`. What it does not know it refuses, with the line.

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// 32 bits, signed.
    Int,
    /// 64 bits, signed.
    Bigint,
    /// Milliseconds since 1970.
    Timestamp,
    /// 16 bytes.
    Uuid,
    /// Bytes.
    Blob,
    /// True or false.
    Boolean,
}

impl ColumnType {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "text" => Self::Text,
            "int" => Self::Int,
            "bigint" => Self::Bigint,
            "timestamp" => Self::Timestamp,
            "uuid" => Self::Uuid,
            "blob" => Self::Blob,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    /// The SQLite type it is stored as.
    pub fn sqlite(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Int | Self::Bigint | Self::Timestamp | Self::Boolean => "INTEGER",
            Self::Uuid | Self::Blob => "BLOB",
        }
    }
}

/// The order of a clustering column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The partition key: indexes into `columns`.
    pub partition: Vec<usize>,
    /// The clustering columns and their order.
    pub clustering: Vec<(usize, Order)>,
    /// Seconds after which a row expires.
    pub time_to_live: Option<i64>,
}

impl Table {
    /// The index of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
    /// The primary key: partition columns, then clustering columns.
    pub fn key(&self) -> impl Iterator<Item = usize> + '_ {
        self.partition
            .iter()
            .copied()
            .chain(self.clustering.iter().map(|(index, _)| *index))
    }
    /// Whether a column belongs to the primary key.
    pub fn is_key(&self, index: usize) -> bool {
        self.key().any(|key| key == index)
    }
}

/// A text is not in the subset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct CqlError {
    /// Where, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// Reads every table of a file.
pub fn parse(text: &str) -> Result<Vec<Table>, CqlError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
    };
    let mut tables = Vec::<Table>::new();
    while parser.peek().is_some() {
        let line = parser.line();
        let table = parser.table()?;
        if tables.iter().any(|other| other.name == table.name) {
            return Err(CqlError {
                line,
                reason: format!("table {} is there already", table.name),
            });
        }
        tables.push(table);
    }
    Ok(tables)
}

fn tokens(text: &str) -> Result<Vec<(usize, String)>, CqlError> {
    let mut tokens = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split_once("--").map_or(line, |(code, _)| code);
        let mut word = String::new();
        for c in code.chars() {
            match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => word.push(c),
                c => {
                    if !word.is_empty() {
                        tokens.push((number + 1, std::mem::take(&mut word)));
                    }
                    match c {
                        '(' | ')' | ',' | ';' | '=' => tokens.push((number + 1, c.to_string())),
                        c if c.is_whitespace() => {}
                        c => {
                            return Err(CqlError {
                                line: number + 1,
                                reason: format!("{c:?} is not in the subset"),
                            });
                        }
                    }
                }
            }
        }
        if !word.is_empty() {
            tokens.push((number + 1, word));
        }
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<(usize, String)>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(|(_, text)| text.as_str())
    }

    fn line(&self) -> usize {
        self.tokens
            .get(self.at)
            .or(self.tokens.last())
            .map_or(1, |(line, _)| *line)
    }

    fn error<T>(&self, reason: impl Into<String>) -> Result<T, CqlError> {
        Err(CqlError {
            line: self.line(),
            reason: reason.into(),
        })
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|text| text.eq_ignore_ascii_case(wanted));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: &str) -> Result<(), CqlError> {
        if self.take(wanted) {
            return Ok(());
        }
        self.error(format!("expected {wanted}, found {}", self.peek().unwrap_or("the end")))
    }

    fn words(&mut self, wanted: &[&str]) -> Result<(), CqlError> {
        wanted.iter().try_for_each(|word| self.expect(word))
    }

    /// A name in lower case: quoted or mixed-case names differ between the two languages.
    fn name(&mut self) -> Result<String, CqlError> {
        let fits = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_lowercase())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        match self.peek().map(str::to_owned) {
            Some(text) if fits(&text) => {
                self.at += 1;
                Ok(text)
            }
            other => self.error(format!(
                "expected a name in lower case, found {}",
                other.as_deref().unwrap_or("the end")
            )),
        }
    }

    fn table(&mut self) -> Result<Table, CqlError> {
        self.words(&["CREATE", "TABLE"])?;
        let name = self.name()?;
        self.expect("(")?;
        let mut table = Table {
            name,
            columns: Vec::new(),
            partition: Vec::new(),
            clustering: Vec::new(),
            time_to_live: None,
        };
        loop {
            if self.take("PRIMARY") {
                self.primary_key(&mut table)?;
                self.expect(")")?;
                break;
            }
            let column = self.name()?;
            if table.column(&column).is_some() {
                return self.error(format!("column {column} is there already"));
            }
            let Some(kind) = self.peek().and_then(ColumnType::parse) else {
                return self.error(format!(
                    "type {} is not in the subset",
                    self.peek().unwrap_or("the end")
                ));
            };
            self.at += 1;
            table.columns.push(Column { name: column, kind });
            self.expect(",")?;
        }
        if self.take("WITH") {
            self.options(&mut table)?;
        }
        self.expect(";")?;
        Ok(table)
    }

    fn key_column(&mut self, table: &Table) -> Result<usize, CqlError> {
        let name = self.name()?;
        match table.column(&name) {
            Some(index) if table.is_key(index) => self.error(format!("column {name} is in the key already")),
            Some(index) => Ok(index),
            None => self.error(format!("there is no column {name}")),
        }
    }

    fn primary_key(&mut self, table: &mut Table) -> Result<(), CqlError> {
        self.words(&["KEY", "(", "("])?;
        loop {
            let index = self.key_column(table)?;
            table.partition.push(index);
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        while self.take(",") {
            let index = self.key_column(table)?;
            table.clustering.push((index, Order::Asc));
        }
        self.expect(")")
    }

    fn options(&mut self, table: &mut Table) -> Result<(), CqlError> {
        loop {
            if self.take("CLUSTERING") {
                self.words(&["ORDER", "BY", "("])?;
                for place in 0..table.clustering.len() {
                    if place > 0 {
                        self.expect(",")?;
                    }
                    let name = self.name()?;
                    if table.column(&name) != Some(table.clustering[place].0) {
                        return self.error(format!("{name} is not clustering column {}", place + 1));
                    }
                    table.clustering[place].1 = match () {
                        () if self.take("ASC") => Order::Asc,
                        () if self.take("DESC") => Order::Desc,
                        () => return self.error("expected ASC or DESC"),
                    };
                }
                self.expect(")")?;
            } else if self.take("default_time_to_live") {
                self.expect("=")?;
                match self.peek().and_then(|text| text.parse::<i64>().ok()) {
                    Some(seconds) if seconds > 0 => table.time_to_live = Some(seconds),
                    _ => return self.error("expected a number of seconds"),
                }
                self.at += 1;
            } else {
                return self.error(format!(
                    "option {} is not in the subset",
                    self.peek().unwrap_or("the end")
                ));
            }
            if !self.take("AND") {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
#[path = "cql_tests.rs"]
mod tests;
