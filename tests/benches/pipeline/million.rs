//! What a store of a million finished documents costs: the start, listings, and each further document.
//!
//! Some thousand documents go through an empty store and are measured; then the program is stopped, what they left is multiplied by SQL, and the same is
//! measured again.
//!
//! Multiplied are the rows of the store (versions, events, results, final states, listings) and the index of the vault; ids and times lie ten minutes apart from
//! copy to copy, as if the documents had come over some days. Not multiplied: the sealed bytes (the copies count as references to the same blobs), and the
//! streams, of which the trimmer keeps what somebody needs (of `JOIN` 100,000 messages) however many documents there were.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cofferdam_tests::{Instance, Settings, Tenant};
use rusqlite::Connection;

use crate::{Documents, Size, Taken, WARM, block_on, figure, home, put};

/// Of the store's tables, those with a row or more for each document.
const TABLES: [&str; 7] = [
    "objects",
    "object_events",
    "object_finals",
    "objects_by_key",
    "objects_by_day",
    "results_by_doc",
    "keys_by_bucket",
];
/// Milliseconds from copy to copy, about ten minutes.
const APART: i64 = 599_999;
/// Each listing is timed so often; the median counts.
const TIMES: usize = 7;

/// What is looked at in a small store and in a large one.
struct Look {
    /// Milliseconds.
    start: f64,
    /// The same.
    listings: [f64; 4],
    taken: Taken,
}

const LISTINGS: [&str; 4] = ["ls.first", "ls.prefix", "s3-list.first", "s3-list.prefix"];

/// See the module.
pub(crate) fn million(size: &Size) -> anyhow::Result<()> {
    let home = home(None)?;
    let mut instance = Instance::start(home.path(), Settings::default())?;
    let documents = Documents {
        count: size.further,
        size: 4096,
        connections: 64,
    };
    let taken = block_on(put(&instance, "first", 0, documents))?;
    let each = u64::try_from(size.further + WARM)?;
    let start = restart(&mut instance)?;
    let empty = Look {
        start,
        listings: listings(&instance, "first/warm/", "default/0")?,
        taken,
    };
    instance.stop()?;

    let copies = size.known.div_ceil(each) - 1;
    let began = Instant::now();
    multiply_rows(&instance.data().join("cofferdam.db"), copies)?;
    multiply_vault(&instance.data().join("bucket.db"), copies)?;
    eprintln!("multiplied by {} in {:.0} s", copies + 1, began.elapsed().as_secs_f64());
    let known = each * (copies + 1);

    instance.restart()?; // What the copying left in the operating system's hands is no part of a start.
    let start = restart(&mut instance)?;
    // The oldest copy: what a listing that begins with the newest comes to last.
    let full = Look {
        start,
        listings: listings(
            &instance,
            &format!("copy-{copies:06}/first/warm/"),
            &format!("default/copy-{copies:06}/"),
        )?,
        taken: block_on(put(&instance, "further", usize::try_from(known)?, documents))?,
    };
    instance.stop()?;
    report(known, &empty, &full);
    Ok(())
}

fn report(known: u64, empty: &Look, full: &Look) {
    figure("million.documents", known as f64, "in the store");
    let pair = |name: &str, of: fn(&Look) -> f64, unit: &str| {
        figure(&format!("million.{name}.empty"), of(empty), unit);
        figure(&format!("million.{name}.full"), of(full), unit);
        of(full) / of(empty)
    };
    pair("start", |look| look.start / 1e3, "s");
    let ratio = pair("cpu", |look| look.taken.cpu[0] + look.taken.cpu[1], "us/document");
    figure("million.cpu.ratio", ratio, "of an empty store");
    let ratio = pair("throughput", |look| look.taken.rate, "documents/s");
    // A document costs so many times as long.
    figure("million.throughput.ratio", 1.0 / ratio, "of an empty store");
    for (n, name) in LISTINGS.into_iter().enumerate() {
        for (which, look) in [("empty", empty), ("full", full)] {
            figure(&format!("million.{name}.{which}"), look.listings[n], "ms");
        }
        let ratio = full.listings[n] / empty.listings[n];
        figure(&format!("million.{name}.ratio"), ratio, "of an empty store");
    }
}

/// Stops it once nothing is left to do, starts it again, and says how many milliseconds it took until it was ready.
#[allow(clippy::disallowed_methods)] // Nothing else runs on this thread.
fn restart(instance: &mut Instance) -> anyhow::Result<f64> {
    let path = instance.data().join("bucket.db");
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let open: i64 = Connection::open(&path)?.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0))?;
        if open == 0 {
            break;
        }
        ensure!(Instant::now() < until, "{open} ledger rows are left");
        std::thread::sleep(Duration::from_millis(50));
    }
    instance.stop()?;
    let began = Instant::now();
    instance.restart()?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// Milliseconds of each of [`LISTINGS`]: a page without a prefix and one with, by the command and at the endpoint.
