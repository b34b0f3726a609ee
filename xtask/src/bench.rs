//! `cargo xtask bench`: measures, and keeps what was measured.
//!
//! Every bench prints its figures as lines `name value unit` on standard output. A run is kept with `--save NAME` as `docs/benchmarks/NAME.txt`: the
//! machine first, then the figures as they were printed. `docs/benchmarks.md` is written from the kept runs and from nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::run::{From, Outcome, cargo, lines, quiet, root, show, succeed};
use crate::{nats, tools};

/// One program that measures: a bench target of the workspace.
struct Program {
    name: &'static str,
    /// What it measures, for the list.
    about: &'static str,
    /// A program of `tests/peers` that it runs beside itself.
    peer: Option<&'static str>,
}

const PROGRAMS: [Program; 2] = [
    Program {
        name: "pipeline",
        about: "the whole path: small documents, latency, large documents, memory",
        peer: None,
    },
    Program {
        name: "envelope",
        about: "sealing and opening in memory, both providers, one core and all, with age beside them",
        peer: Some("age"),
    },
];

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// Programs, or words that a program takes as the names of single benches.
    names: Vec<String>,
    quick: bool,
    save: Option<String>,
}

impl Request {
    pub(crate) fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut request = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--quick" => request.quick = true,
                "--save" => {
                    let name = rest.next().ok_or("--save takes a name")?;
                    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                    if name.is_empty() || !name.chars().all(fits) {
                        return Err(format!("{name:?} is no name: use a-z, 0-9 and -"));
                    }
                    request.save = Some(name.clone());
                }
                option if option.starts_with('-') => return Err(format!("{option} is not an option of bench")),
                name => request.names.push(name.to_owned()),
            }
        }
        Ok(request)
    }

    /// The programs to run, each with the words it is given.
    fn programs(&self) -> Vec<(&'static Program, Vec<&str>)> {
        let known = |name: &&str| PROGRAMS.iter().any(|program| program.name == *name);
        let (programs, words): (Vec<&str>, Vec<&str>) = self.names.iter().map(String::as_str).partition(known);
        PROGRAMS
            .iter()
            // A word alone names a bench of the first program.
            .filter(|program| match (programs.is_empty(), words.is_empty()) {
                (true, true) => true,
                (true, false) => program.name == PROGRAMS[0].name,
                (false, _) => programs.contains(&program.name),
            })
            .map(|program| (program, words.clone()))
            .collect()
    }
}

