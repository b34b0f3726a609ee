//! Folders that mean harm: too many files, no permission, devices, loops.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use cofferdam_seams::memory::MemoryStore;

use super::*;
use crate::testing::bucket_name;

/// Both laps of a walk in which everything rests; the paths that are ready, and the most entries that one step brought.
fn walk(scanner: &mut Scanner) -> (Vec<PathBuf>, usize) {
    let (mut ready, mut most, mut laps) = (Vec::new(), 0, 0);
    while laps < 2 {
        let step = scanner.step(Instant::now()).unwrap();
        most = most.max(step.ready.len());
        ready.extend(step.ready.into_iter().map(|found| found.path));
        laps += usize::from(step.end_of_lap);
    }
    (ready, most)
}

#[test]
fn a_hundred_thousand_files_come_in_turns() {
    const FILES: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    for n in 0..FILES {
        let directory = folder.path().join(format!("{}", n % 10));
        if n < 10 {
            fs::create_dir(&directory).unwrap();
        }
        fs::File::create(directory.join(n.to_string())).unwrap();
    }
    let begun = Instant::now();
    let mut scanner = Scanner::new(folder.path().to_owned(), Duration::ZERO, 4_096);
    let (mut taken, mut rounds) = (0, 0);
    while taken < FILES {
        let (ready, most) = walk(&mut scanner);
        assert!(
            most <= 4_096 && ready.len() <= 50_000,
            "{most} in a step, {} in a walk",
            ready.len()
        );
        assert!(!ready.is_empty(), "{taken} of {FILES} and no more");
        for path in ready {
            fs::remove_file(folder.path().join(&path)).unwrap();
            scanner.forget(&path);
            taken += 1;
        }
        rounds += 1;
    }
    eprintln!("{FILES} files in {rounds} walks and {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn what_may_not_be_read_waits_and_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for path in ["closed/a", "open/b"] {
        fs::create_dir(folder.path().join(path).parent().unwrap()).unwrap();
        fs::write(folder.path().join(path), "1").unwrap();
    }
    let closed = folder.path().join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let root = folder.path().to_owned();
    // Root may read everything: a thread of its own can be somebody else for the file system.
    let walked = std::thread::spawn(move || {
        // SAFETY: takes a number, changes this thread only.
        unsafe { libc::setfsuid(65_534) };
        let mut scanner = Scanner::new(root, Duration::ZERO, 100);
        let first = walk(&mut scanner).0;
        (first, scanner)
    });
    let (first, mut scanner) = walked.join().unwrap();
    assert_eq!(first, [PathBuf::from("open/b")]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(walk(&mut scanner).0, [PathBuf::from("closed/a")], "once it may be read");
}

#[test]
fn loops_and_devices_are_passed_by() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("dir")).unwrap();
    fs::write(at("dir/file"), "1").unwrap();
    for (link, to) in [
        ("self", "self"),
        ("ping", "pong"),
        ("pong", "ping"),
        ("dir/up", ".."),
        ("root", "/"),
        ("null", "/dev/null"),
    ] {
        std::os::unix::fs::symlink(to, at(link)).unwrap();
    }
    for (name, kind, device) in [("zero", libc::S_IFCHR, libc::makedev(1, 5)), ("fifo", libc::S_IFIFO, 0)] {
        let path = CString::new(at(name).as_os_str().as_bytes()).unwrap();
        // SAFETY: a valid C string and numbers.
        if unsafe { libc::mknod(path.as_ptr(), kind | 0o644, device) } != 0 {
            eprintln!("{name} cannot be made here: {}", std::io::Error::last_os_error());
        }
    }
    let mut scanner = Scanner::new(folder.path().to_owned(), Duration::ZERO, 100);
    assert_eq!(walk(&mut scanner).0, [PathBuf::from("dir/file")]);
}

/// A pipe or device that takes a file's place between the walk and the taking neither blocks nor is read.
#[tokio::test]
async fn what_takes_the_place_of_a_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "1").unwrap();
    let root = prepare(folder.path()).await.unwrap();
    let store = MemoryStore::new();
    let taker = Taker::new(root.clone(), bucket_name("inbox"), Arc::new(store.clone()));
    let mut scanner = Scanner::new(root.clone(), Duration::ZERO, 100);
    while !scanner.step(Instant::now()).unwrap().end_of_lap {}
    let found = scanner.step(Instant::now()).unwrap().ready.remove(0);
    for kind in [libc::S_IFIFO, libc::S_IFCHR] {
        fs::remove_file(root.join("a")).unwrap();
        let path = CString::new(root.join("a").as_os_str().as_bytes()).unwrap();
        // SAFETY: a valid C string and numbers.
        if unsafe { libc::mknod(path.as_ptr(), kind | 0o644, libc::makedev(1, 5)) } != 0 {
            fs::write(root.join("a"), "another").unwrap();
        }
        let taking = tokio::time::timeout(Duration::from_secs(5), taker.take(&found)).await;
        assert!(matches!(taking.unwrap(), Taking::Changed));
    }
    fs::remove_file(root.join("a")).unwrap();
    fs::create_dir(root.join("a")).unwrap();
    assert!(matches!(taker.take(&found).await, Taking::Changed));
    assert!(
        store
            .list(&bucket_name("inbox"), "", None, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

/// Names that are keys, however they look on a terminal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_names_are_keys_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "a\nb",
        "-rf",
        "é",
        "e\u{301}",
        "a\u{1b}[2J",
        "con:aux|\"*?<>",
        " ",
        "a\\b",
        "%2e%2e",
        "\u{202e}fdp.exe",
        "*",
    ];
    for name in names {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let mut settings = FolderSettings::new(folder.path(), bucket_name("inbox"));
    (settings.settle, settings.every) = (Duration::from_millis(50), Duration::from_millis(20));
    let (store, stop) = (MemoryStore::new(), CancellationToken::new());
    let task = tokio::spawn(run_folder(settings, Arc::new(store.clone()), stop.clone()));
    crate::testing::eventually("all taken", || async {
        fs::read_dir(folder.path()).unwrap().count() == 0
    })
    .await;
    stop.cancel();
    task.await.unwrap().unwrap();
    let listed = store.list(&bucket_name("inbox"), "", None, 100).await.unwrap();
    let mut keys: Vec<_> = listed.iter().map(|entry| entry.key.as_str()).collect();
    let mut expected = names.to_vec();
    keys.sort_unstable();
    expected.sort_unstable();
    assert_eq!(keys, expected);
}
