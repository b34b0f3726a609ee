//! Reading, checking and showing the configuration.

mod origin;
mod plan;
mod raw;

pub use origin::show;
pub use plan::Plan;
pub use raw::{LogFormat, Raw, RetirePolicy, S3Store, Sync};

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use cofferdam_processor::{ConfigProblem, Registration};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};

use crate::args::Global;

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "cofferdam.toml";

/// Of the environment variables that are read.
const PREFIX: &str = "COFFERDAM__";
/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 1024 * 1024;
/// How deep a variable's value may be nested.
const DEEPEST: usize = 16;
/// The most characters of a parser's message, which quotes what it read.
const LONGEST_MESSAGE: usize = 600;

/// Where key files are when nothing is said: as the XDG Base Directory Specification has it, for which an empty variable is not set.
pub fn default_config_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = set("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&set("HOME")?).join(".config")))?;
    Some(base.join("cofferdam"))
}

/// Every problem found in the configuration.
#[derive(Debug)]
pub struct Problems {
    /// The file, if one was read.
    pub file: Option<PathBuf>,
    /// The problems.
    pub problems: Vec<ConfigProblem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self
            .file
            .as_deref()
            .map_or_else(|| "defaults and environment".into(), Path::to_string_lossy);
        write!(f, "configuration is not valid ({file})")?;
        for problem in &self.problems {
            write!(f, "\n  {}: {}", problem.key, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What is layered: defaults, file, environment, flags.
pub fn layers(global: &Global) -> Result<(Figment, Option<PathBuf>), Problems> {
    let file = match &global.config {
        Some(file) if !file.is_file() => {
            let problem = ConfigProblem {
                key: "--config".into(),
                message: format!("no such file: {}", file.display()),
            };
            return Err(Problems {
                file: None,
                problems: vec![problem],
            });
        }
        Some(file) => Some(file.clone()),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.is_file()),
    };
    let refused = |problems: Vec<ConfigProblem>| match problems.is_empty() {
        true => Ok(()),
        false => Err(Problems {
            file: file.clone(),
            problems,
        }),
    };
    let size = file
        .as_ref()
        .and_then(|file| file.metadata().ok())
        .map_or(0, |meta| meta.len());
    if size > LARGEST_FILE {
        refused(vec![ConfigProblem {
            key: "(file)".into(),
            message: format!("has {size} bytes, {LARGEST_FILE} are allowed; is it a configuration?"),
        }])?;
    }
    refused(
        std::env::vars_os()
            .filter_map(|(name, value)| variable(&name, &value))
            .collect(),
    )?;
    let mut figment = Figment::from(Serialized::defaults(Raw::default()));
    if let Some(file) = &file {
        figment = figment.merge(Toml::file_exact(file));
    }
    figment = figment.merge(Env::prefixed(PREFIX).split("__"));
    if let Some(data) = &global.data {
        figment = figment.merge(Serialized::default("data_dir", data));
    }
    Ok((figment, file))
}

/// What is wrong with a variable, if it is one of ours. What is not UTF-8 would be read with other characters in it, and deep nesting is followed by recursion
/// without a limit.
fn variable(name: &OsStr, value: &OsStr) -> Option<ConfigProblem> {
    let key = name.to_string_lossy();
    if !key.get(..PREFIX.len())?.eq_ignore_ascii_case(PREFIX) {
        return None;
    }
    let message = match (name.to_str(), value.to_str()) {
        (Some(_), Some(value)) if depth(value) > DEEPEST => {
            format!("is nested more than {DEEPEST} deep (in `COFFERDAM__` environment variable(s))")
        }
        (Some(_), Some(_)) => return None,
        _ => "is not UTF-8 (in `COFFERDAM__` environment variable(s))".to_owned(),
    };
    Some(ConfigProblem {
        key: short(&key, 80),
        message,
    })
}

/// How deep brackets stand in one another, at most: those in quotes counted as well.
fn depth(value: &str) -> usize {
    let mut depth = 0_usize;
    let mut most = 0;
    for c in value.chars() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// Cuts what came from outside to a length that can be read.
fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Reads and checks it all; reports every problem that can be told at once.
pub fn load(global: &Global, processors: &[Registration]) -> Result<Plan, Problems> {
    let (figment, file) = layers(global)?;
    let lists = lists_for_tables(&figment);
    if !lists.is_empty() {
        return Err(Problems { file, problems: lists });
    }
    let raw: Raw = figment.extract().map_err(|error| Problems {
        file: file.clone(),
        problems: error.into_iter().map(|error| problem(&error)).collect(),
    })?;
    Plan::check(raw, processors).map_err(|problems| Problems { file, problems })
}

/// Lists that stand where a table belongs. They would be taken for its values in the order of our source code, and an empty one for nothing but defaults.
fn lists_for_tables(figment: &Figment) -> Vec<ConfigProblem> {
    let (Ok(all), Ok(Value::Dict(_, known))) = (figment.extract::<Dict>(), Value::serialize(Raw::default())) else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    for (name, value) in &all {
        let is_table = name == "objects" || matches!(known.get(name), Some(Value::Dict(..)));
        let Value::Array(_, items) = value else { continue };
        if is_table {
            keys.push(name.clone());
            continue;
        }
        for (n, item) in items.iter().enumerate() {
            match item {
                Value::Array(..) => keys.push(format!("{name}[{n}]")),
                Value::Dict(_, inner) if matches!(inner.get("store"), Some(Value::Array(..))) => {
                    keys.push(format!("{name}[{n}].store"));
                }
                _ => {}
            }
        }
    }
    let problem = |key: String| ConfigProblem {
        message: "is a list, and takes a table: `[name]` and lines `key = value` below it".to_owned(),
        key,
    };
    keys.into_iter().map(problem).collect()
}

/// One of figment's errors in our words, with a suggestion for a mistyped key.
fn problem(error: &figment::Error) -> ConfigProblem {
    use figment::error::Kind;
    let path = error.path.join(".");
    let origin = error
        .metadata
        .as_ref()
        .map(|metadata| format!(" (in {})", metadata.name))
        .unwrap_or_default();
    match &error.kind {
        Kind::UnknownField(name, known) => {
            let key = if path.is_empty() || path == *name || path.ends_with(&format!(".{name}")) {
                path.clone()
            } else {
                format!("{path}.{name}")
            };
            let key = if key.is_empty() { name.clone() } else { key };
            let near = known
                .iter()
                .map(|known| (strsim::damerau_levenshtein(known, &short(name, 80)), known))
                .min();
            let advice = match near {
                Some((distance, known)) if distance <= 1 + name.len() / 3 => format!("did you mean `{known}`?"),
                _ => format!("known keys here: {}", known.join(", ")),
            };
            ConfigProblem {
                key: short(&key, LONGEST_MESSAGE),
                message: format!("unknown key{origin}; {advice}"),
            }
        }
        kind => ConfigProblem {
            key: if path.is_empty() { "(file)".into() } else { path },
            message: format!("{}{origin}", short(&kind.to_string(), LONGEST_MESSAGE)),
        },
    }
}

#[cfg(test)]
mod tests;
