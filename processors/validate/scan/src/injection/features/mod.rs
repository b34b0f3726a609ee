//! One pass over a text: hashed n-grams and counts, chunk by chunk.
//!
//! Character n-grams (2 to 5) stay within one word and see its borders; word n-grams have 1 to 3 words. Both go to
//! one table of `1 << TABLE_BITS` weights. Lower case; every digit is `0`. A chunk ends at a sentence, a line or a
//! word near `CHUNK` bytes, so a window is a few neighbouring chunks and costs no second pass.

mod counts;
mod grams;
mod kin;
mod letters;
mod memo;
mod words;

use counts::{C, Tally};
pub use counts::{CATEGORIES, COUNTERS, Counts, DENSE, PAIRS, dense, pairs};
pub use grams::word_hash;
use grams::{Rolling, WORD_SEED, finish, step};
use kin::{Kin, kin};
use letters::{ASCII, Ascii, Class, fold, foreign};
pub(super) use memo::Seen;
use memo::again;
pub use memo::{Known, Lore, Memo, Token};
use words::{Word, Words};

use super::language::{Language, symbol};
use super::lexicon::{self, Lexicon};

/// Size of the weight table.
pub const TABLE_BITS: u32 = 18;
/// A chunk ends at the first sentence or line end after so many bytes …
const CHUNK: usize = 160;
/// … at the first space after so many …
const CHUNK_SPACE: usize = 288;
/// … and in any case after so many (plus one character).
const CHUNK_HARD: usize = 512;
/// Symbols over which the worst stretch is averaged.
const STRETCH: u32 = 40;

/// Bytes of a line that asks for one thing and no more.
const ASKING: std::ops::Range<usize> = 12..200;
/// Words in capitals, one after the other, that are shouted.
const SHOUTED: u32 = 3;
/// Bytes before such a line that make a chunk.
const ALONE: usize = 16;
/// Bytes from which a text is more than one request …
const MORE: usize = 300;
/// … and has something a line of it can be foreign to …
const SETTING: usize = 200;
/// … and before a line for it to come late.
const LATE: usize = 120;

/// Takes what the pass finds.
pub trait Sink {
    /// One n-gram: its row in the table, and where its last character (character n-grams) or word ends; to a sink that knows tokens, the token.
    fn gram(&mut self, row: u32, end: usize);
    /// A chunk that ends before byte `end`.
    fn chunk(&mut self, counts: &Counts, end: usize);
    /// What a plain token that begins at `at` weighs, for a sink that wants no more of n-grams than their sum: then [`Self::add`] follows in place
    /// of [`Self::gram`].
    #[inline]
    fn know(&mut self, _token: &Token<'_>, _at: usize) -> Option<Known> {
        None
    }
    /// Adds weight of a known token.
    #[inline]
    fn add(&mut self, _weight: i32) {}
    /// Whether [`Self::know`] may be asked.
    const KNOWS: bool = false;
}

/// The pass. Tables only; shared by every thread.
pub struct Reader {
    lexicon: Lexicon,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// Builds the word classes.
    pub fn new() -> Self {
        Self {
            lexicon: Lexicon::new(),
        }
    }

    /// Classes of words.
    pub(in crate::injection) fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// Whether a line begins as a request or a question does.
    fn asks(&self, line: &str) -> bool {
        let line = line.trim_start_matches([' ', '-', '*', '"', '>', '#']);
        let mut hash = WORD_SEED;
        for c in line.chars().take_while(|c| c.is_alphabetic()).take(24) {
            hash = step(hash, fold(c));
        }
        self.lexicon.classes(finish(hash)) & (lexicon::QUESTION | lexicon::TASK) != 0
    }

