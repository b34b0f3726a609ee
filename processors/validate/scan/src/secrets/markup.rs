//! Values in XML and HTML.

use std::ops::Range;

use super::cursor::{LONGEST, Text, quotation};

/// `<name>value</name>`, `<name attribute="…">value`, `<name><![CDATA[value]]>`, `<name value="…"/>`.
pub(super) fn element(text: &Text<'_>, end: usize) -> Option<Range<usize>> {
    let close = if text.at(end) == b'>' {
        end
    } else {
        text.until(end, 256, b'>')?
    };
    if text.before(close) == b'/' {
        let inside = &text.0[end..close];
        let at = memchr::memmem::find(inside, b"value=")?;
        return quotation(text, end + at + 6);
    }
    content(text, close + 1)
}

/// The text of an element that begins at `from`.
fn content(text: &Text<'_>, from: usize) -> Option<Range<usize>> {
    let mut start = text.spaces(from);
    if text.starts(start, b"<![CDATA[") {
        start += 9;
        let end = text.until(start, LONGEST, b']')?;
        return (end > start).then_some(start..end);
    }
    // One inner element with the value: `<Password><Value>…`.
    if text.starts(start, b"<value>") {
        start += 7;
    }
    let mut end = text.until(start, LONGEST, b'<')?;
    while end > start && text.before(end).is_ascii_whitespace() {
        end -= 1;
    }
    (end > start).then_some(start..end)
}

/// The value in the element after the one that holds the name; only where that one says it is a name.
pub(super) fn sibling(text: &Text<'_>, end: usize) -> Option<Range<usize>> {
    let names: [&[u8]; 5] = [b"</key>", b"</name>", b"</param-name>", b"</string>", b"</property>"];
    let name = names.iter().find(|name| text.starts(end, name))?;
    let next = text.spaces(end + name.len());
    let kinds: [&[u8]; 6] = [b"<string", b"<value", b"<data", b"<param-value", b"<val", b"<text"];
    kinds.iter().find(|kind| text.starts(next, kind))?;
    content(text, text.until(next, 128, b'>')? + 1)
}

/// `key="name" value="…"`, `name="name">value</…`.
pub(super) fn attribute(text: &Text<'_>, key: &Range<usize>, closed: usize) -> Option<Range<usize>> {
    let head = text.0[key.start.saturating_sub(24)..key.start - 1].trim_ascii_end();
    let head = head.strip_suffix(b"=")?.trim_ascii_end();
    let names: [&[u8]; 4] = [b"name", b"key", b"property", b"field"];
    if !names
        .iter()
        .any(|name| head.len() >= name.len() && head[head.len() - name.len()..].eq_ignore_ascii_case(name))
    {
        return None;
    }
    let next = text.spaces(closed);
    if text.at(next) == b'>' && text.before(next) != b'=' {
        return content(text, next + 1);
    }
    let names: [&[u8]; 4] = [b"value=", b"content=", b"Value=", b"val="];
    let name = names.iter().find(|name| text.starts(next, name))?;
    quotation(text, next + name.len())
}
