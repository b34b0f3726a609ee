//! Labelled texts: one JSON object a line with `id`, `text` and `spans` (offsets in code points).

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

/// A labelled text could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line.
    #[error("line {line} is not a labelled text")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A span does not lie in its text.
    #[error("line {line} has a span outside its text")]
    Span {
        /// Counted from 1.
        line: usize,
    },
}

/// One label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Bytes.
    pub range: Range<usize>,
    /// As the data have it.
    pub label: String,
    /// As evaluations compare it, see [`coarse`].
    pub coarse: &'static str,
}

/// One text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub id: String,
    /// Itself.
    pub text: String,
    /// Its labels.
    pub spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Line {
    id: String,
    text: String,
    spans: Vec<Label>,
}

#[derive(Deserialize)]
struct Label {
    start: usize,
    end: usize,
    #[serde(rename = "type")]
    label: String,
}

/// The coarse label of a data set's label, the same words as [`coarse_type`](super::coarse_type).
pub fn coarse(label: &str) -> &'static str {
    match label {
        "NAME" | "PERSON" => "NAME",
        "GEOGRAPHIC_LOCATION" | "GPE" | "LOCATION" | "STREET_ADDRESS" | "ZIP_CODE" | "ADDRESS" => "LOC",
        "DATE" | "DATE_TIME" => "DATE",
        "AGE" => "AGE",
        "PHONE_NUMBER" | "FAX_NUMBER" => "PHONE",
        "EMAIL_ADDRESS" => "EMAIL",
        "SOCIAL_SECURITY_NUMBER" | "US_SSN" => "SSN",
        "URL" | "DOMAIN_NAME" | "WEB_URL" => "URL",
        "IP_ADDRESS" => "IP",
        "IBAN_CODE" => "IBAN",
        "CREDIT_CARD" => "CARD",
        "ORGANIZATION" | "NRP" | "TITLE" => "OTHER",
        _ => "ID",
    }
}

/// Reads a file of labelled texts.
pub fn read(path: &Path) -> Result<Vec<Document>, DataError> {
    let text = std::fs::read_to_string(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text)
}

/// Reads labelled texts.
pub fn parse(text: &str) -> Result<Vec<Document>, DataError> {
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            let line_number = index + 1;
            let line: Line = serde_json::from_str(line).map_err(|source| DataError::Line {
                line: line_number,
                source,
            })?;
            let mut places: Vec<usize> = line.text.char_indices().map(|(at, _)| at).collect();
            places.push(line.text.len());
            let spans: Option<Vec<Span>> = line
                .spans
                .into_iter()
                .map(|span| {
                    let (start, end) = (*places.get(span.start)?, *places.get(span.end)?);
                    (start <= end).then(|| Span {
                        range: start..end,
                        coarse: coarse(&span.label),
                        label: span.label,
                    })
                })
                .collect();
            let spans = spans.ok_or(DataError::Span { line: line_number })?;
            Ok(Document {
                id: line.id,
                text: line.text,
                spans,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_code_points() {
        let line = r#"{"id":"a","text":"Åsa K","spans":[{"start":0,"end":3,"type":"PERSON","value":"Åsa"}]}"#;
        let documents = parse(line).unwrap();
        assert_eq!(documents[0].spans[0].range, 0..4);
        assert_eq!(documents[0].spans[0].coarse, "NAME");
        assert!(matches!(
            parse(&line.replace(":3,", ":9,")),
            Err(DataError::Span { line: 1 })
        ));
        assert!(matches!(parse("{}"), Err(DataError::Line { line: 1, .. })));
    }
}
