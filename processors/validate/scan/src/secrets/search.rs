//! One pass over a text: keywords, then what each of them leads to.

use std::borrow::Cow;
use std::ops::Range;

use regex_automata::{Anchored, Input};

use super::allow::{Allow, Seen};
use super::assign::{Assigned, Style, value_of};
use super::candidate::{Candidate, line, whole};
use super::engine::Reached;
use super::pack::Packs;
use super::rule::{Finder, Value};
use super::url::{UserInfo, user_info};
use super::value::{self, Verdict};
use super::{key, sql};

/// Most hits of one rule in one text.
const PER_RULE: usize = 2_000;

/// Bytes that regexes may look at in one text: this much for each byte of the text, and a constant.
const WORK: (usize, usize) = (64, 16 << 20);

/// How far back and on a line is looked at.
const LINE: usize = 2048;

/// A scan of one text.
pub(super) struct Scan<'a> {
    packs: &'a Packs,
    text: &'a str,
    path: Option<&'a str>,
    pub found: Vec<Candidate>,
    pub reached: Reached,
    /// Per rule: hits so far, where the next match may begin, and the window that is still open.
    state: Vec<State>,
    work: usize,
    /// The name looked at last, with its value.
    last: (Range<usize>, Option<Assigned>),
    /// The bare value that was read last.
    bare: Range<usize>,
    code: Option<bool>,
}

#[derive(Clone, Default)]
struct State {
    off: bool,
    hits: usize,
    next: usize,
    open: Range<usize>,
}

impl<'a> Scan<'a> {
    pub fn new(packs: &'a Packs, text: &'a str, path: Option<&'a str>) -> Self {
        let mut state = vec![State::default(); packs.rules.len()];
        for &rule in &packs.bound {
            let names = packs.rules[rule].path.as_ref();
            state[rule].off = !names.is_some_and(|names| path.is_some_and(|path| names.is_match(path)));
        }
        let work = WORK.1 + text.len().saturating_mul(WORK.0);
        Self {
            packs,
            text,
            path,
            found: Vec::new(),
            reached: Reached::default(),
            state,
            work,
            last: (0..0, None),
            bare: 0..0,
            code: None,
        }
    }

    pub fn run(&mut self) {
        let packs = self.packs;
        let bytes = self.text.as_bytes();
        for found in packs.keywords.automaton.find_overlapping_iter(bytes) {
            let (start, end) = (found.start(), found.end());
            for one in &packs.keywords.uses[found.pattern().as_usize()] {
                if one.gate.passes(bytes, start, end) && !self.state[one.rule].off {
                    self.at_keyword(one.rule, start..end);
                }
            }
        }
        for &rule in &packs.keywords.named {
            if !self.state[rule].off {
                match packs.rules[rule].finder {
                    Finder::Name => self.push(rule, 0..bytes.len().min(1), Verdict::Secret(1.0), 0.0),
                    _ => self.state[rule].open = 0..bytes.len(),
                }
            }
        }
        for rule in 0..self.state.len() {
            self.close(rule);
        }
        for &rule in &packs.keywords.columns {
            self.table(rule);
        }
    }

    fn at_keyword(&mut self, index: usize, keyword: Range<usize>) {
        let rule = &self.packs.rules[index];
        let bytes = self.text.as_bytes();
        match &rule.finder {
            Finder::Regex {
                before,
                after,
                lines,
                anchored,
                ..
            } => {
                if *anchored {
                    return self.anchored(index, keyword.start, *after);
                }
                let (mut start, mut end) = (
                    keyword.start.saturating_sub(*before),
                    (keyword.end + after).min(bytes.len()),
                );
                if !lines {
                    start = memchr::memrchr(b'\n', &bytes[start..keyword.start]).map_or(start, |at| start + at + 1);
                    end = memchr::memchr(b'\n', &bytes[keyword.end..end]).map_or(end, |at| keyword.end + at + 1);
                }
                let open = &mut self.state[index].open;
                if start <= open.end && open.start < open.end {
                    open.start = open.start.min(start);
                    open.end = open.end.max(end);
                } else {
                    self.close(index);
                    self.state[index].open = start..end;
                }
            }
            Finder::Assignment { .. } => self.assignment(index, keyword),
            Finder::Url => self.url(index, keyword),
            Finder::Column { keys } => {
                if keyword.start >= self.state[index].next {
                    let mut spans = Vec::new();
                    let end = sql::statement(bytes, keyword, keys, |span| spans.push(span));
                    self.state[index].next = end;
                    spans.into_iter().for_each(|span| self.cell(index, span));
                }
            }
            Finder::Name => {}
        }
    }

    /// Tries a pattern that must match at `start`.
    fn anchored(&mut self, index: usize, start: usize, after: usize) {
        if start < self.state[index].next {
            return;
        }
        let end = (start + after).min(self.text.len());
        if let Some(next) = self.matches(index, Input::new(self.text).range(start..end).anchored(Anchored::Yes)) {
            self.state[index].next = next;
        }
    }

