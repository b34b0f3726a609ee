//! JSON (RFC 8259), JSON lines and GeoJSON (RFC 7946), from the beginning of a document.
//!
//! A scanner of its own and not `serde_json`, because the beginning of a large document is not a JSON text but the beginning of one.

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    Json,
    /// One GeoJSON object.
    GeoJson,
    /// An object or array a line.
    Lines,
}

/// Deeper nesting is not taken for JSON. `serde_json` stops at 128.
const DEPTH: usize = 512;
/// Keys of the outermost object that are remembered.
const KEYS: usize = 64;

/// Tells which it is. `claimed_lines` and `claimed_json` say what the name or the declared type promises: a lone number or string is
/// JSON only then, and a single line JSON lines only then.
pub fn detect(text: &str, whole: bool, claimed_lines: bool, claimed_json: bool) -> Option<Shape> {
    let begins = text.trim_start_matches(WHITE).as_bytes().first()?;
    if !matches!(begins, b'{' | b'[') && !claimed_json {
        return None;
    }
    let mut scan = Scan::new(text);
    match scan.value() {
        End::Invalid => None,
        End::Open => (!whole).then(|| scan.shape()),
        End::Complete => {
            let rest = text[scan.at..].trim_start_matches(WHITE);
            if rest.is_empty() {
                let lines = claimed_lines && matches!(begins, b'{' | b'[');
                return Some(if lines { Shape::Lines } else { scan.shape() });
            }
            lines(text, whole).then_some(Shape::Lines)
        }
    }
}

const WHITE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Every line is an object or array; the last may be cut.
fn lines(text: &str, whole: bool) -> bool {
    let mut full = 0;
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        let cut = lines.peek().is_none() && !whole;
        let line = line.trim_matches(WHITE);
        if line.is_empty() {
            continue;
        }
        let mut scan = Scan::new(line);
        let good = match scan.value() {
            End::Complete => scan.at == line.len(),
            End::Open => cut,
            End::Invalid => false,
        };
        if !good || !line.starts_with(['{', '[']) {
            return false;
        }
        full += 1;
    }
    full > 1
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// A value ended.
    Complete,
    /// The text ended first, and could go on.
    Open,
    /// No text that goes on like this is JSON.
    Invalid,
}

