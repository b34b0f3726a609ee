//! Places smaller than a state: facilities, cities, postal codes. Countries and states alone are allowed (45 CFR 164.514(b)(2)(i)(B)).

use super::context::Lazy;
use super::kind::Kind;
use super::lexicon::{Key, LONGEST, flag};
use super::name::flags;
use super::pass::{Event, is_capital};
use super::scan::Scan;

/// Words that make a capital run a place of care beyond doubt.
const CARE: &[&str] = &[
    "hospital",
    "hospitals",
    "clinic",
    "clinics",
    "hosp",
    "infirmary",
    "hospice",
    "polyclinic",
    "sanatorium",
];

/// The three-digit ZIP areas of 20,000 people or fewer, whose first three digits must go too: HHS guidance on 164.514(b), 2000 census.
pub const SMALL_ZIP3: [&str; 17] = [
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884", "890",
    "893",
];

impl Scan<'_> {
    /// Facilities and cities in a run of capital words.
    pub(super) fn places(&mut self, run: &[Event]) {
        if run
            .iter()
            .all(|event| flags(event) & (flag::FACILITY | flag::HOSPITAL | flag::CITY | flag::PART) == 0)
        {
            return;
        }
        self.facility(run);
        let mut index = 0;
        while index < run.len() {
            index += self.city(run, index).max(1);
        }
    }

    fn facility(&mut self, run: &[Event]) {
        let sentence = |event: &Event| {
            let flags = flags(event);
            flags & flag::COMMON != 0
                && flags & (flag::FIRST | flag::LAST | flag::HOSPITAL | flag::CITY | flag::FACILITY | flag::PART) == 0
        };
        let skip = run.iter().take_while(|event| sentence(event)).count();
        let run = &run[skip..];
        let Some(last) = run
            .iter()
            .rposition(|event| flags(event) & (flag::FACILITY | flag::HOSPITAL | flag::CITY) != 0)
        else {
            return;
        };
        let run = &run[..=last];
        let care = run
            .iter()
            .any(|event| CARE.contains(&self.text[event.start..event.end].to_ascii_lowercase().as_str()));
        let facilities = run.iter().filter(|event| flags(event) & flag::FACILITY != 0).count();
        let known = run.iter().filter(|event| flags(event) & flag::HOSPITAL != 0).count();
        let own = run.iter().filter(|event| flags(event) & flag::FACILITY == 0).count();
        let start = run[0].start;
        let at = self
            .word_before(start)
            .is_some_and(|word| matches!(&self.text[word], "at" | "from" | "to" | "in" | "the" | "by"));
        let score: f32 = match (care, own) {
            (true, 1..) => 0.75,
            _ if facilities >= 1 && known >= 1 => 0.6,
            _ if known >= 2 => 0.5,
            _ if facilities >= 2 && own >= 1 => 0.5,
            _ if known == 1 && run.len() == 1 && at => 0.3,
            _ if facilities >= 1 && own >= 1 => 0.3,
            _ => return,
        };
        let score = if at { score + 0.1 } else { score };
        self.add(Kind::Location, start..run[run.len() - 1].end, score);
    }

    /// A city at a place in the run; returns how many words it has.
    fn city(&mut self, run: &[Event], index: usize) -> usize {
        let mut key = Key::default();
        let (mut words, mut found) = (0, 0);
        for (length, event) in run[index..].iter().take(LONGEST).enumerate() {
            key = key.word(&self.text[event.start..event.end]);
            let known = self.lexicon.at(key).flags;
            if known & flag::CITY != 0 {
                (words, found) = (length + 1, known);
            }
            if length == 0 && known & flag::PART == 0 {
                break;
            }
        }
        if words == 0 {
            return 0;
        }
        let (start, end) = (run[index].start, run[index + words - 1].end);
        if let Some(state) = self.state_after(end) {
            self.add(Kind::Location, start..state, 0.85);
            return words;
        }
        let weak = words == 1 && found & (flag::COMMON | flag::FIRST | flag::LAST | flag::STATE) != 0;
        let before = self.word_before(start).is_some_and(|word| {
            matches!(
                &self.text[word],
                "in" | "at" | "from" | "near" | "to" | "around" | "outside" | "of"
            )
        });
        let score = match (weak, before) {
            (true, true) if found & flag::COMMON == 0 => 0.45,
            (true, _) => 0.2,
            (false, true) => 0.6,
            (false, false) => 0.4,
        };
        self.add(Kind::Location, start..end, score);
        words
    }

    /// End of ", IL", ", Illinois" or ", IL 60601" after a city.
    pub(super) fn state_after(&self, end: usize) -> Option<usize> {
        let comma = self.bytes[end.min(self.bytes.len())..].starts_with(b", ");
        let from = end + if comma { 2 } else { usize::from(self.byte(end) == b' ') };
        if from == end {
            return None;
        }
        let to = super::pass::word_end(self.bytes, from);
        if to == from || !is_capital(self.text, from) {
            return None;
        }
        let word = from..to;
        let code = to - from == 2
            && self.flags(&word) & flag::STATE_CODE != 0
            && self.text[word.clone()].bytes().all(|byte| byte.is_ascii_uppercase());
        if !(code || comma && self.flags(&word) & flag::STATE != 0) {
            return None;
        }
        // The ZIP code after it.
        let digits = self.bytes[to..]
            .iter()
            .skip(1)
            .take(6)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if self.byte(to) != b' ' || digits != 5 {
            return Some(to);
        }
        let zip = to + 6;
        let plus = self.bytes[zip..]
            .iter()
            .skip(1)
            .take(5)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        Some(if self.byte(zip) == b'-' && plus == 4 {
            zip + 5
        } else {
            zip
        })
    }

    /// ZIP codes and other postal codes; three digits of a ZIP code only in the small areas.
    pub(super) fn postcode(&mut self, start: usize, end: usize, context: &Lazy<'_>) {
        let chunk = &self.text[start..end];
        let cue = || context.distance(Kind::Location);
        let bytes = chunk.as_bytes();
        let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        if bytes.len() == 5 && digits(bytes)
            || bytes.len() == 10 && digits(&bytes[..5]) && bytes[5] == b'-' && digits(&bytes[6..])
        {
            let state = self.word_before(start).is_some_and(|word| {
                word.len() == 2
                    && self.flags(&word) & flag::STATE_CODE != 0
                    && self.text[word].bytes().all(|byte| byte.is_ascii_uppercase())
            });
            let confidence = match (state, cue(), bytes.len()) {
                (true, ..) => 0.8,
                (_, 0..=2, _) => 0.85,
                (.., 10) => 0.5,
                _ => 0.0,
            };
            if confidence > 0.0 {
                self.add(Kind::Location, start..end, confidence);
            }
        } else if bytes.len() == 3 && SMALL_ZIP3.contains(&chunk) && cue() <= 2 {
            let stars = self.bytes[end..]
                .iter()
                .take(2)
                .take_while(|byte| matches!(byte, b'*' | b'X' | b'x'))
                .count();
            self.add(Kind::Location, start..end + stars, 0.7);
        } else if (2..=4).contains(&bytes.len()) && bytes[0].is_ascii_uppercase() && self.byte(end) == b' ' {
            let next = &self.bytes[end + 1..self.bytes.len().min(end + 5)];
            let inward =
                next.len() >= 3 && next[0].is_ascii_digit() && !next.get(3).is_some_and(u8::is_ascii_alphanumeric);
            let british = inward && next[1].is_ascii_uppercase() && next[2].is_ascii_uppercase();
            let canadian = inward
                && bytes.len() == 3
                && bytes[2].is_ascii_uppercase()
                && next[1].is_ascii_uppercase()
                && next[2].is_ascii_digit();
            let outward = bytes
                .iter()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
            if outward && (british || canadian) {
                self.add(Kind::Location, start..end + 4, if cue() <= 3 { 0.9 } else { 0.6 });
            }
        }
    }
}