    /// Tries a pattern in its open window.
    fn close(&mut self, index: usize) {
        let open = std::mem::take(&mut self.state[index].open);
        let mut at = open.start.max(self.state[index].next);
        while at < open.end {
            match self.matches(index, Input::new(self.text).range(at..open.end)) {
                Some(next) => at = next.max(at + 1),
                None => break,
            }
            self.state[index].next = at;
        }
    }

    /// One search; the end of the match, if there was one.
    fn matches(&mut self, index: usize, input: Input<'_>) -> Option<usize> {
        let rule = &self.packs.rules[index];
        let Finder::Regex { pattern, .. } = &rule.finder else {
            return None;
        };
        let length = input.end() - input.start();
        if self.work < length {
            self.reached.work = true;
            return None;
        }
        let Some(regex) = pattern.regex() else {
            self.reached.size = true;
            return None;
        };
        let mut captures = regex.create_captures();
        regex.search_captures(&input, &mut captures);
        let Some(all) = captures.get_match() else {
            self.work -= length;
            return None;
        };
        self.work -= (all.end().max(input.start() + 1) - input.start()).min(length);
        let group = |at: usize| {
            captures
                .get_group(at)
                .map(|span| span.start..span.end)
                .filter(|span| !span.is_empty())
        };
        let secret = match rule.group {
            0 => (1..captures.group_len()).find_map(group),
            at => group(at),
        };
        let secret = whole(self.text, secret.unwrap_or(all.start()..all.end()));
        let all = whole(self.text, all.start()..all.end());
        self.judge(index, secret, &all);
        Some(all.end)
    }

    /// What the rule asks of a match beyond its pattern.
    fn judge(&mut self, index: usize, secret: Range<usize>, all: &Range<usize>) {
        let rule = &self.packs.rules[index];
        let text = &self.text[secret.clone()];
        if rule.entropy > 0.0 && value::entropy(text) <= rule.entropy {
            return;
        }
        let verdict = check(rule.value, text);
        if verdict != Verdict::No && !self.allowed(index, &secret, all) {
            self.push(index, secret, verdict, 0.0);
        }
    }

    fn allowed(&self, index: usize, secret: &Range<usize>, all: &Range<usize>) -> bool {
        let rule = &self.packs.rules[index];
        let seen = Seen {
            secret: &self.text[secret.clone()],
            whole: &self.text[all.clone()],
            line: &self.text[line(self.text, all, LINE)],
            path: self.path,
        };
        let id = rule.name.strip_prefix("secrets/").unwrap_or(&rule.name);
        rule.allow.iter().any(|allow| allow.allows(&seen))
            || self.packs.infos.iter().enumerate().any(|(pack, info)| {
                // A pack's list is for its own rules; with `targetRules` it can be for those of others.
                let concerns = |allow: &Allow| {
                    if allow.rules.is_empty() {
                        pack == rule.pack
                    } else {
                        allow.rules.iter().any(|name| name == id)
                    }
                };
                info.allow.iter().any(|allow| concerns(allow) && allow.allows(&seen))
            })
    }

    fn push(&mut self, rule: usize, span: Range<usize>, verdict: Verdict, lean: f32) {
        let state = &mut self.state[rule];
        if state.hits >= PER_RULE {
            self.reached.hits = true;
            return;
        }
        state.hits += 1;
        self.found.push(Candidate {
            rule,
            span,
            verdict,
            lean,
        });
    }

    fn assignment(&mut self, index: usize, keyword: Range<usize>) {
        let bytes = self.text.as_bytes();
        // Inside a bare value that has been read there is no name.
        if self.bare.contains(&keyword.start) {
            return;
        }
        let name = key::around(bytes, keyword);
        if self.last.0 != name {
            let found = value_of(bytes, &name);
            self.last = (name.clone(), found);
        } else if self.state[index].next > name.start {
            return;
        }
        self.state[index].next = name.end;
        let Some(assigned) = self.last.1.clone() else { return };
        let rule = &self.packs.rules[index];
        let Finder::Assignment { keys, not } = &rule.finder else {
            return;
        };
        let normal = key::normal(&bytes[name.clone()]);
        if !keys.is_match(&normal) || not.as_ref().is_some_and(|not| not.is_match(&normal)) {
            return;
        }
        let span = whole(self.text, assigned.value.clone());
        if assigned.style != Style::Literal {
            self.bare = span.clone();
        }
        let text = &self.text[span.clone()];
        let verdict = check(rule.value, text);
        if let Some(lean) = (verdict != Verdict::No)
            .then(|| self.lean(text, assigned.style))
            .flatten()
            && (rule.entropy == 0.0 || value::entropy(text) > rule.entropy)
            && !self.allowed(index, &span, &(name.start..span.end.max(name.end)))
        {
            self.push(index, span, verdict, lean);
        }
    }

