//! What the tagger sees of a token: hashed features of the word, its neighbours, the gazetteers and the recognizers.

use super::context::floor;
use super::lexicon::{Entry, Hash, Lexicon};
use super::scan::Found;
use super::token::Token;

/// Features of a token that depend on its word alone.
pub const OWN: usize = 8;
/// Features that a word gives the tokens beside it, one to each of [`PLACES`].
pub const BESIDE: usize = 6;
/// Features that tell what was found at a token or beside it, and the context words before it.
pub const TOLD: usize = 5;
/// Features that need a token and its neighbours.
pub const JOINT: usize = 13;
/// Where the tokens stand that a word gives its features [`beside`] to: so many after its own.
pub const PLACES: [isize; BESIDE] = [1, -1, 2, -2, 3, -3];

/// One token, prepared.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    /// Lower case, digits as 0.
    word: u64,
    shape: u64,
    entry: Entry,
    /// What a recognizer says: coarse label, confidence in four steps, begins or goes on.
    found: u64,
}

/// What stands before a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// A space or the beginning.
    pub spaced: bool,
    /// A line break.
    pub broken: bool,
}

impl From<&Token> for Gap {
    fn from(token: &Token) -> Self {
        Self {
            spaced: token.spaced,
            broken: token.broken,
        }
    }
}

/// What stands before the first and after the last token.
pub const EDGE: Seen = Seen {
    word: 1,
    shape: 1,
    entry: Entry { flags: 0, cues: 0 },
    found: 0,
};

#[inline]
fn mix(template: u64, left: u64, right: u64) -> u32 {
    let mut value =
        template.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ left.rotate_left(17) ^ right.wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^= value >> 33;
    value = value.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (value ^ (value >> 29)) as u32
}

/// The word of a token, and the features that depend on it alone: on its letters and the [`Gap`] before it.
pub fn see(word: &str, gap: Gap, lexicon: &Lexicon) -> (Seen, [u32; OWN]) {
    let word = &word[..floor(word, 64)];
    let (mut lower, mut shape) = (Hash::default(), Hash::default());
    let mut last = 0;
    if word.is_ascii() {
        for letter in word.bytes() {
            let (class, normal) = match letter {
                b'0'..=b'9' => (b'0', b'0'),
                b'A'..=b'Z' => (b'X', letter),
                b'a'..=b'z' => (b'x', letter),
                _ => (b'.', letter),
            };
            // As below: the second byte of a letter is 0.
            lower = lower.byte(normal.to_ascii_lowercase()).byte(0);
            if class != last || class == b'0' {
                shape = shape.byte(class);
            }
            last = class;
        }
        let bytes = word.len();
        let seen = Seen {
            word: lower.0,
            shape: shape.0 ^ u64::from(gap.spaced),
            entry: lexicon.word(word),
            found: 0,
        };
        return (
            seen,
            own(&seen, gap, &word[..bytes.min(3)], &word[bytes.saturating_sub(3)..]),
        );
    }
    for letter in word.chars() {
        let (class, normal) = match letter {
            '0'..='9' => (b'0', '0'),
            _ if letter.is_uppercase() => (b'X', letter),
            _ if letter.is_alphabetic() => (b'x', letter),
            _ => (b'.', letter),
        };
        for small in normal.to_lowercase() {
            lower = lower.byte(small as u8).byte((small as u32 >> 8) as u8);
        }
        // Digits are counted, letters are not.
        if class != last || class == b'0' {
            shape = shape.byte(class);
        }
        last = class;
    }
    let chars = word.char_indices();
    let third = chars.clone().nth(3).map_or(word.len(), |(at, _)| at);
    let tail = chars.rev().nth(2).map_or(0, |(at, _)| at);
    let seen = Seen {
        word: lower.0,
        shape: shape.0 ^ u64::from(gap.spaced),
        entry: lexicon.word(word),
        found: 0,
    };
    (seen, own(&seen, gap, &word[..third], &word[tail..]))
}

fn own(here: &Seen, gap: Gap, prefix: &str, suffix: &str) -> [u32; OWN] {
    [
        mix(1, here.word, 0),
        mix(2, here.shape, 0),
        mix(3, Hash::default().word(prefix).0, 0),
        mix(4, Hash::default().word(suffix).0, 0),
        mix(16, u64::from(here.entry.flags), 0),
        mix(19, here.shape, u64::from(here.entry.flags)),
        mix(28, u64::from(gap.broken), here.shape),
        mix(32, 0, 0),
    ]
}

/// What a word gives the tokens beside it, in the order of [`PLACES`].
pub fn beside(word: &Seen) -> [u32; BESIDE] {
    std::array::from_fn(|place| mix(5 + place as u64, word.word, 0))
}

