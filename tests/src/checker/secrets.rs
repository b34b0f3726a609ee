//! I5: what stands in the documents stands nowhere else.

use std::path::{Path, PathBuf};

use super::{Checker, Violations};
use crate::streams::Stored;

/// Whether bytes contain others.
pub fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else {
        return true;
    };
    let mut from = 0;
    while let Some(at) = bytes
        .get(from..)
        .and_then(|tail| tail.iter().position(|byte| byte == first))
    {
        from += at + 1;
        if bytes.get(from..).is_some_and(|tail| tail.starts_with(rest)) {
            return true;
        }
    }
    false
}

fn files(folder: &Path, all: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            files(&path, all)?;
        } else if path.is_file() {
            all.push(path);
        }
    }
    Ok(())
}

impl Checker<'_> {
    /// A message as it is read: the files may hold it compressed.
    pub(super) fn no_plaintext(&self, message: &Stored, found: &mut Violations) {
        let marker = self.history.marker().as_bytes();
        let in_headers = message.headers.values().any(|value| holds(value.as_bytes(), marker));
        if in_headers || holds(message.subject.as_bytes(), marker) || holds(&message.body, marker) {
            found.add(
                "I5",
                format!(
                    "a document's text is in message {} of {}",
                    message.sequence, message.subject
                ),
            );
        }
    }

    /// All files but those of the object store itself, where documents in the landing bucket and the outbox stand as they are.
    pub(super) fn search_files(&self, found: &mut Violations) -> anyhow::Result<usize> {
        let (data, mut all) = (self.instance.data(), Vec::new());
        files(&self.instance.home, &mut all)?;
        all.push(self.instance.log_path());
        let marker = self.history.marker().as_bytes();
        let mut searched = 0;
        for path in all {
            let store = path.starts_with(data.join("blobs"))
                || path.parent() == Some(&data)
                    && path
                        .file_name()
                        .is_some_and(|name| name.to_string_lossy().starts_with("bucket.db"));
            if store || path.starts_with(data.join("inbox")) {
                continue;
            }
            // Files come and go while it runs.
            let Ok(bytes) = std::fs::read(&path) else { continue };
            searched += 1;
            if holds(&bytes, marker) {
                found.add("I5", format!("a document's text is in {}", path.display()));
            }
        }
        let known = ["cofferdam.db", "run.json"]
            .iter()
            .all(|name| data.join(name).is_file());
        if !known || !data.join("nats").is_dir() {
            found.add("I5", format!("{} is not where the data is", data.display()));
        }
        Ok(searched)
    }
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn a_marker_is_found_wherever_it_stands() {
        for bytes in [&b"marker"[..], b"..marker", b"marker..", b"mmarker", b"mamarmarker."] {
            assert!(holds(bytes, b"marker"), "{bytes:?}");
        }
        for bytes in [&b""[..], b"marke", b"arker", b"mar ker"] {
            assert!(!holds(bytes, b"marker"), "{bytes:?}");
        }
    }
}
