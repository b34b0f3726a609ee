//! The value that belongs to a name, in any notation.
//!
//! Configuration is written in some dozens of languages, but a name and its value stand in few ways: `name = value` and its relatives,
//! quoted or not; an XML element or attribute; a pair of "name" and "value" fields; a call. One reader for all of them needs no
//! knowledge of the language, and a document without a name loses nothing. What it refuses is code: an unquoted value that a
//! program computes is no secret.

use std::ops::Range;

use super::cursor::{LONGEST, Text, quotation};
use super::key::is_name;
use super::markup::{attribute, element, sibling};

/// How the value stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// In quotes, in an element or an attribute: a literal beyond doubt.
    Literal,
    /// Bare, and nothing else on the line but its name (or a comment).
    Line,
    /// Bare, among other things: `user=a password=b`, a query string, a command.
    Inline,
    /// Bare, and the line ends as code does.
    Code,
}

/// A value and how it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub value: Range<usize>,
    pub style: Style,
}

/// Finds the value of the name at `key`.
pub(crate) fn value_of(text: &[u8], key: &Range<usize>) -> Option<Assigned> {
    let text = Text(text);
    let literal = |value| Assigned {
        value,
        style: Style::Literal,
    };
    let (before, after) = (text.before(key.start), text.at(key.end));
    if before == b'<' && after != b'=' {
        return element(&text, key.end).map(literal);
    }
    if before == b'/' && text.before(key.start - 1) == b'<' {
        return None;
    }
    // `<key>name</key><string>value</string>`
    if before == b'>' && after == b'<' {
        return sibling(&text, key.end).map(literal);
    }
    // What closes the name: quotes, brackets, Perl's and PHP's mixtures of them.
    let closed = text.skip(key.end, 4, |byte| {
        matches!(byte, b'"' | b'\'' | b'`' | b']' | b'\\' | b'}')
    });
    let quoted = closed > key.end && matches!(text.at(closed - 1), b'"' | b'\'' | b'`') || text.at(key.end) == b'"';
    if quoted
        && matches!(before, b'"' | b'\'')
        && let Some(found) = attribute(&text, key, closed).or_else(|| argument(&text, key, closed))
    {
        return Some(literal(found));
    }
    if let Some(found) = pair(&text, key, closed) {
        return Some(found);
    }
    if after == b'(' {
        return call(&text, key).map(literal);
    }
    separated(&text, key, closed)
}

/// `define('NAME', 'value')`, `put("name", "value")`: the name is the first argument of something that sets.
fn argument(text: &Text<'_>, key: &Range<usize>, closed: usize) -> Option<Range<usize>> {
    let next = text.blanks(closed);
    let open = text.before(key.start.checked_sub(1)?);
    if text.at(next) != b',' || !matches!(open, b'(' | b' ') {
        return None;
    }
    let floor = key.start.saturating_sub(48);
    let head = &text.0[floor..key.start];
    let bracket = memchr::memrchr(b'(', head)?;
    let name: Vec<u8> = head[..bracket]
        .iter()
        .rev()
        .take_while(|byte| is_name(**byte))
        .map(u8::to_ascii_lowercase)
        .collect();
    let sets: [&[u8]; 10] = [
        b"enifed",
        b"tes",
        b"tup",
        b"vne",
        b"porp",
        b"gifnoc",
        b"dda",
        b"noitpo",
        b"erots",
        b"retsiger",
    ];
    if !sets.iter().any(|word| memchr::memmem::find(&name, word).is_some()) {
        return None;
    }
    quotation(text, text.spaces(next + 1))
}

/// `setPassword("value")`, `.password('value')`.
fn call(text: &Text<'_>, key: &Range<usize>) -> Option<Range<usize>> {
    let name = &text.0[key.clone()];
    let last = memchr::memrchr(b'.', name).map_or(0, |at| at + 1);
    let own = &name[last..];
    let sets = ["set", "with", "use", "add"]
        .iter()
        .any(|word| own.len() > word.len() && own[..word.len()].eq_ignore_ascii_case(word.as_bytes()));
    let builder = last > 0 || text.before(key.start) == b'.';
    if !(sets || builder && own.len() <= 10) {
        return None;
    }
    let found = quotation(text, text.blanks(key.end + 1))?;
    (text.at(text.blanks(found.end + 1)) == b')').then_some(found)
}

