//! What is written in Base64, hexadecimal or percent encoding inside a text.
//!
//! Runs are found by looking at every twentieth byte: where it cannot be part of an encoded run, none of twenty bytes or more covers
//! it. So prose costs little. A run may go over line breaks as MIME and PEM wrap it (RFC 2045 section 6.8, RFC 7468).

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use super::base;
use super::candidate::whole;
use crate::eight::{EACH, HIGH, within};

/// An encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 4648, both alphabets.
    Base64,
    /// Pairs of hexadecimal digits.
    Hex,
    /// RFC 3986, section 2.1.
    Percent,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 3] = [Encoding::Base64, Encoding::Hex, Encoding::Percent];

    /// Its name in a result.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Base64 => "base64",
            Encoding::Hex => "hex",
            Encoding::Percent => "percent",
        }
    }
}

/// The encodings one inside the other, outermost first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chain(Vec<Encoding>);

impl Chain {
    /// Their names, outermost first.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|encoding| encoding.name()).collect()
    }

    /// The encodings, outermost first.
    pub fn encodings(&self) -> &[Encoding] {
        &self.0
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" in "))
    }
}

/// How far decoding goes.
#[derive(Debug, Clone)]
pub struct DecodeLimits {
    /// Encodings inside one another.
    pub depth: usize,
    /// Shortest run, in bytes; at least 8.
    pub shortest: usize,
    /// Most decoded bytes of one run; the rest of it is not decoded.
    pub run: usize,
    /// Most decoded bytes of all runs together, and of all depths.
    pub total: usize,
    /// Most runs.
    pub runs: usize,
}

impl Default for DecodeLimits {
    /// Three deep, runs from 20 bytes, 1 MiB for one, 8 MiB and 50 000 runs for all.
    fn default() -> Self {
        Self {
            depth: 3,
            shortest: 20,
            run: 1 << 20,
            total: 8 << 20,
            runs: 50_000,
        }
    }
}

/// All encoded runs of the text, decoded, and what is encoded in those.
pub fn decoded_runs<'a>(text: &'a str, limits: &DecodeLimits) -> DecodedRuns<'a> {
    let limits = DecodeLimits {
        shortest: limits.shortest.max(8),
        ..limits.clone()
    };
    let first = Level {
        text: Cow::Borrowed(text.as_bytes()),
        at: 0,
        percent: 0,
        span: None,
        chain: Chain::default(),
    };
    let levels = if limits.depth > 0 {
        VecDeque::from([first])
    } else {
        VecDeque::new()
    };
    DecodedRuns {
        outer: text,
        limits,
        levels,
        decoded: 0,
        count: 0,
        reached: false,
    }
}

/// What an encoded run holds.
pub struct DecodedRun {
    /// Bytes of the text that was looked at, on character borders: those of the outermost run.
    pub span: Range<usize>,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// The encodings, outermost first.
    pub chain: Chain,
}

impl DecodedRun {
    /// The text in it, if it is one: UTF-8, or UTF-16 as PowerShell encodes commands.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        as_text(&self.bytes)
    }
}

struct Level<'a> {
    text: Cow<'a, [u8]>,
    at: usize,
    percent: usize,
    span: Option<Range<usize>>,
    chain: Chain,
}

/// See [`decoded_runs`].
pub struct DecodedRuns<'a> {
    outer: &'a str,
    limits: DecodeLimits,
    levels: VecDeque<Level<'a>>,
    decoded: usize,
    count: usize,
    reached: bool,
}

impl DecodedRuns<'_> {
    /// Whether something was not decoded because of a limit. Ask at the end.
    pub fn limit_reached(&self) -> bool {
        self.reached
    }
}

