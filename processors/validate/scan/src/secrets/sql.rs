//! Passwords in tables: the columns of an SQL `INSERT` or `COPY`, and of a CSV file with a header.

use std::ops::Range;

use super::key::normal;
use super::rule::Pattern;

/// Most bytes of one statement.
const STATEMENT: usize = 256 << 10;
/// Most columns.
const COLUMNS: usize = 256;

/// The columns named in the list that begins at `from`, after its bracket, and where it ends.
fn columns(text: &[u8], from: usize, close: u8) -> Option<(Vec<String>, usize)> {
    let end = from + memchr::memchr(close, text.get(from..(from + 8192).min(text.len()))?)?;
    let names: Vec<String> = text[from..end]
        .split(|byte| *byte == b',')
        .take(COLUMNS)
        .map(|name| {
            normal(name.trim_ascii().trim_ascii_start())
                .trim_matches(['`', '"', '\'', '[', ']', '_'])
                .to_owned()
        })
        .collect();
    Some((names, end))
}

/// Which columns hold secrets.
fn secret(names: &[String], keys: &Pattern) -> Vec<usize> {
    names
        .iter()
        .enumerate()
        .filter(|(_, name)| keys.is_match(name))
        .map(|(at, _)| at)
        .collect()
}

/// The values in the statement whose keyword (`insert into`, `copy`) is at `keyword`.
pub(crate) fn statement(
    text: &[u8],
    keyword: Range<usize>,
    keys: &Pattern,
    mut found: impl FnMut(Range<usize>),
) -> usize {
    let roof = (keyword.end + STATEMENT).min(text.len());
    let head = &text[keyword.end..(keyword.end + 256).min(roof)];
    let Some(open) = memchr::memchr(b'(', head) else {
        return keyword.end;
    };
    if head[..open].contains(&b';') || memchr::memmem::find(&head[..open].to_ascii_lowercase(), b"values").is_some() {
        return keyword.end;
    }
    let Some((names, end)) = columns(text, keyword.end + open + 1, b')') else {
        return keyword.end;
    };
    let wanted = secret(&names, keys);
    let after = &text[end + 1..(end + 64).min(roof)];
    let word = after.trim_ascii_start();
    if wanted.is_empty() {
        return end;
    }
    if word.len() >= 6 && word[..6].eq_ignore_ascii_case(b"values") {
        tuples(text, end + 1 + (after.len() - word.len()) + 6, roof, &wanted, found)
    } else if memchr::memmem::find(&word.to_ascii_lowercase(), b"from stdin").is_some() {
        let Some(line) = memchr::memchr(b'\n', &text[end..roof]) else {
            return end;
        };
        let mut at = end + line + 1;
        while at < roof {
            let stop = memchr::memchr(b'\n', &text[at..roof]).map_or(roof, |length| at + length);
            if text[at..stop].starts_with(b"\\.") {
                break;
            }
            cells(text, at..stop, b'\t', &wanted, &mut found);
            at = stop + 1;
        }
        at.min(roof)
    } else {
        end
    }
}