/// Builds with the `release` profile, measures, prints, keeps.
pub(crate) fn run(request: &Request) -> Outcome<ExitCode> {
    let server = nats::server()?;
    let programs = request.programs();
    eprintln!("building with the release profile; the first time takes about a quarter of an hour on two cores");
    // One selection for all, so that no dependency is built twice with other features.
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "--workspace", "--bin", "cofferdam"]);
    for program in &PROGRAMS {
        build.args(["--bench", program.name]);
    }
    succeed(&mut build)?;
    let mut text = machine(&server);
    for (program, words) in programs {
        println!("--- {}: {}", program.name, program.about);
        let mut command = cargo();
        command
            .args(["bench", "--locked", "--workspace", "--bench", program.name, "--"])
            .args(words)
            .args(program.peer.map(peer).transpose()?.into_iter().flatten())
            .args(request.quick.then_some("--quick"))
            .env("COFFERDAM_NATS_SERVER", &server)
            .envs(tools::go_tools());
        let status = lines(&mut command, |from, line| {
            if from == From::Stderr {
                eprintln!("{line}");
            } else {
                println!("{line}");
                if figure(line).is_some() {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        })?;
        if !status.success() {
            return Err(format!("{} failed ({status})", show(&command)));
        }
    }
    if let Some(name) = &request.save {
        let folder = root().join("docs/benchmarks");
        std::fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        write(folder.join(format!("{name}.txt")), &text)?;
        write(root().join("docs/benchmarks.md"), &page(&kept()?))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds what we are compared with, outside our workspace so that its dependencies are not ours, and gives the arguments that name it.
fn peer(name: &str) -> Outcome<[std::ffi::OsString; 2]> {
    let manifest = root().join("tests/peers").join(name).join("Cargo.toml");
    let folder = crate::run::target().join("peers");
    let mut build = cargo();
    build
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&folder);
    succeed(&mut build)?;
    let program = std::fs::read_dir(folder.join("release"))
        .map_err(|e| format!("cannot read {}: {e}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.is_file()
                && path.extension().is_none()
                && path
                    .file_name()
                    .is_some_and(|file| file.to_string_lossy().contains(name))
        })
        .ok_or_else(|| format!("{} has no program {name}", folder.display()))?;
    Ok(["--peer".into(), program.into_os_string()])
}

fn write(path: PathBuf, text: &str) -> Outcome<()> {
    std::fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// `name value unit`, the unit possibly of several words.
fn figure(line: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = line.split_once(' ')?;
    let (value, unit) = rest.split_once(' ')?;
    (name.contains('.') && value.parse::<f64>().is_ok()).then_some((name, value, unit))
}

/// The machine, the versions and the settings that figures depend on, as lines `# name: value`.
fn machine(server: &std::path::Path) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let said = |program: &str, arguments: &[&str]| {
        quiet(
            Command::new(program).args(arguments).current_dir(root()),
            Duration::from_secs(20),
        )
        .unwrap_or_default()
        .trim()
        .to_owned()
    };
    let processors = read("/proc/cpuinfo");
    let flags: Vec<&str> = ["aes", "vaes", "sha_ni", "avx2", "avx512f"]
        .into_iter()
        .filter(|flag| field(&processors, "flags").split(' ').any(|has| has == *flag))
        .collect();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let facts = [
        (
            "processor",
            format!("{} ({})", field(&processors, "model name"), flags.join(", ")),
        ),
        ("cores", cores.to_string()),
        ("memory", field(&read("/proc/meminfo"), "MemTotal")),
        ("system", said("uname", &["-sr"])),
        (
            "file system",
            said("stat", &["-f", "-c", "%T", &std::env::temp_dir().to_string_lossy()]),
        ),
        ("compiler", said("rustc", &["--version"])),
        ("broker", said(&server.to_string_lossy(), &["--version"])),
        (
            "flush",
            "broker every 100 ms, the ledger and every object before the answer (the default)".to_owned(),
        ),
        ("commit", said("git", &["rev-parse", "--short=12", "HEAD"])),
        ("date", said("date", &["-u", "+%Y-%m-%d"])),
        (
            "load before",
            read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        ),
    ];
    facts.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "# {name}: {value}");
        text
    })
}

/// A kept run.
struct Kept {
    name: String,
    machine: Vec<String>,
    /// In the order they were printed.
    figures: Vec<(String, String, String)>,
}

fn kept() -> Outcome<Vec<Kept>> {
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
fn page(runs: &[Kept]) -> String {
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
        "| figure | unit | {} |\n|---|---|{}",
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
        let _ = writeln!(text, "| {name} | {unit} | {} |", values.join(" | "));
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

    fn request(arguments: &[&str]) -> Outcome<Request> {
        Request::parse(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments() {
        let all = request(&[]).expect("nothing is fine");
        assert_eq!(all.programs().len(), PROGRAMS.len());
        let one = request(&["small", "--quick", "--save", "before-1"]).expect("fine");
        assert_eq!((one.quick, one.save.as_deref()), (true, Some("before-1")));
        let programs = one.programs();
        assert_eq!(
            (programs.len(), programs[0].0.name, programs[0].1.as_slice()),
            (1, "pipeline", ["small"].as_slice())
        );
        for wrong in [&["--save"][..], &["--save", "A b"], &["--fast"]] {
            assert!(request(wrong).is_err(), "{wrong:?}");
        }
    }

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
            page.contains("| x.a | s | 1.00 |  |\n| x.b | MB | 2.00 | 3.00 |\n"),
            "{page}"
        );
        assert!(page.contains("## Run b\n\n* cores: 4\n"), "{page}");
    }
}
