//! One pass over a text: hashed n-grams and counts, chunk by chunk.
//!
//! Character n-grams (2 to 5) stay within one word and see its borders; word n-grams have 1 to 3 words. Both go to
//! one table of `1 << TABLE_BITS` weights. Lower case; every digit is `0`. A chunk ends at a sentence, a line or a
//! word near `CHUNK` bytes, so a window is a few neighbouring chunks and costs no second pass.

mod counts;
mod letters;

use counts::{C, Tally};
pub use counts::{CATEGORIES, COUNTERS, Counts, DENSE, dense};
use letters::{ASCII, Ascii, Class, fold, foreign};

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
/// … and before a line for it to come late.
const LATE: usize = 120;

const CHAR_SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const WORD_SEED: u64 = 0xc2b2_ae3d_27d4_eb4f;
const MIX: u64 = 0xff51_afd7_ed55_8ccd;

/// Takes what the pass finds.
pub trait Sink {
    /// One n-gram: its row in the table, and the bytes of its last character (character n-grams) or word.
    fn gram(&mut self, row: u32, end: usize);
    /// A chunk that ends before byte `end`.
    fn chunk(&mut self, counts: &Counts, end: usize);
}

#[inline]
fn step(hash: u64, symbol: u64) -> u64 {
    (hash.rotate_left(5) ^ symbol).wrapping_mul(MIX)
}

/// Finishes a hash of a word so that its top bits can be used.
#[inline]
fn finish(hash: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(WORD_SEED)
}

/// Hash of a lower-case word, as the pass computes it.
pub fn word_hash(word: &str) -> u64 {
    finish(word.chars().fold(WORD_SEED, |hash, c| step(hash, fold(c))))
}

