//! A disk whose power can be cut: an ext4 image behind a loop device.
//!
//! The mount separates what a program wrote from what reached the disk: with `commit=300` the journal commits on fsync only, for five minutes, and the kernel
//! leaves dirty pages alone for `vm.dirty_expire_centisecs` (30 s). The image file, copied while it is mounted, is what the disk would hold after a cut at that moment.
//! Not modelled: a disk that lies about its cache, torn sectors.

#![allow(clippy::disallowed_methods)] // Nothing else runs on the thread that waits for a program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// A mounted image. Unmounted, lazily if need be, when dropped; the kernel frees the loop device with it.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
    mounted: bool,
}

/// Why this machine can cut no power, or `None` if it can. Tried once.
pub fn unable() -> Option<String> {
    static TRIED: OnceLock<Option<String>> = OnceLock::new();
    TRIED
        .get_or_init(|| {
            if !cfg!(target_os = "linux") {
                return Some("needs Linux".to_owned());
            }
            // SAFETY: plain geteuid(2).
            if unsafe { libc::geteuid() } != 0 {
                return Some("needs root, to mount an image".to_owned());
            }
            let attempt = || -> anyhow::Result<()> {
                let home = tempfile::tempdir()?;
                Disk::format(home.path(), "probe", 8)?.unmount()
            };
            attempt().err().map(|error| format!("no loop mount: {error:#}"))
        })
        .clone()
}

impl Disk {
    /// Makes an image of so many MiB in a directory and mounts it beside.
    pub fn format(home: &Path, name: &str, mib: u64) -> anyhow::Result<Disk> {
        let image = home.join(format!("{name}-{}.img", std::process::id()));
        std::fs::File::create(&image)?.set_len(mib << 20)?;
        let text = image.display().to_string();
        run(
            "mkfs.ext4",
            &[
                "-q",
                "-N",
                "16384",
                "-E",
                "lazy_itable_init=0,lazy_journal_init=0",
                &text,
            ],
        )?;
        Disk::attach(image)
    }

    fn attach(image: PathBuf) -> anyhow::Result<Disk> {
        let mount = image.with_extension("mnt");
        std::fs::create_dir_all(&mount)?;
        let (from, to) = (image.display().to_string(), mount.display().to_string());
        run("mount", &["-t", "ext4", "-o", "loop,commit=300", &from, &to])?;
        Ok(Disk {
            image,
            mount,
            mounted: true,
        })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// The disk as a power cut at this moment leaves it, mounted: the journal is replayed. Whoever writes must stand still meanwhile.
    pub fn cut(&self, name: &str) -> anyhow::Result<Disk> {
        let image = self.image.with_file_name(format!("{name}-{}.img", std::process::id()));
        let (from, to) = (self.image.display().to_string(), image.display().to_string());
        run("cp", &["--sparse=always", &from, &to])?;
        Disk::attach(image)
    }

    /// Unmounts and removes it. What uses it must be gone.
    pub fn unmount(mut self) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(5);
        let mount = self.mount.display().to_string();
        while let Err(error) = run("umount", &[&mount]) {
            ensure!(Instant::now() < until, "{error:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.mounted = false;
        std::fs::remove_file(&self.image)?;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = run("umount", &["--lazy", &self.mount.display().to_string()]);
            let _ = std::fs::remove_file(&self.image);
        }
    }
}

/// Unmounts what tests that were killed have left mounted below a directory: those whose process is gone. Gives how many.
pub fn sweep(below: &Path) -> usize {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let left = mounts.lines().filter_map(|line| {
        let path = PathBuf::from(line.split_whitespace().nth(1)?);
        let pid = path.file_name()?.to_str()?.strip_suffix(".mnt")?.rsplit_once('-')?.1;
        let pid: i32 = pid.parse().ok()?;
        let dead = !Path::new(&format!("/proc/{pid}")).exists();
        (path.starts_with(below) && dead).then_some(path)
    });
    left.filter(|path| run("umount", &["--lazy", &path.display().to_string()]).is_ok())
        .count()
}

/// Stops processes where they are and waits until each of their threads stands still, so that none is inside a write.
pub fn freeze(pids: &[i32]) -> anyhow::Result<()> {
    for pid in pids {
        // SAFETY: plain kill(2) on processes of the caller's instance.
        ensure!(unsafe { libc::kill(*pid, libc::SIGSTOP) } == 0, "cannot stop {pid}");
    }
    let until = Instant::now() + Duration::from_secs(10);
    while pids.iter().any(|pid| !stands_still(*pid)) {
        ensure!(Instant::now() < until, "processes do not stand still");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn stands_still(pid: i32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.filter_map(Result::ok).all(|thread| {
        // A thread that has ended meanwhile has no state.
        std::fs::read_to_string(thread.path().join("stat")).map_or(true, |stat| {
            stat.rsplit_once(')')
                .is_some_and(|(_, rest)| rest.trim_start().starts_with(['T', 't', 'Z', 'X']))
        })
    })
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    // These live in sbin, which is not on everybody's path.
    let place = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(program))
        .find(|path| path.is_file());
    let place = place.with_context(|| format!("no program {program}"))?;
    let output = Command::new(place).args(arguments).output()?;
    if !output.status.success() {
        bail!(
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
