//! Compressed streams of one member: gzip, bzip2, xz, zstd.

use std::io::{BufRead, BufReader, Read};

use super::kind::Kind;
use super::meter::{Counting, Packed, fill};
use super::place::Place;
use super::rules::{self, Rule};
use super::visitor::Role;
use super::walk::{Found, Walk};

/// Memory that a decoder may take for its window, in KiB: what the strongest usual settings need.
const WINDOW_KIB: u32 = 96 << 10;
/// The same for zstd, as a power of two.
const WINDOW_LOG: u32 = 26;

/// Unpacks and hands over the one member.
pub(crate) fn look(walk: &mut Walk<'_>, kind: Kind, place: &Place, reader: &mut dyn Read, depth: u32) {
    if let Err(name) = walk.budget.entry() {
        return walk.limit(name, place, None);
    }
    let cuts = walk.budget.cuts();
    let (counting, count) = Counting::new(reader);
    let packed = Packed::Counted(count);
    let inner = place.child(&inner_name(place.name(), kind));
    let found = |packed| Found {
        place: inner.clone(),
        declared: None,
        packed,
        role: Role::File,
        enter: true,
    };
    let taken = match kind {
        Kind::Gzip => {
            let mut gzip = Gzip::new(BufReader::with_capacity(32 << 10, counting));
            let taken = walk.member(found(packed), &mut gzip, depth);
            if !taken.cut && taken.error.is_none() {
                gzip.trailing(walk, place);
            }
            taken
        }
        Kind::Bzip2 => walk.member(found(packed), &mut bzip2::read::MultiBzDecoder::new(counting), depth),
        Kind::Xz => walk.member(
            found(packed),
            &mut lzma_rust2::XzReader::new_mem_limit(counting, true, WINDOW_KIB),
            depth,
        ),
        _ => match zstd::stream::read::Decoder::new(counting) {
            Ok(mut decoder) => {
                if decoder.window_log_max(WINDOW_LOG).is_err() {
                    return walk.report(&rules::METHOD, place);
                }
                walk.member(found(packed), &mut decoder, depth)
            }
            Err(_) => return walk.report(&rules::BROKEN, place),
        },
    };
    if let Some(error) = taken.error
        && walk.budget.cuts() == cuts
    {
        walk.report(fault(&error), place);
    }
}

static TRUNCATED: Rule = rules::TRUNCATED;
static BROKEN: Rule = rules::BROKEN;
static METHOD: Rule = rules::METHOD;

/// What an error of a decoder means.
pub(crate) fn fault(error: &std::io::Error) -> &'static Rule {
    // The decoders have no kinds of their own for a window that is too large and for a dictionary that is not here.
    let text = error.to_string();
    let unsupported = error.kind() == std::io::ErrorKind::OutOfMemory
        || ["too much memory", "Dictionary mismatch", "mem limit", "memory limit"]
            .iter()
            .any(|words| text.contains(words));
    if is_end(error) {
        &TRUNCATED
    } else if unsupported {
        &METHOD
    } else {
        &BROKEN
    }
}

fn is_end(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::UnexpectedEof
}

/// The name that unpacking gives: without the last extension.
fn inner_name(name: &str, kind: Kind) -> String {
    let lower = name.to_ascii_lowercase();
    if lower.ends_with(".tgz") && kind == Kind::Gzip {
        return format!("{}.tar", &name[..name.len() - 4]);
    }
    for extension in [".gz", ".bz2", ".xz", ".zst", ".zstd"] {
        if lower.ends_with(extension) && name.len() > extension.len() {
            return name[..name.len() - extension.len()].to_owned();
        }
    }
    "content".to_owned()
}

/// Bytes can be put back in front of it.
struct Pushback<R> {
    back: Vec<u8>,
    at: usize,
    inner: BufReader<R>,
}

impl<R: Read> Read for Pushback<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at < self.back.len() {
            let count = (&self.back[self.at..]).read(into)?;
            self.at += count;
            return Ok(count);
        }
        self.inner.read(into)
    }
}

impl<R: Read> BufRead for Pushback<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.at < self.back.len() {
            return Ok(&self.back[self.at..]);
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if self.at < self.back.len() {
            self.at = (self.at + count).min(self.back.len());
        } else {
            self.inner.consume(count);
        }
    }
}

/// gzip members one after the other (RFC 1952 2.2), each with its checksum and size checked by the decoder.
struct Gzip<R: Read> {
    decoder: Option<flate2::bufread::GzDecoder<Pushback<R>>>,
    rest: Option<Pushback<R>>,
}

impl<R: Read> Gzip<R> {
    fn new(inner: BufReader<R>) -> Self {
        let reader = Pushback {
            back: Vec::new(),
            at: 0,
            inner,
        };
        Self {
            decoder: Some(flate2::bufread::GzDecoder::new(reader)),
            rest: None,
        }
    }

    /// Says what follows the last member.
    fn trailing(&mut self, walk: &mut Walk<'_>, place: &Place) {
        let Some(rest) = &mut self.rest else { return };
        let mut piece = vec![0; 32 << 10];
        let (mut blank, mut any) = (true, false);
        while let Ok(count) = fill(rest, &mut piece) {
            if count == 0 {
                break;
            }
            any = true;
            blank &= piece[..count].iter().all(|byte| *byte == 0);
        }
        if any {
            // Tapes and some programs fill up with zeros.
            walk.report(if blank { &rules::PADDING } else { &rules::TRAILING }, place);
        }
    }
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let count = decoder.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let Some(decoder) = self.decoder.take() else { break };
            let mut rest = decoder.into_inner();
            let mut next = [0; 2];
            let count = fill(&mut rest, &mut next)?;
            // Nothing of an earlier put-back is left: two bytes were just read past it.
            rest.back = next[..count].to_vec();
            rest.at = 0;
            if next == [0x1f, 0x8b] {
                self.decoder = Some(flate2::bufread::GzDecoder::new(rest));
            } else {
                self.rest = Some(rest);
            }
        }
        Ok(0)
    }
}
