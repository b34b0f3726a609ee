//! Prompt injection and training-data poisoning.
//!
//! A text is scored as it stands and, where something is hidden in it, in its readable form; the higher score
//! counts. Rules say what was found and where, a linear model over hashed n-grams and some counts says how much a
//! stretch of text reads like an attack on a model. Every chunk and every four neighbouring chunks are scored; the
//! best one, less a penalty for the number of tries, is the score of the document, so that long documents are
//! flagged no more often than short ones.
//!
//! What it cannot do: tell a harmless sentence in the wrong place ("What is the capital of Peru?" in an e-mail) from
//! the same sentence where it belongs. Rules and score are evidence, no proof.

mod draft;
mod error;
pub mod evaluate;
mod explain;
pub mod features;
mod keywords;
pub mod language;
mod lexicon;
pub mod model;
mod needs;
pub mod normalise;
mod patterns;
pub mod poison;
pub mod rules;
mod segments;
mod skim;
#[cfg(test)]
mod tests;
pub mod train;
mod windows;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use cofferdam_schemas::Severity;

pub use error::InjectionError;
pub use explain::Strong;

use crate::hit::Hit;
use crate::phi::pack::PackSource;
use features::{Lore, Memo, Reader};
use model::Model;
use normalise::{Clues, Evidence, Normal, normalise};
use rules::{Category, Findings, Rules};
use skim::Skim;
use windows::{Chunk, Reading, mark, mark_steps, windows};

/// What the model says of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// 0 to 1: the probability the model gives, after the penalty for length.
    pub document: f32,
    /// The window that decided, in bytes of the text, on character borders.
    pub window: Range<usize>,
    /// At or above the threshold of 5 % false positives: a person should look.
    pub review: bool,
    /// At or above the threshold of 1 % false positives.
    pub quarantine: bool,
}

/// Log-odds of a text and where its best window lies.
#[derive(Debug, Clone)]
pub(crate) struct Best {
    pub(crate) odds: f32,
    pub(crate) window: Range<usize>,
}

/// Rules and model, loaded once, shared by every thread.
pub struct Injection {
    rules: Rules,
    model: Model,
    reader: Reader,
    memos: Memos,
}

/// Remembered tokens, lent to one scan at a time: as many as there were scans at once.
#[derive(Default)]
struct Memos(Mutex<Vec<Memo>>);

impl Memos {
    fn lend<T>(&self, scan: impl FnOnce(&mut Memo) -> T) -> T {
        // what a panic leaves is whole: a memo is put back after its use, or not at all
        let memos = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memo = memos().pop().unwrap_or_default();
        let result = scan(&mut memo);
        memos().push(memo);
        result
    }
}

/// A text with everything the scorer needs to know of it.
pub(crate) struct Read {
    pub(crate) findings: Findings,
    chunks: Vec<Chunk>,
    pub(crate) hidden: Vec<Hidden>,
}

impl Read {
    /// The text with its hidden stretches made readable.
    pub(crate) fn readable(&self, text: &str) -> String {
        let mut readable = String::with_capacity(text.len());
        let mut done = 0;
        for hidden in &self.hidden {
            readable.push_str(&text[done..hidden.segment.start]);
            readable.push_str(&hidden.normal.form.text);
            done = hidden.segment.end;
        }
        readable.push_str(&text[done..]);
        readable
    }
}

/// A stretch of a text in which something is hidden.
pub(crate) struct Hidden {
    /// Bytes of the text.
    pub(crate) segment: Range<usize>,
    /// Its readable form; bytes of the original count from the start of the stretch.
    pub(crate) normal: Normal,
    /// What the rules find in that.
    pub(crate) findings: Findings,
    chunks: Vec<Chunk>,
}

impl Hidden {
    /// Bytes of the text behind a span of the readable form.
    pub(crate) fn origin(&self, span: Range<usize>) -> Range<usize> {
        let span = self.normal.form.origin(span);
        self.segment.start + span.start..self.segment.start + span.end
    }

    /// Chunks of a text of `bytes` and `chunks`, when this stretch of it has `own`.
    pub(crate) fn all_chunks(&self, bytes: usize, chunks: usize, own: usize) -> usize {
        (bytes - self.segment.len()) * chunks / bytes.max(1) + own
    }
}

