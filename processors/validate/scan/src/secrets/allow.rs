//! Allowlists, as gitleaks means them: values that look like secrets and are none.

use aho_corasick::AhoCorasick;

use super::rule::Pattern;

/// What an allowlist's regexes are tried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The secret (the default).
    Secret,
    /// All that the rule matched.
    Match,
    /// The line or lines it stands on.
    Line,
}

/// One `[[rules.allowlists]]` or `[allowlist]`.
#[derive(Debug)]
pub(crate) struct Allow {
    pub target: Target,
    /// `condition = "AND"`: every kind of test that is given must hold; otherwise one is enough.
    pub all: bool,
    pub regexes: Vec<Pattern>,
    pub paths: Vec<Pattern>,
    pub stopwords: Option<AhoCorasick>,
    /// For a global list: the rules it is for, all of them when empty.
    pub rules: Vec<String>,
}

/// Where a match stands.
pub(crate) struct Seen<'a> {
    pub secret: &'a str,
    pub whole: &'a str,
    pub line: &'a str,
    pub path: Option<&'a str>,
}

impl Allow {
    /// Whether the match is to be passed over.
    pub fn allows(&self, seen: &Seen<'_>) -> bool {
        let on = match self.target {
            Target::Secret => seen.secret,
            Target::Match => seen.whole,
            Target::Line => seen.line,
        };
        let regexes = || self.regexes.iter().any(|pattern| pattern.is_match(on));
        let paths = || {
            seen.path
                .is_some_and(|path| self.paths.iter().any(|pattern| pattern.is_match(path)))
        };
        let words = || self.stopwords.as_ref().is_some_and(|words| words.is_match(seen.secret));
        if self.all {
            (self.regexes.is_empty() || regexes())
                && (self.paths.is_empty() || paths())
                && (self.stopwords.is_none() || words())
        } else {
            words() || paths() || regexes()
        }
    }
}