/// A field that holds the name, and beside it one that holds the value: Kubernetes, ECS, CloudFormation, Terraform.
fn pair(text: &Text<'_>, key: &Range<usize>, closed: usize) -> Option<Assigned> {
    let floor = key.start.saturating_sub(24);
    let head = text.0[floor..key.start].trim_ascii_end();
    let head = head
        .strip_suffix(b"\"")
        .or_else(|| head.strip_suffix(b"'"))
        .unwrap_or(head)
        .trim_ascii_end();
    let head = head
        .strip_suffix(b":")
        .or_else(|| head.strip_suffix(b"="))?
        .trim_ascii_end();
    let head = head
        .strip_suffix(b"\"")
        .or_else(|| head.strip_suffix(b"'"))
        .unwrap_or(head);
    let ends = |word: &[u8]| head.len() >= word.len() && head[head.len() - word.len()..].eq_ignore_ascii_case(word);
    if !(ends(b"name") || ends(b"key") || ends(b"parameterkey") || ends(b"field")) {
        return None;
    }
    let next = text.spaces(closed);
    let next = if text.at(next) == b',' {
        text.spaces(next + 1)
    } else {
        next
    };
    let next = text.skip(next, 1, |byte| matches!(byte, b'"' | b'\''));
    let words: [&[u8]; 5] = [b"parametervalue", b"value", b"val", b"default", b"stringvalue"];
    let word = words.iter().find(|word| text.starts(next, word))?;
    let next = text.skip(next + word.len(), 1, |byte| matches!(byte, b'"' | b'\''));
    let next = text.blanks(next);
    if !matches!(text.at(next), b':' | b'=') {
        return None;
    }
    let from = text.blanks(next + 1);
    match quotation(text, from) {
        Some(value) => Some(Assigned {
            value,
            style: Style::Literal,
        }),
        None => bare(text, from, true),
    }
}

/// `name = value` and its relatives.
fn separated(text: &Text<'_>, key: &Range<usize>, closed: usize) -> Option<Assigned> {
    let mut at = text.blanks(closed);
    // A type between name and sign: Go's `password string = "…"`, an INI file's `S:"Password"=…`.
    if text.at(at).is_ascii_alphabetic() && at > closed && closed == key.end {
        let word = text.skip(at, 16, |byte| byte.is_ascii_alphanumeric());
        let next = text.blanks(word);
        if next == word || text.at(next) != b'=' {
            return None;
        }
        let from = text.blanks(next + 1);
        return quotation(text, from).map(|value| Assigned {
            value,
            style: Style::Literal,
        });
    }
    let mark = text.at(at);
    let tight = at == key.end;
    let end = match (mark, text.at(at + 1)) {
        (b'=', b'=') | (b'!' | b'<', _) => return None,
        (b'=', b'>') | (b':', b'=') | (b'?', b'=') | (b'-', b'>') => at + 2,
        // LDIF's Base64 (RFC 2849) has a blank behind; a path of names has none.
        (b':', b':') if matches!(text.at(at + 2), b' ' | b'=') => at + if text.at(at + 2) == b'=' { 3 } else { 2 },
        (b':', b':') => return None,
        (b'=', _) => at + 1,
        (b':', _) => at + 1,
        (b'|', b'|') if text.at(at + 2) == b'=' => at + 3,
        _ => return None,
    };
    at = text.blanks(end);
    // JSON printed with the value on the next line.
    if text.at(at) == b'\n' && closed > key.end && mark == b':' {
        at = text.spaces(at);
    }
    // What may stand before the opening quote: b"", u'', @"", N'', new String(
    let prefix = text.skip(at, 2, |byte| {
        matches!(
            byte,
            b'b' | b'r' | b'u' | b'f' | b'L' | b'N' | b'@' | b'B' | b'R' | b'U'
        )
    });
    if let Some(value) = quotation(text, at).or_else(|| quotation(text, prefix)) {
        // An f-string or a template computes its value; the value's check sees the braces.
        return Some(Assigned {
            value,
            style: Style::Literal,
        });
    }
    let typed = text.skip(at, 24, |byte| {
        is_name(byte) || matches!(byte, b'&' | b'\'' | b'?' | b'[' | b']' | b'<' | b'>' | b'|' | b'*')
    });
    if mark == b':' && typed > at {
        // An annotation: `password: str = "…"`.
        let next = text.blanks(typed);
        if text.at(next) == b'=' && text.at(next + 1) != b'=' {
            let from = text.blanks(next + 1);
            let prefix = text.skip(from, 2, |byte| byte.is_ascii_alphabetic());
            return quotation(text, from)
                .or_else(|| quotation(text, prefix))
                .map(|value| Assigned {
                    value,
                    style: Style::Literal,
                });
        }
    }
    let lead = text.before(key.start);
    if mark == b'=' && tight && matches!(lead, b'?' | b'&' | b';') {
        let end = text.skip(at, LONGEST, |byte| {
            !byte.is_ascii_whitespace()
                && !matches!(
                    byte,
                    b'&' | b';' | b'"' | b'\'' | b'<' | b'>' | b'`' | b')' | b'#' | b'\\'
                )
        });
        return (end > at).then_some(Assigned {
            value: at..end,
            style: Style::Inline,
        });
    }
    // A quoted name has a quoted value, or a number: JSON.
    let alone = begins_line(text, key.start);
    let mut found = bare(text, at, alone)?;
    // `"dbname=x user=y password=z"`: pairs parted by blanks are a connection string or a log line, not arguments.
    let neighbour = || {
        let head = text.0[key.start.saturating_sub(96)..key.start].trim_ascii_end();
        let word = &head[memchr::memrchr(b' ', head).map_or(0, |at| at + 1)..];
        let equals = memchr::memchr(b'=', word).unwrap_or(0);
        let name = word[..equals]
            .trim_ascii_start()
            .strip_prefix(b"\"")
            .unwrap_or(&word[..equals]);
        let name = &name[name
            .iter()
            .rposition(|byte| matches!(byte, b'"' | b'\'' | b'('))
            .map_or(0, |at| at + 1)..];
        !name.is_empty() && name.iter().all(|byte| is_name(*byte)) && equals + 1 < word.len() && !word.ends_with(b",")
    };
    if mark == b'=' && tight && at == end && found.style == Style::Inline && lead == b' ' && neighbour() {
        found.style = Style::Literal;
    }
    if mark == b'=' && tight && at == end && found.style == Style::Code && text.at(found.value.end) == b';' {
        // Connection strings: `Password=…;Database=…`.
        found.style = Style::Inline;
    }
    // `name: a word in a sentence` is prose; `name=value name=value` is a log or a command.
    let parted = || {
        let head = text.0[key.start.saturating_sub(8)..key.start].trim_ascii_end();
        let end = text.blanks(found.value.end);
        matches!(head.last(), Some(b'/' | b',' | b'|' | b';' | b'(' | b'-' | b'*' | b'`'))
            && matches!(text.at(end), b'\n' | b'\r' | 0 | b')' | b'|' | b',' | b'/')
    };
    // `passwd: files systemd` and `Password: something you know` are no passwords, `Password: hunter2 (old)` is one.
    let word = || text.0[found.value.clone()].iter().all(u8::is_ascii_alphabetic);
    (found.style != Style::Inline || mark == b'=' || (alone && !word()) || parted()).then_some(found)
}