/// `(…), (…);` after `VALUES`.
fn tuples(text: &[u8], from: usize, roof: usize, wanted: &[usize], mut found: impl FnMut(Range<usize>)) -> usize {
    let (mut at, mut column, mut depth) = (from, 0, 0_usize);
    while at < roof {
        match text[at] {
            quote @ (b'\'' | b'"') => {
                let start = at + 1;
                at = start;
                while at < roof && text[at] != quote {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                if depth > 0 && wanted.contains(&column) && at < roof && at > start {
                    found(start..at);
                }
            }
            b'(' => {
                depth += 1;
                if depth == 1 {
                    column = 0;
                }
            }
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 1 => column += 1,
            b';' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    roof
}

/// The wanted cells of one line.
fn cells(text: &[u8], line: Range<usize>, separator: u8, wanted: &[usize], found: &mut impl FnMut(Range<usize>)) {
    let (mut column, mut start, mut quoted) = (0, line.start, false);
    for at in line.start..=line.end {
        let byte = if at == line.end { separator } else { text[at] };
        if byte == b'"' && separator != b'\t' {
            quoted = !quoted;
        } else if byte == separator && (!quoted || at == line.end) {
            if wanted.contains(&column) {
                let cell = text[start..at].trim_ascii_end();
                let from = start + cell.len() - cell.trim_ascii_start().len();
                let to = start + cell.len();
                let inside = to >= from + 2 && text[from] == b'"' && text[to - 1] == b'"';
                let span = if inside { from + 1..to - 1 } else { from..to };
                if !span.is_empty() {
                    found(span);
                }
            }
            column += 1;
            start = at + 1;
        }
    }
}

/// The separator and the wanted columns, if the first line of the text is a header with such columns. A header has at least two
/// columns, all of them short names.
pub(crate) fn header(text: &[u8], keys: &Pattern) -> Option<(u8, Vec<usize>, usize)> {
    let end = memchr::memchr(b'\n', &text[..text.len().min(4096)])?;
    let line = text[..end].trim_ascii_end();
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let separator = [b',', b';', b'\t', b'|']
        .into_iter()
        .max_by_key(|mark| memchr::memchr_iter(*mark, line).count())?;
    let names: Vec<&[u8]> = line
        .split(|byte| *byte == separator)
        .map(|name| name.trim_ascii())
        .collect();
    let plain = |name: &&[u8]| {
        (1..=40).contains(&name.len())
            && name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b" _-.\"'".contains(byte))
    };
    if names.len() < 2 || !names.iter().all(plain) || line.contains(&b'(') {
        return None;
    }
    // The next line must have as many cells, or this is a sentence.
    let next = &text[end + 1..text.len().min(end + 4096)];
    let next = &next[..memchr::memchr(b'\n', next).unwrap_or(next.len())];
    if memchr::memchr_iter(separator, next).count() + 1 < names.len() {
        return None;
    }
    let names: Vec<String> = names.iter().map(|name| normal(name).replace(['"', '\''], "")).collect();
    let wanted = secret(&names, keys);
    (!wanted.is_empty()).then_some((separator, wanted, end + 1))
}

/// The wanted cells of a table whose header [`header`] has read.
pub(crate) fn table(text: &[u8], separator: u8, wanted: &[usize], from: usize, mut found: impl FnMut(Range<usize>)) {
    let mut at = from;
    while at < text.len() {
        let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |length| at + length);
        cells(text, at..end, separator, wanted, &mut found);
        at = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_and_copy() {
        let keys = Pattern::new("pass").unwrap();
        let run = |text: &str| {
            let mut out = Vec::new();
            statement(text.as_bytes(), 0..11, &keys, |span| out.push(text[span].to_owned()));
            out
        };
        let text =
            "INSERT INTO `users` (`id`, `name`, `user_pass`) VALUES\n(1,'a, b','x\\'y'),\n(2,now(),'z');\n(3,'','w')";
        assert_eq!(run(text), ["x\\'y", "z"]);
        assert_eq!(
            run("copy users (id, pass) FROM stdin;\n1\thunter2\n2\t\\N\n\\.\n3\tx\n"),
            ["hunter2", "\\N"]
        );
        assert!(run("INSERT INTO x VALUES (1,'a')").is_empty());
    }

    #[test]
    fn csv() {
        let keys = Pattern::new("pass").unwrap();
        let text = "name,url,\"password\"\na,\"b,c\",hunter2\nd,e,\"f,g\"\n";
        let (separator, wanted, from) = header(text.as_bytes(), &keys).unwrap();
        let mut out = Vec::new();
        table(text.as_bytes(), separator, &wanted, from, |span| out.push(&text[span]));
        assert_eq!(out, ["hunter2", "f,g"]);
        assert!(header(b"the password, in short, is\n", &keys).is_none());
    }
}
