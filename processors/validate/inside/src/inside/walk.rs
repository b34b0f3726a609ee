//! The walk through a document: what every format does with a member it found.

use std::io::{self, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::active::Tee;
use super::kind::{HEAD, Kind};
use super::limits::{Budget, LimitName, Limits};
use super::meter::{Meter, Packed, drain, fill};
use super::place::Place;
use super::problem::{Class, Problem, Reached};
use super::rules::{self, Rule};
use super::source::Source;
use super::visitor::{Member, Role, Visitor};
use super::{active, dicom, image, mail, names, ole, parquet, pdf, polyglot, shape, sqlite, stream, tar, zip};

/// Longest piece of text handed over at once.
const TEXT: usize = 256 << 10;

/// One walk.
pub(crate) struct Walk<'v> {
    pub visitor: &'v mut dyn Visitor,
    pub budget: Rc<Budget>,
    reported: u64,
    unreported: u64,
}

/// A member as its container describes it.
pub(crate) struct Found {
    pub place: Place,
    pub declared: Option<u64>,
    pub packed: Packed,
    pub role: Role,
    /// Whether it is entered if it is a container.
    pub enter: bool,
}

/// What became of it.
pub(crate) struct Taken {
    pub produced: u64,
    pub crc: u32,
    pub error: Option<io::Error>,
    /// Whether a bound ended it: its checksum says nothing then.
    pub cut: bool,
}

impl<'v> Walk<'v> {
    pub fn new(limits: Limits, visitor: &'v mut dyn Visitor) -> Self {
        Self {
            visitor,
            budget: Rc::new(Budget::new(limits)),
            reported: 0,
            unreported: 0,
        }
    }

    pub fn limits(&self) -> &Limits {
        &self.budget.limits
    }

    pub fn report(&mut self, rule: &Rule, place: &Place) {
        self.problem(Problem::of(rule, place));
    }

    pub fn report_at(&mut self, rule: &Rule, place: &Place, offset: u64) {
        self.problem(Problem {
            offset: Some(offset),
            ..Problem::of(rule, place)
        });
    }

    fn problem(&mut self, problem: Problem) {
        // Grave ones are few by nature or repeat each other; the bound keeps an archive of a million tricks from flooding the parent.
        if self.reported >= self.limits().problems && problem.class != Class::Limit {
            self.unreported += 1;
            return;
        }
        self.reported += 1;
        self.visitor.problem(problem);
    }

    /// A bound was reached; `not_looked_at` bytes were left, if that is known.
    pub fn limit(&mut self, name: LimitName, place: &Place, not_looked_at: Option<u64>) {
        let whole = matches!(
            name,
            LimitName::TotalBytes | LimitName::Entries | LimitName::Cells | LimitName::TextBytes | LimitName::Seconds
        );
        if whole && !self.budget.first_time(name) {
            return;
        }
        if self.reported >= self.limits().problems {
            self.unreported += 1;
            return;
        }
        let value = self.limits().value(name);
        let limit = Some(Reached {
            name,
            value,
            bytes_not_looked_at: not_looked_at,
        });
        self.problem(Problem {
            limit,
            ..Problem::of(&rules::LIMIT, place)
        });
    }

    /// Whether to go on; says why not.
    pub fn more(&mut self, place: &Place) -> bool {
        match self.budget.alive() {
            Ok(()) => self.visitor.wants_more(),
            Err(name) => {
                self.limit(name, place, None);
                false
            }
        }
    }

    /// Says what the bound on problems swallowed.
    pub fn finish(&mut self, place: &Place) {
        if self.unreported > 0 {
            let limit = Some(Reached {
                name: LimitName::Problems,
                value: self.limits().problems,
                bytes_not_looked_at: None,
            });
            self.visitor.problem(Problem {
                limit,
                ..Problem::of(&rules::LIMIT, place)
            });
        }
    }

    /// Hands text over in pieces.
    pub fn text(&mut self, place: &Place, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        if let Err(name) = self.budget.text(text.len()) {
            self.limit(name, place, Some(text.len() as u64));
            return;
        }
        let mut rest = text;
        while rest.len() > TEXT {
            let mut cut = TEXT;
            while !rest.is_char_boundary(cut) {
                cut -= 1;
            }
            // Between words where there are any, so that nothing is cut in two.
            let cut = rest[..cut]
                .rfind(char::is_whitespace)
                .filter(|at| *at > TEXT / 2)
                .unwrap_or(cut);
            self.visitor.text(place, &rest[..cut]);
            rest = &rest[cut..];
        }
        self.visitor.text(place, rest);
    }

