//! Finds protected health information (45 CFR 164.514(b)(2)), personal identifiers and card numbers in text.
//!
//! One pass over the bytes (`pass`) keeps places worth a look; recognizers (`scan`) look there with validators and context words;
//! a small sequence tagger ([`tagger`]) reads the sentences that have something and gives a second opinion; overlaps are resolved by
//! confidence ([`resolve`]). What is reported, how gravely and with which citation is data ([`pack`]).

mod address;
pub mod categories;
pub mod check;
mod context;
pub mod data;
mod date;
pub mod evaluate;
mod features;
mod kind;
pub mod label;
mod lexicon;
mod name;
pub mod national;
mod net;
mod number;
pub mod pack;
mod pass;
mod phone;
mod place;
mod plausible;
pub mod resolve;
mod scan;
mod table;
pub mod tagger;
#[cfg(test)]
mod tests;
mod token;
pub mod train;
mod words;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

pub use data::{Document, coarse};
pub use kind::coarse_type;
pub use label::Hint;
pub use pack::{PackError, PackSource};
pub use tagger::Tagger;

use crate::hit::Hit;
use kind::Kind;
use lexicon::{Entry, Lexicon};
use pack::{Custom, Recognizer};
use scan::{Found, Scan, Source};

/// Bytes scanned at once; longer texts are cut at a line end, or anywhere, with an overlap of [`OVERLAP`].
pub const WINDOW: usize = 1 << 20;
/// Bytes of the overlap of two windows: more than any find is long, but a URL.
pub const OVERLAP: usize = 4_096;

/// How sure a recognizer must be of something for the tagger to read the sentence.
const TRIGGER: f32 = 0.4;
/// What an abbreviation takes from a name.
const ABBREVIATION: f32 = 0.4;

/// A find that is reported: number of the recognizer, bytes, confidence.
type Ready = (usize, Range<usize>, f32);

/// The engine. Shared between threads; a scan changes nothing in it.
pub struct Phi {
    lexicon: Lexicon,
    recognizers: Vec<Recognizer>,
    by_kind: [Option<u16>; 64],
    enabled: u64,
    custom: Custom,
    tagger: Option<Tagger>,
    rooms: Rooms,
    version: String,
}

/// Room for the tagger, lent to one scan at a time: as many as there were scans at once. A room knows the words it met.
#[derive(Default)]
struct Rooms(Mutex<Vec<tagger::Work>>);

impl Rooms {
    fn lend<T>(&self, scan: impl FnOnce(&mut tagger::Work) -> T) -> T {
        // A room is put back after its use or, after a panic, not at all: so it is always whole.
        let rooms = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = rooms().pop().unwrap_or_default();
        let result = scan(&mut room);
        rooms().push(room);
        result
    }
}

impl Phi {
    /// With the packs that come with it.
    pub fn built_in() -> Result<Self, PackError> {
        Self::load(&pack::BUILT_IN)
    }

