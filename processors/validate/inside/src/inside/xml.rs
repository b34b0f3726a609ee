//! XML, read as a stream and within bounds. A document type is refused: office formats forbid it, and it is all that an entity bomb
//! needs (ECMA-376 part 2, 8.1; OWASP XXE).

use std::io::{BufRead, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::rules::{self, Rule};

/// What the reader passes on.
pub(crate) enum Xml<'a> {
    /// An element begins.
    Open(&'a str, &'a BytesStart<'a>),
    /// An element ends.
    Close(&'a str),
    /// Text.
    Text(&'a str),
}

/// Why it stopped early.
pub(crate) enum Stop {
    /// The document is broken or hostile.
    Bad(&'static Rule),
    /// The handler wanted no more.
    Enough,
}

static BROKEN: Rule = rules::BROKEN;
static TRUNCATED: Rule = rules::TRUNCATED;
static TOO_DEEP: Rule = rules::TOO_DEEP;
static ENTITIES: Rule = rules::ENTITIES;

/// Passes every element and text to `handle`, until that says false. Names come without their prefix.
pub(crate) fn read(source: impl BufRead, depth: u32, mut handle: impl FnMut(Xml<'_>) -> bool) -> Result<(), Stop> {
    let mut reader = Reader::from_reader(source);
    reader.config_mut().check_end_names = true;
    let mut buffer = Vec::new();
    let mut open = 0u32;
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|_| Stop::Bad(&BROKEN))?;
        let go_on = match &event {
            Event::Start(start) => {
                open += 1;
                if open > depth {
                    return Err(Stop::Bad(&TOO_DEEP));
                }
                handle(Xml::Open(&String::from_utf8_lossy(start.local_name().as_ref()), start))
            }
            Event::Empty(start) => {
                let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                handle(Xml::Open(&name, start)) && handle(Xml::Close(&name))
            }
            Event::End(end) => {
                open = open.saturating_sub(1);
                handle(Xml::Close(&String::from_utf8_lossy(end.local_name().as_ref())))
            }
            Event::Text(text) => match text.decode() {
                Ok(text) => handle(Xml::Text(&text)),
                Err(_) => handle(Xml::Text(&String::from_utf8_lossy(text))),
            },
            Event::CData(text) => handle(Xml::Text(&String::from_utf8_lossy(text))),
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref() {
                    Ok(Some(letter)) => Some(letter),
                    Ok(None) => match &reference[..] {
                        b"amp" => Some('&'),
                        b"lt" => Some('<'),
                        b"gt" => Some('>'),
                        b"quot" => Some('"'),
                        b"apos" => Some('\''),
                        _ => return Err(Stop::Bad(&ENTITIES)),
                    },
                    Err(_) => return Err(Stop::Bad(&BROKEN)),
                };
                let mut space = [0; 4];
                resolved.is_none_or(|letter| handle(Xml::Text(letter.encode_utf8(&mut space))))
            }
            Event::DocType(_) => return Err(Stop::Bad(&ENTITIES)),
            Event::Eof => return if open == 0 { Ok(()) } else { Err(Stop::Bad(&TRUNCATED)) },
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => true,
        };
        if !go_on {
            return Err(Stop::Enough);
        }
    }
}

/// The value of an attribute by its name without prefix.
pub(crate) fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = start
        .attributes()
        .with_checks(false)
        .filter_map(Result::ok)
        .find(|attribute| attribute.key.local_name().as_ref() == name.as_bytes())?;
    let raw = String::from_utf8_lossy(&attribute.value);
    Some(quick_xml::escape::unescape(&raw).map_or_else(|_| raw.to_string(), |value| value.into_owned()))
}

/// Whether a document type is declared within the first bytes; for parts that another parser reads.
pub(crate) fn declares_type(reader: &mut dyn Read) -> bool {
    let mut head = vec![0; 4_096];
    let count = super::meter::fill(reader, &mut head).unwrap_or(0);
    super::active::contains(&head[..count], b"<!DOCTYPE") || super::active::contains(&head[..count], b"<!ENTITY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(xml: &str, rule: &str) {
        match read(xml.as_bytes(), 8, |_| true) {
            Err(Stop::Bad(found)) => assert_eq!(found.name, rule),
            Err(Stop::Enough) => panic!("stopped"),
            Ok(()) => panic!("accepted"),
        }
    }

    #[test]
    fn bombs_and_broken_documents_are_refused() {
        refused("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "structure/xml-entities");
        refused("<a>&b;</a>", "structure/xml-entities");
        refused("<a><b></a>", "structure/broken");
        refused("<a><b></b>", "structure/truncated");
        refused(&"<a>".repeat(9), "structure/nesting");
    }

    #[test]
    fn references_are_resolved() {
        let mut seen = String::new();
        let read = read("<x:a>1 &lt; 2 &#x41;<![CDATA[<b>]]></x:a>".as_bytes(), 8, |xml| {
            if let Xml::Text(text) = xml {
                seen.push_str(text);
            }
            true
        });
        assert!(read.is_ok());
        assert_eq!(seen, "1 < 2 A<b>");
    }
}
