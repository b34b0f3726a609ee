//! Characters that are invisible, decorated or another way to write a plain one.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::compose;

use super::evidence::{Evidence, Step};
use crate::mapped::{Builder, Mapped};

/// Fewer invisible characters in words than this are removed without being evidence.
const INVISIBLE: u32 = 3;
/// The same for full-width and decorated letters.
const LETTERS: u32 = 6;
/// The same for marks piled on letters.
const MARKS: u32 = 4;
/// Variation selectors in a row that carry data; emoji and ideographs use one.
const SELECTORS: usize = 3;

fn invisible(c: char) -> bool {
    matches!(c as u32,
        0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180e | 0x200b..=0x200f
        | 0x202a..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfeff | 0xffa0 | 0xfe00..=0xfe0f
        | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

fn selector(c: char) -> Option<u8> {
    match c as u32 {
        v @ 0xfe00..=0xfe0f => Some((v - 0xfe00) as u8),
        v @ 0xe0100..=0xe01ef => Some((v - 0xe0100 + 16) as u8),
        _ => None,
    }
}

/// Scripts whose words need no joiner inside: Latin, Greek, Cyrillic, Armenian.
fn unjoined(c: char) -> bool {
    c.is_alphanumeric() && ((c as u32) < 0x590 || matches!(c as u32, 0x1e00..=0x1fff | 0xff00..=0xff5e))
}

/// Scripts and signs in which a joiner changes what is read.
fn joined(c: char) -> bool {
    !c.is_ascii() && !unjoined(c) && !c.is_whitespace()
}

fn cjk(c: char) -> bool {
    matches!(c as u32, 0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7af | 0xff66..=0xff9f)
}

/// Compatibility forms that fold to plain letters, digits or signs.
fn compatible(c: char) -> bool {
    matches!(c as u32,
        0x2070..=0x209c | 0x2100..=0x214f | 0x2460..=0x24ff | 0x3000 | 0xfb00..=0xfb06 | 0xff01..=0xff5e
        | 0xffe0..=0xffe6 | 0x1d400..=0x1d7ff | 0x1f110..=0x1f169 | 0x1f170..=0x1f189 | 0x1d2c..=0x1d6a
        | 0x2b0..=0x2b8)
}

fn plain_form(c: char) -> Option<String> {
    let mut buffer = [0; 4];
    // Negative circled and squared letters have no compatibility form of their own.
    let letter = match c as u32 {
        v @ 0x1f150..=0x1f169 => Some(v - 0x1f150),
        v @ 0x1f170..=0x1f189 => Some(v - 0x1f170),
        v @ 0x1f130..=0x1f149 => Some(v - 0x1f130),
        _ => None,
    };
    if let Some(letter) = letter {
        return char::from_u32(u32::from(b'A') + letter).map(String::from);
    }
    let form: String = c.encode_utf8(&mut buffer).nfkc().collect();
    (form.chars().ne([c])).then_some(form)
}

/// A flag emoji's tags: after U+1F3F4, at most 6, closed by U+E007F (Unicode UTS #51).
fn flag_tags(before: Option<char>, rest: &str) -> Option<usize> {
    if before != Some('\u{1f3f4}') {
        return None;
    }
    let (at, _) = rest.char_indices().take(7).find(|(_, c)| *c == '\u{e007f}')?;
    Some(at + 4)
}

/// Marks that strike a letter through or underline it, as no orthography does with Latin letters.
fn struck(c: char) -> bool {
    matches!(c as u32, 0x332 | 0x333 | 0x335..=0x338 | 0x33f | 0x305 | 0x489 | 0x488)
}

/// Drops the invisible, folds compatibility forms, reads tags and selectors.
pub(super) fn plain(input: &Mapped, evidence: &mut Evidence) -> Option<Mapped> {
    let text = input.text.as_str();
    let mut builder = Builder::new(input);
    let mut before: Option<char> = None;
    let mut marks_on_letter = 0u32;
    let mut ideographs = 0u32;
    let mut last_soft = usize::MAX;
    let mut skip_to = 0;
    // Where the next visible character stands, looked for once for a whole run of invisible ones.
    let mut visible: (usize, Option<char>) = (0, None);
    let note = |evidence: &mut Evidence, step, span: Range<usize>| evidence.note(step, input.origin(span));

    for (at, c) in text.char_indices() {
        if at < skip_to {
            continue;
        }
        let end = at + c.len_utf8();
        if c.is_ascii() {
            before = Some(c);
            marks_on_letter = 0;
            continue;
        }
        if invisible(c) {
            if visible.0 <= at {
                let next = text[end..].char_indices().find(|(_, next)| !invisible(*next));
                visible = next.map_or((text.len(), None), |(offset, next)| (end + offset, Some(next)));
            }
            let after = visible.1;
            let in_word = before.is_some_and(unjoined) && after.is_some_and(unjoined);
            match c as u32 {
                0xe0000..=0xe007f => {
                    if let Some(length) = flag_tags(before, &text[at..]) {
                        skip_to = at + length;
                        before = None;
                        continue;
                    }
                    let ascii = (c as u32 - 0xe0000) as u8;
                    if (0x20..0x7f).contains(&ascii) {
                        let mut buffer = [0; 4];
                        builder.replace(at..end, char::from(ascii).encode_utf8(&mut buffer));
                        note(evidence, Step::Tags, at..end);
                    } else {
                        builder.replace(at..end, "");
                    }
                    continue;
                }
                0xfe00..=0xfe0f | 0xe0100..=0xe01ef => {
                    let run: Vec<u8> = text[at..].chars().map_while(selector).collect();
                    if run.len() >= SELECTORS {
                        let length: usize = text[at..].chars().take(run.len()).map(char::len_utf8).sum();
                        let hidden: String = String::from_utf8_lossy(&run).replace(['\u{fffd}', '\0'], "");
                        builder.replace(at..at + length, &hidden);
                        note(evidence, Step::Selectors, at..at + length);
                        skip_to = at + length;
                    }
                    // One selector after an emoji or an ideograph is how these are written.
                    continue;
                }
                // between letters of scripts that join, and in emoji, these are part of the spelling
                0x200c | 0x200d if before.is_some_and(joined) || after.is_some_and(joined) => continue,
                0xad => {
                    // A soft hyphen marks where a long word may be cut; every second letter it marks nothing.
                    if in_word && at.saturating_sub(last_soft) <= 4 && last_soft != usize::MAX {
                        note(evidence, Step::ZeroWidth, at..end);
                    }
                    last_soft = at;
                }
                0x202d | 0x202e => note(evidence, Step::Bidi, at..end),
                _ if in_word => note(evidence, Step::ZeroWidth, at..end),
                _ => {}
            }
            builder.replace(at..end, "");
            continue;
        }
        if matches!(c as u32, 0x300..=0x36f | 0x488 | 0x489 | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff) {
            marks_on_letter += 1;
            if marks_on_letter > 2 || struck(c) {
                builder.replace(at..end, "");
                note(evidence, Step::Marks, at..end);
            } else if let Some(letter) = before
                && let Some(whole) = compose(letter, c)
                && at >= letter.len_utf8()
                && text[..at].ends_with(letter)
                && marks_on_letter == 1
            {
                // The letter stands before; it is written together with its mark.
                let mut buffer = [0; 4];
                builder.replace_last(at - letter.len_utf8()..end, whole.encode_utf8(&mut buffer));
                before = Some(whole);
            }
            continue;
        }
        marks_on_letter = 0;
        ideographs += u32::from(cjk(c));
        if compatible(c)
            && let Some(form) = plain_form(c)
        {
            builder.replace(at..end, &form);
            if form.bytes().all(|b| b.is_ascii_alphabetic()) {
                match c as u32 {
                    0xff21..=0xff5a => note(evidence, Step::FullWidth, at..end),
                    0xfb00..=0xfb06 | 0x2100..=0x214f | 0x2070..=0x209c => {}
                    _ => note(evidence, Step::Styled, at..end),
                }
            }
        }
        before = Some(c);
    }
    let few = [
        (Step::ZeroWidth, INVISIBLE),
        (Step::Styled, LETTERS),
        (Step::Marks, MARKS),
        // Chinese and Japanese text has full-width abbreviations.
        (Step::FullWidth, LETTERS.max(2 * ideographs)),
    ];
    for (step, least) in few {
        if evidence.count(step) < least {
            evidence.withdraw(step);
        }
    }
    builder.finish()
}
