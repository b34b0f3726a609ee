//! What a child may not do, and what becomes of one that tries.

use std::time::Duration;

use crate::common::{Look, Request, Seen, ask, eicar, look, look_within, make, settings};
use cofferdam_inside::inside::Limits;
use cofferdam_inside::sandbox::{Breach, Failure, Pool, Settings, Spool};

async fn misbehave(pool: &Pool, how: &str) -> Look {
    ask(pool, &Request::Misbehave(how.to_owned()), b"document").await
}

fn notes(look: &Look) -> Vec<&str> {
    look.seen
        .iter()
        .filter_map(|seen| {
            if let Seen::Note(text) = seen {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect()
}

#[track_caller]
fn breach(look: &Look) -> Breach {
    match look.end {
        Err(Failure::Breach(breach)) => breach,
        ref other => panic!("{other:?}"),
    }
}

fn bounded() -> Settings {
    let mut settings = settings();
    settings.children = 1;
    settings.bounds.cpu_seconds = 1;
    // By the clock: where others take the processors, a second of them takes long.
    settings.wall = Duration::from_secs(300);
    settings
}

/// How a child can be made to end badly, and what that is called.
const BREACHES: [(&str, Breach); 6] = [
    ("allocate", Breach::Memory),
    ("stack", Breach::Stack),
    ("panic", Breach::Panic),
    ("exit", Breach::Exit(7)),
    ("garbage", Breach::Protocol),
    ("spin", Breach::Cpu),
];

/// Every breach is named, and the next document finds a sound child.
#[tokio::test(flavor = "multi_thread")]
async fn breaches_are_verdicts_and_the_next_document_is_unaffected() {
    let pool = Pool::new(bounded());
    for (how, expected) in BREACHES {
        let found = misbehave(&pool, how).await;
        assert_eq!(breach(&found), expected, "{how}");
        let next = misbehave(&pool, "hello").await;
        assert_eq!(notes(&next), ["hello"], "after {how}: {:?}", next.end);
    }
}

/// What was found before a breach is kept, whatever the breach.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_before_a_breach_is_kept() {
    let pool = Pool::new(bounded());
    for (how, expected) in BREACHES {
        let found = misbehave(&pool, &format!("find, then {how}")).await;
        assert_eq!((notes(&found), breach(&found)), (vec!["found"], expected), "{how}");
    }
    let mut settings = bounded();
    settings.wall = Duration::from_millis(500);
    let found = misbehave(&Pool::new(settings), "find, then spin").await;
    assert_eq!((notes(&found), breach(&found)), (vec!["found"], Breach::Wall));
}

/// The same of a real look: an archive with the signature first, and behind it more than can be unpacked in the time there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_before_a_breach_is_reported() {
    let endless = make::gzip(&vec![0; 16 << 20]).repeat(2_000);
    let bytes = make::zip(&[
        make::Entry::stored("a.txt", &eicar()),
        make::Entry::stored("b.gz", &endless),
    ]);
    let limits = Limits {
        total_bytes: u64::MAX,
        ratio: u64::MAX,
        seconds: 60,
        ..Limits::default()
    };
    let mut late = bounded();
    late.bounds.cpu_seconds = 60;
    late.wall = Duration::from_secs(2);
    for (settings, expected) in [(bounded(), Breach::Cpu), (late, Breach::Wall)] {
        let found = look_within(&Pool::new(settings), "a.zip", &bytes, limits.clone()).await;
        assert_eq!(breach(&found), expected);
        assert_eq!(found.signature_at(), ["a.zip!/a.txt"]);
    }
}

/// A child that is late has sent more than was read yet: all of it counts, up to the last whole result.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_child_is_read_to_its_end() {
    let mut settings = bounded();
    settings.wall = Duration::from_millis(700);
    let pool = Pool::new(settings);
    let mut read = 0;
    let document = Spool::in_memory().unwrap().finish().unwrap();
    let request = Request::Misbehave("many, then spin".to_owned());
    let take = |_: Seen| {
        read += 1;
        // Longer than there is time for. The runtime has other threads.
        #[allow(clippy::disallowed_methods)]
        std::thread::sleep(Duration::from_millis(10));
    };
    let end = pool.run(&request, &document, take).await;
    assert!(matches!(end, Err(Failure::Breach(Breach::Wall))), "{end:?}");
    assert_eq!(read, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_by_the_clock_is_bounded() {
    let mut settings = bounded();
    settings.wall = Duration::from_millis(300);
    let pool = Pool::new(settings);
    assert_eq!(breach(&misbehave(&pool, "spin").await), Breach::Wall);
    assert_eq!(notes(&misbehave(&pool, "hello").await), ["hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_bounded() {
    let mut settings = bounded();
    settings.frames = 50;
    let pool = Pool::new(settings);
    let found = misbehave(&pool, "flood").await;
    assert_eq!((breach(&found), found.seen.len()), (Breach::Flood, 50));
    let long = misbehave(&pool, "long").await;
    assert_eq!(long.end.expect("done").dropped, 1);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_child_can_reach_nothing() {
    let pool = Pool::new(bounded());
    let found = misbehave(&pool, "forbidden").await;
    let notes = notes(&found);
    assert_eq!(notes.len(), 8, "{notes:?}");
    assert!(notes.iter().all(|note| note.ends_with("refused")), "{notes:?}");
    let report = found.end.expect("done");
    let force = &report.in_force;
    assert!(
        force.system_calls && force.no_new_privileges && force.undumpable && force.dies_with_parent,
        "{force:?}"
    );
    assert_eq!(force.missing, Vec::<String>::new());
    assert!(!std::path::Path::new("/tmp/containers-forbidden").exists());
    // Writing is refused or, by the limit on file sizes, deadly.
    let write = misbehave(&pool, "write").await;
    assert!(
        self::notes(&write) == ["write: refused"] || breach(&write) == Breach::Signal(25),
        "{:?}",
        write.end
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_no_child_is_our_fault_and_not_the_documents() {
    let mut settings = bounded();
    settings.args = vec!["something else".into()];
    let pool = Pool::new(settings);
    assert!(matches!(misbehave(&pool, "hello").await.end, Err(Failure::Start(_))));
    let mut settings = bounded();
    settings.program = "/nonexistent".into();
    assert!(matches!(
        misbehave(&Pool::new(settings), "hello").await.end,
        Err(Failure::Start(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn children_are_kept_and_replaced_and_shared() {
    let mut settings = settings();
    settings.documents_per_child = 3;
    let pool = std::sync::Arc::new(Pool::new(settings));
    let tasks: Vec<_> = (0..12)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let bytes = make::zip(&[make::Entry::new(&format!("{number}.txt"), b"hello")]);
                let found = look(&pool, "a.zip", &bytes).await;
                found.end.is_ok() && matches!(&found.seen[..], [Seen::Member { place, bytes: 5, .. }] if place.name() == format!("{number}.txt"))
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
}

/// A run that is given up takes its child with it, and the pool goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_leaves_nothing_behind() {
    let pool = Pool::new(bounded());
    let given_up = tokio::time::timeout(Duration::from_millis(200), misbehave(&pool, "spin")).await;
    assert!(given_up.is_err());
    assert_eq!(notes(&misbehave(&pool, "hello").await), ["hello"]);
}

/// What every child is handed at its start arrives whole, whatever its size.
#[tokio::test(flavor = "multi_thread")]
async fn material_arrives() {
    for (bytes, expected) in [
        (0, "0 bytes, 0 together"),
        (3 << 20, "3145728 bytes, 22020096 together"),
    ] {
        let mut settings = bounded();
        settings.material = vec![7; bytes].into();
        let seen = ask(&Pool::new(settings), &Request::Material, b"document").await;
        assert_eq!(notes(&seen), [expected]);
    }
}
