//! `cofferdam put`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use cofferdam_schemas::{FinalState, ObjectKey};
use cofferdam_seams::{Place, PutOptions};
use futures::StreamExt;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::io::AsyncReadExt;

use super::follow::{Follower, Known, Seen};
use super::status;
use crate::args::{Global, Put};
use crate::client::Session;
use crate::output::{Exit, Failure, json_line, on_terminal, printable};

/// Files at once.
const TOGETHER: usize = 4;
/// How much is read at once.
const PIECE: usize = 1 << 20;

/// Uploads, then follows each to its end. Exits 3 when one did not end as `done`.
pub async fn run(global: &Global, args: &Put) -> Result<Exit, Failure> {
    if args.key.is_some() && args.files.len() > 1 {
        return Err(Failure::text(
            Exit::Failure,
            "--key names one object; give one file with it",
        ));
    }
    let session = Session::open(global).await?;
    let bucket = args.bucket.clone().unwrap_or_else(|| session.run.buckets.inbox.clone());
    let place = session.bucket(&bucket).await?;
    let follower = Follower::start(&session).await?;
    let bars = MultiProgress::with_draw_target(if on_terminal() && !global.json {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    });

    let work = args.files.iter().map(|file| {
        let (session, place, follower, bars) = (&session, &place, &follower, &bars);
        async move { (file, one(session, place, follower, bars, file, args).await) }
    });
    let mut ends: Vec<_> = futures::stream::iter(work).buffer_unordered(TOGETHER).collect().await;
    ends.sort_by_key(|(file, _)| args.files.iter().position(|named| named == *file));
    let mut worst = Exit::Ok;
    for (file, end) in ends {
        match end {
            Ok((key, seen)) => {
                let state = seen.done.as_ref().map(|done| done.state);
                let bad = !args.no_wait && state != Some(FinalState::Done);
                if bad && worst == Exit::Ok {
                    worst = Exit::Checks;
                }
                if global.json {
                    json_line(
                        &serde_json::json!({"file": file, "key": key, "object": seen.object, "done": seen.done}),
                    )?;
                } else {
                    let object = seen.object.map(|id| id.to_string()).unwrap_or_default();
                    println!("{}  {object}  {}", words(args, &seen), printable(key.as_str()));
                }
            }
            Err(failure) => {
                worst = failure.exit;
                failure.print(global.json);
            }
        }
    }
    Ok(worst)
}

fn words(args: &Put, seen: &Seen) -> String {
    match &seen.done {
        Some(done) => format!("{:<11} {:<10}", done.state.as_str(), done.verdict.as_str()),
        None if args.no_wait => "accepted".to_owned(),
        None => "dead".to_owned(),
    }
}

async fn one(
    session: &Session,
    place: &Place,
    follower: &Follower,
    bars: &MultiProgress,
    file: &Path,
    args: &Put,
) -> Result<(ObjectKey, Seen), Failure> {
    let key = match &args.key {
        Some(key) => key.clone(),
        None => file
            .file_name()
            .and_then(|name| name.to_str())
            .map(str::to_owned)
            .ok_or_else(|| {
                Failure::text(
                    Exit::Failure,
                    format!(
                        "{}: the file's name is not UTF-8: name the object with --key",
                        file.display()
                    ),
                )
            })?,
    };
    let key = ObjectKey::new(key)?;
    let bar = bars.add(ProgressBar::new(0));
    if let Ok(style) = ProgressStyle::with_template("{prefix:24!} {bar:28} {bytes:>9}/{total_bytes:<9} {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(printable(key.as_str()));
    bar.set_message("uploading");
    let meta = upload(place, file, &key, args, &bar)
        .await
        .with_context(|| format!("{} was not uploaded", file.display()))?;
    let known: Known = (place.bucket.clone(), key.clone(), meta.etag);
    if args.no_wait {
        bar.finish_and_clear();
        return Ok((key, Seen::default()));
    }
    let seen = wait(session, follower, &known, &bar, Duration::from_secs(args.timeout)).await;
    bar.finish_and_clear();
    seen.map(|seen| (key, seen))
}

async fn upload(
    place: &Place,
    file: &Path,
    key: &ObjectKey,
    args: &Put,
    bar: &ProgressBar,
) -> anyhow::Result<cofferdam_seams::ObjectMeta> {
    let mut source = tokio::fs::File::open(file).await?;
    let metadata = source.metadata().await?;
    anyhow::ensure!(metadata.is_file(), "not a regular file");
    bar.set_length(metadata.len());
    let options = PutOptions {
        content_type: args.content_type.clone(),
        size_hint: Some(metadata.len()),
        ..PutOptions::default()
    };
    let mut upload = place.store.upload(&place.at(key.clone()), options).await?;
    let mut total = 0;
    loop {
        let mut piece = bytes::BytesMut::with_capacity(PIECE);
        while piece.len() < PIECE && source.read_buf(&mut piece).await? > 0 {}
        if piece.is_empty() {
            break;
        }
        total += piece.len() as u64;
        bar.inc(piece.len() as u64);
        upload.write(piece.freeze()).await?;
    }
    if total != metadata.len() {
        upload.abort().await;
        anyhow::bail!("the file changed while it was read; put it again");
    }
    Ok(upload.finish(Bytes::new()).await?)
}

async fn wait(
    session: &Session,
    follower: &Follower,
    known: &Known,
    bar: &ProgressBar,
    patience: Duration,
) -> Result<Seen, Failure> {
    let until = Instant::now() + patience;
    let mut asked = Instant::now();
    loop {
        let seen = follower.seen(known);
        if seen.done.is_some() || seen.results.values().any(|outcome| outcome == "dead") {
            return Ok(seen);
        }
        let open: Vec<_> = seen
            .required
            .iter()
            .filter(|name| !seen.results.contains_key(*name))
            .cloned()
            .collect();
        bar.set_message(match (seen.object, open.is_empty()) {
            (None, _) => "waiting".to_owned(),
            (Some(_), true) => "finishing".to_owned(),
            (Some(_), false) => open.join(", "),
        });
        if Instant::now() > until {
            let key = printable(known.1.as_str());
            return Err(Failure::text(
                Exit::Temporary,
                format!(
                    "{key} is not finished after {} s; it goes on: see `cofferdam status {key}`",
                    patience.as_secs()
                ),
            ));
        }
        follower.heard(Duration::from_millis(500)).await;
        // The feed is sent at most once: when it is silent, ask.
        if asked.elapsed() > Duration::from_secs(2) {
            asked = Instant::now();
            if let Some(seen) = status::final_of(session, known, follower.seen(known)).await? {
                return Ok(seen);
            }
        }
    }
}
