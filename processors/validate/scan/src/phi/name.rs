//! Names of people, from runs of capital words, titles, gazetteers and cue words.

use std::ops::Range;

use super::kind::Kind;
use super::lexicon::{Key, flag};
use super::pass::{Event, What};
use super::scan::Scan;

/// Words between capitals that belong to a name.
pub(super) const PARTICLES: &[&str] = &[
    "de", "la", "del", "da", "do", "dos", "das", "di", "van", "von", "der", "den", "ter", "ten", "bin", "ibn", "al",
    "el", "y", "af", "av", "zu", "du", "le", "st",
];
/// Longest run of capital words taken together.
const LONGEST: usize = 12;

/// What is known of the word of an event.
pub(super) fn flags(event: &Event) -> u32 {
    match event.what {
        What::Word(entry) => entry.flags,
        _ => 0,
    }
}

/// How two capital words are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    Joined,
    Possessive,
    Of,
    None,
}

impl Scan<'_> {
    pub(super) fn gap(&self, left: &Event, right: &Event) -> Gap {
        // Longer than anything that joins, as between most capital words.
        if right.start - left.end > 12 {
            return Gap::None;
        }
        let Some(between) = self.text.get(left.end..right.start) else {
            return Gap::None;
        };
        let length = left.end - left.start;
        match between {
            " " | "-" | "'" | "’" => Gap::Joined,
            ". " | "." if length <= 4 => Gap::Joined,
            "'s " | "’s " | "s' " | "' " => Gap::Possessive,
            " of " | " of the " | " & " => Gap::Of,
            _ => {
                let inner = between.trim_matches(' ');
                let particles = !inner.is_empty()
                    && between.starts_with(' ')
                    && inner.split(' ').all(|word| PARTICLES.contains(&word));
                if particles { Gap::Joined } else { Gap::None }
            }
        }
    }

    /// The run of capital words that begins at event `index`.
    pub(super) fn run_of_words(&self, events: &[Event], index: usize) -> Range<usize> {
        let mut end = index + 1;
        while end < events.len() && end - index < LONGEST && matches!(events[end].what, What::Word(_)) {
            if self.gap(&events[end - 1], &events[end]) == Gap::None {
                break;
            }
            end += 1;
        }
        index..end
    }

    /// Splits a run where no name goes on, and weighs each part.
    pub(super) fn names(&mut self, run: &[Event]) {
        let mut from = 0;
        for index in 1..=run.len() {
            if index == run.len() || self.gap(&run[index - 1], &run[index]) != Gap::Joined {
                self.name(&run[from..index]);
                from = index;
            }
        }
    }

    fn name(&mut self, words: &[Event]) {
        let ordinary = |event: &Event| {
            let flags = flags(event);
            flags & flag::COMMON != 0 && flags & (flag::FIRST | flag::LAST | flag::TITLE) == 0
                || flags & flag::NATION != 0
        };
        // "Management of", "Best", "The": the sentence, not the name.
        let skip = words.iter().take_while(|event| ordinary(event)).count();
        let words = &words[skip..];
        let trailing = words.iter().rev().take_while(|event| ordinary(event)).count();
        let words = &words[..words.len() - trailing];
        let Some(first) = words.first() else { return };
        let titled = flags(first) & flag::TITLE != 0 && first.end - first.start > 1 && words.len() > 1;
        let proper = if titled { &words[1..] } else { words };
        let (Some(head), Some(last)) = (proper.first(), proper.last()) else {
            return;
        };
        if proper.len() > 5
            || proper.iter().any(|event| {
                flags(event) & (flag::FACILITY | flag::MONTH | flag::WEEKDAY) != 0
                    && flags(event) & (flag::FIRST | flag::LAST) == 0
            })
        {
            return;
        }
        // A place of several words is no name.
        let known = match proper {
            // The pass has looked for it.
            [event] => flags(event),
            _ => {
                let words = proper.iter().map(|event| &self.text[event.start..event.end]);
                self.lexicon.at(words.fold(Key::default(), Key::word)).flags
            }
        };
        let place = known & (flag::CITY | flag::STATE | flag::COUNTRY) != 0;
        if place && !titled && (proper.len() > 1 || flags(head) & flag::FIRST == 0) {
            return;
        }
        if goes_on(&self.text[last.end..]) {
            return;
        }
        let initial = |event: &Event| {
            let mut letters = self.text[event.start..event.end].chars();
            letters.next().is_some() && letters.next().is_none()
        };
        let mut end = last.end;
        if proper.len() > 1 && initial(last) && self.byte(end) == b'.' {
            end += 1;
        }
        let (h, l) = (flags(head), flags(last));
        let strong = |flags: u32| flags & flag::COMMON == 0;
        let street = proper
            .iter()
            .skip(1)
            .any(|event| flags(event) & flag::STREET != 0 && !initial(event));
        let score: f32 = match proper.len() {
            _ if titled
                && !(place
                    || proper
                        .iter()
                        .all(|event| flags(event) & flag::COMMON != 0 && flags(event) & flag::LAST == 0)) =>
            {
                0.85
            }
            _ if street => 0.2,
            1 if h & flag::FIRST != 0 && strong(h) => 0.4,
            1 if h & flag::LAST != 0 && strong(h) => 0.3,
            1 => 0.1,
            _ if h & flag::FIRST != 0 && strong(h) && initial(last) => 0.85,
            _ if h & flag::FIRST != 0 && strong(h) && l & flag::LAST != 0 => 0.9,
            _ if h & flag::FIRST != 0 && strong(h) && l & flag::COMMON == 0 => 0.7,
            _ if h & flag::FIRST != 0 && l & flag::LAST != 0 && strong(l) => 0.75,
            _ if h & flag::FIRST != 0 && initial(last) => 0.55,
            _ if h & flag::LAST != 0 && strong(h) && l & flag::FIRST != 0 && strong(l) => 0.65,
            _ if strong(h) && l & flag::LAST != 0 && strong(l) => 0.55,
            _ if strong(h) && strong(l) => 0.25,
            _ => 0.15,
        };
        // Headlines and labels in capitals only.
        let shouting = last.end - first.start > 2 && !self.text[first.start..last.end].chars().any(char::is_lowercase);
        let mut score = if shouting && !titled { score - 0.2 } else { score };
        let known = proper
            .iter()
            .any(|event| flags(event) & (flag::FIRST | flag::LAST) != 0);
        let plain = proper.iter().all(|event| strong(flags(event)));
        if score < 0.8 && proper.len() <= 4 && (known || plain) && (self.label != 0 || self.introduced(first.start)) {
            let context = self.context(first.start, first.start);
            score = match (context.distance(Kind::Name), known, plain) {
                (0..=2, true, _) => 0.85,
                // "named Counter" may be anything; the tagger decides.
                (0..=2, false, true) if proper.iter().all(|event| !self.camel(event.start, event.end)) => 0.45,
                _ => score,
            };
        }
        // Nothing below makes it likelier.
        if score < 0.2 {
            return;
        }
        // A street or a product beside a number.
        let number =
            |at: usize, step: usize| self.byte(at) == b' ' && self.byte(at.wrapping_add(step)).is_ascii_digit();
        let after = self.bytes[end..]
            .iter()
            .skip(1)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let beside = number(first.start.wrapping_sub(1), usize::MAX)
            || number(end, 1)
                && after <= 5
                && !self.byte(end + 1 + after).is_ascii_alphanumeric()
                && self.byte(end + 1 + after) != b'-';
        let score = if beside && !titled { score - 0.25 } else { score };
        if score >= 0.2 {
            self.add(Kind::Name, first.start..end, score);
        }
    }

    /// Whether a word has a capital inside, as names in programs have and people's have not, but for `Mc`, `Mac`, `De` and the like.
    pub(super) fn camel(&self, start: usize, end: usize) -> bool {
        camel(&self.text[start..end])
    }

    /// Whether something before a place may introduce a name, cheaply.
    fn introduced(&self, at: usize) -> bool {
        let Some(word) = self.word_before(at) else {
            return self.byte(at.wrapping_sub(2)) == b':';
        };
        let known = self.lexicon.word(&self.text[word.clone()]);
        known.flags & flag::KIN != 0 || known.cues & Kind::Name.bit() != 0 || &self.text[word] == "is"
    }
}

/// Whether what follows a word says that it is no name: the rest of "Don't", or of a path in a program.
pub(super) fn goes_on(rest: &str) -> bool {
    if rest.starts_with("::") {
        return true;
    }
    let rest = rest.strip_prefix('\'').or_else(|| rest.strip_prefix('’'));
    rest.and_then(|rest| rest.strip_prefix('t'))
        .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// See [`Scan::camel`].
pub(super) fn camel(word: &str) -> bool {
    let mut lower = false;
    let inner = word.char_indices().find(|(_, letter)| {
        let found = lower && letter.is_uppercase();
        lower = letter.is_lowercase();
        found
    });
    inner.is_some_and(|(at, _)| {
        !matches!(
            &word[..at],
            "Mc" | "Mac" | "De" | "Di" | "Le" | "La" | "Van" | "Fitz" | "Du" | "Del" | "O"
        )
    })
}
