//! Reads a pack's TOML. Everything that is wrong is told with its line.

use std::borrow::Cow;

use aho_corasick::AhoCorasick;
use cofferdam_schemas::Severity;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::allow::{Allow, Target};
use super::gate::Shape;
use super::pack::{PackError, PackSource};
use super::rule::{Finder, Pattern, Rule, Value};

/// Most rules of a pack.
const RULES: usize = 5_000;
/// Most bytes of a pack.
const BYTES: usize = 8 << 20;
/// Most keywords of a rule.
const KEYWORDS: usize = 200;
/// Furthest that a pattern without a longest match is followed.
const FAR: usize = 16 << 10;
/// The same for patterns that stay on a line.
const LINE: usize = 4 << 10;
/// Around a keyword that is no part of the pattern: the rest may stand some lines away.
const NEAR: usize = 2 << 10;

/// A pack that has been read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub version: String,
    pub rules: Vec<Rule>,
    pub allow: Vec<Allow>,
    pub changes: Vec<Change>,
    /// Keys that are not understood, with their lines: passed over, but told.
    pub unknown: Vec<String>,
}

/// `[[changes]]`: other severities for rules of any pack.
#[derive(Debug)]
pub(crate) struct Change {
    pub ids: Vec<String>,
    pub severity: Option<Severity>,
    pub confidence: Option<f32>,
    pub value: Option<Value>,
    pub remediation: Option<String>,
    pub citation: Option<String>,
}

type Table<'i> = DeTable<'i>;

struct Reader<'a> {
    source: &'a PackSource,
    pack: usize,
    errors: Vec<PackError>,
    unknown: Vec<String>,
}

/// Reads the pack.
pub(crate) fn read(source: &PackSource, pack: usize, errors: &mut Vec<PackError>) -> Read {
    let mut reader = Reader {
        source,
        pack,
        errors: Vec::new(),
        unknown: Vec::new(),
    };
    let mut out = Read::default();
    if source.text.len() > BYTES {
        reader.error(0..0, "", format!("the pack is longer than {BYTES} bytes"));
    } else {
        match DeTable::parse(&source.text) {
            Ok(table) => reader.pack(table.get_ref(), &mut out),
            Err(error) => reader.error(error.span().unwrap_or_default(), "", error.message().to_owned()),
        }
    }
    out.unknown = reader.unknown;
    errors.append(&mut reader.errors);
    out
}

fn strings(value: &Spanned<DeValue<'_>>) -> Option<Vec<(String, std::ops::Range<usize>)>> {
    let values = value.get_ref().as_array()?;
    values
        .iter()
        .map(|value| Some((value.get_ref().as_str()?.to_owned(), value.span())))
        .collect()
}