impl Injection {
    /// With the pack and the model compiled in.
    ///
    /// # Errors
    /// Never for an unchanged build; tests load both.
    pub fn built_in() -> Result<Self, InjectionError> {
        Self::with_packs(&[])
    }

    /// With the pack and the model compiled in, and further packs in the form of `rules/injection.toml`. The model does not know what these are after: a text
    /// in which they find something scores as it would without them, and their finds are never lowered.
    ///
    /// # Errors
    /// When a rule is refused; the error names pack, line and rule.
    pub fn with_packs(further: &[PackSource<'_>]) -> Result<Self, InjectionError> {
        let rules = Rules::read(rules::BUILT_IN_PACK, further)?;
        Ok(Self::assemble(rules, Model::parse(model::BUILT_IN)?))
    }

    /// With a rule pack (TOML) and a model file.
    ///
    /// # Errors
    /// When a rule or the model is refused; the error names it.
    pub fn load(pack: &str, model: &[u8]) -> Result<Self, InjectionError> {
        let pack = PackSource {
            name: "the pack",
            text: pack,
        };
        Ok(Self::assemble(Rules::read(pack, &[])?, Model::parse(model)?))
    }

    pub(crate) fn assemble(rules: Rules, model: Model) -> Self {
        Self {
            rules,
            model,
            reader: Reader::new(),
            memos: Memos::default(),
        }
    }

    /// A copy of the language table, for the trainer.
    pub fn language(&self) -> language::Language {
        self.model.language.clone()
    }

    /// Name, severity, message and citation of each rule of the pack.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Severity, &str, Option<&str>)> {
        self.rules.list()
    }

    /// Names pack and model, for results: the same version says the same of the same text.
    pub fn version(&self) -> String {
        let training: String = self.model.training[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{} model@{training}", self.rules.version())
    }

    /// Adds what is found in `text` to `out` and gives its score. Time is linear in the text; beside the text and
    /// its readable form (as long as the text at most, but for decorated letters) memory is a constant and the counts of chunks: some two
    /// bytes for each of the text, where it is all short orders line by line seventeen.
    ///
    /// Rule hits in a text whose score stays below the threshold for review are lowered to [`Severity::Low`] and
    /// half their confidence: manuals quote attacks.
    pub fn scan(&self, text: &str, out: &mut Vec<Hit>) -> Score {
        let read = self.read(text);
        let best = self.best(text, &read);
        let review = best.odds >= self.model.review;
        let quarantine = best.odds >= self.model.quarantine;
        let score = Score {
            document: 1.0 / (1.0 + (-best.odds).exp()),
            window: best.window,
            review,
            quarantine,
        };
        if review {
            out.push(Hit {
                rule: "injection/model".into(),
                severity: if quarantine { Severity::High } else { Severity::Medium },
                confidence: score.document,
                span: score.window.clone(),
                message: "the passage reads like an attack on a language model".into(),
                remediation: Some("have a person read the passage before a model sees the document".into()),
                citation: Some("OWASP LLM01:2025; MITRE ATLAS AML.T0051".into()),
            });
        }
        self.hits(&read, !review, out);
        score
    }

    fn hits(&self, read: &Read, quoted: bool, out: &mut Vec<Hit>) {
        for found in &read.findings.found {
            out.push(self.rules.hit(found.rule, found.span.clone(), quoted));
        }
        let mut evidence = Evidence::default();
        // findings of all stretches together are limited as those of one scan are
        let mut counts = rules::Counts::default();
        let mut beyond: Option<(u32, Range<usize>)> = None;
        for hidden in &read.hidden {
            evidence.take(&hidden.normal.evidence, hidden.segment.start);
            let more = hidden.findings.beyond.as_ref();
            if let Some((n, span)) = more {
                rules::widen(&mut beyond, *n, hidden.origin(span.clone()));
            }
            for found in &hidden.findings.found {
                let span = hidden.origin(found.span.clone());
                if read.findings.covers(found.rule, &span) {
                    continue;
                }
                if counts.allow(found.rule) {
                    out.push(self.rules.hit(found.rule, span, quoted));
                } else {
                    rules::widen(&mut beyond, 1, span);
                }
            }
        }
        evidence.hits(out);
        for (_, span) in read.findings.beyond.iter().chain(&beyond) {
            out.push(Hit {
                rule: "injection/limit".into(),
                severity: Severity::Info,
                confidence: 1.0,
                span: span.clone(),
                message: "one rule was found more than 64 times; the further places in this span are not listed".into(),
                remediation: None,
                citation: None,
            });
        }
    }

    /// What a single record of a training set shows: repetition, an end unlike language. Linear.
    pub fn record(&self, text: &str, out: &mut Vec<Hit>) {
        poison::check(text, &self.model.language, out);
    }

    /// An empty batch of training records.
    pub fn batch(&self, limits: poison::Limits) -> poison::Batch<'_> {
        poison::Batch::new(limits, &self.model.language)
    }