    /// Reads `text`.
    pub fn read<S: Sink>(&self, text: &str, language: &Language, sink: &mut S) {
        let bytes = text.as_bytes();
        let mut counts = Counts::default();
        let mut tally = Tally::default();
        let mut chunk_start = 0;
        let mut rolling = Rolling::default();
        let mut word = Word::default();
        let mut words = Words::default();
        let (mut a, mut b) = (0u8, 0u8);
        let (mut stretch_cost, mut stretch) = (0u32, 0u32);
        let (mut previous, mut before) = (' ', Class::Blank);
        let (mut alone, mut asked_before, mut line_start) = (false, false, 0);

        // the last eight symbols, a byte each
        let mut recent = 0u64;
        let mut repeats = false;

        macro_rules! push_symbol {
            ($symbol:expr, $end:expr) => {
                tally.grams += rolling.push($symbol, repeats, |row| sink.gram(row, $end))
            };
        }
        // how likely the letters follow each other
        macro_rules! charge {
            ($price:expr) => {{
                let price = $price;
                tally.cost += price;
                tally.costed += 1;
                stretch_cost += price;
                stretch += 1;
                if stretch == STRETCH {
                    counts.worst = counts.worst.max(stretch_cost as f32 / (STRETCH * 16) as f32);
                    // half is kept, so that a bad stretch cannot hide on a border
                    stretch_cost /= 2;
                    stretch /= 2;
                }
            }};
        }
        macro_rules! count {
            ($c:ident) => {
                counts.sums[C::$c as usize] += 1.0
            };
        }
        macro_rules! note_line {
            ($end:expr) => {
                count!(AskLines);
                if text.len() >= MORE {
                    count!(StrayLines);
                    if line_start >= LATE && !asked_before {
                        count!(LateLines);
                    }
                }
                if text.len() >= SETTING {
                    match kin(text, line_start..$end, &self.lexicon) {
                        Kin::Foreign => count!(ForeignLines),
                        Kin::Near => count!(KinLines),
                        Kin::Partly => count!(PartLines),
                        Kin::Silent => {}
                    }
                }
                #[allow(unused_assignments, reason = "the last line has none after it")]
                {
                    asked_before = true;
                }
            };
        }
        macro_rules! end_word {
            ($end:expr) => {
                if word.length > 0 {
                    let hash = finish(word.hash);
                    let classes = self.lexicon.classes(hash);
                    words.note(
                        &mut word,
                        (hash, classes),
                        None,
                        $end,
                        &mut counts,
                        &mut tally,
                        sink,
                    );
                    word = Word::default();
                }
            };
        }
        macro_rules! letter {
            ($class:expr, $folded:expr) => {{
                if word.length == 0 {
                    word.hash = WORD_SEED;
                }
                word.hash = step(word.hash, $folded);
                match $class {
                    Class::Upper => {
                        word.case_jump |= before == Class::Lower;
                        word.upper += 1;
                        tally.upper += 1;
                    }
                    Class::Digit => {
                        word.digits += 1;
                        tally.digits += 1;
                    }
                    Class::ForeignLetter => tally.foreign += 1,
                    _ => tally.lower += 1,
                }
                word.length += 1;
            }};
        }
        // a sign that is neither letter nor white space
        macro_rules! sign {
            ($class:expr) => {{
                words.start_pending |= $class.begins();
                if let Some(counter) = $class.counter(before) {
                    counts.sums[counter as usize] += 1.0;
                }
            }};
        }
        macro_rules! punctuation {
            ($class:expr, $byte:expr, $end:expr) => {{
                count!(Punct);
                let odd = !matches!($class, Class::Joint | Class::Stop | Class::Colon | Class::Slash) && $byte != b'_';
                if odd
                    && matches!(before, Class::Lower | Class::Upper)
                    && bytes.get($end).is_some_and(u8::is_ascii_alphabetic)
                {
                    count!(Glued);
                }
            }};
        }

        let mut next = 0;
        while next < bytes.len() {
            let mut at = next;
            // most tokens are counted at once, to what the rest of the loop would give, sign by sign
            if S::KNOWS
                && rolling.idle()
                && let Some(token) = Token::at(&bytes[at..])
                && !token.joins(recent)
                && let Some(known) = sink.know(&token, at)
                && !known.repeats()
            {
                let length = token.len();
                let after = at + length as usize;
                recent = known.recent(recent, length);
                tally.chars += length;
                tally.grams += token.grams();
                tally.lanes += known.lanes;
                sink.add(known.weight);
                if stretch + length < STRETCH {
                    let price = known.price(language, (a, b));
                    tally.cost += price;
                    tally.costed += length;
                    stretch_cost += price;
                    stretch += length;
                    (a, b) = known.last(b);
                } else {
                    for s in token.symbols() {
                        charge!(u32::from(language.cost(a, b, s)));
                        (a, b) = (b, s);
                    }
                }
                words.start_pending |= known.begins();
                if known.letters > 0 {
                    let mut spelt = Word {
                        length: known.letters.into(),
                        upper: known.lanes.upper(),
                        digits: known.lanes.digits(),
                        ..Word::default()
                    };
                    let of_word = (known.word, known.classes);
                    let single = Some(known.single.into());
                    words.note(&mut spelt, of_word, single, after, &mut counts, &mut tally, sink);
                    words.start_pending |= known.ends();
                } else if known.mixed() {
                    before = Class::Blank;
                    while at < after {
                        let Ascii { folded, class, .. } = ASCII[usize::from(bytes[at] & 127)];
                        if matches!(class, Class::Lower | Class::Upper | Class::Digit) {
                            letter!(class, u64::from(folded));
                        } else {
                            end_word!(at);
                            sign!(class);
                            if bytes[at].is_ascii_punctuation() {
                                punctuation!(class, bytes[at], at + 1);
                            }
                        }
                        before = class;
                        at += 1;
                    }
                    end_word!(after);
                }
                at = after;
                // Its white space is there, and no chunk ends before: after the last white space less than CHUNK_SPACE was full.
                previous = char::from(bytes[at - 1]);
                // a space that ends no chunk is done with it
                if token.next == b' ' && at + 1 - chunk_start < CHUNK {
                    tally.chars += 1;
                    tally.spaces += 1;
                    recent = (recent << 8) | u64::from(b' ');
                    charge!(u32::from(language.cost(a, b, 0)));
                    (a, b) = (b, 0);
                    (previous, before) = (' ', Class::Blank);
                    next = at + 1;
                    continue;
                }
            }
            let first = bytes[at];
            let (c, folded, s, class) = if first.is_ascii() {
                let Ascii { folded, symbol, class } = ASCII[usize::from(first & 127)];
                (char::from(first), u64::from(folded), symbol, class)
            } else {
                // there is a character at `at`: it is a border, and not the end
                let c = text[at..].chars().next().unwrap_or(' ');
                let folded = fold(c);
                (c, folded, symbol(folded as u32), foreign(c))
            };
            let end = at + c.len_utf8();
            next = end;
            tally.chars += 1;
            recent = (recent << 8) | (folded & 0xff);
            repeats = again(recent);

            if (s != 0 || b != 0) && !repeats {
                charge!(u32::from(language.cost(a, b, s)));
                a = b;
                b = s;
            }

            if matches!(class, Class::Lower | Class::Upper | Class::Digit | Class::ForeignLetter) {
                letter!(class, folded);
            } else {
                end_word!(at);
                match class {
                    Class::Blank => tally.spaces += 1,
                    Class::Line => {
                        count!(Lines);
                        let asked_one = (words.line_asks || (at > line_start && bytes[at - 1] == b'?'))
                            && ASKING.contains(&(at - line_start));
                        if asked_one {
                            note_line!(at);
                        }
                        // what asks for one thing is a chunk of its own, so that what stands around it does not outweigh it
                        alone = asked_one || (end - chunk_start >= ALONE && self.asks(&text[end..]));
                        words.line_asks = false;
                        line_start = end;
                        words.line_pending = true;
                        words.start_pending = true;
                    }
                    _ => sign!(class),
                }
                if first.is_ascii_punctuation() {
                    punctuation!(class, first, end);
                } else if !c.is_ascii() && class != Class::ForeignSpace {
                    count!(Symbols);
                }
            }

            let space = matches!(class, Class::Blank | Class::Line | Class::White | Class::ForeignSpace);
            if space {
                if !rolling.idle() {
                    push_symbol!(u64::from(b' '), at);
                    rolling.end();
                }
            } else {
                if rolling.idle() {
                    rolling.begin();
                }
                push_symbol!(folded, end);
            }

            let length = end - chunk_start;
            if length >= CHUNK || alone {
                let sentence = c == '\n'
                    || (space && matches!(previous, '.' | '!' | '?' | ':' | '"'))
                    || matches!(c, '。' | '！' | '？');
                if alone || sentence || (space && length >= CHUNK_SPACE) || length >= CHUNK_HARD {
                    word.count_coded(&mut counts);
                    tally.settle(&mut counts);
                    sink.chunk(&counts, end);
                    counts = Counts::default();
                    chunk_start = end;
                    alone = false;
                }
            }
            previous = c;
            before = class;
        }
        if !rolling.idle() {
            push_symbol!(u64::from(b' '), text.len());
        }
        end_word!(text.len());
        if (words.line_asks || text.ends_with('?')) && ASKING.contains(&(text.len() - line_start)) {
            note_line!(text.len());
        }
        let _ = (&word, rolling.idle());
        if chunk_start < text.len() {
            if stretch >= STRETCH / 2 {
                counts.worst = counts.worst.max(stretch_cost as f32 / (stretch * 16) as f32);
            }
            tally.settle(&mut counts);
            sink.chunk(&counts, text.len());
        }
    }
}