fn number(value: &DeValue<'_>) -> Option<f32> {
    let text = value
        .as_float()
        .map(|float| float.as_str())
        .or_else(|| value.as_integer().map(|integer| integer.as_str()))?;
    text.replace('_', "")
        .parse()
        .ok()
        .filter(|number: &f32| number.is_finite())
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        let bytes = self.source.text.as_bytes();
        1 + memchr::memchr_iter(b'\n', &bytes[..at.min(bytes.len())]).count()
    }

    fn error(&mut self, span: std::ops::Range<usize>, rule: &str, what: String) {
        let line = self.line(span.start);
        self.errors.push(PackError {
            pack: self.source.name.clone(),
            line,
            rule: rule.to_owned(),
            what,
        });
    }

    fn unknown(&mut self, key: &Spanned<Cow<'_, str>>, rule: &str) {
        let line = self.line(key.span().start);
        self.unknown.push(format!(
            "{}:{line}: {rule}: `{}` is not supported",
            self.source.name,
            key.get_ref()
        ));
    }

    fn pack(&mut self, table: &Table<'_>, out: &mut Read) {
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("rules", DeValue::Array(rules)) => {
                    if rules.len() > RULES {
                        self.error(value.span(), "", format!("more than {RULES} rules"));
                        continue;
                    }
                    for one in rules.iter() {
                        match one.get_ref().as_table() {
                            Some(rule) => out.rules.extend(self.rule(rule)),
                            None => self.error(one.span(), "", "a rule is a table".to_owned()),
                        }
                    }
                }
                ("allowlist", DeValue::Table(allow)) => out.allow.extend(self.allow(allow, "")),
                ("allowlists", DeValue::Array(lists)) => {
                    for allow in lists.iter().filter_map(|one| one.get_ref().as_table()) {
                        out.allow.extend(self.allow(allow, ""));
                    }
                }
                ("changes", DeValue::Array(changes)) => {
                    for change in changes.iter().filter_map(|one| one.get_ref().as_table()) {
                        out.changes.extend(self.change(change));
                    }
                }
                ("version", DeValue::String(version)) => out.version = version.to_string(),
                ("title" | "minVersion" | "description" | "licence", _) => {}
                _ => self.unknown(key, "pack"),
            }
        }
    }

    fn pattern(&mut self, text: &str, span: std::ops::Range<usize>, rule: &str) -> Option<Pattern> {
        Pattern::new(text).map_err(|error| self.error(span, rule, error)).ok()
    }

    fn patterns(&mut self, value: &Spanned<DeValue<'_>>, rule: &str) -> Vec<Pattern> {
        let Some(texts) = strings(value) else {
            self.error(value.span(), rule, "a list of strings is wanted".to_owned());
            return Vec::new();
        };
        texts
            .into_iter()
            .filter_map(|(text, span)| self.pattern(&text, span, rule))
            .collect()
    }

    fn allow(&mut self, table: &Table<'_>, rule: &str) -> Option<Allow> {
        let mut allow = Allow {
            target: Target::Secret,
            all: false,
            regexes: Vec::new(),
            paths: Vec::new(),
            stopwords: None,
            rules: Vec::new(),
        };
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("description", _) => {}
                ("regexes", _) => allow.regexes = self.patterns(value, rule),
                ("paths", _) if self.source.ignore_paths && rule.is_empty() => {}
                ("paths", _) => allow.paths = self.patterns(value, rule),
                ("regexTarget", DeValue::String(target)) => match target.as_ref() {
                    "match" => allow.target = Target::Match,
                    "line" => allow.target = Target::Line,
                    "" | "secret" => {}
                    other => self.error(value.span(), rule, format!("unknown regexTarget `{other}`")),
                },
                ("condition", DeValue::String(condition)) => allow.all = matches!(condition.as_ref(), "AND" | "&&"),
                ("stopwords", _) => {
                    let words: Vec<String> = strings(value)
                        .unwrap_or_default()
                        .into_iter()
                        .map(|(word, _)| word)
                        .filter(|word| !word.is_empty())
                        .collect();
                    allow.stopwords = AhoCorasick::builder()
                        .ascii_case_insensitive(true)
                        .build(&words)
                        .ok()
                        .filter(|_| !words.is_empty());
                }
                ("targetRules", _) => {
                    allow.rules = strings(value)
                        .unwrap_or_default()
                        .into_iter()
                        .map(|(id, _)| id)
                        .collect()
                }
                _ => self.unknown(key, rule),
            }
        }
        let empty = allow.regexes.is_empty() && allow.paths.is_empty() && allow.stopwords.is_none();
        (!empty).then_some(allow)
    }

    fn severity(&mut self, value: &Spanned<DeValue<'_>>, rule: &str) -> Option<Severity> {
        let found = match value.get_ref().as_str() {
            Some("info") => Severity::Info,
            Some("low") => Severity::Low,
            Some("medium") => Severity::Medium,
            Some("high") => Severity::High,
            Some("critical") => Severity::Critical,
            _ => {
                self.error(
                    value.span(),
                    rule,
                    "severity is info, low, medium, high or critical".to_owned(),
                );
                return None;
            }
        };
        Some(found)
    }

    fn change(&mut self, table: &Table<'_>) -> Option<Change> {
        let mut change = Change {
            ids: Vec::new(),
            severity: None,
            confidence: None,
            value: None,
            remediation: None,
            citation: None,
        };
        for (key, value) in table {
            let text = || value.get_ref().as_str().map(str::to_owned);
            match key.get_ref().as_ref() {
                "ids" => change.ids = strings(value)?.into_iter().map(|(id, _)| id).collect(),
                "severity" => change.severity = self.severity(value, "changes"),
                "confidence" => change.confidence = number(value.get_ref()),
                "value" => change.value = value.get_ref().as_str().and_then(Value::named),
                "remediation" => change.remediation = text(),
                "citation" => change.citation = text(),
                _ => self.unknown(key, "changes"),
            }
        }
        Some(change)
    }

    fn rule(&mut self, table: &Table<'_>) -> Option<Rule> {
        let before = self.errors.len();
        let named = table.iter().find(|(key, _)| key.get_ref() == "id");
        let (id, at) = match named.and_then(|(_, value)| Some((value.get_ref().as_str()?.to_owned(), value.span()))) {
            Some(found) => found,
            None => {
                let at = table.iter().next().map_or(0..0, |(key, _)| key.span());
                self.error(at, "", "a rule needs an id".to_owned());
                return None;
            }
        };
        if id.is_empty()
            || id.len() > 64
            || !id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        {
            self.error(
                at.clone(),
                &id,
                "an id is 1 to 64 letters, digits, `-`, `_` or `.`".to_owned(),
            );
        }
        let mut rule = Rule {
            name: Cow::Owned(format!("secrets/{id}")),
            severity: Severity::High,
            confidence: 0.8,
            message: Cow::Borrowed("a credential is written in clear"),
            remediation: Some(Cow::Borrowed(
                "revoke and rotate it where it was issued, then keep it in a secret store",
            )),
            citation: Some(Cow::Borrowed("CWE-798")),
            finder: Finder::Name,
            keywords: Vec::new(),
            group: 0,
            entropy: 0.0,
            path: None,
            likely: None,
            value: Value::Any,
            allow: Vec::new(),
            rank: 50,
            positive: Vec::new(),
            negative: Vec::new(),
            pack: self.pack,
            line: self.line(at.start),
        };
        let (mut regex, mut keys, mut not, mut detector) = (None, None, None, None);
        for (key, value) in table {
            let span = value.span();
            let text = value.get_ref().as_str();
            match (key.get_ref().as_ref(), text) {
                ("id", _) | ("tags", _) => {}
                ("description", Some(text)) => rule.message = Cow::Owned(text.to_owned()),
                ("remediation", Some(text)) => rule.remediation = Some(Cow::Owned(text.to_owned())),
                ("citation", Some(text)) => rule.citation = Some(Cow::Owned(text.to_owned())),
                ("regex", Some(text)) => regex = self.pattern(text, span, &id),
                ("keys", Some(text)) => keys = self.pattern(text, span, &id),
                ("not", Some(text)) => not = self.pattern(text, span, &id),
                ("path", Some(text)) => rule.path = self.pattern(text, span, &id),
                ("likely", Some(text)) => rule.likely = self.pattern(text, span, &id),
                ("detector", Some(text)) => detector = Some(text.to_owned()),
                ("value", Some(text)) => match Value::named(text) {
                    Some(value) => rule.value = value,
                    None => self.error(span, &id, "value is any, password, token, pair or text".to_owned()),
                },
                ("severity", Some(_)) => rule.severity = self.severity(value, &id).unwrap_or(rule.severity),
                ("confidence", _) => match number(value.get_ref()).filter(|number| (0.0..=1.0).contains(number)) {
                    Some(number) => rule.confidence = number,
                    None => self.error(span, &id, "confidence is 0 to 1".to_owned()),
                },
                ("entropy", _) => match number(value.get_ref()) {
                    Some(number) => rule.entropy = number,
                    None => self.error(span, &id, "entropy is a number of bits".to_owned()),
                },
                ("rank", _) => {
                    rule.rank = number(value.get_ref())
                        .map_or(50, |number| number as i64)
                        .clamp(-1000, 1000)
                }
                ("secretGroup", _) => rule.group = number(value.get_ref()).map_or(0, |number| number as usize),
                ("keywords" | "positive" | "negative", _) => {
                    let Some(list) = strings(value) else {
                        self.error(span, &id, format!("`{}` is a list of strings", key.get_ref()));
                        continue;
                    };
                    let list = list.into_iter().map(|(text, _)| text);
                    match key.get_ref().as_ref() {
                        "positive" => rule.positive = list.collect(),
                        "negative" => rule.negative = list.collect(),
                        _ => {
                            rule.keywords = list
                                .map(|word| word.to_ascii_lowercase())
                                .filter(|word| !word.is_empty())
                                .collect()
                        }
                    }
                }
                ("allowlists", _) => {
                    let lists = value.get_ref().as_array().into_iter().flat_map(|lists| lists.iter());
                    let lists: Vec<_> = lists.filter_map(|one| one.get_ref().as_table()).collect();
                    rule.allow = lists.into_iter().filter_map(|list| self.allow(list, &id)).collect();
                }
                ("allowlist", _) => rule
                    .allow
                    .extend(value.get_ref().as_table().and_then(|list| self.allow(list, &id))),
                _ => self.unknown(key, &id),
            }
        }
        if rule.keywords.len() > KEYWORDS || rule.keywords.iter().any(|word| word.len() > 256) {
            self.error(
                at.clone(),
                &id,
                format!("more than {KEYWORDS} keywords, or one of more than 256 bytes"),
            );
        }
        rule.finder = match (detector.as_deref(), regex, keys) {
            (None, Some(regex), None) => finder(regex, &rule),
            (None, None, None) if rule.path.is_some() => Finder::Name,
            (Some("assignment"), None, Some(keys)) => Finder::Assignment { keys, not },
            (Some("url"), None, None) => Finder::Url,
            (Some("columns"), None, Some(keys)) => Finder::Column { keys },
            _ if self.errors.len() > before => return None,
            _ => {
                self.error(
                    at,
                    &id,
                    "a rule needs a regex, or a path alone, or a detector with what belongs to it".to_owned(),
                );
                return None;
            }
        };
        if let Finder::Regex { pattern, .. } = &rule.finder {
            let groups = pattern.compile_groups();
            if rule.group > groups {
                self.error(
                    at.clone(),
                    &id,
                    format!("secretGroup is {}, the regex has {groups} groups", rule.group),
                );
            }
        }
        if rule.keywords.is_empty() && rule.path.is_none() {
            self.error(
                at,
                &id,
                "a rule needs keywords, or a path: without, it would be tried on every byte".to_owned(),
            );
        }
        (self.errors.len() == before).then_some(rule)
    }
}

/// Where a regex is tried, from its shape.
fn finder(pattern: Pattern, rule: &Rule) -> Finder {
    let shape: Shape = pattern.shape();
    let anchored = shape.starts_with_any(&rule.keywords);
    let gates = rule
        .keywords
        .iter()
        .map(|keyword| shape.gate(keyword, anchored))
        .collect();
    // A blank after a word is often a class of blanks in the pattern.
    let own = rule.keywords.iter().all(|keyword| shape.holds(keyword.trim()));
    let (before, after, lines) = match shape.longest {
        _ if !own => (NEAR, NEAR, true),
        Some(longest) if longest <= FAR => (longest, longest, true),
        _ if shape.lines => (NEAR, FAR, true),
        _ => (LINE, LINE, false),
    };
    let after = if anchored && shape.longest.is_none() {
        FAR
    } else {
        after
    };
    Finder::Regex {
        pattern,
        gates,
        before,
        after: after + 4,
        lines,
        anchored,
    }
}
