//! The page of figures: `docs/benchmarks.md`, written from the kept runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use super::aims;
use crate::run::{Outcome, root};

/// `name value unit`, the unit possibly of several words.
pub(super) fn figure(line: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = line.split_once(' ')?;
    let (value, unit) = rest.split_once(' ')?;
    (name.contains('.') && value.parse::<f64>().is_ok()).then_some((name, value, unit))
}

/// A kept run.
pub(super) struct Kept {
    name: String,
    machine: Vec<String>,
    /// In the order they were printed.
    figures: Vec<(String, String, String)>,
}

pub(super) fn kept() -> Outcome<Vec<Kept>> {
    let folder = root().join("docs/benchmarks");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("cannot read {}: {e}", folder.display()))?;
    let files: BTreeSet<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            let name = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            Ok(parse(name, &text))
        })
        .collect()
}

fn parse(name: String, text: &str) -> Kept {
    let machine = text
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .map(str::to_owned)
        .collect();
    let own = |(name, value, unit): (&str, &str, &str)| (name.to_owned(), value.to_owned(), unit.to_owned());
    Kept {
        name,
        machine,
        figures: text.lines().filter_map(figure).map(own).collect(),
    }
}

/// The page: one table, a column a run.
pub(super) fn page(runs: &[Kept]) -> String {
    let mut text = "# Benchmarks\n\nWritten by `cargo xtask bench --save NAME` from the runs in `docs/benchmarks`, each on the machine named below its table. Machines are shared and noisy: compare figures of one run, not of two.\n\n".to_owned();
    let mut order: Vec<(&str, &str)> = Vec::new();
    for (name, _, unit) in runs.iter().flat_map(|run| &run.figures) {
        if !order.iter().any(|(known, _)| *known == name.as_str()) {
            order.push((name, unit));
        }
    }
    let heads: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let _ = writeln!(
        text,
        "| figure | unit | aim | {} |\n|---|---|---:|{}",
        heads.join(" | "),
        "---:|".repeat(runs.len())
    );
    let columns: Vec<BTreeMap<&str, &str>> = runs
        .iter()
        .map(|run| {
            run.figures
                .iter()
                .map(|(name, value, _)| (name.as_str(), value.as_str()))
                .collect()
        })
        .collect();
    for (name, unit) in order {
        let values: Vec<&str> = columns
            .iter()
            .map(|column| column.get(name).copied().unwrap_or(""))
            .collect();
        let aim = aims::of(name).unwrap_or("");
        let _ = writeln!(text, "| {name} | {unit} | {aim} | {} |", values.join(" | "));
    }
    for run in runs {
        let _ = write!(text, "\n## Run {}\n\n", run.name);
        for fact in &run.machine {
            let _ = writeln!(text, "* {fact}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_pages() {
        assert_eq!(
            figure("small.rate 12.50 documents/s"),
            Some(("small.rate", "12.50", "documents/s"))
        );
        for other in ["Finished in 3 s", "small.rate", "small.rate x s", "running 3 tests"] {
            assert_eq!(figure(other), None, "{other}");
        }
        let runs = [
            parse("a".into(), "# cores: 2\nx.a 1.00 s\nx.b 2.00 MB\n"),
            parse("b".into(), "# cores: 4\nx.b 3.00 MB\n"),
        ];
        let page = page(&runs);
        assert!(
            page.contains("| x.a | s |  | 1.00 |  |\n| x.b | MB |  | 2.00 | 3.00 |\n"),
            "{page}"
        );
        let with_aim = super::page(&[parse("a".into(), "shell.ratio 0.90 of raw async-nats\n")]);
        assert!(
            with_aim.contains("| figure | unit | aim | a |\n|---|---|---:|---:|\n"),
            "{with_aim}"
        );
        assert!(
            with_aim.contains("| shell.ratio | of raw async-nats | ≥ 0.8 | 0.90 |\n"),
            "{with_aim}"
        );
        assert!(page.contains("## Run b\n\n* cores: 4\n"), "{page}");
    }
}
