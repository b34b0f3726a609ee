//! Long texts are made readable piece by piece, so that what hides in one place costs nothing in the others.

/// Bytes after which a segment ends at the next line …
const LINE: usize = 2048;
/// … at the next white space …
const SPACE: usize = 4096;
/// … and in any case: a run of letters and digits that long was cut before.
const HARD: usize = 64 * 1024;

/// Where the segment of `text` that begins at `start` ends, on a character border. What is left is one from [`SPACE`] bytes down.
pub(super) fn end(text: &str, start: usize) -> usize {
    let rest = &text.as_bytes()[start..];
    if rest.len() <= SPACE {
        return text.len();
    }
    let white = |from: usize, to: usize, is: fn(&u8) -> bool| {
        let part = rest.get(from..to.min(rest.len())).unwrap_or_default();
        part.iter().position(is).map(|at| start + from + at + 1)
    };
    white(LINE, SPACE, |byte| *byte == b'\n')
        .or_else(|| white(SPACE, HARD, u8::is_ascii_whitespace))
        // later than `start`, since a character has fewer bytes
        .unwrap_or_else(|| text.floor_char_boundary(start + HARD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_the_text_and_end_where_words_do() {
        for (text, least) in [
            ("one line\n".repeat(3000), 6),
            ("words ".repeat(5000), 6),
            ("é".repeat(200_000), 6),
            ("short".to_owned(), 1),
            (String::new(), 0),
        ] {
            let (mut all, mut start) = (Vec::new(), 0);
            while start < text.len() {
                let end = end(&text, start);
                all.push(start..end);
                start = end;
            }
            assert!(all.len() >= least);
            assert_eq!(all.iter().map(|one| &text[one.clone()]).collect::<String>(), text);
            for one in &all[..all.len().saturating_sub(1)] {
                assert!(one.len() <= HARD && (text.as_bytes()[one.end - 1].is_ascii_whitespace() || one.len() > SPACE));
            }
        }
    }
}
