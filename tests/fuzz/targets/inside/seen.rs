//! What holds of every look into a document, whatever its bytes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read;

use cofferdam_inside::inside::{
    Cell, Class, Kind, LimitName, Limits, Member, Place, Problem, Source, Table, Visitor, look,
};

/// Small, so that an input of some kilobytes reaches each of them.
fn limits() -> Limits {
    Limits {
        total_bytes: 1 << 20,
        ratio: 50,
        ratio_floor: 64 << 10,
        depth: 3,
        entries: 200,
        cells: 2_000,
        pages: 20,
        objects: 2_000,
        text_bytes: 128 << 10,
        whole_bytes: 1 << 20,
        part_bytes: 256 << 10,
        xml_depth: 32,
        pixels: 1 << 20,
        problems: 50,
        // By the clock, so it must not be what two looks differ in.
        seconds: 3_600,
    }
}

/// How many bytes may be handed over for each byte of the document and each that was unpacked: the same bytes may be a member, what is hidden
/// between members, and a stream that a second reader found, on each of the levels.
const FACTOR: u64 = 32;

#[derive(Default)]
struct Seen {
    name: &'static str,
    /// Whether members are read.
    reads: bool,
    limits: Limits,
    bytes: u64,
    text: u64,
    cells: u64,
    rows: u64,
    problems: Vec<Problem>,
    events: DefaultHasher,
}

impl Seen {
    fn place(&self, place: &Place) {
        assert_eq!(place.parts().first().map(String::as_str), Some(self.name));
        assert!(place.parts().len() <= 16);
        for part in place.parts() {
            assert!(part.len() < 4_096 && !part.chars().any(char::is_control));
        }
    }
}

impl Visitor for Seen {
    fn member(&mut self, member: &Member, bytes: &mut dyn Read) {
        self.place(&member.place);
        (&member.place, member.kind, member.declared, member.role as u8).hash(&mut self.events);
        if !self.reads {
            return;
        }
        let mut buffer = [0; 4_096];
        loop {
            let count = bytes.read(&mut buffer).expect("members never fail");
            if count == 0 {
                return;
            }
            self.bytes += count as u64;
            buffer[..count].hash(&mut self.events);
        }
    }

    fn text(&mut self, place: &Place, text: &str) {
        self.place(place);
        assert!(!text.is_empty() && text.len() <= 256 << 10);
        self.text += text.len() as u64;
        (place, text).hash(&mut self.events);
    }

    fn row(&mut self, table: &Table, row: u64, cells: &[Cell<'_>]) {
        self.place(&table.place(row, cells.first().map_or(0, |cell| cell.0)));
        self.rows += 1;
        self.cells += cells.len() as u64;
        for (column, value) in cells {
            if let cofferdam_inside::inside::Value::Text(text) = value {
                self.text += text.len() as u64;
            }
            assert!(table.columns.is_empty() || (*column as usize) < table.columns.len());
        }
        (&table.document, row, format!("{cells:?}")).hash(&mut self.events);
    }

    fn problem(&mut self, problem: Problem) {
        self.place(&problem.place);
        assert!((0.0..=1.0).contains(&problem.confidence));
        assert!(!problem.message.is_empty() && problem.message.len() < 400);
        if problem.class == Class::Limit {
            let limit = problem.limit.expect("a limit is named");
            assert_eq!(limit.value, self.limits.value(limit.name));
        } else {
            assert!(problem.limit.is_none());
        }
        self.problems.push(problem);
    }
}

fn run(name: &'static str, kind: Option<Kind>, data: &[u8], reads: bool) -> (Kind, Seen) {
    let mut seen = Seen {
        name,
        reads,
        limits: limits(),
        ..Seen::default()
    };
    let kind = look(Source::memory(data.to_vec()), name, kind, &limits(), &mut seen);
    (kind, seen)
}

/// Looks into `data` as a document of this kind.
pub fn check(name: &'static str, kind: Kind, data: &[u8]) {
    let (assumed, seen) = run(name, Some(kind), data, true);
    assert_eq!(assumed, kind);
    bounds(&seen, data);
    // The same bytes give the same, and what a scanner reads of a member changes nothing of what is wrong.
    let (_, again) = run(name, Some(kind), data, true);
    assert_eq!(seen.events.finish(), again.events.finish());
    assert_eq!(seen.problems, again.problems);
    let (_, blind) = run(name, Some(kind), data, false);
    assert_eq!(seen.problems, blind.problems);
}

/// The same, as the engine itself sees the bytes.
pub fn check_guessed(name: &'static str, data: &[u8]) {
    let (guessed, seen) = run(name, None, data, true);
    bounds(&seen, data);
    let (same, again) = run(name, None, data, true);
    assert_eq!((guessed, seen.events.finish()), (same, again.events.finish()));
    assert_eq!(seen.problems, again.problems);
}

fn bounds(seen: &Seen, data: &[u8]) {
    let limits = &seen.limits;
    let most = FACTOR * (data.len() as u64 + limits.total_bytes);
    assert!(seen.bytes <= most, "{} bytes handed over", seen.bytes);
    assert!(seen.text <= limits.text_bytes, "{} bytes of text", seen.text);
    assert!(seen.cells <= limits.cells, "{} cells", seen.cells);
    assert!(seen.rows <= limits.cells.max(1), "{} rows", seen.rows);
    assert!(seen.problems.len() as u64 <= limits.problems + 1);
    for problem in &seen.problems {
        if problem.place.depth() == 0 {
            let inside = problem.offset.is_none_or(|offset| offset <= data.len() as u64);
            assert!(inside, "{} at {:?}", problem.rule, problem.offset);
        }
    }
    let counted = seen.problems.len() as u64 > limits.problems;
    let said = |problem: &Problem| problem.limit.is_some_and(|limit| limit.name == LimitName::Problems);
    assert!(!counted || seen.problems.iter().any(said));
}
