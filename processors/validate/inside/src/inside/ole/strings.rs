//! Runs of readable characters in bytes, for formats whose text is not read properly.

/// Shortest run that is kept.
const RUN: usize = 6;

/// Runs of printable ASCII, as single bytes or as UTF-16 (little end first), one a line.
pub(super) fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    let printable = |byte: u8| (b' '..=b'~').contains(&byte) || byte == b'\t';
    let mut at = 0;
    while at < bytes.len() {
        let wide = at + 1 < bytes.len() && printable(bytes[at]) && bytes[at + 1] == 0;
        let step = if wide { 2 } else { 1 };
        let start = text.len();
        while at < bytes.len() && printable(bytes[at]) && (!wide || bytes.get(at + 1) == Some(&0)) {
            text.push(char::from(bytes[at]));
            at += step;
        }
        if text.len() - start < RUN {
            text.truncate(start);
        } else {
            text.push('\n');
        }
        if text.len() == start || at < bytes.len() && !printable(bytes[at]) {
            at += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_widths_are_found() {
        let mut bytes = b"\x01\x02narrow text\x00\x03".to_vec();
        bytes.extend("wide text".bytes().flat_map(|byte| [byte, 0]));
        bytes.extend(b"\xff\xffabc\x00");
        assert_eq!(readable(&bytes), "narrow text\nwide text\n");
    }
}
