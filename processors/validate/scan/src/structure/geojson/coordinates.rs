//! Coordinates, summed up without being kept: their nesting, their rings, their range.

use std::ops::Range;

/// How often, and where first.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub number: u64,
    pub first: Option<(Range<u64>, u64)>,
}

impl Tally {
    pub fn add(&mut self, span: Range<u64>, line: u64) {
        self.number += 1;
        self.first.get_or_insert((span, line));
    }
}

/// An open array within coordinates.
#[derive(Debug, Default)]
pub(super) struct Level {
    begin: u64,
    line: u64,
    /// Numbers that stand in it, and the first two of them.
    numbers: usize,
    xy: [f64; 2],
    /// Arrays that stand in it, and how many of them are positions.
    arrays: u64,
    positions: u64,
    first: [f64; 2],
    last: [f64; 2],
    /// Twice the area, signed: positive counter-clockwise (shoelace formula, about the first position).
    area: f64,
    /// Two neighbours are more than 180 degrees apart: it crosses the antimeridian, and its area says nothing.
    wide: bool,
}

impl Level {
    pub fn new(begin: u64, line: u64) -> Self {
        Self {
            begin,
            line,
            ..Self::default()
        }
    }

    pub fn number(&mut self, value: f64) {
        if let Some(slot) = self.xy.get_mut(self.numbers) {
            *slot = value;
        }
        self.numbers += 1;
    }

    fn position(&mut self, xy: [f64; 2]) {
        if self.positions == 0 {
            self.first = xy;
        } else {
            let from = |point: [f64; 2]| [point[0] - self.first[0], point[1] - self.first[1]];
            let ([a, b], [c, d]) = (from(self.last), from(xy));
            self.area += a * d - b * c;
            self.wide |= (xy[0] - self.last[0]).abs() > 180.0;
        }
        self.last = xy;
        self.positions += 1;
    }
}

/// What is known of the coordinates of one geometry.
#[derive(Debug, Default)]
pub(super) struct Coordinates {
    /// Nesting of the positions: 1 for a point.
    pub shallowest: usize,
    pub deepest: usize,
    pub positions: u64,
    /// Arrays of nothing.
    pub empty: u64,
    pub short_position: Tally,
    pub long_position: Tally,
    pub out_of_range: Tally,
    /// Something other than numbers and arrays, or both in one array.
    pub mixed: Tally,
    pub short_line: Tally,
    pub short_ring: Tally,
    pub open_ring: Tally,
    pub winding: Tally,
}

impl Coordinates {
    /// An array ends that is nested `depth` deep, 1 for the outermost.
    pub fn close(&mut self, level: &Level, parent: Option<&mut Level>, depth: usize, end: u64) {
        let (span, line) = (level.begin..end, level.line);
        if level.numbers > 0 && level.arrays > 0 {
            self.mixed.add(span, line);
            return;
        }
        if level.numbers > 0 {
            self.close_position(level, parent, depth, end);
            return;
        }
        if level.arrays == 0 {
            self.empty += 1;
        }
        let ring = parent.as_ref().map_or(0, |parent| parent.arrays);
        if let Some(parent) = parent {
            parent.arrays += 1;
        }
        if level.positions == 0 {
            return;
        }
        let closed = level.first == level.last;
        if level.positions < 2 {
            self.short_line.add(span.clone(), line);
        }
        if level.positions < 4 {
            self.short_ring.add(span.clone(), line);
        } else if !closed {
            self.open_ring.add(span, line);
        } else if !level.wide && ((ring == 0 && level.area < 0.0) || (ring > 0 && level.area > 0.0)) {
            self.winding.add(span, line);
        }
    }

    fn close_position(&mut self, level: &Level, parent: Option<&mut Level>, depth: usize, end: u64) {
        let (span, line) = (level.begin..end, level.line);
        let first = self.positions == 0;
        self.positions += 1;
        self.shallowest = if first { depth } else { self.shallowest.min(depth) };
        self.deepest = self.deepest.max(depth);
        if level.numbers < 2 {
            self.short_position.add(span.clone(), line);
        }
        if level.numbers > 3 {
            self.long_position.add(span.clone(), line);
        }
        let [x, y] = level.xy;
        if !((-180.0..=180.0).contains(&x) && (-90.0..=90.0).contains(&y)) {
            self.out_of_range.add(span, line);
        }
        if let Some(parent) = parent {
            parent.arrays += 1;
            parent.position(level.xy);
        }
    }
}