    /// Rules and features of the text and, where something is hidden in it, of the readable form.
    pub(crate) fn read(&self, text: &str) -> Read {
        self.memos.lend(|memo| self.read_with(Some(memo), text))
    }

    /// What is read does not depend on the memo.
    fn read_with(&self, mut memo: Option<&mut Memo>, text: &str) -> Read {
        let (findings, chunks, clues) = self.pass(memo.as_deref_mut(), text);
        let mut hidden = Vec::new();
        let mut before = 0;
        for (segment, mut clues) in clues {
            // what a word says of a passage is often said before it
            clues.cipher |= findings.turned.iter().any(|at| (before..segment.end).contains(at));
            before = segment.start;
            if let Some(normal) = normalise(&text[segment.clone()], clues, &self.model.language) {
                let (findings, mut chunks, _) = self.pass(memo.as_deref_mut(), &normal.form.text);
                mark_steps(&mut chunks, &normal);
                hidden.push(Hidden {
                    segment,
                    normal,
                    findings,
                    chunks,
                });
            }
        }
        Read {
            findings,
            chunks,
            hidden,
        }
    }

    /// One pass over a text: what the rules find, chunks, and the clues of each segment.
    #[allow(clippy::type_complexity, reason = "it is taken apart where it is given")]
    fn pass(&self, memo: Option<&mut Memo>, text: &str) -> (Findings, Vec<Chunk>, Vec<(Range<usize>, Clues)>) {
        let lore = Lore {
            language: &self.model.language,
            lexicon: self.reader.lexicon(),
            keywords: self.rules.keywords(),
        };
        let skim = Skim::new(text, lore.keywords, self.rules.search(text));
        let memo = memo.filter(|_| text.len() <= skim::LONGEST).map(|memo| (memo, lore));
        let mut reading = Reading::new(|row| self.model.row(row), memo, skim);
        self.reader.read(text, lore.language, &mut reading);
        let Reading { skim, mut chunks, .. } = reading;
        let (findings, clues) = skim.finish();
        mark(&mut chunks, self.marks(&findings));
        (findings, chunks, clues)
    }

    /// The better of both forms.
    pub(crate) fn best(&self, text: &str, read: &Read) -> Best {
        let penalty = |chunks: usize| self.model.length_penalty * (chunks.max(1) as f32).ln();
        let chunks = read.chunks.len();
        let mut best = self.judge(&read.chunks);
        best.odds -= penalty(chunks);
        for hidden in &read.hidden {
            let other = self.judge(&hidden.chunks);
            let odds = other.odds - penalty(hidden.all_chunks(text.len(), chunks, hidden.chunks.len()));
            if odds > best.odds {
                best = Best {
                    odds,
                    window: hidden.origin(other.window),
                };
            }
        }
        best
    }

    /// Rule hits that the model knows, as (byte, category).
    pub(crate) fn marks<'a>(&'a self, findings: &'a Findings) -> impl Iterator<Item = (usize, Category)> + 'a {
        let marks = findings
            .found
            .iter()
            .map(|found| (found.span.start, self.rules.category(found.rule)));
        marks.filter(|(_, category)| *category != Category::Own)
    }

    /// The best window of one form, before the penalty.
    fn judge(&self, chunks: &[Chunk]) -> Best {
        let mut best = Best {
            odds: f32::NEG_INFINITY,
            window: 0..0,
        };
        windows(chunks, |counts, window| {
            let odds = self.model.window(counts);
            if odds > best.odds {
                best = Best { odds, window };
            }
        });
        best
    }
}
