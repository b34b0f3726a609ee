//! Reading records, with the places they stand at.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context;
use cofferdam_inside::records as parquet;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::scan::human::plain;

/// Longest record; a longer one is `incomplete`.
const LONGEST: usize = 16 << 20;

/// Bytes of text after which a block is full.
const MUCH: usize = 8 << 20;

/// Where a record stands in its file, and what of it is scanned.
pub(super) struct Record {
    pub(super) start: u64,
    pub(super) end: u64,
    /// From 1.
    pub(super) line: u64,
    pub(super) text: String,
    pub(super) label: Option<String>,
    /// What is wrong with its form.
    pub(super) broken: Option<&'static str>,
}

pub(super) struct Fields {
    pub(super) text: Option<String>,
    pub(super) label: Option<String>,
}

/// Reads records with the places they stand at.
pub(super) struct Reader {
    kind: Kind,
    /// The bytes of a table's header, which each part of a split begins with.
    pub(super) header: Vec<u8>,
    seen: Rc<RefCell<Seen>>,
}

/// What was read so far: the whole file, once there are no more records.
#[derive(Default)]
struct Seen {
    size: u64,
    sha256: Sha256,
}

/// Counts and hashes what goes through, so that what is signed are the bytes that were scanned.
struct Hashed {
    file: File,
    seen: Rc<RefCell<Seen>>,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let mut seen = self.seen.borrow_mut();
        seen.size += count as u64;
        seen.sha256.update(&buffer[..count]);
        Ok(count)
    }
}

enum Kind {
    Lines {
        file: BufReader<Hashed>,
        at: u64,
        line: u64,
    },
    Table {
        csv: Box<csv::Reader<Hashed>>,
        names: csv::StringRecord,
    },
    Parquet {
        records: Box<parquet::Records>,
        runtime: Handle,
    },
}

impl Reader {
    /// Must be called where a runtime is at hand and may be waited for, as in a blocking task of one.
    pub(super) fn open(path: &Path, fields: &Fields) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("{shown} cannot be read"))?;
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or("")
            .to_ascii_lowercase();
        let delimiter = match extension.as_str() {
            "csv" => Some(b','),
            "tsv" | "tab" => Some(b'\t'),
            "parquet" => return Self::parquet(path, file, fields),
            _ => None,
        };
        let seen = Rc::<RefCell<Seen>>::default();
        let file = Hashed {
            file,
            seen: seen.clone(),
        };
        let Some(delimiter) = delimiter else {
            let file = BufReader::with_capacity(64 * 1024, file);
            return Ok(Self {
                kind: Kind::Lines { file, at: 0, line: 0 },
                header: Vec::new(),
                seen,
            });
        };
        let mut csv = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(file);
        let names = csv
            .headers()
            .with_context(|| format!("{shown}: the header is not readable"))?
            .clone();
        let mut header = vec![0; usize::try_from(csv.position().byte())?];
        File::open(path)?.read_exact(&mut header)?;
        Ok(Self {
            kind: Kind::Table {
                csv: Box::new(csv),
                names,
            },
            header,
            seen,
        })
    }

    /// The rows of a Parquet file, which a child process reads.
    fn parquet(path: &Path, file: File, fields: &Fields) -> anyhow::Result<Self> {
        let shown = path.display();
        let seen = Rc::<RefCell<Seen>>::default();
        let mut whole = Hashed {
            file: file.try_clone()?,
            seen: seen.clone(),
        };
        io::copy(&mut whole, &mut io::sink()).with_context(|| format!("{shown} cannot be read"))?;
        let wanted = parquet::Fields {
            text: fields.text.clone(),
            label: fields.label.clone(),
        };
        let runtime = Handle::current();
        let records = runtime.block_on(async {
            let pool = Arc::new(parquet::pool()?);
            anyhow::Ok(parquet::Records::open(pool, file, &path.to_string_lossy(), wanted).await?)
        });
        Ok(Self {
            kind: Kind::Parquet {
                records: Box::new(records.with_context(|| format!("{shown} has no such records"))?),
                runtime,
            },
            header: Vec::new(),
            seen,
        })
    }

    /// Bytes read so far.
    pub(super) fn size(&self) -> u64 {
        self.seen.borrow().size
    }

    /// SHA-256 of them, in hexadecimal.
    pub(super) fn sha256(&self) -> String {
        hex::encode(self.seen.borrow().sha256.clone().finalize())
    }

    /// The next records, at most so many, and few when they are long. None at the end.
    pub(super) fn block(&mut self, fields: &Fields, most: usize) -> anyhow::Result<Vec<Record>> {
        let mut block: Vec<Record> = Vec::new();
        let mut bytes = 0;
        while block.len() < most && bytes < MUCH {
            let record = match &mut self.kind {
                Kind::Parquet { records, runtime } => {
                    let rows = runtime.block_on(records.block(most))?;
                    return Ok(rows.into_iter().map(row_of).collect());
                }
                Kind::Lines { file, at, line } => next_line(file, at, line, fields)?,
                Kind::Table { csv, names } => next_row(csv, names, fields)?,
            };
            match record {
                Some(record) => {
                    bytes += record.text.len();
                    block.push(record);
                }
                None => break,
            }
        }
        Ok(block)
    }
}