/// Whether a step went well.
type Step = Result<(), End>;

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// For each open bracket, whether it is an object's.
    open: Vec<bool>,
    keys: Vec<&'a str>,
    /// The value of the outermost `type`, if it is a string.
    kind: Option<&'a str>,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            open: Vec::new(),
            keys: Vec::new(),
            kind: None,
        }
    }

    fn shape(&self) -> Shape {
        const GEOMETRIES: [&str; 6] = [
            "Point",
            "MultiPoint",
            "LineString",
            "MultiLineString",
            "Polygon",
            "MultiPolygon",
        ];
        let has = |key: &str| self.keys.contains(&key);
        let geo = match self.kind {
            Some("FeatureCollection") => has("features"),
            Some("Feature") => has("geometry") || has("properties"),
            Some("GeometryCollection") => has("geometries"),
            Some(kind) => GEOMETRIES.contains(&kind) && has("coordinates"),
            None => false,
        };
        if geo { Shape::GeoJson } else { Shape::Json }
    }

    /// Scans one value from here.
    fn value(&mut self) -> End {
        match self.run() {
            Ok(()) => End::Complete,
            Err(end) => end,
        }
    }

    fn peek(&self) -> Result<u8, End> {
        self.bytes.get(self.at).copied().ok_or(End::Open)
    }

    fn white(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn run(&mut self) -> Step {
        loop {
            self.white();
            match self.peek()? {
                b'{' => {
                    self.enter(true)?;
                    if self.closes(b'}')? {
                        self.at += 1;
                        self.open.pop();
                    } else {
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.enter(false)?;
                    if self.closes(b']')? {
                        self.at += 1;
                        self.open.pop();
                    } else {
                        continue;
                    }
                }
                b'"' => drop(self.string()?),
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => return Err(End::Invalid),
            }
            // A value ended: leave what ends with it, or go to the next.
            loop {
                let Some(object) = self.open.last().copied() else {
                    return Ok(());
                };
                self.white();
                match (self.peek()?, object) {
                    (b',', true) => {
                        self.at += 1;
                        self.key()?;
                        break;
                    }
                    (b',', false) => {
                        self.at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        self.open.pop();
                    }
                    _ => return Err(End::Invalid),
                }
            }
        }
    }

    fn enter(&mut self, object: bool) -> Step {
        if self.open.len() == DEPTH {
            return Err(End::Invalid);
        }
        self.open.push(object);
        self.at += 1;
        Ok(())
    }

    fn closes(&mut self, bracket: u8) -> Result<bool, End> {
        self.white();
        Ok(self.peek()? == bracket)
    }

    /// A key and its colon.
    fn key(&mut self) -> Step {
        self.white();
        if self.peek()? != b'"' {
            return Err(End::Invalid);
        }
        let key = self.string()?;
        let outermost = self.open.len() == 1;
        if outermost && self.keys.len() < KEYS {
            self.keys.push(key);
        }
        self.white();
        if self.peek()? != b':' {
            return Err(End::Invalid);
        }
        self.at += 1;
        self.white();
        if outermost && key == "type" && self.kind.is_none() && self.peek()? == b'"' {
            // Scanned once more as a value; it is short.
            let here = self.at;
            self.kind = Some(self.string()?);
            self.at = here;
        }
        Ok(())
    }

    /// A string; gives what stands between the quotes, escapes and all.
    fn string(&mut self) -> Result<&'a str, End> {
        self.at += 1;
        let begin = self.at;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(&self.text[begin..self.at - 1]);
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        b'u' => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek()?.is_ascii_hexdigit() {
                                    return Err(End::Invalid);
                                }
                                self.at += 1;
                            }
                        }
                        _ => return Err(End::Invalid),
                    }
                }
                0..=0x1f => return Err(End::Invalid),
                _ => self.at += 1,
            }
        }
    }

    fn word(&mut self, word: &str) -> Step {
        for expected in word.bytes() {
            if self.peek()? != expected {
                return Err(End::Invalid);
            }
            self.at += 1;
        }
        Ok(())
    }

    fn digits(&mut self) -> Step {
        if !self.peek()?.is_ascii_digit() {
            return Err(End::Invalid);
        }
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Step {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek()?, b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, shape: Option<Shape>) {
        assert_eq!(detect(text, true, false, false), shape, "{text:?}");
    }

    #[test]
    fn shapes() {
        check(r#" {"a": [1, 2.5e-3, "x\n", null, true]} "#, Some(Shape::Json));
        check("[]", Some(Shape::Json));
        check("{\"a\":1}\n{\"a\":2}\n", Some(Shape::Lines));
        check("[1]\r\n\r\n[2]", Some(Shape::Lines));
        check(r#"{"type":"FeatureCollection","features":[]}"#, Some(Shape::GeoJson));
        check(r#"{"coordinates":[1,2],"type":"Point"}"#, Some(Shape::GeoJson));
        check(r#"{"type":"Point"}"#, Some(Shape::Json));
        check(r#"{"inner":{"type":"Point","coordinates":[]}}"#, Some(Shape::Json));
        check(r#"{"a":1} and then"#, None);
        check("[1,]", None);
        check("{\"a\":1,}", None);
        check("[01]", None);
        check("[link](https://example.invalid) is Markdown", None);
        check("42", None);
        check("", None);
        assert_eq!(detect("42", true, false, true), Some(Shape::Json));
        assert_eq!(detect("{\"a\":1}", true, true, false), Some(Shape::Lines));
    }

    #[test]
    fn a_beginning_is_enough_when_there_is_more() {
        let text = r#"{"type":"FeatureCollection","features":[{"type":"Fea"#;
        assert_eq!(detect(text, false, false, false), Some(Shape::GeoJson));
        check(text, None);
        assert_eq!(
            detect("{\"a\":1}\n{\"a\":2}\n{\"a", false, false, false),
            Some(Shape::Lines)
        );
    }

    #[test]
    fn depth_is_bounded() {
        check(&"[".repeat(100_000), None);
        assert_eq!(detect(&"[".repeat(100_000), false, false, false), None);
        check(
            &format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH)),
            Some(Shape::Json),
        );
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_filter_map("finite", |number| serde_json::Number::from_f64(number).map(Into::into)),
            ".{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(".{0,6}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        /// Valid texts, valid texts with one byte changed, and prefixes: the same answer as the reference.
        #[test]
        fn agrees_with_serde(value in value(), pretty: bool, at: prop::sample::Index, byte in "[ -~]", change: bool) {
            let mut text = if pretty { serde_json::to_string_pretty(&value)? } else { value.to_string() };
            if change {
                let places: Vec<usize> = text.char_indices().filter(|(_, c)| c.is_ascii()).map(|(at, _)| at).collect();
                if !places.is_empty() {
                    let place = places[at.index(places.len())];
                    text.replace_range(place..place + 1, &byte);
                }
            }
            let ours = detect(&text, true, false, true).is_some_and(|shape| shape != Shape::Lines);
            // A number too large for f64 and half a surrogate pair are grammatical, though serde_json refuses them.
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            let grammar = !matches!(&theirs, Err(error) if error.to_string().contains("out of range") || error.to_string().contains("surrogate"));
            if grammar {
                prop_assert_eq!(ours, theirs.is_ok(), "{}", text);
            }
        }

        #[test]
        fn every_prefix_of_a_document_can_go_on(value in value(), at: prop::sample::Index) {
            let text = serde_json::json!([value]).to_string();
            let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
            let cut = &text[..ends[at.index(ends.len())]];
            prop_assert_eq!(detect(cut, false, false, false), Some(Shape::Json), "{}", cut);
        }
    }
}