    /// With these packs, later ones over earlier ones, and the built-in tagger. Every pack's examples are tried.
    pub fn load(packs: &[PackSource<'_>]) -> Result<Self, PackError> {
        Self::load_with(packs, Some(Tagger::built_in()?))
    }

    /// With these packs and another tagger, or none.
    pub fn load_with(packs: &[PackSource<'_>], tagger: Option<Tagger>) -> Result<Self, PackError> {
        let packs = pack::read(packs)?;
        let mut lexicon = Lexicon::built_in();
        let (mut by_kind, mut enabled) = ([None; 64], 0);
        for (index, recognizer) in packs.recognizers.iter().enumerate() {
            let Some(kind) = Kind::of_rule(&recognizer.rule) else {
                continue;
            };
            by_kind[kind as usize] = u16::try_from(index).ok();
            enabled |= kind.bit();
            for phrase in &recognizer.context {
                lexicon.add(
                    phrase,
                    Entry {
                        flags: 0,
                        cues: kind.bit(),
                    },
                );
            }
        }
        let custom = Custom::compile(&packs.recognizers)?;
        let tagged = tagger.as_ref().map_or_else(
            || "no-tagger".to_owned(),
            |tagger| format!("tagger@{}", &tagger.trained_on()[..12]),
        );
        let version = format!("{} {tagged}", packs.version);
        let phi = Self {
            lexicon,
            recognizers: packs.recognizers,
            by_kind,
            enabled,
            custom,
            tagger,
            rooms: Rooms::default(),
            version,
        };
        match phi.failing_examples().into_iter().next() {
            Some(error) => Err(error),
            None => Ok(phi),
        }
    }

    /// The same with another tagger.
    pub fn set_tagger(&mut self, tagger: Option<Tagger>) {
        self.tagger = tagger;
        // They hold what words weighed before.
        self.rooms = Rooms::default();
    }

    /// Names packs and tagger: the same version finds the same.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All rules in use.
    pub fn recognizers(&self) -> &[Recognizer] {
        &self.recognizers
    }

    pub(crate) fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The examples of the packs that do not hold.
    fn failing_examples(&self) -> Vec<PackError> {
        let mut failing = Vec::new();
        for recognizer in &self.recognizers {
            let expected = [
                ("positive", &recognizer.positive, true),
                ("negative", &recognizer.negative, false),
            ];
            for (kind, texts, wanted) in expected {
                for (index, text) in texts.iter().enumerate() {
                    let mut hits = Vec::new();
                    self.scan(text, None, &mut hits);
                    if hits.iter().any(|hit| hit.rule == recognizer.rule) != wanted {
                        failing.push(PackError::Example {
                            pack: recognizer.pack.clone(),
                            line: recognizer.line,
                            rule: recognizer.rule.clone(),
                            kind,
                            index: index + 1,
                            outcome: if wanted { "is not found" } else { "is found" },
                        });
                    }
                }
            }
        }
        failing
    }

    /// Finds everything in a text and adds it, in the order of the text. Finds of built-in rules do not overlap; those of a
    /// tenant's own rules may. `label` is the name of the column or the
    /// path of the field the text comes from: it counts as a context word.
    pub fn scan(&self, text: &str, label: Option<&str>, out: &mut Vec<Hit>) {
        let (mut from, mut seen) = (0, 0);
        loop {
            let mut to = context::floor(text, from + WINDOW);
            if to < text.len() {
                to = text[from..to]
                    .rfind('\n')
                    .filter(|at| *at > WINDOW / 2)
                    .map_or(to, |at| from + at + 1);
            }
            // Each window answers for what begins before the middle of its overlap with the next.
            let until = if to < text.len() { to - OVERLAP / 2 } else { usize::MAX };
            let (hits, stopped) = self.window(&text[from..to], label);
            for (index, span, confidence) in hits {
                let span = span.start + from..span.end + from;
                if (seen..until).contains(&span.start) {
                    out.push(self.recognizers[index].hit(span, confidence));
                }
            }
            if let Some(at) = stopped {
                out.push(pack::limit(from + at..to));
            }
            if to == text.len() {
                return;
            }
            seen = until;
            from = context::floor(text, to - OVERLAP);
        }
    }

    fn window(&self, text: &str, label: Option<&str>) -> (Vec<Ready>, Option<usize>) {
        let rules = self.rules(text, label);
        let tagged = self.tagged(text, &rules);
        let mut voted = resolve::vote(rules, tagged);
        // Only here: what has the form of a name makes the tagger read the sentence, whatever it is.
        for found in voted.iter_mut().filter(|found| found.kind == Kind::Name) {
            if plausible::is_abbreviation(&self.lexicon, &text[found.span.clone()]) {
                found.confidence -= ABBREVIATION;
            }
        }
        let found = resolve::resolve(voted, |kind| self.least(kind));
        let mut hits: Vec<Ready> = found
            .into_iter()
            .filter_map(|found| {
                Some((
                    usize::from(self.by_kind[found.kind as usize]?),
                    found.span,
                    found.confidence,
                ))
            })
            .collect();
        let built_in = hits.len();
        let stopped = self.custom.scan(text, |rule, span| hits.push((rule, span, 0.9)));
        if hits.len() > built_in {
            hits.sort_by_key(|(index, span, _)| (span.start, span.end, *index));
        }
        (hits, stopped)
    }

    fn least(&self, kind: Kind) -> f32 {
        self.by_kind[kind as usize].map_or(2.0, |index| self.recognizers[usize::from(index)].minimum)
    }

    /// The recognizers' finds, weak ones too.
    pub(crate) fn rules(&self, text: &str, label: Option<&str>) -> Vec<Found> {
        let mut events = Vec::new();
        pass::events(text, &self.lexicon, &mut events);
        let cues = label.map_or(0, |label| context::label_cues(&self.lexicon, label));
        Scan::new(text, &self.lexicon, self.enabled, cues).run(&events)
    }

    /// The tagger's finds in the sentences where the recognizers see something.
    fn tagged(&self, text: &str, rules: &[Found]) -> Vec<Found> {
        let Some(tagger) = &self.tagger else { return Vec::new() };
        let mut sorted: Vec<Found> = rules.to_vec();
        sorted.sort_by_key(|found| found.span.start);
        let (mut out, mut from) = (Vec::new(), 0);
        // A sentence is read when something in it is likely by itself: where nothing is, the tagger has nothing to add but errors.
        let triggers: Vec<Found> = rules
            .iter()
            .filter(|found| found.confidence >= TRIGGER && found.kind != Kind::Url || found.kind == Kind::PersonYear)
            .cloned()
            .collect();
        self.rooms.lend(|room| {
            for segment in token::segments(text, &triggers) {
                // Only what stands in this sentence.
                while from < sorted.len() && sorted[from].span.end <= segment.start {
                    from += 1;
                }
                let to = from + sorted[from..].partition_point(|found| found.span.start < segment.end);
                tagger.tag(text, &segment, &sorted[from..to], &self.lexicon, room, &mut out);
            }
        });
        for found in &mut out {
            if found.kind == Kind::OtherId {
                let near = context::around(text, &self.lexicon, found.span.start, found.span.end, 0);
                found.kind = near.nearest(Kind::by_cue).map_or(Kind::OtherId, |(kind, _)| kind);
            }
            // "Name: Steven", and on the next line "ID: 2": the next label is not of the name.
            if found.kind == Kind::Name
                && text[found.span.end..].starts_with(':')
                && let Some(line) = text[found.span.clone()].find('\n')
            {
                found.span.end = found.span.start + line;
            }
            found.source = Source::Tagger;
        }
        out.retain(|found| self.enabled & found.kind.bit() != 0 && plausible::plausible(&self.lexicon, text, found));
        out
    }

    /// What the name of a column or field promises of its values.
    pub fn label_hint(&self, name: &str) -> Option<Hint> {
        self.label_hint_in("", name)
    }

    /// The same for a member of what is called `of`.
    pub fn label_hint_in(&self, of: &str, name: &str) -> Option<Hint> {
        label::hint_in(&self.lexicon, of, name).filter(|hint| self.enabled & hint.kind.bit() != 0)
    }

    /// Scans one value of a column or field. A value of the shape that `hint` promises is a hit as a whole, with no other context.
    pub fn scan_labelled(&self, value: &str, hint: Hint, out: &mut Vec<Hit>) {
        let trimmed = value.trim();
        let start = value.len() - value.trim_start().len();
        let span = start..start + trimmed.len();
        // "An id" or "an account" says little: the value may show which.
        if matches!(hint.kind, Kind::OtherId | Kind::Account) {
            let before = out.len();
            self.scan(value, None, out);
            if out.len() > before {
                return;
            }
        }
        if let Some(index) = self.by_kind[hint.kind as usize].filter(|_| label::fits(&self.lexicon, hint, trimmed)) {
            out.push(self.recognizers[usize::from(index)].hit(span, 0.85));
            return;
        }
        // A bare "name" is as often that of a ward or a package: it makes no person of it.
        let word = hint.owned.then(|| self.word(hint.kind));
        self.scan(value, word, out);
    }

    /// A context word of a kind, to stand for a label.
    fn word(&self, kind: Kind) -> &str {
        let recognizer = self.by_kind[kind as usize].and_then(|index| self.recognizers.get(usize::from(index)));
        recognizer
            .and_then(|recognizer| recognizer.context.first())
            .map_or("", String::as_str)
    }
}
