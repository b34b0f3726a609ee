//! Files of rules, as they lie on the disk.

use std::path::{Path, PathBuf};

use super::YaraError;

/// Bytes of all rules together.
const MOST: u64 = 64 << 20;
/// Folders in folders.
const DEEP: usize = 8;
const BUILT_IN: &str = include_str!("../../rules/cofferdam.yar");

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Where it is from; `built in` for the one compiled in.
    pub name: String,
    /// What tells its rules from those of other files with the same names.
    pub namespace: String,
    pub text: String,
}

/// The rules that are built in, and those of files and of folders.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Source>, YaraError> {
    let mut sources = vec![Source {
        name: "built in".to_owned(),
        namespace: "cofferdam".to_owned(),
        text: BUILT_IN.to_owned(),
    }];
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            walk(path, DEEP, &mut files)?;
            if files.len() == before {
                return Err(YaraError::Empty { path: path.clone() });
            }
        } else {
            files.push(path.clone());
        }
    }
    let mut bytes = 0;
    for path in files {
        bytes += std::fs::metadata(&path).map_err(failed(&path))?.len();
        if bytes > MOST {
            return Err(YaraError::TooLong { most: MOST });
        }
        let name = path.display().to_string();
        sources.push(Source {
            text: std::fs::read_to_string(&path).map_err(failed(&path))?,
            namespace: name.clone(),
            name,
        });
    }
    Ok(sources)
}

/// Rules in a folder, in the order of their names.
fn walk(folder: &Path, deep: usize, files: &mut Vec<PathBuf>) -> Result<(), YaraError> {
    let entries = std::fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries = entries.map_err(failed(folder))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed(folder))?);
        let rules = path.extension().is_some_and(|end| end == "yar" || end == "yara");
        if kind.is_dir() && deep > 0 {
            walk(&path, deep - 1, files)?;
        } else if rules && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> YaraError {
    let path = path.to_owned();
    move |source| YaraError::Read { path, source }
}

impl Source {
    /// The line where a rule begins, from 1.
    pub fn line(&self, rule: &str) -> usize {
        let begins = |line: &str| {
            let mut words = line
                .split_whitespace()
                .skip_while(|word| matches!(*word, "private" | "global"));
            words.next() == Some("rule")
                && words
                    .next()
                    .is_some_and(|name| name.trim_end_matches([':', '{']) == rule)
        };
        self.text.lines().position(begins).map_or(1, |line| line + 1)
    }
}
