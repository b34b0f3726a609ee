use std::fs;
use std::os::unix::fs::PermissionsExt;

use cofferdam_seams::memory::MemoryStore;
use cofferdam_seams::read_all;

use super::*;
use crate::testing::{House, at, bucket_name, eventually};

struct Inbox {
    folder: tempfile::TempDir,
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<Result<(), IngestError>>>,
}

impl Inbox {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            stop: CancellationToken::new(),
            task: None,
        }
    }
    fn settings(&self) -> FolderSettings {
        let mut settings = FolderSettings::new(self.folder.path(), bucket_name("inbox"));
        settings.settle = Duration::from_millis(150);
        settings.every = Duration::from_millis(20);
        settings
    }
    fn start(&mut self, store: Arc<dyn ObjectStore>) {
        self.task = Some(tokio::spawn(run_folder(self.settings(), store, self.stop.clone())));
    }
    fn write(&self, path: &str, body: impl AsRef<[u8]>) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, body).unwrap();
    }
    fn has(&self, path: &str) -> bool {
        self.folder.path().join(path).symlink_metadata().is_ok()
    }
    async fn end(&mut self) {
        self.stop.cancel();
        self.task.take().unwrap().await.unwrap().unwrap();
    }
}

async fn body(store: &dyn ObjectStore, name: &str) -> Option<Vec<u8>> {
    let found = store.get(&at("inbox", name), None).await.ok()?;
    Some(read_all(found.stream, 1 << 30).await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_land_in_the_bucket_and_go_from_the_folder() {
    let house = House::new().await;
    let mut inbox = Inbox::new();
    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    inbox.write("a.txt", "hello");
    inbox.write("empty", "");
    inbox.write("deep/er/ü +%2F.txt", "odd");
    inbox.write("large.bin", &large);
    inbox.write(".hidden", "x");
    inbox.write("half.part", "x");
    inbox.start(house.store());
    eventually("all files taken", || async {
        !inbox.has("a.txt") && !inbox.has("empty") && !inbox.has("deep/er/ü +%2F.txt") && !inbox.has("large.bin")
    })
    .await;
    inbox.end().await;
    assert_eq!(body(&house.bucket, "a.txt").await.unwrap(), b"hello");
    assert_eq!(body(&house.bucket, "empty").await.unwrap(), b"");
    assert_eq!(body(&house.bucket, "deep/er/ü +%2F.txt").await.unwrap(), b"odd");
    assert_eq!(body(&house.bucket, "large.bin").await.unwrap(), large);
    assert!(inbox.has(".hidden") && inbox.has("half.part"));
    let rows = house.rows().await;
    assert_eq!(rows.len(), 4);
    assert!(
        rows.iter().all(|row| row.payload["reason"] == "InboxFolder"),
        "{:?}",
        rows[0].payload
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_being_written_is_left_alone() {
    use std::io::Write;
    let store = MemoryStore::new();
    let mut inbox = Inbox::new();
    inbox.start(Arc::new(store.clone()));
    let mut file = fs::File::create(inbox.folder.path().join("log")).unwrap();
    for _ in 0..12 {
        file.write_all(b"line\n").unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert!(body(&store, "log").await.is_none());
    }
    if cfg!(target_os = "linux") {
        // Unchanged for longer than the settle time, but still open for writing.
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(body(&store, "log").await.is_none());
    }
    drop(file);
    eventually("the finished file is taken", || async { !inbox.has("log") }).await;
    assert_eq!(body(&store, "log").await.unwrap().len(), 60);
    inbox.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_is_waited_for() {
    let store = MemoryStore::new();
    let mut inbox = Inbox::new();
    for n in 0..5 {
        inbox.write(&format!("{n}"), "x");
    }
    // Five for the look at the start, five for the first attempt, two for the second.
    store.fail_next(12);
    inbox.start(Arc::new(store.clone()));
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(
        (0..5).all(|n| inbox.has(&format!("{n}"))),
        "nothing goes before it is stored"
    );
    eventually("all files taken", || async {
        (0..5).all(|n| !inbox.has(&format!("{n}")))
    })
    .await;
    for n in 0..5 {
        assert_eq!(body(&store, &format!("{n}")).await.unwrap(), b"x");
    }
    inbox.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_no_keys_are_moved_aside() {
    use std::os::unix::ffi::OsStrExt;
    let store = MemoryStore::new();
    let mut inbox = Inbox::new();
    fs::write(
        inbox.folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")),
        "kept",
    )
    .unwrap();
    inbox.start(Arc::new(store.clone()));
    eventually("moved with its reason", || async {
        fs::read_dir(inbox.folder.path().join(".rejected")).is_ok_and(|entries| entries.count() == 2)
    })
    .await;
    inbox.end().await;
    let names: Vec<_> = fs::read_dir(inbox.folder.path().join(".rejected"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    let reason = names
        .iter()
        .find(|path| path.to_string_lossy().ends_with(".reason.txt"))
        .unwrap();
    assert!(fs::read_to_string(reason).unwrap().contains("not UTF-8"));
    let file = names
        .iter()
        .find(|path| !path.to_string_lossy().ends_with(".reason.txt"))
        .unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), "kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_no_tenant_are_moved_aside_and_the_others_taken() {
    let tenants = crate::testing::normaliser().tenants().clone();
    let shared = cofferdam_bucket::Landing {
        bucket: bucket_name("shared"),
        keys: tenants.keys(&crate::testing::source("inbox"), &bucket_name("shared")),
    };
    let house = House::with(vec![shared]).await;
    let mut inbox = Inbox::new();
    inbox.write("loose.txt", "1");
    inbox.write("nobody/deep/x.txt", "2");
    inbox.write("other/x.txt", "3");
    let mut settings = inbox.settings();
    settings.bucket = bucket_name("shared");
    inbox.task = Some(tokio::spawn(run_folder(settings, house.store(), inbox.stop.clone())));
    eventually("taken or moved", || async {
        !inbox.has("loose.txt") && !inbox.has("nobody/deep/x.txt") && !inbox.has("other/x.txt")
    })
    .await;
    inbox.end().await;
    let rows = house.rows().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].payload["key"], "other/x.txt");
    let mut aside: Vec<_> = fs::read_dir(inbox.folder.path().join(".rejected"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    aside.sort();
    assert_eq!(aside[..2], ["1", "2"], "the files themselves");
    assert!(
        aside[2].starts_with("bucket shared takes keys of the form <tenant>/<name>, and there is no tenant \"nobody\"")
    );
    assert!(
        aside[3].contains("this key names no tenant: put the object below a tenant's name; then drop the file again\n")
    );
    assert!(
        aside[3].contains("path, as the folder had it: loose.txt\n"),
        "{}",
        aside[3]
    );
}

#[tokio::test]
async fn a_file_that_was_stored_before_a_crash_is_not_stored_twice() {
    let house = House::new().await;
    let inbox = Inbox::new();
    inbox.write("sub/a", "hello");
    inbox.write("b", "new");
    // What a process does before it is killed between "durable" and "removed".
    let root = fs::canonicalize(inbox.folder.path()).unwrap();
    let mark = file::Fingerprint::of(&fs::symlink_metadata(root.join("sub/a")).unwrap()).to_string();
    let options = cofferdam_seams::PutOptions {
        user: [(FILE_MARK.to_owned(), mark)].into(),
        ..Default::default()
    };
    let mut upload = house.bucket.upload(&at("inbox", "sub/a"), options).await.unwrap();
    upload.write("hello".into()).await.unwrap();
    upload.finish(Default::default()).await.unwrap();
    assert_eq!(recover_folder(&inbox.settings(), house.store()).await.unwrap(), 1);
    assert!(!inbox.has("sub/a"));
    assert!(inbox.has("b"), "not stored yet");
    assert_eq!(house.rows().await.len(), 1);
    // And the instant after the claim: stored, renamed, not removed.
    inbox.write("c", "claimed");
    let print = file::Fingerprint::of(&fs::symlink_metadata(root.join("c")).unwrap()).to_string();
    fs::rename(root.join("c"), root.join(".cofferdam-taken~c")).unwrap();
    assert_eq!(recover_folder(&inbox.settings(), house.store()).await.unwrap(), 0);
    assert!(inbox.has("c"), "not stored: it gets its name back");
    fs::rename(root.join("c"), root.join(".cofferdam-taken~c")).unwrap();
    let options = cofferdam_seams::PutOptions {
        user: [(FILE_MARK.to_owned(), print)].into(),
        ..Default::default()
    };
    let upload = house.bucket.upload(&at("inbox", "c"), options).await.unwrap();
    upload.finish(Default::default()).await.unwrap();
    assert_eq!(recover_folder(&inbox.settings(), house.store()).await.unwrap(), 1);
    assert!(!inbox.has("c") && !inbox.has(".cofferdam-taken~c"));
}

#[tokio::test]
async fn links_are_never_followed() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let inbox = Inbox::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    inbox.write("dir/secret", "secret");
    let root = prepare(inbox.folder.path()).await.unwrap();
    let taker = Taker::new(root.clone(), bucket_name("inbox"), store.clone());
    // The walk saw a file; before it is taken, the file and then its directory become links.
    let mut scanner = Scanner::new(root.clone(), Duration::ZERO, 100);
    while !scanner.step(Instant::now()).unwrap().end_of_lap {}
    let found = scanner.step(Instant::now()).unwrap().ready.remove(0);
    fs::remove_file(root.join("dir/secret")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), root.join("dir/secret")).unwrap();
    assert!(matches!(taker.take(&found).await, Taking::Changed));
    fs::remove_dir_all(root.join("dir")).unwrap();
    std::os::unix::fs::symlink(outside.path(), root.join("dir")).unwrap();
    assert!(matches!(taker.take(&found).await, Taking::Changed));
    // Even if the outside file were the very file that was found.
    let print = file::Fingerprint::of(&fs::symlink_metadata(outside.path().join("secret")).unwrap());
    let found = Found { print, ..found };
    assert!(matches!(taker.take(&found).await, Taking::Changed));
    assert!(outside.path().join("secret").exists());
    assert!(store.head(&at("inbox", "dir/secret")).await.is_err());
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told_from_one_that_changed() {
    let inbox = Inbox::new();
    inbox.write("a", "x");
    let root = prepare(inbox.folder.path()).await.unwrap();
    let taker = Taker::new(root.clone(), bucket_name("inbox"), Arc::new(MemoryStore::new()));
    let mut scanner = Scanner::new(root.clone(), Duration::ZERO, 100);
    while !scanner.step(Instant::now()).unwrap().end_of_lap {}
    let found = scanner.step(Instant::now()).unwrap().ready.remove(0);
    fs::write(root.join("a"), "xy").unwrap();
    assert!(matches!(taker.take(&found).await, Taking::Changed));
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
    let print = file::Fingerprint::of(&fs::symlink_metadata(root.join("a")).unwrap());
    let result = taker.take(&Found { print, ..found }).await;
    // Root reads everything.
    // SAFETY: takes nothing, always succeeds.
    let root_user = unsafe { libc::geteuid() } == 0;
    assert!(
        if root_user {
            matches!(result, Taking::Taken)
        } else {
            matches!(result, Taking::Unreadable(_))
        },
        "{result:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_files() {
    let store = MemoryStore::new();
    let mut inbox = Inbox::new();
    for n in 0..3_000 {
        inbox.write(&format!("{}/{n}", n % 13), n.to_string());
    }
    inbox.start(Arc::new(store.clone()));
    let left = || {
        (0..13)
            .map(|d| fs::read_dir(inbox.folder.path().join(d.to_string())).unwrap().count())
            .sum::<usize>()
    };
    eventually("all files taken", || async { left() == 0 }).await;
    inbox.end().await;
    assert_eq!(
        store.list(&bucket_name("inbox"), "", None, 10_000).await.unwrap().len(),
        3_000
    );
}