/// What recognizers and context words say around one token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    before: u64,
    here: u64,
    after: u64,
    cues: u64,
}

impl Told {
    /// They say nothing, as of most tokens.
    pub const NOTHING: Self = Self {
        before: 0,
        here: 0,
        after: 0,
        cues: 0,
    };

    /// Around token `index`.
    #[inline]
    pub fn around(seen: &[Seen], index: usize) -> Self {
        let found = |offset| at(seen, index, offset).found;
        Self {
            before: found(-1),
            here: found(0),
            after: found(1),
            cues: (1..=4).fold(0, |cues, back| cues | at(seen, index, -back).entry.cues),
        }
    }

    /// The features of a token of which they say this.
    #[inline]
    pub fn features(self, token: &Seen) -> [u32; TOLD] {
        [
            mix(20, self.here, 0),
            mix(21, self.here, token.shape),
            mix(22, self.before, self.here),
            mix(23, self.here, self.after),
            mix(24, self.cues, token.shape),
        ]
    }
}

#[inline]
fn at(seen: &[Seen], index: usize, offset: isize) -> &Seen {
    index
        .checked_add_signed(offset)
        .and_then(|index| seen.get(index))
        .unwrap_or(&EDGE)
}

/// The features of token `index` that need its neighbours.
#[inline]
pub fn joint(seen: &[Seen], index: usize) -> [u32; JOINT] {
    let [second, before, here, after] = [-2, -1, 0, 1].map(|offset| at(seen, index, offset));
    [
        mix(11, before.shape, here.shape),
        mix(12, here.shape, after.shape),
        mix(13, before.word, here.word),
        mix(14, here.word, after.word),
        mix(15, second.word, before.word),
        mix(17, u64::from(before.entry.flags), u64::from(here.entry.flags)),
        mix(18, u64::from(here.entry.flags), u64::from(after.entry.flags)),
        mix(25, before.shape, after.shape),
        mix(26, before.word, here.shape),
        mix(27, here.shape, after.word),
        mix(
            29,
            second.shape ^ before.shape.rotate_left(5),
            here.shape ^ after.shape.rotate_left(9),
        ),
        mix(
            30,
            u64::from(second.entry.flags),
            u64::from(before.entry.flags) ^ here.shape,
        ),
        mix(31, before.word, u64::from(here.entry.flags)),
    ]
}

/// The features of every token of a segment, one list after the other; `ends[i]` is where those of token `i` end. In
/// the order of their templates: what is learned depends on it in the last bits.
pub fn features(
    text: &str,
    tokens: &[Token],
    found: &[Found],
    lexicon: &Lexicon,
    out: &mut Vec<u32>,
    ends: &mut Vec<usize>,
) {
    out.clear();
    ends.clear();
    let (mut seen, owns): (Vec<Seen>, Vec<[u32; OWN]>) = tokens
        .iter()
        .map(|token| see(&text[token.span.clone()], Gap::from(token), lexicon))
        .unzip();
    mark(tokens, found, &mut seen);
    for (index, own) in owns.iter().enumerate() {
        let joint = joint(&seen, index);
        out.extend(&own[..4]);
        for (place, offset) in PLACES.into_iter().enumerate() {
            out.push(beside(at(&seen, index, -offset))[place]);
        }
        out.extend(&joint[..5]);
        out.push(own[4]);
        out.extend(&joint[5..7]);
        out.push(own[5]);
        out.extend(Told::around(&seen, index).features(&seen[index]));
        out.extend(&joint[7..10]);
        out.push(own[6]);
        out.extend(&joint[10..]);
        out.push(own[7]);
        ends.push(out.len());
    }
}

/// Marks tokens with what recognizers found there, the surest first.
pub fn mark(tokens: &[Token], found: &[Found], seen: &mut [Seen]) {
    for find in found {
        let label = find.kind.coarse().as_bytes();
        let label = u64::from(label[0]) << 8 | u64::from(label[1]);
        let step = (find.confidence * 4.0).clamp(0.0, 3.0) as u64;
        let first = tokens.partition_point(|token| token.span.end <= find.span.start);
        for (offset, token) in tokens[first..]
            .iter()
            .take_while(|token| token.span.start < find.span.end)
            .enumerate()
        {
            let begins = u64::from(token.span.start <= find.span.start || offset == 0);
            let value = step << 32 | begins << 24 | label;
            let known = &mut seen[first + offset].found;
            if value >> 32 > *known >> 32 || *known == 0 {
                *known = value;
            }
        }
    }
}