/// A row has no bytes of its own in the file: its place is its number.
fn row_of(row: parquet::Record) -> Record {
    Record {
        start: row.row,
        end: row.row + 1,
        line: row.row + 1,
        text: row.text,
        label: row.label,
        broken: row.broken.map(|broken| match broken {
            parquet::Broken::TooLong => "the record is longer than 4 MiB and was not looked at",
            parquet::Broken::NotText => "a value is no UTF-8",
        }),
    }
}

fn next_line(
    file: &mut BufReader<Hashed>,
    at: &mut u64,
    line: &mut u64,
    fields: &Fields,
) -> anyhow::Result<Option<Record>> {
    loop {
        let (start, mut bytes) = (*at, Vec::new());
        let count = file.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', &mut bytes)?;
        if count == 0 {
            return Ok(None);
        }
        *at += count as u64;
        *line += 1;
        let mut broken = None;
        if count > LONGEST {
            broken = Some("the record is longer than 16 MiB and was not looked at");
            let mut rest = Vec::new();
            while bytes.last() != Some(&b'\n') {
                rest.clear();
                let more = file.by_ref().take(1 << 20).read_until(b'\n', &mut rest)?;
                *at += more as u64;
                if more == 0 || rest.last() == Some(&b'\n') {
                    break;
                }
            }
            bytes.clear();
        } else if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let mut record = Record {
            start,
            end: *at,
            line: *line,
            text: String::new(),
            label: None,
            broken,
        };
        if broken.is_none() {
            match serde_json::from_slice::<Value>(&bytes) {
                Err(_) => record.broken = Some("the line is no JSON"),
                Ok(value) => {
                    record.label = fields.label.as_deref().and_then(|name| pick(&value, name)).map(plain);
                    match &fields.text {
                        None => gather(&value, &mut record.text),
                        Some(name) => match pick(&value, name) {
                            Some(value) => gather(value, &mut record.text),
                            None => record.broken = Some("the record does not have the field"),
                        },
                    }
                }
            }
        }
        return Ok(Some(record));
    }
}

fn pick<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    if let Some(found) = value.get(name) {
        return Some(found);
    }
    name.split('.').try_fold(value, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    })
}

/// All text of a value: a string as it is, of anything larger each string on a line.
fn gather(value: &Value, text: &mut String) {
    match value {
        Value::String(one) => {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(one);
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, text)),
        Value::Object(members) => members.values().for_each(|member| gather(member, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn next_row(
    csv: &mut csv::Reader<Hashed>,
    names: &csv::StringRecord,
    fields: &Fields,
) -> anyhow::Result<Option<Record>> {
    let start = csv.position().byte();
    let line = csv.position().line();
    let mut row = csv::ByteRecord::new();
    if !csv.read_byte_record(&mut row)? {
        return Ok(None);
    }
    let column = |name: &str| {
        let at = names.iter().position(|known| known == name);
        at.with_context(|| {
            format!(
                "there is no column {name:?}; there are {}",
                names.iter().collect::<Vec<_>>().join(", ")
            )
        })
    };
    let cell = |at: usize| row.get(at).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let text = match &fields.text {
        Some(name) => cell(column(name)?),
        None => Some(row.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n")),
    };
    let label = match &fields.label {
        Some(name) => cell(column(name)?),
        None => None,
    };
    Ok(Some(Record {
        start,
        end: csv.position().byte(),
        line,
        broken: text.is_none().then_some("the row does not have the column"),
        text: text.unwrap_or_default(),
        label,
    }))
}