    /// What the way the value stands there says; `None` for code.
    fn lean(&mut self, text: &str, style: Style) -> Option<f32> {
        let word = text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'))
            || !text.is_ascii() && value::kinds(text) <= 2;
        let name = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match style {
            Style::Literal => (!(word && self.screen())).then_some(0.0),
            Style::Line if word => (!self.code()).then_some(-0.05),
            Style::Line => Some(if name && self.code() { -0.2 } else { 0.0 }),
            Style::Inline if word => (!self.code()).then_some(-0.2),
            Style::Inline => (!(name && self.code())).then_some(-0.1),
            Style::Code => (!(word || name && self.code())).then_some(-0.15),
        }
    }

    /// Whether the document holds texts for a screen, in which `password` is a label.
    fn screen(&self) -> bool {
        is_screen(self.path.unwrap_or_default())
    }

    /// Whether the document is a program: by its name, or by how its first lines end and begin.
    fn code(&mut self) -> bool {
        let (text, path) = (self.text, self.path);
        *self.code.get_or_insert_with(|| is_code(text, path))
    }

    fn url(&mut self, index: usize, keyword: Range<usize>) {
        let (span, floor) = match user_info(self.text.as_bytes(), keyword.end) {
            Some(UserInfo::Password(span)) => (span, 0),
            Some(UserInfo::Alone(span)) => (span, 16),
            None => return,
        };
        let span = whole(self.text, span);
        let text = &self.text[span.clone()];
        let verdict = if floor > 0 {
            value::token(text)
        } else {
            value::password(text)
        };
        if text.len() >= floor && verdict != Verdict::No && !self.allowed(index, &span, &span) {
            self.push(index, span, verdict, 0.0);
        }
    }

    fn cell(&mut self, index: usize, span: Range<usize>) {
        let span = whole(self.text, span);
        let text = &self.text[span.clone()];
        // The column's name says what it is: a few words can be a password here.
        let words = text.len() <= 40 && text.split_ascii_whitespace().count() <= 3;
        let text = if words {
            Cow::Owned(text.replace(' ', "_"))
        } else {
            Cow::Borrowed(text)
        };
        let verdict = check(self.packs.rules[index].value, &text);
        if verdict != Verdict::No && !self.allowed(index, &span, &span) {
            self.push(index, span, verdict, 0.0);
        }
    }

    /// The password column of a CSV file.
    fn table(&mut self, index: usize) {
        let Finder::Column { keys } = &self.packs.rules[index].finder else {
            return;
        };
        let bytes = self.text.as_bytes();
        if let Some((separator, wanted, from)) = sql::header(bytes, keys) {
            let mut spans = Vec::new();
            sql::table(bytes, separator, &wanted, from, |span| {
                if spans.len() <= PER_RULE {
                    spans.push(span);
                }
            });
            spans.into_iter().for_each(|span| self.cell(index, span));
        }
    }
}

fn check(kind: Value, text: &str) -> Verdict {
    match kind {
        Value::Any => Verdict::Secret(1.0),
        Value::Password => value::password(text),
        Value::Token => value::token(text),
        Value::Pair => value::pair(text),
        Value::Text => value::coded(text),
    }
}

/// Whether the document's name is that of texts for a screen.
pub(super) fn is_screen(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    [
        "locale",
        "i18n",
        "l10n",
        "/lang/",
        "language",
        "translation",
        "messages",
    ]
    .iter()
    .any(|part| path.contains(part))
}

/// The extension of a document's name, in lower case.
pub(super) fn extension(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next()?;
    let (_, extension) = name.rsplit_once('.')?;
    Some(extension.to_ascii_lowercase())
}

fn is_code(text: &str, path: Option<&str>) -> bool {
    const PROGRAM: &[&str] = &[
        "py", "rb", "js", "mjs", "cjs", "ts", "jsx", "tsx", "go", "rs", "java", "kt", "c", "h", "cc", "cpp", "hpp",
        "cs", "php", "pl", "pm", "scala", "swift", "lua", "m", "vue", "dart", "ex", "exs", "clj", "hs", "sql", "css",
        "scss", "html",
    ];
    const DATA: &[&str] = &[
        "env",
        "ini",
        "cfg",
        "conf",
        "config",
        "cnf",
        "properties",
        "yml",
        "yaml",
        "json",
        "toml",
        "xml",
        "txt",
        "tfvars",
        "sh",
        "bash",
        "zsh",
        "csv",
        "log",
        "reg",
        "plist",
        "ps1",
        "bat",
    ];
    if let Some(extension) = path.and_then(extension) {
        if PROGRAM.contains(&extension.as_str()) {
            return true;
        }
        if DATA.contains(&extension.as_str()) {
            return false;
        }
    }
    let marks = [
        "def ",
        "import ",
        "class ",
        "fn ",
        "func ",
        "function ",
        "public ",
        "private ",
        "return ",
        "#include",
        "const ",
        "let ",
        "use ",
        "pub ",
    ];
    let (mut all, mut code) = (0, 0);
    for line in text.lines().take(200).map(str::trim).filter(|line| !line.is_empty()) {
        all += 1;
        code += usize::from(marks.iter().any(|mark| line.starts_with(mark)) || line.ends_with([';', '{']));
    }
    all >= 4 && code * 5 >= all
}
