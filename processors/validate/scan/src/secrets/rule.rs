//! A rule, ready to be tried.

use std::borrow::Cow;
use std::sync::OnceLock;

use cofferdam_schemas::Severity;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;

use super::allow::Allow;
use super::gate::{Gate, Shape};

/// Most bytes of a compiled regex, as Rust's `regex` counts them.
pub(crate) const COMPILED: usize = 64 << 20;
/// Most bytes of a lazily built automaton.
const CACHE: usize = 2 << 20;
/// Most bytes of a pattern's text.
pub(crate) const PATTERN: usize = 64 << 10;

/// A regex in the dialect of Go's RE2, which gitleaks' rules are written in: classes such as `\w` are ASCII, a dot is a byte.
/// `\p{…}` switches to Unicode. It is compiled when it is first needed.
#[derive(Debug)]
pub(crate) struct Pattern {
    text: String,
    compiled: OnceLock<Option<Box<Regex>>>,
}

/// The options under which patterns are parsed.
pub(crate) fn dialect(pattern: &str) -> syntax::Config {
    let unicode = pattern.contains("\\p{") || pattern.contains("\\P{");
    syntax::Config::new().unicode(unicode).utf8(false).nest_limit(128)
}

impl Pattern {
    /// Checks the syntax, but does not compile.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() > PATTERN {
            return Err(format!("the pattern is longer than {PATTERN} bytes"));
        }
        let text = literal_braces(text);
        syntax::parse_with(&text, &dialect(&text)).map_err(|error| error.to_string())?;
        Ok(Self {
            text,
            compiled: OnceLock::new(),
        })
    }

    /// The compiled regex; `None` if it is beyond the limits.
    pub fn regex(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| self.compile().ok().map(Box::new))
            .as_deref()
    }

    /// Compiles it afresh, to tell why it cannot be.
    pub fn compile(&self) -> Result<Regex, String> {
        Regex::builder()
            .syntax(dialect(&self.text))
            .configure(
                Regex::config()
                    .utf8_empty(false)
                    .nfa_size_limit(Some(COMPILED))
                    .onepass_size_limit(Some(CACHE))
                    .hybrid_cache_capacity(CACHE),
            )
            .build(&self.text)
            .map_err(|error| error.to_string())
    }

    /// Whether it matches anywhere. A pattern beyond the limits matches nothing; the engine reports it.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }

    /// How many groups it captures; 0 if it does not parse.
    pub fn compile_groups(&self) -> usize {
        let hir = syntax::parse_with(&self.text, &dialect(&self.text));
        hir.map_or(0, |hir| hir.properties().explicit_captures_len())
    }

    /// What is known of all its matches.
    pub fn shape(&self) -> Shape {
        Shape::of(&self.text)
    }
}

/// RE2 takes a brace that begins no repetition as itself; here it must be escaped.
fn literal_braces(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len() + 8);
    let (mut at, mut class) = (0, false);
    while at < bytes.len() {
        let byte = bytes[at];
        match byte {
            b'\\' => {
                out.push(byte);
                at += 1;
                let named =
                    matches!(bytes.get(at), Some(b'p' | b'P' | b'x' | b'u' | b'U')) && bytes.get(at + 1) == Some(&b'{');
                let length = if named {
                    memchr::memchr(b'}', &bytes[at..]).map_or(1, |end| end + 1)
                } else {
                    1
                };
                let end = (at + length).min(bytes.len());
                out.extend_from_slice(&bytes[at..end]);
                at = end;
                continue;
            }
            b'[' if !class => class = true,
            // `[]x]` and `[^]x]` hold the bracket.
            b']' if class && !(out.ends_with(b"[") || out.ends_with(b"[^")) => class = false,
            b'{' if !class => {
                let inside = memchr::memchr(b'}', &bytes[at..]).map_or(&b""[..], |end| &bytes[at + 1..at + end]);
                let digits = inside.first().is_some_and(u8::is_ascii_digit);
                if !digits || !inside.iter().all(|byte| byte.is_ascii_digit() || *byte == b',') {
                    out.push(b'\\');
                }
            }
            _ => {}
        }
        out.push(byte);
        at += 1;
    }
    // Only ASCII bytes were put in, between whole characters: nothing is lost.
    String::from_utf8_lossy(&out).into_owned()
}

/// What the value must be, beyond what the pattern says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// Anything (gitleaks' rules).
    Any,
    /// A password: neither reference nor placeholder.
    Password,
    /// A token: long, not a word, neither reference nor placeholder.
    Token,
    /// `user:password` in Base64.
    Pair,
    /// Base64 of a text.
    Text,
}

impl Value {
    /// By its name in a pack.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "any" => Value::Any,
            "password" => Value::Password,
            "token" => Value::Token,
            "pair" => Value::Pair,
            "text" => Value::Text,
            _ => return None,
        })
    }
}

/// How a rule finds.
#[derive(Debug)]
pub(crate) enum Finder {
    /// By its pattern, beside its keywords.
    Regex {
        pattern: Pattern,
        gates: Vec<Gate>,
        before: usize,
        after: usize,
        lines: bool,
        anchored: bool,
    },
    /// By the document's name alone.
    Name,
    /// A key and its value, in any notation. `keys` and `not` are tried on the key in lower case, its words joined by `_`.
    Assignment { keys: Pattern, not: Option<Pattern> },
    /// A password in a URL.
    Url,
    /// The password column of an SQL `INSERT` or `COPY`, or of a CSV table.
    Column { keys: Pattern },
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    /// `secrets/<id>`.
    pub name: Cow<'static, str>,
    pub severity: Severity,
    pub confidence: f32,
    pub message: Cow<'static, str>,
    pub remediation: Option<Cow<'static, str>>,
    pub citation: Option<Cow<'static, str>>,
    pub finder: Finder,
    pub keywords: Vec<String>,
    pub group: usize,
    pub entropy: f32,
    /// The rule is for these names only.
    pub path: Option<Pattern>,
    /// In documents of these names it is surer.
    pub likely: Option<Pattern>,
    pub value: Value,
    pub allow: Vec<Allow>,
    /// Which of two rules keeps a place: the greater.
    pub rank: i64,
    pub positive: Vec<String>,
    pub negative: Vec<String>,
    /// Its pack and its line there.
    pub pack: usize,
    pub line: usize,
}

impl Rule {
    /// Every regex that belongs to it.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let (one, two) = match &self.finder {
            Finder::Regex { pattern, .. } => (Some(pattern), None),
            Finder::Assignment { keys, not } => (Some(keys), not.as_ref()),
            Finder::Column { keys } => (Some(keys), None),
            Finder::Name | Finder::Url => (None, None),
        };
        let lists = self
            .allow
            .iter()
            .flat_map(|allow| allow.regexes.iter().chain(&allow.paths));
        one.into_iter()
            .chain(two)
            .chain(&self.path)
            .chain(&self.likely)
            .chain(lists)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_as_in_re2() {
        for (text, expected) in [
            (r"x{2,3}{a}", r"x{2,3}\{a}"),
            (r"[{]\{\p{L}{{[^}]+}}", r"[{]\{\p{L}\{\{[^}]+}}"),
            (r"[]{]{1}", r"[]{]{1}"),
            ("ä{", "ä\\{"),
        ] {
            assert_eq!(literal_braces(text), expected);
        }
    }
}
