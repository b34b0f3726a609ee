//! Tables as text: which character separates the fields, if any does (RFC 4180 quoting).

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Comma, semicolon, tab or vertical bar.
    pub delimiter: char,
    /// Fields in a record.
    pub columns: usize,
}

const DELIMITERS: [char; 4] = [',', '\t', ';', '|'];
/// Records that are looked at.
const RECORDS: usize = 500;

/// Finds the dialect. Without a claim (a name or declared type that says table) it takes stronger evidence, because prose has commas too.
pub fn detect(text: &str, whole: bool, claimed: bool) -> Option<Dialect> {
    let judge = |delimiter: char| {
        let shape = Shape::of(text, delimiter, whole);
        shape
            .convincing(delimiter, claimed)
            .then_some((shape.columns, delimiter))
    };
    // The most columns win; of equals the one that stands first above. Without a claim one column is none.
    let best = DELIMITERS
        .iter()
        .filter(|delimiter| claimed || text.contains(**delimiter))
        .filter_map(|delimiter| judge(*delimiter))
        .rev()
        .max_by_key(|(columns, _)| *columns);
    best.map(|(columns, delimiter)| Dialect { delimiter, columns })
}

#[derive(Debug, Default)]
struct Shape {
    /// Complete records that were read.
    records: usize,
    /// Fields of the first record.
    columns: usize,
    /// Records with as many fields as the first.
    alike: usize,
    /// Delimiters outside quotes, and those before a space.
    delimiters: usize,
    spaced: usize,
    /// Quotes were used as RFC 4180 says, at the edges of fields.
    quoted: bool,
    /// A quote stood within a field, or was never closed.
    broken: bool,
}

impl Shape {
    fn of(text: &str, delimiter: char, whole: bool) -> Self {
        let mut shape = Self::default();
        let mut fields = 1;
        let mut in_quotes = false;
        let mut field_is_empty = true;
        let mut record_is_empty = true;
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if in_quotes => {
                    if letters.peek() == Some(&'"') {
                        letters.next();
                    } else {
                        in_quotes = false;
                        let closed = letters
                            .peek()
                            .is_none_or(|next| *next == delimiter || matches!(next, '\r' | '\n'));
                        shape.broken |= !closed;
                    }
                }
                _ if in_quotes => {}
                '"' if field_is_empty => {
                    (in_quotes, field_is_empty, record_is_empty, shape.quoted) = (true, false, false, true);
                }
                '\n' => {
                    if !record_is_empty {
                        shape.end_record(fields);
                    }
                    (fields, field_is_empty, record_is_empty) = (1, true, true);
                    if shape.records == RECORDS {
                        return shape;
                    }
                }
                '\r' if letters.peek() == Some(&'\n') => {}
                letter if letter == delimiter => {
                    fields += 1;
                    shape.delimiters += 1;
                    shape.spaced += usize::from(letters.peek() == Some(&' '));
                    (field_is_empty, record_is_empty) = (true, false);
                }
                _ => (field_is_empty, record_is_empty) = (false, false),
            }
        }
        shape.broken |= in_quotes && whole;
        // The last record counts if it is all there.
        if whole && !record_is_empty {
            shape.end_record(fields);
        }
        shape
    }

    fn end_record(&mut self, fields: usize) {
        self.records += 1;
        if self.records == 1 {
            self.columns = fields;
        }
        self.alike += usize::from(fields == self.columns);
    }

    fn convincing(&self, delimiter: char, claimed: bool) -> bool {
        if self.records == 0 || self.broken {
            return false;
        }
        // A few ragged records do not make it something else.
        let even = self.alike * 10 >= self.records * 9;
        if claimed {
            return even;
        }
        // Prose puts a space behind its commas; tables seldom do.
        let prose = matches!(delimiter, ',' | ';') && self.spaced * 2 > self.delimiters && !self.quoted;
        let enough = self.records >= 3 || (self.records == 2 && (self.columns >= 3 || self.quoted));
        even && self.columns >= 2 && enough && !prose
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(char, usize)>) {
        let found = detect(text, true, false).map(|dialect| (dialect.delimiter, dialect.columns));
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn tables() {
        check("a,b,c\n1,2,3\n", Some((',', 3)));
        check("a;b\n1,5;2\n3,5;4\n", Some((';', 2)));
        check("a\tb\r\n1\t2\r\n3\t4", Some(('\t', 2)));
        check("name|age\nx|1\ny|2\n", Some(('|', 2)));
        check(
            "first,last,address\nJohn,Doe,\"120 any st., \"\"A\"\"\nTown\"\n",
            Some((',', 3)),
        );
    }

    #[test]
    fn prose_is_none() {
        check("Dear all,\n\nplease come, soon, to us.\nThank you, goodbye.\n", None);
        check("One, two.\nThree, four.\nFive, six.\n", None);
        check("no separators\nat all\nhere\n", None);
        check("just one line, with a comma\n", None);
        check("say \"hi\", \"ho\" and\nthen \"a\", x\n\"b\" y, z\n", None);
    }

    #[test]
    fn a_claim_lowers_the_bar() {
        assert_eq!(detect("one\ntwo\n", true, true).map(|d| d.columns), Some(1));
        assert_eq!(detect("a,b\n", true, true).map(|d| d.columns), Some(2));
        assert_eq!(detect("\"never closed\n", true, true), None);
    }

    #[test]
    fn a_cut_record_is_not_counted() {
        assert_eq!(
            detect("a,b,c\n1,2,3\n4,5", false, false),
            Some(Dialect {
                delimiter: ',',
                columns: 3
            })
        );
    }

    proptest! {
        #[test]
        fn written_tables_are_found(
            rows in prop::collection::vec(prop::collection::vec("[a-z0-9 \"]{1,8}", 4), 3..20),
            delimiter in prop::sample::select(&DELIMITERS[..]),
        ) {
            let field = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
            let row = |row: &Vec<String>| row.iter().map(field).collect::<Vec<_>>().join(&delimiter.to_string());
            let text = rows.iter().map(row).collect::<Vec<_>>().join("\r\n");
            prop_assert_eq!(detect(&text, true, false), Some(Dialect { delimiter, columns: 4 }));
        }
    }
}