fn listings(instance: &Instance, prefix: &str, vault_prefix: &str) -> anyhow::Result<[f64; 4]> {
    let command = |arguments: &[&str]| {
        median(|| {
            let output = instance.cli(arguments)?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
            ensure!(lines > WARM.min(100), "{arguments:?} lists {lines} lines");
            Ok(())
        })
    };
    let endpoint = |prefix: &str| {
        block_on(async {
            let tenant = Tenant::connect(&instance.run).await?;
            let mut times = Vec::new();
            for _ in 0..TIMES {
                let began = Instant::now();
                let request = tenant.s3.list_objects_v2().bucket(&instance.run.buckets.vault);
                let answer = request.prefix(prefix).send().await?;
                times.push(began.elapsed().as_secs_f64() * 1e3);
                ensure!(answer.contents().len() == 1000, "{} keys", answer.contents().len());
            }
            times.sort_by(f64::total_cmp);
            Ok(times[TIMES / 2])
        })
    };
    Ok([
        command(&["ls"])?,
        command(&["ls", prefix])?,
        // A tenant sees its own part of the vault.
        endpoint("default/")?,
        endpoint(vault_prefix)?,
    ])
}

fn median(mut one: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        one()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[TIMES / 2])
}

/// A database that nobody else has open, for much at once. A bench's data needs no durability.
fn open(path: &Path) -> anyhow::Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch(
        "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -500000;",
    )?;
    Ok(db)
}

/// As the program has it.
fn close(db: &Connection) -> anyhow::Result<()> {
    db.execute_batch("PRAGMA journal_mode = WAL")?;
    Ok(())
}

/// Adds so many copies of every document's rows, the oldest first.
fn multiply_rows(path: &Path, copies: u64) -> anyhow::Result<()> {
    let db = open(path)?;
    let newest: i64 = db.query_row("SELECT max(last_modified) FROM objects", [], |row| row.get(0))?;
    // Of a version's id the first six bytes are its time. ?1 is the number of the copy, ?2 how much earlier, ?3 the time in its ids.
    let changed = |column: &str| match column {
        "object_id" => "CAST(unhex(printf('%012x', ?3)) || substr(object_id, 7) AS BLOB)".to_owned(),
        "object_key" => "printf('copy-%06d/%s', ?1, object_key)".to_owned(),
        "last_modified" => "last_modified - ?2".to_owned(),
        "day" => "(last_modified - ?2) / 86400000".to_owned(),
        other => other.to_owned(),
    };
    let mut statements = Vec::new();
    for table in TABLES {
        db.execute_batch(&format!("CREATE TEMP TABLE base_{table} AS SELECT * FROM {table}"))?;
        let mut names = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let columns: Vec<String> = names.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let values: Vec<String> = columns.iter().map(|column| changed(column)).collect();
        // Every copy binds all three, whatever the table has.
        statements.push(format!(
            "INSERT INTO {table} SELECT {} FROM base_{table} WHERE ?1 + ?2 + ?3 > 0",
            values.join(", ")
        ));
    }
    statements.push(
        "INSERT OR IGNORE INTO days_by_tenant SELECT DISTINCT tenant, (last_modified - ?2) / 86400000, _wts, NULL FROM base_objects WHERE ?1 + ?3 > 0"
            .to_owned(),
    );
    db.execute_batch("BEGIN")?;
    for copy in (1..=i64::try_from(copies)?).rev() {
        for statement in &statements {
            let earlier = copy * APART;
            db.prepare_cached(statement)?
                .execute((copy, earlier, newest - earlier))
                .with_context(|| statement.clone())?;
        }
    }
    db.execute_batch("COMMIT")?;
    close(&db)
}

/// The same with the vault's index.
fn multiply_vault(path: &Path, copies: u64) -> anyhow::Result<()> {
    let db = open(path)?;
    let copies = i64::try_from(copies)?;
    db.execute_batch("CREATE TEMP TABLE base AS SELECT * FROM objects ORDER BY key; BEGIN")?;
    for copy in (1..=copies).rev() {
        db.prepare_cached(
            "INSERT INTO objects (bucket, key, latest, held, marker, plain, size, etag, modified, blob, parts, algorithm, composite, sums, headers, user, tags, upload)
             SELECT bucket, CAST(printf('default/copy-%06d/%s', ?1, substr(CAST(key AS TEXT), 9)) AS BLOB), latest, held, marker, plain, size, etag,
                    modified - ?2, blob, parts, algorithm, composite, sums, headers, user, tags, upload FROM base",
        )?
        .execute((copy, copy * APART))?;
    }
    db.execute("UPDATE blobs SET refs = refs * (?1 + 1)", [copies])?;
    db.execute_batch("COMMIT")?;
    close(&db)
}
