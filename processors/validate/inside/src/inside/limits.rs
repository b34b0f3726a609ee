//! How far the engine goes, and what is left of that.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

const MIB: u64 = 1 << 20;

/// The bounds of one look. Every bound that is reached becomes a [`Problem`](super::Problem) of class
/// [`Limit`](super::Class::Limit); none is passed over in silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes that may come out of all decompressors together.
    pub total_bytes: u64,
    /// Unpacked bytes for each packed byte of one member. Deflate cannot do more than about 1 032.
    pub ratio: u64,
    /// Unpacked bytes of one member up to which the ratio does not matter: short repetitive texts pack very well.
    pub ratio_floor: u64,
    /// Containers within containers. The document itself is at depth 0.
    pub depth: u32,
    /// Members of all containers together.
    pub entries: u64,
    /// Cells of all tables together.
    pub cells: u64,
    /// Pages of a PDF.
    pub pages: u64,
    /// Objects of a PDF.
    pub objects: u64,
    /// Bytes of text extracted from documents.
    pub text_bytes: u64,
    /// Bytes of a document whose format can only be read as a whole in memory (PDF, OLE, SQLite, a container inside a container), and of all
    /// such documents held at once.
    pub whole_bytes: u64,
    /// Bytes that one stream of a PDF, one Parquet page or one part of an office document may unpack to.
    pub part_bytes: u64,
    /// Elements within elements.
    pub xml_depth: u32,
    /// Width times height of a picture.
    pub pixels: u64,
    /// Problems that are reported one by one; more are counted.
    pub problems: u64,
    /// Seconds by the clock after which the engine stops by itself. The parent's own limit should be longer.
    pub seconds: u64,
}

impl std::fmt::Display for LimitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The name on the wire, which is that of the field.
        let name = serde_json::to_value(self).unwrap_or_default();
        f.write_str(name.as_str().unwrap_or("limit"))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total_bytes: 512 * MIB,
            ratio: 200,
            ratio_floor: 16 * MIB,
            depth: 6,
            entries: 20_000,
            cells: 5_000_000,
            pages: 5_000,
            objects: 500_000,
            text_bytes: 128 * MIB,
            whole_bytes: 48 * MIB,
            part_bytes: 24 * MIB,
            xml_depth: 256,
            pixels: 400_000_000,
            problems: 500,
            seconds: 20,
        }
    }
}

/// Which bound was reached. The names are those of the fields of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitName {
    /// [`Limits::total_bytes`].
    TotalBytes,
    /// [`Limits::ratio`].
    Ratio,
    /// [`Limits::depth`].
    Depth,
    /// [`Limits::entries`].
    Entries,
    /// [`Limits::cells`].
    Cells,
    /// [`Limits::pages`].
    Pages,
    /// [`Limits::objects`].
    Objects,
    /// [`Limits::text_bytes`].
    TextBytes,
    /// [`Limits::whole_bytes`].
    WholeBytes,
    /// [`Limits::part_bytes`].
    PartBytes,
    /// [`Limits::xml_depth`].
    XmlDepth,
    /// [`Limits::pixels`].
    Pixels,
    /// [`Limits::problems`].
    Problems,
    /// [`Limits::seconds`].
    Seconds,
}

impl Limits {
    /// The value of a bound.
    pub fn value(&self, name: LimitName) -> u64 {
        match name {
            LimitName::TotalBytes => self.total_bytes,
            LimitName::Ratio => self.ratio,
            LimitName::Depth => self.depth.into(),
            LimitName::Entries => self.entries,
            LimitName::Cells => self.cells,
            LimitName::Pages => self.pages,
            LimitName::Objects => self.objects,
            LimitName::TextBytes => self.text_bytes,
            LimitName::WholeBytes => self.whole_bytes,
            LimitName::PartBytes => self.part_bytes,
            LimitName::XmlDepth => self.xml_depth.into(),
            LimitName::Pixels => self.pixels,
            LimitName::Problems => self.problems,
            LimitName::Seconds => self.seconds,
        }
    }
}

