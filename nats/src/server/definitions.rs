//! The definitions of streams and consumers on disk, which nats-server writes without flushing (unless it flushes always).
//!
//! A power cut in the half minute after they were made leaves files of no length (seen with 2.15.1 on ext4). The server then says for ever that the stream "could not be
//! recovered", is not healthy, and the installation does not start any more. So they are flushed here once they are provisioned, before anything is accepted that would rely on
//! them; and what a cut before that has left behind is put aside at the next start, to be provisioned anew: nothing that was accepted depends on it, the ledger publishes
//! again what was on its way. The same holds for how far a consumer has come: a state file that a cut has torn is put aside, and the consumer begins anew, which repeats work and
//! harms nothing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::accounts::private;

/// A stream and a consumer alike.
const DEFINITION: [&str; 2] = ["meta.inf", "meta.sum"];

/// How far a consumer has come.
const STATE: &str = "o.dat";
/// The first byte of a state file, and the versions that follow it.
const STATE_MAGIC: u8 = 22;
const STATE_VERSIONS: std::ops::RangeInclusive<u8> = 1..=2;

/// Puts aside the streams and consumers below `root` whose definition never reached the disk, and torn states of consumers, into `broken/`. Gives their names.
pub(super) fn mend(root: &Path) -> io::Result<Vec<String>> {
    let mut mended = Vec::new();
    for stream in streams(root)? {
        if !is_whole(&stream) {
            mended.push(put_aside(root, &stream)?);
            continue;
        }
        for consumer in folders(&stream.join("obs"))? {
            if !is_whole(&consumer) {
                mended.push(put_aside(root, &consumer)?);
            } else if is_torn(&consumer.join(STATE)) {
                mended.push(put_aside(root, &consumer.join(STATE))?);
            }
        }
    }
    Ok(mended)
}

/// Flushes all definitions below `root`, with the folders they stand in.
pub(super) fn flush(root: &Path) -> io::Result<()> {
    let sync = |path: &Path| File::open(path)?.sync_all();
    let jetstream = root.join("jetstream");
    for stream in streams(root)? {
        let consumers = folders(&stream.join("obs"))?;
        for folder in consumers.iter().chain([&stream]) {
            for name in DEFINITION {
                match sync(&folder.join(name)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    done => done?,
                }
            }
            sync(folder)?;
        }
        for parent in stream
            .join("obs")
            .ancestors()
            .take_while(|path| path.starts_with(&jetstream))
        {
            if parent.is_dir() {
                sync(parent)?;
            }
        }
    }
    if jetstream.is_dir() { sync(root) } else { Ok(()) }
}

fn streams(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut streams = Vec::new();
    for account in folders(&root.join("jetstream"))? {
        streams.extend(folders(&account.join("streams"))?);
    }
    Ok(streams)
}

/// The folders in a folder; none if it is not there.
fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

fn is_whole(folder: &Path) -> bool {
    DEFINITION
        .iter()
        .all(|name| fs::metadata(folder.join(name)).is_ok_and(|file| file.len() > 0))
}

/// Whether a state has no head: the server calls it corrupt, does not load the consumer, and refuses to make it anew. One that is empty or missing is fine.
fn is_torn(state: &Path) -> bool {
    match fs::read(state).as_deref() {
        Ok([]) | Err(_) => false,
        Ok([STATE_MAGIC, version, ..]) => !STATE_VERSIONS.contains(version),
        Ok(_) => true,
    }
}

/// Renamed, not removed: should it ever hold something, a person can look.
fn put_aside(root: &Path, folder: &Path) -> io::Result<String> {
    let below = folder.strip_prefix(root.join("jetstream")).unwrap_or(folder);
    let name = below
        .iter()
        .map(|part| part.to_string_lossy())
        .filter(|part| part != "streams" && part != "obs")
        .collect::<Vec<_>>()
        .join("-");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let broken = root.join("broken");
    private::create_dir(&broken)?;
    fs::rename(folder, broken.join(format!("{name}-{}", now.as_millis())))?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn define(folder: &Path, text: &str) {
        fs::create_dir_all(folder).unwrap();
        for name in DEFINITION {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    #[test]
    fn what_never_reached_the_disk_is_put_aside() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        assert!(mend(root).unwrap().is_empty());
        flush(root).unwrap();
        let streams = root.join("jetstream/CORE/streams");
        define(&streams.join("EVT"), "whole");
        define(&streams.join("EVT/obs/good"), "whole");
        define(&streams.join("EVT/obs/bad"), "");
        define(&streams.join("RES"), "");
        define(&streams.join("RES/obs/good"), "whole");
        fs::create_dir_all(streams.join("JOIN/msgs")).unwrap();
        // Found by the power cuts: zeros where the state of a consumer was, and the server never made the consumer again.
        for (name, state) in [
            ("torn", &[0; 8][..]),
            ("cut", &[22]),
            ("fresh", &[]),
            ("sound", &[22, 2, 0, 0]),
        ] {
            define(&streams.join("CMD/obs").join(name), "whole");
            fs::write(streams.join("CMD/obs").join(name).join(STATE), state).unwrap();
        }
        define(&streams.join("CMD"), "whole");
        flush(root).unwrap();
        assert_eq!(
            mend(root).unwrap(),
            [
                "CORE-CMD-cut-o.dat",
                "CORE-CMD-torn-o.dat",
                "CORE-EVT-bad",
                "CORE-JOIN",
                "CORE-RES"
            ]
        );
        assert!(mend(root).unwrap().is_empty());
        assert!(streams.join("EVT/obs/good").is_dir() && !streams.join("RES").exists());
        assert!(streams.join("CMD/obs/sound").join(STATE).exists() && streams.join("CMD/obs/torn").is_dir());
        assert_eq!(folders(&root.join("broken")).unwrap().len(), 3);
    }
}
