//! The walk: which files have been stable for long enough. In steps of a bounded number of directory entries, so that a folder of any size neither
//! blocks nor grows memory without bound.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, DirEntry, ReadDir};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cofferdam_schemas::ObjectKey;
use tracing::warn;

use super::file::Fingerprint;

/// Most files watched at a time. When there are more, the rest waits: those that are taken make room.
const MAX_WATCHED: usize = 50_000;
/// Most directories waiting to be entered in one lap.
const MAX_PENDING: usize = 100_000;
/// Files about to be removed have this in front of their name, see [`super::take`].
pub(super) const CLAIM: &str = ".cofferdam-taken~";

/// A stable file.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Path below the folder.
    pub(super) path: PathBuf,
    /// The same as a key.
    pub(super) key: ObjectKey,
    /// What it looked like all the time.
    pub(super) print: Fingerprint,
}

/// A stable file whose path can never be a key.
#[derive(Debug, Clone)]
pub(super) struct Unfit {
    /// Path below the folder.
    pub(super) path: PathBuf,
    /// Why.
    pub(super) reason: String,
}

/// What one step brought.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Stable files, each once.
    pub(super) ready: Vec<Found>,
    /// Stable files that cannot be taken.
    pub(super) unfit: Vec<Unfit>,
    /// Files a crash left between "stored" and "removed", paths below the folder.
    pub(super) leftovers: Vec<PathBuf>,
    /// The walk came to its end and begins again with the next step.
    pub(super) end_of_lap: bool,
}

struct Watched {
    print: Fingerprint,
    since: Instant,
    lap: u64,
    /// Given out; not given again before it is forgotten or observed anew.
    given: bool,
}

/// See the module.
pub(super) struct Scanner {
    root: PathBuf,
    settle: Duration,
    entries_a_step: usize,
    /// The directory being read, and its path below the folder.
    current: Option<(PathBuf, ReadDir)>,
    /// Directories still to be read in this lap.
    pending: Vec<PathBuf>,
    watched: HashMap<PathBuf, Watched>,
    /// Counts walks over the whole folder; odd while one is under way.
    lap: u64,
}

