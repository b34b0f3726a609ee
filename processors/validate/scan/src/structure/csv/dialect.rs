//! How a table is written, guessed from its beginning.

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The byte between cells.
    pub delimiter: u8,
    /// Whether the first row names the columns. `None`: guess.
    pub header: Option<bool>,
}

const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Rows that are looked at.
const ROWS: usize = 200;

/// Guesses the delimiter: the one by which most rows have the same number of cells, of equals the one that makes most cells, of equals the
/// first of comma, tab, semicolon, bar. Comma if none parts anything.
pub fn guess(head: &str) -> u8 {
    let score = |delimiter: u8| {
        let rows = cells(head, delimiter);
        let Some(&columns) = rows.first() else { return (0, 0) };
        let alike = rows.iter().filter(|row| **row == columns).count();
        if columns < 2 {
            (0, 0)
        } else {
            (alike * 10 / rows.len(), columns)
        }
    };
    let best = DELIMITERS
        .into_iter()
        .map(|delimiter| (score(delimiter), delimiter))
        .rev()
        .max_by_key(|(score, _)| *score);
    best.filter(|(score, _)| *score > (0, 0))
        .map_or(b',', |(_, delimiter)| delimiter)
}

/// Number of cells of each of the first rows.
fn cells(text: &str, delimiter: u8) -> Vec<usize> {
    let (mut rows, mut cells, mut quoted, mut empty, mut begin) = (Vec::new(), 1, false, true, true);
    let mut broken = false;
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'"' if quoted || begin => {
                // Behind a closing quote only the end of the cell, or the second of two quotes, may stand.
                let fits = bytes
                    .get(at + 1)
                    .is_none_or(|next| *next == delimiter || matches!(next, b'"' | b'\r' | b'\n'));
                broken |= quoted && !fits && bytes.get(at.wrapping_sub(1)) != Some(&b'"');
                (quoted, begin, empty) = (!quoted, false, false);
            }
            _ if quoted => {}
            b'\n' => {
                if !empty {
                    rows.push(if broken { 0 } else { cells });
                }
                (cells, empty, begin, broken) = (1, true, true, false);
                if rows.len() == ROWS {
                    return rows;
                }
            }
            b'\r' => {}
            byte if byte == delimiter => (cells, empty, begin) = (cells + 1, false, true),
            _ => (empty, begin) = (false, false),
        }
    }
    if !empty && !broken && (rows.is_empty() || cells >= rows[0]) {
        rows.push(cells);
    }
    rows
}

/// Whether a first row can be a header: its cells are words, not numbers, and at most one is empty.
pub fn is_header<'a>(cells: impl Iterator<Item = &'a str>) -> bool {
    let (mut all, mut empty, mut numbers) = (0, 0, 0);
    for cell in cells {
        let cell = cell.trim();
        all += 1;
        empty += usize::from(cell.is_empty());
        let number = cell
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".,-+eE%/: ".contains(&byte));
        numbers += usize::from(!cell.is_empty() && number);
    }
    // Years and codes stand in headers too, but not mainly.
    all > 0 && numbers * 2 < all && empty < all && (empty <= 1 || empty * 4 <= all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters() {
        for (text, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1,5;2\n3,5;4\n", b';'),
            ("a\tb,c\n1\t2\n", b'\t'),
            ("a|b\n1|2\n", b'|'),
            ("one\ntwo\n", b','),
            ("\"a;b\";c,d\n\"x;y\";e,f\n", b';'),
            ("", b','),
        ] {
            assert_eq!(guess(text), delimiter, "{text:?}");
        }
    }

    #[test]
    fn headers() {
        assert!(is_header(["name", "2015", "total"].into_iter()));
        assert!(is_header(["", "a"].into_iter()));
        assert!(!is_header(["1", "x", "2.5"].into_iter()));
        assert!(!is_header(["", ""].into_iter()));
        assert!(!is_header(std::iter::empty()));
    }
}
