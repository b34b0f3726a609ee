//! Rows of weights by feature, close together: the tagger looks up more features of every token than it finds, and
//! waits for memory.

use super::tagger::ROW;

/// Places of features, a bit each.
const PLACES: usize = 1 << 18;
/// Set in a check where more than one feature has the place.
const SHARED: u16 = 1 << 15;

/// A row for each of many features. A feature's place is the low bits of its hash; rows stand in the order of the
/// places, so that a row is found by counting the places before its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The places that are taken: most features of a text have none of them, and this small set stays in the cache.
    taken: Vec<u64>,
    /// Places taken before each 64.
    before: Vec<u32>,
    /// The other bits of the feature of each row.
    checks: Vec<u16>,
    /// A row for each place, one of zeros, and those of features that share a place.
    rows: Vec<[i8; ROW]>,
    /// Features whose place had been taken, with their rows, by [`other_place`]; the row of zeros where there is none.
    others: Vec<(u32, u32)>,
}

impl Table {
    /// Of features and their rows. Of two rows of a feature the first counts.
    pub fn new(mut list: Vec<(u32, [i8; ROW])>) -> Self {
        list.sort_by_key(|(feature, _)| place(*feature));
        let mut taken = vec![0u64; PLACES / 64];
        let (mut checks, mut rows, mut shared) = (Vec::new(), Vec::new(), Vec::new());
        let mut last = None;
        for (feature, row) in list {
            let place = place(feature);
            if last == Some(place) {
                if let Some(check) = checks.last_mut() {
                    *check |= SHARED;
                }
                shared.push((feature, row));
                continue;
            }
            last = Some(place);
            taken[place / 64] |= 1 << (place % 64);
            checks.push(check(feature));
            rows.push(row);
        }
        let mut count = 0;
        let before = taken
            .iter()
            .map(|places| {
                count += places.count_ones();
                count - places.count_ones()
            })
            .collect();
        rows.push([0; ROW]);
        let none = checks.len() as u32;
        let mut others = vec![(0, none); (shared.len() * 4).next_power_of_two()];
        for (feature, row) in shared {
            let mut at = other_place(feature, others.len());
            while others[at].1 != none && others[at].0 != feature {
                at = (at + 1) % others.len();
            }
            if others[at].1 == none {
                others[at] = (feature, rows.len() as u32);
                rows.push(row);
            }
        }
        Self {
            taken,
            before,
            checks,
            rows,
            others,
        }
    }

    /// Whether a feature may have a row; false for most that have none.
    #[inline]
    fn may_have(&self, feature: u32) -> bool {
        self.taken[place(feature) / 64] >> (feature % 64) & 1 == 1
    }

    /// The index of the row of a feature that may have one; of the row of zeros if it has none.
    #[inline]
    fn index(&self, feature: u32) -> u32 {
        let block = place(feature) / 64;
        let earlier = self.taken[block] & ((1 << (feature % 64)) - 1);
        let index = self.before[block] + earlier.count_ones();
        let known = self.checks[index as usize];
        let same = known & !SHARED == check(feature);
        if !same & (known & SHARED != 0) {
            return self.other(feature);
        }
        if same { index } else { self.checks.len() as u32 }
    }

    fn other(&self, feature: u32) -> u32 {
        let mut at = other_place(feature, self.others.len());
        loop {
            let (known, index) = self.others[at];
            if known == feature || index as usize == self.checks.len() {
                return index;
            }
            at = (at + 1) % self.others.len();
        }
    }

    /// The row of a feature; zeros if it has none.
    pub fn row(&self, feature: u32) -> &[i8; ROW] {
        let mut index = [self.checks.len() as u32];
        if self.may_have(feature) {
            index = [feature];
            self.find(&mut index);
        }
        &self.rows[index[0] as usize]
    }

    /// Writes those of some features that may have a row to the front of `out`, which takes all, and returns how many
    /// they are.
    #[inline]
    pub fn sift<const COUNT: usize>(&self, features: [u32; COUNT], out: &mut [u32]) -> usize {
        let out = &mut out[..COUNT];
        // What a branch would decide is as good as chance.
        let mut count = 0;
        for feature in features {
            out[count] = feature;
            count += usize::from(self.may_have(feature));
        }
        count
    }

    /// Turns features that [`Table::sift`] has left into the indices of their rows, many at once, so that none waits
    /// for another.
    pub fn find(&self, features: &mut [u32]) {
        for feature in features {
            *feature = self.index(*feature);
        }
    }

    /// Adds the rows of some indices to a sum.
    #[inline]
    pub fn add(&self, indices: &[u32], sum: &mut [i16; ROW]) {
        let mut total = *sum;
        for index in indices {
            total = plus(total, &self.rows[*index as usize]);
        }
        *sum = total;
    }
}

/// Adds a row to a sum. All the features of a token, at most 127 each, fit.
#[inline]
pub fn add(sum: &mut [i16; ROW], row: &[i8; ROW]) {
    *sum = plus(*sum, row);
}

/// By value: written through a reference, each of the sixteen would be read and written by itself.
#[inline]
fn plus(mut sum: [i16; ROW], row: &[i8; ROW]) -> [i16; ROW] {
    let row = row.map(i16::from);
    for (sum, weight) in sum.iter_mut().zip(row) {
        *sum = sum.wrapping_add(weight);
    }
    sum
}

/// Adds one sum to another.
#[inline]
pub fn add_all(sum: &mut [i16; ROW], other: &[i16; ROW]) {
    let (mut total, other) = (*sum, *other);
    for (sum, weight) in total.iter_mut().zip(other) {
        *sum = sum.wrapping_add(weight);
    }
    *sum = total;
}

/// The place of a feature among `count`, a power of two, where the place of its low bits is shared.
fn other_place(feature: u32, count: usize) -> usize {
    (feature.wrapping_mul(0x9e37_79b9) >> 8) as usize % count
}

fn place(feature: u32) -> usize {
    feature as usize % PLACES
}

fn check(feature: u32) -> u16 {
    (feature / PLACES as u32) as u16
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_feature_has_the_row_it_was_given(
            // Few places and few checks, so that some are shared.
            list in prop::collection::vec((0u32..90, 0u32..4, any::<i8>()), 0..200),
            asked in prop::collection::vec((0u32..90, 0u32..5), 32),
        ) {
            let feature = |(place, check): (u32, u32)| place * 2_917 % PLACES as u32 + check * PLACES as u32;
            let mut first = HashMap::new();
            for (place, check, weight) in &list {
                first.entry(feature((*place, *check))).or_insert([*weight; ROW]);
            }
            let table = Table::new(list.iter().map(|(place, check, weight)| (feature((*place, *check)), [*weight; ROW])).collect());
            let asked: Vec<u32> = asked.into_iter().map(feature).collect();
            let (mut sum, mut expected) = ([0; ROW], [0; ROW]);
            let mut sifted = [0; 32];
            let count = table.sift::<32>(asked.clone().try_into().unwrap(), &mut sifted);
            table.find(&mut sifted[..count]);
            table.add(&sifted[..count], &mut sum);
            for feature in asked {
                let row = first.get(&feature).copied().unwrap_or_default();
                prop_assert_eq!(table.row(feature), &row);
                add(&mut expected, &row);
            }
            prop_assert_eq!(sum, expected);
        }
    }
}
