//! Streams found by the word that begins them, without any table.

use std::io::Read;

use crate::inside::limits::LimitName;
use crate::inside::meter::Packed;
use crate::inside::place::Place;
use crate::inside::rules;
use crate::inside::source::Source;
use crate::inside::visitor::Role;
use crate::inside::walk::{Found, Walk};

/// Read at once.
const PIECE: usize = 256 << 10;
/// Bytes before the word in which its dictionary is looked for.
const DICTIONARY: usize = 1_024;
/// Longest stream that is taken when its end is missing.
const STREAM: u64 = 64 << 20;

/// Bytes that are handed over for each byte of the document: streams that begin within each other are the same bytes again.
const AGAIN: u64 = 4;

/// Hands over every stream that is not `known` by the place of its first byte.
pub(super) fn streams(walk: &mut Walk<'_>, source: &Source, place: &Place, known: &dyn Fn(usize) -> bool, depth: u32) {
    let mut from = 0u64;
    let mut left = source.len().saturating_mul(AGAIN);
    while from < source.len() {
        let piece = source.some(from, PIECE);
        let mut at = 0;
        while let Some(found) = find(&piece[at..], b"stream") {
            let word = at + found;
            at = word + 6;
            // Not the end of another one.
            if word >= 3 && &piece[word - 3..word] == b"end" {
                continue;
            }
            let skip = match piece.get(at..at + 2) {
                Some(b"\r\n") => 2,
                Some([b'\n' | b'\r', _]) => 1,
                _ => continue,
            };
            let data = from + (at + skip) as u64;
            if usize::try_from(data).is_ok_and(known) {
                continue;
            }
            if !walk.more(place) || walk.budget.entry().is_err() {
                return;
            }
            let length = end_of(source, data, left);
            let Some(rest) = left.checked_sub(length) else {
                walk.report_at(&rules::OVERLAP, place, data);
                return walk.limit(LimitName::TotalBytes, place, Some(source.len().saturating_sub(data)));
            };
            left = rest;
            let before = &piece[word.saturating_sub(DICTIONARY)..word];
            one(
                walk,
                source,
                place,
                (data, length),
                find(before, b"/FlateDecode").is_some() || find(before, b"/Fl ").is_some(),
                depth,
            );
        }
        if piece.len() < PIECE {
            break;
        }
        // So that a word or dictionary across the border is seen whole.
        from += (PIECE - DICTIONARY - 8) as u64;
    }
}

fn one(walk: &mut Walk<'_>, source: &Source, place: &Place, (data, length): (u64, u64), flate: bool, depth: u32) {
    let mut packed = source.window(data, length);
    let found = Found {
        place: place.child(&format!("stream at {data}")),
        declared: None,
        packed: Packed::Known(length),
        role: Role::Part,
        enter: false,
    };
    if flate {
        let mut reader = flate2::read::ZlibDecoder::new(packed).take(u64::MAX);
        walk.member(found, &mut reader, depth);
    } else {
        walk.member(
            Found {
                packed: Packed::Not,
                ..found
            },
            &mut packed,
            depth,
        );
    }
}

/// Bytes up to `endstream`. It is not looked for much farther than `most`.
fn end_of(source: &Source, data: u64, most: u64) -> u64 {
    let mut at = 0;
    while at < STREAM && at <= most {
        let piece = source.some(data + at, PIECE);
        if let Some(found) = find(&piece, b"endstream") {
            return at + found as u64;
        }
        if piece.len() < PIECE {
            return at + piece.len() as u64;
        }
        at += (PIECE - 16) as u64;
    }
    at.min(STREAM)
}

pub(super) fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    let first = *word.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(word) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
