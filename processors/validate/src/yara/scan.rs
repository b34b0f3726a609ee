//! Bytes past the rules.

use yara_x::{Scanner, blocks};

use super::rules::{Yara, finding};
use super::{Found, MOST};

/// What is longer than this is looked at in blocks, and conditions on the whole (modules, `filesize`, integers at an offset) are not decided.
const WHOLE: usize = 32 << 20;
/// Bytes of a block.
const BLOCK: usize = 8 << 20;
/// Bytes that two blocks have in common: what is longer and cut is not found.
const OVERLAP: usize = 64 << 10;
/// Places of one pattern that are kept.
const MATCHES: usize = 1_000;

/// One run of bytes on its way past the rules.
pub struct YaraScan<'y> {
    yara: &'y Yara,
    name: String,
    /// Bytes that wait, the first of them at `from`.
    buffer: Vec<u8>,
    from: usize,
    blocks: Option<blocks::Scanner<'y>>,
    beyond: u64,
    failed: bool,
}

impl<'y> YaraScan<'y> {
    /// At the beginning of something of this name.
    pub fn new(yara: &'y Yara, name: &str) -> Self {
        Self {
            yara,
            name: name.to_owned(),
            buffer: Vec::new(),
            from: 0,
            blocks: None,
            beyond: 0,
            failed: false,
        }
    }

    /// The next bytes.
    pub fn feed(&mut self, chunk: &[u8]) {
        let room = MOST - (self.from + self.buffer.len()) as u64;
        let (now, beyond) = chunk.split_at(chunk.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        self.beyond += beyond.len() as u64;
        self.buffer.extend_from_slice(now);
        let most = if self.blocks.is_some() { BLOCK } else { WHOLE };
        if self.buffer.len() > most {
            self.block();
        }
    }

    /// Passes what waits to the rules, and keeps what the next block begins with.
    fn block(&mut self) {
        let yara = self.yara;
        let blocks = self.blocks.get_or_insert_with(|| {
            let mut blocks = blocks::Scanner::new(&yara.rules);
            blocks.max_matches_per_pattern(MATCHES).fast_scan(true);
            blocks
        });
        self.failed |= blocks.scan(self.from, &self.buffer).is_err();
        let done = self.buffer.len().saturating_sub(OVERLAP);
        self.buffer.drain(..done);
        self.buffer.shrink_to(BLOCK + OVERLAP);
        self.from += done;
    }

    /// There are no more.
    pub fn finish(mut self) -> Found {
        let mut found = Found {
            beyond: self.beyond,
            ..Found::default()
        };
        if self.blocks.is_some() {
            self.block();
            found
                .not_checked
                .push("yara: conditions on the whole of what is longer than 32 MiB");
        }
        let mut whole = None;
        let result = match &mut self.blocks {
            Some(blocks) => blocks.finish(),
            None => {
                let scanner = whole.insert(Scanner::new(&self.yara.rules));
                scanner.max_matches_per_pattern(MATCHES).fast_scan(true);
                let file = self.name.rsplit('/').next().unwrap_or_default();
                let extension = file.rsplit_once('.').map_or("", |(_, end)| end);
                let known = [
                    ("filename", file),
                    ("filepath", self.name.as_str()),
                    ("extension", extension),
                ];
                for (name, value) in known {
                    // They were defined when the rules were compiled.
                    self.failed |= scanner.set_global(name, value).is_err();
                }
                scanner.scan(&self.buffer)
            }
        };
        match result {
            Ok(result) => {
                for rule in result.matching_rules() {
                    let mut one = finding(&rule);
                    let first = rule
                        .patterns()
                        .flat_map(|pattern| pattern.matches())
                        .map(|place| place.range());
                    one.span = first
                        .min_by_key(|range| range.start)
                        .map(|range| cofferdam_schemas::Span {
                            start: range.start as u64,
                            end: range.end as u64,
                        });
                    found.findings.push(one);
                }
            }
            Err(_) => self.failed = true,
        }
        if self.failed {
            found.not_checked.push("yara: the scan failed");
        }
        found
    }
}
