//! A reader that counts, checks and stops.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::limits::{Budget, LimitName};

/// How many packed bytes stand behind what is read.
#[derive(Clone)]
pub(crate) enum Packed {
    /// So many.
    Known(u64),
    /// So many as were read so far.
    Counted(Rc<Cell<u64>>),
    /// It is not packed: neither ratio nor total apply.
    Not,
}

/// Reads a member within the budget. Never fails: an error or a bound ends it early and is kept.
pub(crate) struct Meter<'a> {
    inner: &'a mut dyn Read,
    budget: Rc<Budget>,
    packed: Packed,
    crc: crc32fast::Hasher,
    pub produced: u64,
    pub error: Option<io::Error>,
    pub limit: Option<LimitName>,
    done: bool,
}

impl<'a> Meter<'a> {
    pub fn new(inner: &'a mut dyn Read, budget: Rc<Budget>, packed: Packed) -> Self {
        Self {
            inner,
            budget,
            packed,
            crc: crc32fast::Hasher::new(),
            produced: 0,
            error: None,
            limit: None,
            done: false,
        }
    }

    /// CRC-32 of what was read.
    pub fn crc(&self) -> u32 {
        self.crc.clone().finalize()
    }

    fn bound(&self) -> Result<(), LimitName> {
        self.budget.alive()?;
        let packed = match &self.packed {
            Packed::Known(bytes) => *bytes,
            Packed::Counted(bytes) => bytes.get(),
            Packed::Not => return Ok(()),
        };
        let limits = &self.budget.limits;
        if self.produced > limits.ratio_floor && self.produced / packed.max(1) > limits.ratio {
            return Err(LimitName::Ratio);
        }
        Ok(())
    }
}

impl Read for Meter<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.done || into.is_empty() {
            return Ok(0);
        }
        if let Err(name) = self.bound() {
            self.limit = Some(name);
            self.budget.cut();
            self.done = true;
            return Ok(0);
        }
        let counts = !matches!(self.packed, Packed::Not);
        let mut into = into;
        if counts {
            let granted = self.budget.unpack(into.len() as u64);
            into = &mut into[..usize::try_from(granted).unwrap_or(0)];
        }
        let room = into.len();
        let count = loop {
            match self.inner.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.error = Some(error);
                    break 0;
                }
                // A reader of a third party that lies about its count must not make a slice panic.
                Ok(count) => break count.min(room),
            }
        };
        if counts {
            self.budget.unused((room - count) as u64);
        }
        self.done = count == 0;
        self.produced += count as u64;
        self.crc.update(&into[..count]);
        Ok(count)
    }
}

/// Counts what is read from a source.
pub(crate) struct Counting<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R> Counting<R> {
    pub fn new(inner: R) -> (Self, Rc<Cell<u64>>) {
        let count = Rc::new(Cell::new(0));
        let reader = Self {
            inner,
            count: count.clone(),
        };
        (reader, count)
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

/// Reads until the buffer is full or there is no more.
pub(crate) fn fill(reader: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match reader.read(&mut into[done..]) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Reads to the end and throws it away.
pub(crate) fn drain(reader: &mut dyn Read) -> io::Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        match fill(reader, &mut buffer)? {
            0 => return Ok(total),
            count => total += count as u64,
        }
    }
}