#[inline]
fn row(hash: u64) -> u32 {
    ((hash ^ (hash >> 29)).wrapping_mul(CHAR_SEED) >> (64 - TABLE_BITS)) as u32
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

#[derive(Default)]
struct Word {
    hash: u64,
    length: u32,
    upper: u32,
    case_jump: bool,
}

impl Reader {
    /// Builds the word classes.
    pub fn new() -> Self {
        Self {
            lexicon: Lexicon::new(),
        }
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

    /// Reads `text`. `marks` are rule hits as (byte, category), in order of the byte.
    pub fn read(&self, text: &str, language: &Language, marks: &[(usize, u8)], sink: &mut impl Sink) {
        let mut counts = Counts::default();
        let mut tally = Tally::default();
        let mut marks = marks.iter().peekable();
        let mut chunk_start = 0;
        // rolling hashes of the last 1 to 4 symbols of the present word, its left border included
        let mut rolling = [0u64; 5];
        let mut depth = 0u32;
        let mut word = Word::default();
        let (mut last_word, mut last_two) = (0u64, 0u64);
        let (mut start_pending, mut line_pending) = (true, true);
        let (mut a, mut b) = (0u8, 0u8);
        let (mut stretch_cost, mut stretch) = (0u32, 0u32);
        let (mut asked, mut previous, mut before) = (false, ' ', Class::Blank);
        let (mut yours, mut line_asks, mut line_start) = (0u8, false, 0);
        let (mut alone, mut asked_before) = (false, false);
        let (mut caps, mut ordered) = (0u32, false);

        // the last eight symbols, a byte each
        let mut recent = 0u64;
        // they repeat with a period of one to four: rules, filler, noise. What is said again counts once
        let mut again = false;

        macro_rules! push_symbol {
            ($symbol:expr, $end:expr) => {{
                let s = $symbol;
                let [_, one, two, three, four] = rolling;
                let grown = [0, step(CHAR_SEED, s), step(one, s), step(two, s), step(three, s)];
                let five = step(four, s);
                rolling = grown;
                depth += 1;
                if again {
                    // nothing new
                } else if depth >= 5 {
                    sink.gram(row(grown[2]), $end);
                    sink.gram(row(grown[3]), $end);
                    sink.gram(row(grown[4]), $end);
                    sink.gram(row(five), $end);
                    tally.grams += 4;
                } else {
                    for hash in &grown[2..=(depth as usize).max(1)] {
                        sink.gram(row(*hash), $end);
                    }
                    tally.grams += depth - 1;
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
                    tally.words += 1;
                    if word.length > 14 {
                        count!(LongWords);
                    }
                    if word.length > 1 && word.upper == word.length {
                        count!(CapsWords);
                        caps += 1;
                        ordered |= classes & (lexicon::OVERRIDE | lexicon::TASK | lexicon::SECOND) != 0;
                        if caps >= SHOUTED && ordered && tally.lower > 0 {
                            count!(Shouted);
                            ordered = false;
                        }
                    } else if word.length > 1 {
                        (caps, ordered) = (0, false);
                    }
                    if word.case_jump && word.upper < word.length {
                        count!(CaseJumps);
                    }
                    if start_pending {
                        count!(Starts);
                        asked = classes & (lexicon::QUESTION | lexicon::TASK) != 0;
                        if line_pending {
                            line_asks = asked;
                        }
                        if classes & lexicon::TASK != 0 {
                            count!(TaskStarts);
                            if line_pending {
                                count!(TaskLines);
                            }
                        }
                        if classes & lexicon::SECOND != 0 {
                            count!(StartsYou);
                        }
                    }
                    if classes != 0 {
                        for (class, counter) in CLASS_COUNTERS {
                            if classes & class != 0 {
                                counts.sums[*counter as usize] += 1.0;
                            }
                        }
                        if asked && classes & lexicon::SECRET != 0 {
                            count!(SecretAsk);
                        }
                        if yours > 0 && classes & lexicon::ANSWER != 0 {
                            count!(YourAnswer);
                        }
                    }
                    // "your", and one word between
                    yours = if classes & lexicon::SECOND != 0 {
                        2
                    } else {
                        yours.saturating_sub(1)
                    };
                    start_pending = false;
                    line_pending = false;
                    if hash != last_word {
                        sink.gram(row(hash ^ 1), $end);
                        tally.grams += 1;
                    }
                    if last_word != 0 && hash != last_word {
                        sink.gram(row(step(last_word, hash)), $end);
                        tally.grams += 1;
                        if last_two != 0 {
                            sink.gram(row(step(step(last_two, last_word), hash)), $end);
                            tally.grams += 1;
                        }
                    }
                    last_two = last_word;
                    last_word = hash;
                    word = Word::default();
                }
            };
        }

        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let (folded, s, class, end) = if c.is_ascii() {
                let Ascii { folded, symbol, class } = ASCII[c as usize & 127];
                (u64::from(folded), symbol, class, at + 1)
            } else {
                let folded = fold(c);
                (folded, symbol(folded as u32), foreign(c), at + c.len_utf8())
            };
            tally.chars += 1;
            recent = (recent << 8) | (folded & 0xff);
            again = (recent >> 32) == (recent & 0xffff_ffff) || (recent ^ (recent >> 24)) & 0xff_ffff_ffff == 0;

            // how likely the letters follow each other
            if (s != 0 || b != 0) && !again {
                let price = u32::from(language.cost(a, b, s));
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
                a = b;
                b = s;
            }

            if matches!(class, Class::Lower | Class::Upper | Class::Digit | Class::ForeignLetter) {
                if word.length == 0 {
                    word.hash = WORD_SEED;
                }
                word.hash = step(word.hash, folded);
                match class {
                    Class::Upper => {
                        word.case_jump |= before == Class::Lower;
                        word.upper += 1;
                        tally.upper += 1;
                    }
                    Class::Digit => tally.digits += 1,
                    Class::ForeignLetter => tally.foreign += 1,
                    _ => tally.lower += 1,
                }
                word.length += 1;
            } else {
                end_word!(at);
                match class {
                    Class::Blank => tally.spaces += 1,
                    Class::Line => {
                        count!(Lines);
                        let asked_one = line_asks && ASKING.contains(&(at - line_start));
                        if asked_one {
                            note_line!(at);
                        }
                        // what asks for one thing is a chunk of its own, so that what stands around it does not outweigh it
                        alone = asked_one || (end - chunk_start >= ALONE && self.asks(&text[end..]));
                        line_asks = false;
                        line_start = end;
                        line_pending = true;
                        start_pending = true;
                    }
                    Class::Ask | Class::Shout | Class::Colon | Class::Stop => {
                        start_pending = true;
                        match class {
                            Class::Ask => count!(Ask),
                            Class::Shout => count!(Shout),
                            Class::Colon => count!(Colons),
                            _ => {}
                        }
                    }
                    Class::Quote => {
                        count!(Quotes);
                        start_pending = true;
                    }
                    Class::Tick => count!(Ticks),
                    Class::Markup => count!(Markup),
                    Class::Code => count!(Code),
                    Class::Slash if before == Class::Slash => count!(Slashes),
                    _ => {}
                }
                if c.is_ascii_punctuation() {
                    count!(Punct);
                    let odd = !matches!(class, Class::Joint | Class::Stop | Class::Colon | Class::Slash) && c != '_';
                    if odd
                        && matches!(before, Class::Lower | Class::Upper)
                        && chars.peek().is_some_and(|(_, next)| next.is_ascii_alphabetic())
                    {
                        count!(Glued);
                    }
                } else if !c.is_ascii() && class != Class::ForeignSpace {
                    count!(Symbols);
                }
            }

            let space = matches!(class, Class::Blank | Class::Line | Class::White | Class::ForeignSpace);
            if space {
                if depth > 0 {
                    push_symbol!(u64::from(b' '), at);
                    depth = 0;
                }
            } else {
                if depth == 0 {
                    rolling[1] = step(CHAR_SEED, u64::from(b' '));
                    depth = 1;
                }
                push_symbol!(folded, end);
            }

            let length = end - chunk_start;
            if length >= CHUNK || alone {
                let sentence = c == '\n'
                    || (space && matches!(previous, '.' | '!' | '?' | ':' | '"'))
                    || matches!(c, '。' | '！' | '？');
                if alone || sentence || (space && length >= CHUNK_SPACE) || length >= CHUNK_HARD {
                    while let Some((_, category)) = marks.next_if(|(byte, _)| *byte < end) {
                        counts.rule(*category);
                    }
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
        if depth > 0 {
            push_symbol!(u64::from(b' '), text.len());
        }
        end_word!(text.len());
        if line_asks && ASKING.contains(&(text.len() - line_start)) {
            note_line!(text.len());
        }
        let _ = (
            start_pending,
            line_pending,
            last_two,
            last_word,
            &word,
            rolling,
            depth,
            yours,
            caps,
            ordered,
        );
        for (_, category) in marks {
            counts.rule(*category);
        }
        if chunk_start < text.len() {
            if stretch >= STRETCH / 2 {
                counts.worst = counts.worst.max(stretch_cost as f32 / (stretch * 16) as f32);
            }
            tally.settle(&mut counts);
            sink.chunk(&counts, text.len());
        }
    }
}

const CLASS_COUNTERS: &[(u16, C)] = &[
    (lexicon::OVERRIDE, C::Override),
    (lexicon::TASK, C::Task),
    (lexicon::SECOND, C::Second),
    (lexicon::FIRST, C::First),
    (lexicon::AUTHORITY, C::Authority),
    (lexicon::SECRET, C::Secret),
    (lexicon::MANUAL, C::Manual),
    (lexicon::MODAL, C::Modal),
    (lexicon::PERSONA, C::Persona),
    (lexicon::QUESTION, C::Question),
    (lexicon::FREEDOM, C::Freedom),
    (lexicon::SUBJECT, C::Subject),
    (lexicon::HARM, C::Harm),
];