impl Iterator for DecodedRuns<'_> {
    type Item = DecodedRun;

    fn next(&mut self) -> Option<DecodedRun> {
        loop {
            let level = self.levels.front_mut()?;
            let found = next_base(&level.text, &mut level.at, self.limits.shortest)
                .or_else(|| next_percent(&level.text, &mut level.percent).map(|run| (run, Encoding::Percent)));
            let Some((run, encoding)) = found else {
                self.levels.pop_front();
                continue;
            };
            if self.count >= self.limits.runs || self.decoded >= self.limits.total {
                self.reached = true;
                self.levels.clear();
                return None;
            }
            let most = self.limits.run.min(self.limits.total - self.decoded);
            let inner = &level.text[run.clone()];
            let Some(bytes) = decode(inner, encoding, most) else {
                continue;
            };
            let full = match encoding {
                Encoding::Base64 => inner.len() / 4 * 3,
                Encoding::Hex => inner.len() / 2,
                Encoding::Percent => 0,
            };
            // The cut is at most a digit's worth for whole runs; line breaks make `full` an upper bound.
            self.reached |= bytes.len() + 3 > most && full > most;
            self.count += 1;
            self.decoded += bytes.len();
            let span = level.span.clone().unwrap_or_else(|| whole(self.outer, run));
            let mut chain = level.chain.clone();
            chain.0.push(encoding);
            if bytes.len() >= self.limits.shortest {
                if chain.0.len() < self.limits.depth {
                    let text = as_text(&bytes).map_or_else(|| bytes.clone(), |text| text.into_owned().into_bytes());
                    self.levels.push_back(Level {
                        text: Cow::Owned(text),
                        at: 0,
                        percent: 0,
                        span: Some(span.clone()),
                        chain: chain.clone(),
                    });
                } else if !self.reached && as_text(&bytes).is_some() {
                    // Something encoded deeper than the depth is a limit reached, not nothing.
                    self.reached = next_base(&bytes, &mut 0, self.limits.shortest).is_some_and(|(run, encoding)| {
                        decode(&bytes[run], encoding, 4096).is_some_and(|inner| as_text(&inner).is_some())
                    });
                }
            }
            return Some(DecodedRun { span, bytes, chain });
        }
    }
}

fn decode(run: &[u8], encoding: Encoding, most: usize) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => base::hexadecimal(run, most),
        Encoding::Percent => Some(base::percent(run, most)),
        Encoding::Base64 => {
            if memchr::memchr(b'\\', run).is_none() {
                return base::base64(run, most).or_else(|| base::base64(&run[..run.len() / 4 * 4], most));
            }
            let mut clean = Vec::with_capacity(run.len());
            let mut at = 0;
            while at < run.len() {
                if run[at] == b'\\' {
                    at += 2;
                } else {
                    clean.push(run[at]);
                    at += 1;
                }
            }
            base::base64(&clean, most)
        }
    }
}

/// The next run of Base64 or hexadecimal digits from `at` on.
fn next_base(text: &[u8], at: &mut usize, shortest: usize) -> Option<(Range<usize>, Encoding)> {
    let mut probe = *at + shortest - 1;
    while probe < text.len() {
        if !may_cover(text, probe, shortest) {
            probe += shortest;
            continue;
        }
        let mut start = probe
            - text[*at..probe]
                .iter()
                .rev()
                .take_while(|byte| base::is_base64(**byte))
                .count();
        let mut end = line_end(text, probe);
        // In a string literal `\n` precedes the run, not an `n`.
        if start > 0 && text[start - 1] == b'\\' && matches!(text[start], b'n' | b'r' | b't') {
            start += 1;
        }
        let mut width = end - start;
        while width >= 40 {
            // Only a whole line goes on in the next one.
            let next = text[end..]
                .iter()
                .take(2)
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            let escaped = if text[end..].starts_with(b"\\r\\n") {
                4
            } else if text[end..].starts_with(b"\\n") {
                2
            } else {
                0
            };
            let from = end + next.max(escaped);
            if from == end || from >= text.len() || !base::is_base64(text[from]) {
                break;
            }
            let stop = line_end(text, from);
            if stop - from > width {
                break;
            }
            width = if stop - from == width { width } else { 0 };
            end = stop;
        }
        *at = end;
        let run = &text[start..end];
        if run.len() >= shortest
            && let Some(encoding) = encoding(run)
        {
            let pad = text[end..].iter().take(2).take_while(|byte| **byte == b'=').count();
            *at = end + pad;
            return Some((
                start..end + if encoding == Encoding::Base64 { pad } else { 0 },
                encoding,
            ));
        }
        probe = end + shortest;
    }
    *at = text.len();
    None
}

