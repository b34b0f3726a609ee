//! What the tests share: the pool with the test child, and builders of hostile files.

pub mod make;

use std::io::Write;
use std::time::Duration;

use cofferdam_inside::inside::{Class, LimitName, Limits, Problem};
use cofferdam_inside::sandbox::{Failure, Pool, Report, Settings, Spool};

pub use crate::fuzzed::targets::put;
pub use crate::wire::{Request, Seen};

pub fn settings() -> Settings {
    let mut settings = Settings::of(env!("CARGO_BIN_EXE_inside-worker").into(), "__inside-worker");
    settings.children = 2;
    settings.wall = Duration::from_secs(60);
    settings
}

/// What a look gave.
#[derive(Debug)]
pub struct Look {
    pub seen: Vec<Seen>,
    pub end: Result<Report, Failure>,
}

impl Look {
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.seen.iter().filter_map(|seen| {
            if let Seen::Problem(problem) = seen {
                Some(problem)
            } else {
                None
            }
        })
    }

    pub fn has(&self, rule: &str) -> bool {
        self.problems().any(|problem| problem.rule == rule)
    }

    pub fn reached(&self, name: LimitName) -> bool {
        self.problems()
            .any(|problem| problem.limit.is_some_and(|limit| limit.name == name))
    }

    /// Damaged, or beyond what a child may take.
    pub fn is_refused(&self) -> bool {
        self.end.is_err() || self.problems().any(|problem| problem.class == Class::Damaged)
    }

    pub fn is_limited(&self) -> bool {
        self.problems().any(|problem| problem.class == Class::Limit)
    }

    /// Neither refused nor limited nor dangerous.
    pub fn is_clean(&self) -> bool {
        self.end.is_ok()
            && self.problems().all(|problem| {
                problem.class == Class::NotChecked || problem.severity < cofferdam_schemas::Severity::Medium
            })
    }

    pub fn signature_at(&self) -> Vec<String> {
        let found = self.seen.iter().filter_map(|seen| match seen {
            Seen::Member {
                place, signature: true, ..
            } => Some(place.to_string()),
            _ => None,
        });
        found.collect()
    }

    pub fn text(&self) -> String {
        let mut all = String::new();
        for seen in &self.seen {
            match seen {
                Seen::Text { text, .. } => all.push_str(text),
                Seen::Row { cells, .. } => all.push_str(&cells.join(" ")),
                _ => continue,
            }
            all.push('\n');
        }
        all
    }

    pub fn rules(&self) -> Vec<String> {
        self.problems()
            .map(|problem| format!("{} at {}", problem.rule, problem.place))
            .collect()
    }
}

pub async fn look(pool: &Pool, name: &str, bytes: &[u8]) -> Look {
    look_within(pool, name, bytes, Limits::default()).await
}

pub async fn look_within(pool: &Pool, name: &str, bytes: &[u8], limits: Limits) -> Look {
    let request = Request::Look {
        name: name.to_owned(),
        kind: None,
        limits,
    };
    ask(pool, &request, bytes).await
}

pub async fn ask(pool: &Pool, request: &Request, bytes: &[u8]) -> Look {
    let mut spool = Spool::in_memory().unwrap();
    spool.write_all(bytes).unwrap();
    let document = spool.finish().unwrap();
    let mut seen = Vec::new();
    let end = pool.run(request, &document, |item: Seen| seen.push(item)).await;
    Look { seen, end }
}

/// EICAR's test file, kept out of the sources.
pub fn eicar() -> Vec<u8> {
    use base64::Engine;
    let text = "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo=";
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}
