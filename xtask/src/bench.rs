//! `cargo xtask bench`: measures, and keeps what was measured.
//!
//! Every bench prints its figures as lines `name value unit` on standard output. A run is kept with `--save NAME` as `docs/benchmarks/NAME.txt`: the
//! machine first, then the figures as they were printed. `docs/benchmarks.md` is written from the kept runs, with the aims beside the figures.

mod aims;
mod page;

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
    /// Names of single benches that it takes.
    single: &'static [&'static str],
    /// A program of `tests/peers` that it runs beside itself.
    peer: Option<&'static str>,
}

const PROGRAMS: [Program; 5] = [
    Program {
        name: "pipeline",
        about: "the whole path: small documents, latency, large documents, memory, a store of a million",
        single: &["small", "latency", "large-memory", "large-disk", "memory", "million"],
        peer: None,
    },
    Program {
        name: "envelope",
        about: "sealing and opening in memory, both providers, one core and all, with age beside them",
        single: &[],
        peer: Some("age"),
    },
    Program {
        name: "shell",
        about: "consume, result, ack through the worker shell, with async-nats alone beside it",
        single: &[],
        peer: None,
    },
    Program {
        name: "validate",
        about: "what the engines that read text find and how fast, with gitleaks, detect-secrets and presidio beside them",
        single: &["phi", "injection", "secrets", "formats", "speed"],
        peer: None,
    },
    Program {
        name: "step",
        about: "the whole step of validate: a text of 1 MB, type and integrity alone, a text longer than any memory",
        single: &[],
        peer: None,
    },
];

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// Programs, or single benches of one.
    names: Vec<String>,
    quick: bool,
    save: Option<String>,
    /// Only write the page from the kept runs.
    page: bool,
}

impl Request {
    pub(crate) fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut request = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--quick" => request.quick = true,
                "--page" => request.page = true,
                "--save" => {
                    let name = rest.next().ok_or("--save takes a name")?;
                    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                    if name.is_empty() || !name.chars().all(fits) {
                        return Err(format!("{name:?} is no name: use a-z, 0-9 and -"));
                    }
                    request.save = Some(name.clone());
                }
                option if option.starts_with('-') => return Err(format!("{option} is not an option of bench")),
                name if known(name) => request.names.push(name.to_owned()),
                name => {
                    return Err(format!(
                        "there is no bench {name}; there are {}",
                        every_name().join(", ")
                    ));
                }
            }
        }
        Ok(request)
    }

    /// The programs to run, each with the single benches it is to run; none of them means all.
    fn programs(&self) -> Vec<(&'static Program, Vec<&str>)> {
        let each = PROGRAMS.iter().map(|program| {
            let names = self.names.iter().map(String::as_str);
            let single: Vec<&str> = names.filter(|name| program.single.contains(name)).collect();
            (program, single)
        });
        each.filter(|(program, single)| {
            self.names.is_empty() || !single.is_empty() || self.names.iter().any(|name| name == program.name)
        })
        .collect()
    }
}

fn every_name() -> Vec<&'static str> {
    let each = |program: &'static Program| [program.name].into_iter().chain(program.single.iter().copied());
    PROGRAMS.iter().flat_map(each).collect()
}

fn known(name: &str) -> bool {
    every_name().contains(&name)
}

/// Builds with the `release` profile, measures, prints, keeps.
pub(crate) fn run(request: &Request) -> Outcome<ExitCode> {
    if request.page {
        return write_page().map(|()| ExitCode::SUCCESS);
    }
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
        if program.name == "validate" {
            command.envs(tools::scanners());
        }
        let status = lines(&mut command, |from, line| {
            if from == From::Stderr {
                eprintln!("{line}");
            } else {
                let figure = page::figure(line);
                match figure.and_then(|(name, ..)| aims::of(name)) {
                    Some(aim) => println!("{line} (aim {aim})"),
                    None => println!("{line}"),
                }
                if figure.is_some() {
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
        write_page()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the page from the kept runs.
fn write_page() -> Outcome<()> {
    write(root().join("docs/benchmarks.md"), &page::page(&page::kept()?))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(arguments: &[&str]) -> Outcome<Request> {
        Request::parse(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments() {
        let one = request(&["small", "--quick", "--save", "before-1"]).expect("fine");
        assert_eq!((one.quick, one.save.as_deref()), (true, Some("before-1")));
        for wrong in [
            &["--save"][..],
            &["--save", "A b"],
            &["--fast"],
            &["smal"],
            &["small", "x"],
        ] {
            assert!(request(wrong).is_err(), "{wrong:?}");
        }
    }

    #[track_caller]
    fn runs(names: &[&str], expected: &[(&str, &[&str])]) {
        let request = request(names).expect("known names");
        let found = request.programs();
        let found: Vec<_> = found
            .iter()
            .map(|(program, single)| (program.name, single.as_slice()))
            .collect();
        assert_eq!(found, expected, "{names:?}");
    }

    #[test]
    fn a_single_bench_goes_to_the_program_that_has_it() {
        runs(
            &[],
            &[
                ("pipeline", &[]),
                ("envelope", &[]),
                ("shell", &[]),
                ("validate", &[]),
                ("step", &[]),
            ],
        );
        runs(&["small"], &[("pipeline", &["small"])]);
        runs(&["small", "envelope"], &[("pipeline", &["small"]), ("envelope", &[])]);
        runs(&["shell"], &[("shell", &[])]);
        runs(
            &["pipeline", "million", "small"],
            &[("pipeline", &["million", "small"])],
        );
    }

    /// The programs refuse a name they do not know, so the lists here must be theirs.
    #[test]
    fn single_benches_are_those_of_the_program() {
        for (program, source) in [
            (&PROGRAMS[0], include_str!("../../tests/benches/pipeline/main.rs")),
            (
                &PROGRAMS[3],
                include_str!("../../processors/validate/scan/benches/validate/main.rs"),
            ),
        ] {
            let list = source.split_once("const BENCHES").expect("a list").1;
            let list = list.split_once("];").expect("an end").0;
            let there: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
            assert_eq!(program.single, there, "{}", program.name);
        }
        let all = every_name();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
    }
}
