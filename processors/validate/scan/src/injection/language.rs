//! How likely characters follow each other: a trigram table over 32 symbols.
//!
//! Used twice: as the feature that shows optimised suffixes (no language has such sequences; perplexity filters
//! are described in Jain et al., "Baseline Defenses for Adversarial Attacks Against Aligned Language Models",
//! 2023) and to decide whether text read backwards, shifted or with digits as letters reads better than as it is.

/// Symbols told apart.
pub const SYMBOLS: usize = 32;
/// Entries of the table.
pub const TABLE: usize = SYMBOLS * SYMBOLS * SYMBOLS;

/// The symbol of a folded character (lower case, digits `0`).
#[inline]
pub const fn symbol(c: u32) -> u8 {
    match c {
        0x61..=0x7a => (c - 0x60) as u8,
        0x20 | 0x09 | 0x0a | 0x0d => 0,
        0x30..=0x39 => 27,
        0x2c | 0x2e | 0x21 | 0x3f | 0x3a | 0x3b => 28,
        0x27 | 0x2d | 0x22 => 29,
        0..=0x7f => 30,
        _ => 31,
    }
}

/// Costs in sixteenths of a bit.
#[derive(Clone)]
pub struct Language {
    table: Box<[u8; TABLE]>,
}

impl Language {
    /// Takes a table of [`TABLE`] costs; anything else is refused.
    pub fn new(table: Vec<u8>) -> Option<Self> {
        table.into_boxed_slice().try_into().ok().map(|table| Self { table })
    }

    /// The costs, for the model file.
    pub fn table(&self) -> &[u8] {
        &self.table[..]
    }

    /// Cost of `c` after `a` and `b`, in sixteenths of a bit.
    #[inline]
    pub fn cost(&self, a: u8, b: u8, c: u8) -> u8 {
        self.table[(usize::from(a & 31) << 10) | (usize::from(b & 31) << 5) | usize::from(c & 31)]
    }

    /// Mean cost of a character in bits; 0 for fewer than 3 symbols.
    pub fn mean(&self, text: impl Iterator<Item = char>) -> f32 {
        let (mut a, mut b, mut sum, mut n) = (0, 0, 0u64, 0u64);
        for c in text {
            let c = if c.is_ascii_digit() {
                '0'
            } else {
                c.to_ascii_lowercase()
            };
            let s = symbol(c as u32);
            if s == 0 && b == 0 {
                continue;
            }
            sum += u64::from(self.cost(a, b, s));
            n += 1;
            (a, b) = (b, s);
        }
        if n < 3 { 0.0 } else { sum as f32 / n as f32 / 16.0 }
    }

    /// Counts the trigrams of `texts`; a trigram never seen falls back on the bigram and that on the character.
    pub fn train<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut tri = vec![0f32; TABLE];
        for text in texts {
            let (mut a, mut b) = (0u8, 0u8);
            for c in text.chars() {
                let c = if c.is_ascii_digit() {
                    '0'
                } else {
                    c.to_lowercase().next().unwrap_or(c)
                };
                let s = symbol(c as u32);
                if s == 0 && b == 0 {
                    continue;
                }
                tri[(usize::from(a) << 10) | (usize::from(b) << 5) | usize::from(s)] += 1.0;
                (a, b) = (b, s);
            }
        }
        let mut bi = vec![0f32; SYMBOLS * SYMBOLS];
        let mut uni = [1f32; SYMBOLS];
        for (index, n) in tri.iter().enumerate() {
            bi[index & 1023] += n;
            uni[index & 31] += n;
        }
        let all: f32 = uni.iter().sum();
        let mut table = Box::new([0u8; TABLE]);
        for ab in 0..SYMBOLS * SYMBOLS {
            let b = ab & 31;
            let seen: f32 = tri[ab << 5..(ab + 1) << 5].iter().sum();
            let seen_b: f32 = bi[b << 5..(b + 1) << 5].iter().sum();
            for c in 0..SYMBOLS {
                let p1 = uni[c] / all;
                let p2 = (bi[(b << 5) | c] + 5.0 * p1) / (seen_b + 5.0);
                let p3 = (tri[(ab << 5) | c] + 5.0 * p2) / (seen + 5.0);
                table[(ab << 5) | c] = (-p3.log2() * 16.0).round().clamp(0.0, 255.0) as u8;
            }
        }
        Self { table }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_costs_less() {
        let language = Language::train(["the cat sat on the mat and the hat"].into_iter());
        assert!(language.mean("the cat".chars()) + 1.0 < language.mean("xq zvkw".chars()));
    }

    #[test]
    fn a_table_of_another_size_is_refused() {
        assert!(Language::new(vec![0; TABLE - 1]).is_none());
    }
}
