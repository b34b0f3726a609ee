//! Where in a document a value stands.

use std::fmt::{self, Write};

/// Bytes of a member's name that a path keeps; the rest is cut.
const NAME: usize = 1024;

/// The way from the root to a value: names of members and numbers of elements.
#[derive(Debug, Default, Clone)]
pub struct Path {
    names: String,
    steps: Vec<Held>,
}

#[derive(Debug, Clone, Copy)]
enum Held {
    /// The name begins here in `names` and ends with the next name or the end.
    Name(usize),
    Index(u64),
}

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// The member of an object, unescaped, cut at 1 KiB.
    Name(&'a str),
    /// The element of an array, from 0.
    Index(u64),
}

impl Path {
    /// Steps from the root; 0 for the root itself.
    pub fn depth(&self) -> usize {
        self.steps.len()
    }

    /// The last step; `None` at the root.
    pub fn last(&self) -> Option<Step<'_>> {
        self.step(self.steps.len().checked_sub(1)?)
    }

    /// Step `number`, from 0 at the root.
    pub fn step(&self, number: usize) -> Option<Step<'_>> {
        match *self.steps.get(number)? {
            Held::Index(index) => Some(Step::Index(index)),
            Held::Name(begin) => {
                let next = self.steps[number + 1..].iter().find_map(|step| match step {
                    Held::Name(begin) => Some(*begin),
                    Held::Index(_) => None,
                });
                Some(Step::Name(&self.names[begin..next.unwrap_or(self.names.len())]))
            }
        }
    }

    /// The nearest name at or above the last step: what an element of an array is called.
    pub fn name(&self) -> Option<&str> {
        self.names().next()
    }

    /// The names of what holds something, the nearest first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.steps.len())
            .rev()
            .filter_map(|number| match self.step(number) {
                Some(Step::Name(name)) => Some(name),
                _ => None,
            })
    }

    /// Writes it as a JSON Pointer (RFC 6901), ending when `limit` bytes are exceeded.
    pub fn write(&self, out: &mut String, limit: usize) {
        let end = out.len() + limit;
        for number in 0..self.steps.len() {
            if out.len() > end {
                return;
            }
            out.push('/');
            match self.step(number) {
                Some(Step::Name(name)) if name.contains(['~', '/']) => {
                    out.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
                Some(Step::Name(name)) => out.push_str(name),
                // Unwrap safety: writing to a string cannot fail, and nothing depends on it.
                Some(Step::Index(index)) => drop(write!(out, "{index}")),
                None => {}
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.steps.clear();
        self.names.clear();
    }

    pub(super) fn enter_array(&mut self) {
        self.steps.push(Held::Index(0));
    }

    pub(super) fn enter_object(&mut self) {
        self.steps.push(Held::Name(self.names.len()));
    }

    pub(super) fn leave(&mut self) {
        if let Some(Held::Name(begin)) = self.steps.pop() {
            self.names.truncate(begin);
        }
    }

    pub(super) fn next(&mut self) {
        if let Some(Held::Index(index)) = self.steps.last_mut() {
            *index += 1;
        }
    }

    pub(super) fn rename(&mut self, name: &str) {
        if let Some(Held::Name(begin)) = self.steps.last() {
            self.names.truncate(*begin);
            self.names.push_str(&name[..name.floor_char_boundary(NAME)]);
        }
    }
}

/// The whole JSON Pointer.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text, usize::MAX / 2);
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers() {
        let mut path = Path::default();
        assert_eq!((path.to_string().as_str(), path.last()), ("", None));
        path.enter_object();
        path.rename("a/b~");
        path.enter_array();
        path.next();
        path.enter_object();
        path.rename("x");
        assert_eq!(path.to_string(), "/a~1b~0/1/x");
        assert_eq!(path.last(), Some(Step::Name("x")));
        path.rename("yy");
        assert_eq!(path.step(0), Some(Step::Name("a/b~")));
        path.leave();
        assert_eq!((path.last(), path.name()), (Some(Step::Index(1)), Some("a/b~")));
        path.leave();
        path.leave();
        assert_eq!(path.depth(), 0);
    }
}