impl Scanner {
    pub(super) fn new(root: PathBuf, settle: Duration, entries_a_step: usize) -> Self {
        Self {
            root,
            settle,
            entries_a_step: entries_a_step.max(1),
            current: None,
            pending: Vec::new(),
            watched: HashMap::new(),
            lap: 0,
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The file is gone; a new one of the same name is a new file.
    pub(super) fn forget(&mut self, path: &Path) {
        self.watched.remove(path);
    }

    /// The file stays: its settle time begins again.
    pub(super) fn observe_anew(&mut self, path: &Path, now: Instant) {
        if let Some(watched) = self.watched.get_mut(path) {
            watched.since = now;
            watched.given = false;
        }
    }

    /// Looks at the next entries. Fails only when the folder itself cannot be read.
    pub(super) fn step(&mut self, now: Instant) -> io::Result<Step> {
        let mut step = Step::default();
        if self.lap.is_multiple_of(2) {
            self.current = Some((PathBuf::new(), fs::read_dir(&self.root)?));
            self.lap += 1;
        }
        for _ in 0..self.entries_a_step {
            let Some((below, directory)) = &mut self.current else {
                if self.enter_next() {
                    continue;
                }
                // What was not met on the whole way is gone.
                let lap = self.lap;
                self.watched.retain(|_, watched| watched.lap == lap);
                self.lap += 1;
                step.end_of_lap = true;
                break;
            };
            match directory.next() {
                Some(Ok(entry)) => {
                    let path = below.join(entry.file_name());
                    // An entry that cannot be looked at now is met again in the next lap.
                    let _ = self.meet(path, &entry, now, &mut step);
                }
                Some(Err(_)) => {}
                None => self.current = None,
            }
        }
        Ok(step)
    }

    /// Opens the next directory of this lap; `false` when there is none.
    fn enter_next(&mut self) -> bool {
        while let Some(below) = self.pending.pop() {
            match fs::read_dir(self.root.join(&below)) {
                Ok(directory) => {
                    self.current = Some((below, directory));
                    return true;
                }
                Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
                // Its files wait; every lap says so, which is right for something a person has to mend, at the level of a hint.
                Err(fault) => {
                    tracing::debug!(path = %below.display(), error = %fault, "directory in the inbox folder cannot be read")
                }
            }
        }
        false
    }

    fn meet(&mut self, path: PathBuf, entry: &DirEntry, now: Instant, step: &mut Step) -> io::Result<()> {
        // Neither this nor `metadata` follows a link.
        let kind = entry.file_type()?;
        let name = entry.file_name();
        if kind.is_file() && name.as_bytes().starts_with(CLAIM.as_bytes()) {
            step.leftovers.push(path);
        } else if !is_for_us(&name) {
            // Not (yet) for us.
        } else if kind.is_dir() {
            if self.pending.len() < MAX_PENDING {
                self.pending.push(path);
            } else {
                warn!(
                    limit = MAX_PENDING,
                    "inbox folder has too many directories for one walk, some wait"
                );
            }
        } else if kind.is_file() {
            self.watch(path, Fingerprint::of(&entry.metadata()?), now, step);
        }
        Ok(())
    }

    fn watch(&mut self, path: PathBuf, print: Fingerprint, now: Instant, step: &mut Step) {
        let (lap, room) = (self.lap, self.watched.len() < MAX_WATCHED);
        match self.watched.get_mut(&path) {
            Some(watched) => {
                watched.lap = lap;
                if watched.print != print {
                    *watched = Watched {
                        print,
                        since: now,
                        lap,
                        given: false,
                    };
                } else if !watched.given && now.duration_since(watched.since) >= self.settle {
                    watched.given = true;
                    match key_of(&path) {
                        Ok(key) => step.ready.push(Found { path, key, print }),
                        Err(reason) => step.unfit.push(Unfit { path, reason }),
                    }
                }
            }
            None if room => {
                self.watched.insert(
                    path,
                    Watched {
                        print,
                        since: now,
                        lap,
                        given: false,
                    },
                );
            }
            None => {}
        }
    }
}

/// Hidden names and names of unfinished files are left alone.
fn is_for_us(name: &OsStr) -> bool {
    let name = name.as_bytes();
    !(name.starts_with(b".") || name.ends_with(b".part") || name.ends_with(b".tmp") || name.ends_with(b"~"))
}

/// The key of a path below the folder.
pub(super) fn key_of(path: &Path) -> Result<ObjectKey, String> {
    let text = path
        .to_str()
        .ok_or("the name is not UTF-8; rename the file and drop it again")?;
    ObjectKey::new(text).map_err(|e| {
        format!(
            "{}; shorten the name (with its folders) and drop the file again",
            e.reason
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_secs(1);

    /// Walks one lap and returns the paths that are ready and unfit, sorted.
    fn lap(scanner: &mut Scanner, now: Instant) -> (Vec<String>, Vec<String>) {
        let (mut ready, mut unfit) = (Vec::new(), Vec::new());
        loop {
            let step = scanner.step(now).unwrap();
            ready.extend(step.ready.iter().map(|f| f.key.as_str().to_owned()));
            unfit.extend(step.unfit.iter().map(|u| u.path.to_string_lossy().into_owned()));
            if step.end_of_lap {
                ready.sort();
                unfit.sort();
                return (ready, unfit);
            }
        }
    }

    fn write(root: &Path, path: &str, body: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, body).unwrap();
    }

    #[test]
    fn a_file_is_ready_once_it_rested_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut scanner = Scanner::new(folder.path().to_owned(), MOMENT, 100);
        let start = Instant::now();
        write(folder.path(), "a.txt", "1");
        write(folder.path(), "deep/er/b c+d.txt", "1");
        assert_eq!(lap(&mut scanner, start).0, Vec::<String>::new());
        assert_eq!(lap(&mut scanner, start + MOMENT / 2).0, Vec::<String>::new());
        assert_eq!(lap(&mut scanner, start + MOMENT).0, ["a.txt", "deep/er/b c+d.txt"]);
        assert_eq!(lap(&mut scanner, start + 3 * MOMENT).0, Vec::<String>::new());
        // It came back untaken: it rests again.
        scanner.observe_anew(Path::new("a.txt"), start + 3 * MOMENT);
        assert_eq!(lap(&mut scanner, start + 3 * MOMENT).0, Vec::<String>::new());
        assert_eq!(lap(&mut scanner, start + 4 * MOMENT).0, ["a.txt"]);
    }

    #[test]
    fn a_growing_file_never_rests() {
        let folder = tempfile::tempdir().unwrap();
        let mut scanner = Scanner::new(folder.path().to_owned(), MOMENT, 100);
        let start = Instant::now();
        for n in 1..10 {
            write(folder.path(), "log", &"x".repeat(n as usize));
            assert_eq!(lap(&mut scanner, start + n * MOMENT).0, Vec::<String>::new());
        }
        assert_eq!(lap(&mut scanner, start + 10 * MOMENT).0, ["log"]);
    }

    #[test]
    fn a_file_that_left_and_came_back_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let mut scanner = Scanner::new(folder.path().to_owned(), MOMENT, 100);
        let start = Instant::now();
        write(folder.path(), "a", "1");
        lap(&mut scanner, start);
        fs::remove_file(folder.path().join("a")).unwrap();
        lap(&mut scanner, start + MOMENT);
        write(folder.path(), "a", "1");
        assert_eq!(lap(&mut scanner, start + 2 * MOMENT).0, Vec::<String>::new());
        assert_eq!(lap(&mut scanner, start + 3 * MOMENT).0, ["a"]);
    }

    #[test]
    fn what_is_not_a_finished_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        write(outside.path(), "secret", "1");
        for name in [".hidden", "a.part", "b.tmp", "c~", ".dir/x", ".rejected/y"] {
            write(folder.path(), name, "1");
        }
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("linkdir")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        let fifo = std::ffi::CString::new(folder.path().join("fifo").to_str().unwrap()).unwrap();
        // SAFETY: a valid C string and a mode.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        write(folder.path(), "x.partial", "1");
        let mut scanner = Scanner::new(folder.path().to_owned(), Duration::ZERO, 100);
        lap(&mut scanner, Instant::now());
        assert_eq!(
            lap(&mut scanner, Instant::now()),
            (vec!["x.partial".to_owned()], vec![])
        );
    }

    #[test]
    fn names_that_are_no_keys_are_unfit() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join(OsStr::from_bytes(b"caf\xe9.txt"));
        fs::write(odd, "1").unwrap();
        let long = format!(
            "{}/{}/{}/{}/{}",
            "a".repeat(250),
            "b".repeat(250),
            "c".repeat(250),
            "d".repeat(250),
            "e".repeat(30)
        );
        write(folder.path(), &long, "1");
        let fits = format!(
            "{}/{}/{}/{}/{}",
            "a".repeat(250),
            "b".repeat(250),
            "c".repeat(250),
            "d".repeat(250),
            "e".repeat(20)
        );
        write(folder.path(), &fits, "1");
        let mut scanner = Scanner::new(folder.path().to_owned(), Duration::ZERO, 100);
        lap(&mut scanner, Instant::now());
        let (ready, unfit) = lap(&mut scanner, Instant::now());
        assert_eq!(ready, [fits]);
        assert_eq!(unfit, [long, "caf\u{fffd}.txt".to_owned()]);
    }

    #[test]
    fn many_files_are_many_small_steps() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..1_000 {
            write(folder.path(), &format!("{}/{n}", n % 7), "1");
        }
        let mut scanner = Scanner::new(folder.path().to_owned(), Duration::ZERO, 50);
        let (mut steps, mut ready, mut laps) = (0, 0, 0);
        while laps < 2 {
            let step = scanner.step(Instant::now()).unwrap();
            assert!(step.ready.len() <= 50);
            steps += 1;
            ready += step.ready.len();
            laps += usize::from(step.end_of_lap);
        }
        assert_eq!(ready, 1_000);
        assert!(steps >= 40, "{steps}");
    }
}