/// What is left of the bounds. Shared by readers that are nested in each other, so its counters are cells.
pub(crate) struct Budget {
    pub limits: Limits,
    total: Cell<u64>,
    entries: Cell<u64>,
    cells: Cell<u64>,
    text: Cell<u64>,
    whole: Cell<u64>,
    bombs: Cell<u32>,
    cuts: Cell<u32>,
    until: Instant,
    /// Bounds of the whole document that were reported; each is worth saying once.
    said: RefCell<BTreeSet<LimitName>>,
}

/// Bombs after which the rest of the document is not unpacked any more.
const BOMBS: u32 = 3;

impl Budget {
    pub fn new(limits: Limits) -> Self {
        Self {
            total: Cell::new(limits.total_bytes),
            entries: Cell::new(limits.entries),
            cells: Cell::new(limits.cells),
            text: Cell::new(limits.text_bytes),
            whole: Cell::new(limits.whole_bytes),
            bombs: Cell::new(0),
            cuts: Cell::new(0),
            until: Instant::now() + Duration::from_secs(limits.seconds.min(1 << 20)),
            said: RefCell::default(),
            limits,
        }
    }

    /// Takes up to `wanted` of the bytes that may be unpacked; zero once there are none.
    pub fn unpack(&self, wanted: u64) -> u64 {
        let granted = self.total.get().min(wanted);
        self.total.set(self.total.get() - granted);
        granted
    }

    /// Gives back what was not needed of it.
    pub fn unused(&self, bytes: u64) {
        self.total.set(self.total.get().saturating_add(bytes));
    }

    pub fn entry(&self) -> Result<(), LimitName> {
        take(&self.entries, 1, LimitName::Entries)?;
        self.alive()
    }

    pub fn cells(&self, count: u64) -> Result<(), LimitName> {
        take(&self.cells, count, LimitName::Cells)
    }

    pub fn text(&self, bytes: usize) -> Result<(), LimitName> {
        take(&self.text, bytes as u64, LimitName::TextBytes)
    }

    pub fn text_left(&self) -> u64 {
        self.text.get()
    }

    /// Reserves memory for a document that is read as a whole; [`Budget::release`] gives it back.
    pub fn hold(&self, bytes: u64) -> Result<(), LimitName> {
        take(&self.whole, bytes, LimitName::WholeBytes)
    }

    pub fn whole_left(&self) -> u64 {
        self.whole.get()
    }

    pub fn release(&self, bytes: u64) {
        self.whole.set(self.whole.get().saturating_add(bytes));
    }

    /// Whether there is time, and patience, for more.
    pub fn alive(&self) -> Result<(), LimitName> {
        if self.bombs.get() >= BOMBS {
            return Err(LimitName::Ratio);
        }
        if self.total.get() == 0 {
            return Err(LimitName::TotalBytes);
        }
        if Instant::now() >= self.until {
            return Err(LimitName::Seconds);
        }
        Ok(())
    }

    /// A reader was ended by a bound: who reads from it sees an end that is not the document's fault.
    pub fn cut(&self) {
        self.cuts.set(self.cuts.get().saturating_add(1));
    }

    pub fn cuts(&self) -> u32 {
        self.cuts.get()
    }

    pub fn bomb(&self) {
        self.bombs.set(self.bombs.get().saturating_add(1));
    }

    /// True the first time that a bound is said.
    pub fn first_time(&self, name: LimitName) -> bool {
        self.said.borrow_mut().insert(name)
    }
}

fn take(left: &Cell<u64>, amount: u64, name: LimitName) -> Result<(), LimitName> {
    match left.get().checked_sub(amount) {
        Some(rest) => {
            left.set(rest);
            Ok(())
        }
        None => Err(name),
    }
}