/// Whether only marks, keywords of shells and configuration, or a path of names stand before the name on its line.
fn begins_line(text: &Text<'_>, start: usize) -> bool {
    let floor = start.saturating_sub(96);
    let from = memchr::memrchr(b'\n', &text.0[floor..start]).map_or(floor, |at| floor + at + 1);
    let head = text.0[from..start].trim_ascii();
    let head = head.trim_ascii_start();
    let bare = |head: &[u8]| {
        head.iter().all(|byte| {
            matches!(
                byte,
                b'-' | b'*'
                    | b'"'
                    | b'\''
                    | b' '
                    | b'\t'
                    | b'$'
                    | b':'
                    | b'#'
                    | b'/'
                    | b'{'
                    | b'@'
                    | b'['
                    | b'+'
                    | b'>'
            )
        })
    };
    let words: [&[u8]; 9] = [
        b"export ",
        b"set ",
        b"env ",
        b"setenv ",
        b"arg ",
        b"declare -x ",
        b"local ",
        b"setx ",
        b"$env",
    ];
    bare(head)
        || words.iter().any(|word| {
            let word = word.trim_ascii();
            head.len() >= word.len() && head[..word.len()].eq_ignore_ascii_case(word) && bare(&head[word.len()..])
        })
}

/// A value without quotes.
fn bare(text: &Text<'_>, from: usize, alone: bool) -> Option<Assigned> {
    let stop = text.skip(from, LONGEST, |byte| !byte.is_ascii_whitespace());
    if stop == from || stop - from >= LONGEST {
        return None;
    }
    let mut end = stop;
    let next = text.blanks(stop);
    let rest = text.at(next);
    let done = matches!(rest, b'\n' | b'\r' | 0);
    let comment = next > stop && matches!((rest, text.at(next + 1)), (b'#' | b';', _) | (b'/', b'/'));
    let shell = next > stop && matches!(rest, b'\\' | b'&' | b'|' | b'-');
    // Quotes and brackets of what stands around: `"… password=x"`, `(password=x)`, `{password: x}`.
    while end > from
        && matches!(text.before(end), b'"' | b'\'' | b'`' | b'>' | b']')
        && !matches!(text.at(from), b'"' | b'\'' | b'<' | b'[')
    {
        end -= 1;
    }
    let mut code = false;
    if let Some(at) = text.0[from..end]
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\''))
        .filter(|at| *at > 0)
    {
        // `password=x"` with more behind: the quote closes something that began before.
        end = from + at;
    }
    while end > from && matches!(text.before(end), b',' | b';' | b')' | b'}') {
        // A closing bracket belongs to the value if it was opened there.
        let close = text.before(end);
        let inside = &text.0[from..end - 1];
        if (close == b')' && inside.contains(&b'(')) || (close == b'}' && inside.contains(&b'{')) {
            break;
        }
        end -= 1;
        code = true;
    }
    if let Some(at) = text.0[from..end].iter().position(|byte| *byte == b';') {
        end = from + at;
        code = true;
    }
    // `a=1,password=x,b=2`
    if let Some(at) = text.0[from..end]
        .iter()
        .position(|byte| matches!(byte, b',' | b'&'))
        .filter(|at| text.0[from + at..end].contains(&b'='))
    {
        end = from + at;
        code = true;
    }
    if end == from {
        return None;
    }
    let style = if code {
        Style::Code
    } else if (done || comment || shell) && alone {
        Style::Line
    } else {
        Style::Inline
    };
    Some(Assigned {
        value: from..end,
        style,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, expected: Option<(&str, Style)>) {
        let start = text.find(name).unwrap();
        let key = super::super::key::around(text.as_bytes(), start..start + name.len());
        let found = value_of(text.as_bytes(), &key);
        assert_eq!(
            found.as_ref().map(|found| (&text[found.value.clone()], found.style)),
            expected,
            "{text}"
        );
    }

    #[test]
    fn notations() {
        use Style::{Code, Inline, Line, Literal};
        for (text, name, value, style) in [
            ("password=hunter2\n", "password", "hunter2", Line),
            ("export DB_PASSWORD=hunter2 # x", "PASSWORD", "hunter2", Line),
            ("  password: hunter2", "password", "hunter2", Line),
            ("{\"password\": \"hunter2\"}", "password", "hunter2", Literal),
            ("{\\\"password\\\": \\\"hunter2\\\"}", "password", "hunter2", Literal),
            ("'password' => 'hunter2',", "password", "hunter2", Literal),
            ("$cfg['x']['password'] = 'hunter2';", "password", "hunter2", Literal),
            ("define('DB_PASSWORD', 'hunter2');", "PASSWORD", "hunter2", Literal),
            ("<password>hunter2</password>", "password", "hunter2", Literal),
            ("<Pass encoding=\"base64\">aHVu</Pass>", "Pass", "aHVu", Literal),
            (
                "<password><![CDATA[hunter2]]></password>",
                "password",
                "hunter2",
                Literal,
            ),
            (
                "<add key=\"Password\" value=\"hunter2\" />",
                "Password",
                "hunter2",
                Literal,
            ),
            (
                "<string name=\"api_key\">hunter2</string>",
                "api_key",
                "hunter2",
                Literal,
            ),
            (
                "<user name=\"a\" password=\"hunter2\"/>",
                "password",
                "hunter2",
                Literal,
            ),
            (
                "<key>Password</key>\n  <string>hunter2</string>",
                "Password",
                "hunter2",
                Literal,
            ),
            ("<Password>\n <Value>hunter2</Value>", "Password", "hunter2", Literal),
            ("- name: DB_PASSWORD\n  value: hunter2\n", "PASSWORD", "hunter2", Line),
            (
                "{\"name\": \"PASSWORD\", \"value\": \"hunter2\"}",
                "PASSWORD",
                "hunter2",
                Literal,
            ),
            ("user.setPassword(\"hunter2\");", "Password", "hunter2", Literal),
            ("password: str = \"hunter2\"", "password", "hunter2", Literal),
            ("var password string = \"hunter2\"", "password", "hunter2", Literal),
            ("Server=x;Password=hunter2;Database=y", "Password", "hunter2", Inline),
            (
                "jdbc:mysql://h/d?user=a&password=hunter2&x=1",
                "password",
                "hunter2",
                Inline,
            ),
            ("login(user=u, password=pw)", "password", "pw", Code),
            ("ok user=a password=hunter2 from=b", "password", "hunter2", Literal),
            (
                "f(\"dbname=x password=hunter2 host=y\")",
                "password",
                "hunter2",
                Literal,
            ),
            ("with password=hunter2 from=b", "password", "hunter2", Inline),
            ("userPassword:: aHVu\n", "userPassword", "aHVu", Line),
        ] {
            check(text, name, Some((value, style)));
        }
        check("if password == \"x\"", "password", None);
        check("the password is good", "password", None);
        check("write the password: then go", "password", None);
        check("['password', 'user']", "password", None);
        check("get_password(\"x\")", "password", None);
        check("</password>", "password", None);
    }
}
