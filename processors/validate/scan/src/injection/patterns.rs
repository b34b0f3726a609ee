//! How the regexes of a pack are read.

use regex::{Regex, RegexBuilder};

/// Largest compiled regex, in bytes.
const SIZE: usize = 1 << 20;

/// The classes of a pack: small automata, where the Unicode ones have hundreds of ranges. Everything beyond ASCII is a
/// word character but for typographic dashes and quotes.
const CLASSES: &[(&str, &str)] = &[
    (" ?", r"\s*"),
    (" ", r"\s+"),
    (r"\w", r"[0-9A-Za-z_\x{a1}-\x{200f}\x{2020}-\x{10ffff}]"),
    (r"\W", r"[\x00-/:-@\[-\^`\{-\x{a0}\x{2010}-\x{201f}]"),
    (r"\s", r"[\t-\r\x20\x{a0}]"),
    (r"\b", r"(?-u:\b)"),
];

/// Writes the classes out. Both cases of every letter are in the same one of them, so they are kept from being folded, which
/// takes longer than all the rest of loading a pack.
fn expand(pattern: &str) -> String {
    let mut out = String::new();
    let (mut rest, mut brackets) = (pattern, 0u32);
    while let Some(c) = rest.chars().next() {
        let class = CLASSES.iter().find(|(short, _)| rest.starts_with(short));
        let taken = if let Some((short, long)) = class {
            let whole = brackets == 0 && matches!(*short, r"\w" | r"\W");
            out.extend(if whole { ["(?-i:", long, ")"] } else { ["", long, ""] });
            short.len()
        } else {
            match c {
                '[' => brackets += 1,
                ']' => brackets = brackets.saturating_sub(1),
                _ => {}
            }
            // an escape with what it escapes
            let length = rest.chars().take(1 + usize::from(c == '\\')).map(char::len_utf8).sum();
            out.push_str(&rest[..length]);
            length
        };
        rest = &rest[taken..];
    }
    out
}

/// A regex of a pack, compiled within [`SIZE`] bytes.
pub(super) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&expand(pattern))
        .case_insensitive(true)
        .size_limit(SIZE)
        .dfa_size_limit(SIZE)
        .build()
}