    /// Runs a parser of a third party; a panic in it is a broken document.
    pub fn guard<T>(&mut self, place: &Place, run: impl FnOnce(&mut Self) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| run(self))) {
            Ok(value) => Some(value),
            Err(_) => {
                self.report(&rules::PARSER_PANIC, place);
                None
            }
        }
    }

    /// Looks into a document or member.
    pub fn inside(&mut self, source: &Source, kind: Kind, place: &Place, depth: u32) {
        match kind {
            Kind::Zip => zip::look(self, source, place, depth),
            Kind::Ole => ole::look(self, source, place, depth),
            Kind::Pdf => pdf::look(self, source, place, depth),
            Kind::Parquet => parquet::look(self, source, place),
            Kind::Shape => shape::single(self, source, place),
            Kind::Mail => mail::look(self, source, place, depth),
            Kind::Sqlite => sqlite::look(self, source, place, depth),
            Kind::Dicom => dicom::look(self, source, place, depth),
            Kind::Png | Kind::Jpeg | Kind::Gif | Kind::Webp | Kind::Tiff | Kind::Bmp => {
                image::look(self, source, kind, place, depth)
            }
            Kind::Html | Kind::Svg | Kind::Xml | Kind::Rtf => active::look(self, source, kind, place),
            Kind::SevenZip | Kind::Rar | Kind::Cab | Kind::Iso => self.report(&rules::FORMAT, place),
            Kind::Gzip | Kind::Bzip2 | Kind::Xz | Kind::Zstd | Kind::Tar => {
                let mut reader = io::BufReader::with_capacity(64 << 10, source.clone());
                self.stream(kind, place, &mut reader, depth);
            }
            _ => {}
        }
        polyglot::check(self, source, kind, place, depth);
    }

    fn stream(&mut self, kind: Kind, place: &Place, reader: &mut dyn Read, depth: u32) {
        if kind == Kind::Tar {
            tar::look(self, place, reader, depth);
        } else {
            stream::look(self, kind, place, reader, depth);
        }
    }

    /// Hands a member over, and enters it if it is a container. Reads it to its end.
    pub fn member(&mut self, found: Found, reader: &mut dyn Read, depth: u32) -> Taken {
        self.member_as(found, None, reader, depth)
    }

    /// The same for one whose container knows what it is.
    pub fn member_as(&mut self, found: Found, known: Option<Kind>, reader: &mut dyn Read, depth: u32) -> Taken {
        let Found {
            place,
            declared,
            packed,
            role,
            enter,
        } = found;
        let mut meter = Meter::new(reader, self.budget.clone(), packed);
        let mut head = vec![0; HEAD];
        let count = fill(&mut meter, &mut head).unwrap_or(0);
        head.truncate(count);
        let kind = known.unwrap_or_else(|| names::said(place.name(), Kind::sniff(&head)));
        if role == Role::File || known.is_some() {
            self.check_name(&place, kind);
        }
        let member = Member {
            place: place.clone(),
            kind,
            declared,
            role,
        };
        let mut body = Cursor::new(head).chain(&mut meter);
        if kind.is_container() && enter {
            self.enter(&member, &mut body, depth);
        } else {
            if enter && matches!(kind, Kind::SevenZip | Kind::Rar | Kind::Cab | Kind::Iso) {
                self.report(&rules::FORMAT, &place);
            }
            self.plain(&member, &mut body);
        }
        // The meter never fails, so neither does this.
        let _ = drain(&mut body);
        drop(body);
        let limit = meter.limit;
        let left = declared.map(|size| size.saturating_sub(meter.produced));
        let taken = Taken {
            produced: meter.produced,
            crc: meter.crc(),
            error: meter.error,
            cut: limit.is_some(),
        };
        if let Some(name) = limit {
            if name == LimitName::Ratio && self.budget.alive().is_ok() {
                self.budget.bomb();
                self.report(&rules::BOMB, &place);
            }
            self.limit(name, &place, left);
        }
        taken
    }

    fn plain(&mut self, member: &Member, body: &mut dyn Read) {
        let mut tee = Tee::new(body, member.kind, member.role);
        self.visitor.member(member, &mut tee);
        let _ = drain(&mut tee);
        for rule in tee.found() {
            self.report(rule, &member.place);
        }
    }

    fn enter(&mut self, member: &Member, body: &mut dyn Read, depth: u32) {
        let Member { place, kind, .. } = member;
        if depth >= self.limits().depth {
            self.limit(LimitName::Depth, place, member.declared);
            return self.plain(member, body);
        }
        if kind.is_stream() {
            return self.stream(*kind, place, body, depth + 1);
        }
        let room = self.budget.whole_left();
        let cuts = self.budget.cuts();
        let mut whole = Vec::new();
        // Neither the meter nor a cursor fails.
        let _ = (&mut *body).take(room.saturating_add(1)).read_to_end(&mut whole);
        if whole.len() as u64 > room {
            self.limit(LimitName::WholeBytes, place, member.declared);
            let mut all = Cursor::new(whole).chain(body);
            return self.plain(member, &mut all);
        }
        if self.budget.cuts() != cuts {
            // Only its beginning is there: its structure would be judged wrongly.
            return self.plain(member, &mut &whole[..]);
        }
        let held = whole.len() as u64;
        let whole = bytes::Bytes::from(whole);
        self.visitor.member(member, &mut &whole[..]);
        // It fits: there was room for it above.
        let _ = self.budget.hold(held);
        self.inside(&Source::memory(whole), *kind, place, depth + 1);
        self.budget.release(held);
    }

    fn check_name(&mut self, place: &Place, kind: Kind) {
        let name = place.name();
        let runs = names::runs(name);
        let known = names::extension(name).is_some_and(|extension| !names::fits(&format!("x.{extension}"), Kind::Pe));
        if kind.is_program() && known {
            self.report(&rules::DISGUISED, place);
        } else if kind.is_program() && kind != Kind::JavaClass || runs {
            self.report(&rules::EXECUTABLE, place);
        } else if !names::fits(name, kind) {
            self.report(&rules::MISNAMED, place);
        }
    }
}