/// Whether `probe` may be part of a run: of fifteen bytes or more, eight end or begin there.
#[inline]
fn may_cover(text: &[u8], probe: usize, shortest: usize) -> bool {
    let before = probe.checked_sub(7).and_then(|from| text[from..].first_chunk());
    match (before, text[probe..].first_chunk()) {
        (Some(before), Some(after)) if shortest >= 15 => {
            may_all_be_digits(u64::from_le_bytes(*before)) || may_all_be_digits(u64::from_le_bytes(*after))
        }
        _ => base::is_base64(text[probe]),
    }
}

/// Whether all eight are digits of Base64 in either alphabet; commas count too.
#[inline]
fn may_all_be_digits(eight: u64) -> bool {
    let letters = within(eight | EACH << 5, b'a', b'z');
    let others = within(eight, b'/', b'9') | within(eight, b'+', b'-') | within(eight, b'_', b'_');
    (letters | others) & !eight & HIGH == HIGH
}

fn line_end(text: &[u8], from: usize) -> usize {
    from + text[from..].iter().take_while(|byte| base::is_base64(**byte)).count()
}

/// Which encoding the digits can be of; words, paths and rules of hyphens are of none.
fn encoding(run: &[u8]) -> Option<Encoding> {
    if run.iter().all(u8::is_ascii_hexdigit) {
        return run.len().is_multiple_of(2).then_some(Encoding::Hex);
    }
    let head = &run[..run.len().min(256)];
    let has = |test: fn(&u8) -> bool| head.iter().any(test);
    let standard = has(|byte| matches!(byte, b'+' | b'/'));
    let url = has(|byte| matches!(byte, b'-' | b'_'));
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    (mixed && !(standard && url)).then_some(Encoding::Base64)
}

/// The next run with at least three percent-encoded bytes.
fn next_percent(text: &[u8], at: &mut usize) -> Option<Range<usize>> {
    while let Some(found) = text.get(*at..).and_then(|rest| memchr::memchr(b'%', rest)) {
        let first = *at + found;
        let inside = |byte: &&u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`');
        let start = first - text[*at..first].iter().rev().take(4096).take_while(inside).count();
        let end = first + text[first..].iter().take(1 << 20).take_while(inside).count();
        *at = end.max(first + 1);
        let coded = memchr::memchr_iter(b'%', &text[first..end])
            .filter(|at| {
                text[first + at + 1..end]
                    .iter()
                    .take(2)
                    .filter(|byte| byte.is_ascii_hexdigit())
                    .count()
                    == 2
            })
            .take(3)
            .count();
        if coded == 3 {
            return Some(start..end);
        }
    }
    *at = text.len();
    None
}

/// The bytes as text, if they are: UTF-8, or UTF-16 as PowerShell encodes commands, with hardly any control characters.
fn as_text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if bytes.len() >= 8
        && bytes.len().is_multiple_of(2)
        && bytes
            .chunks_exact(2)
            .filter(|pair| pair[1] == 0 && pair[0] != 0)
            .count()
            * 20
            >= bytes.len() / 2 * 19
    {
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        return Some(Cow::Owned(String::from_utf16_lossy(&units)));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // A run may be cut inside a character.
        Err(error) if error.valid_up_to() + 4 > bytes.len() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let odd = text
        .chars()
        .take(4096)
        .filter(|c| c.is_control() && !c.is_whitespace())
        .count();
    (!text.is_empty() && odd * 50 <= text.len().min(4096)).then_some(Cow::Borrowed(text))
}
