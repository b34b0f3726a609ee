//! `cofferdam bom make`.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, anyhow};
use cofferdam_schemas::bom::{Batch, Counts, Source};
use cofferdam_schemas::{BucketName, TenantName, Timestamp};

use super::{Gathered, catalog, lines, sign};
use crate::args::{BomMake, Global};
use crate::client::Session;
use crate::output::{Exit, Failure};

/// Gathers, signs and writes.
pub async fn run(global: &Global, args: &BomMake) -> Result<Exit, Failure> {
    if let Some(path) = args.output.as_deref().filter(|path| path.exists() && !args.force) {
        return Err(anyhow!("{} exists; --force overwrites it", path.display()).into());
    }
    let key = sign::key(global, &args.key)?;
    let (batch, tenant, Gathered { documents, versions }) = gather(global, args).await?;
    if documents.is_empty() {
        return Err(anyhow!("there is no document in this batch: nothing is signed").into());
    }
    let mut counts = Counts::default();
    documents.iter().for_each(|one| counts.add(one.verdict));
    let unhashed = documents.iter().filter(|one| one.sha256.is_none()).count();
    let draft = sign::Draft {
        batch,
        counts,
        versions: versions.0,
        documents,
        split: None,
        tenant,
    };
    let bytes = sign::sign(&key, draft)?;
    match &args.output {
        None => std::io::stdout().lock().write_all(&bytes)?,
        Some(path) => write(path, &bytes)?,
    }
    eprintln!(
        "signed by key {}: {} documents: {}",
        key.signer.key().id(),
        counts.total,
        said(&counts)
    );
    if unhashed > 0 {
        eprintln!("{unhashed} of them were not read to their end and stand in it without a hash");
    }
    Ok(Exit::Ok)
}

async fn gather(global: &Global, args: &BomMake) -> Result<(Batch, Option<TenantName>, Gathered), Failure> {
    if let Some(path) = &args.from {
        let path = path.clone();
        let gathered = tokio::task::spawn_blocking(move || lines::read(&path)).await??;
        return Ok((Batch::all(Source::Scan), None, gathered));
    }
    let mut batch = Batch {
        prefix: args.prefix.clone(),
        bucket: args.bucket.as_deref().map(BucketName::new).transpose()?,
        since: args.since.as_deref().map(time).transpose()?,
        until: args.until.as_deref().map(time).transpose()?,
        ..Batch::all(Source::Catalog)
    };
    let listed = !args.objects.is_empty() || args.objects_from.is_some();
    let ids = catalog::ids(&args.objects, args.objects_from.as_deref())?;
    let session = Session::open(global).await?;
    let tenant = TenantName::new(session.run.nats.tenant.name.clone())?;
    let gathered = if listed {
        batch.objects = Some(ids.len() as u64);
        catalog::named(&session, &ids).await?
    } else {
        catalog::select(&session, &batch).await?
    };
    Ok((batch, Some(tenant), gathered))
}

/// RFC 3339, or a day, which begins at midnight in UTC.
fn time(text: &str) -> anyhow::Result<Timestamp> {
    let day = format!("{text}T00:00:00Z");
    let at = text.parse().or_else(|_| day.parse::<Timestamp>());
    at.with_context(|| format!("{text:?} is no time: say 2026-01-31, or 2026-01-31T08:00:00Z"))
}

/// Through a temporary file, so that a reader never sees half of it.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    written.with_context(|| format!("{} cannot be written", path.display()))
}

/// Counts in words.
pub fn said(counts: &Counts) -> String {
    format!(
        "{} pass, {} review, {} incomplete, {} quarantine, {} without a verdict",
        counts.pass, counts.review, counts.incomplete, counts.quarantine, counts.no_verdict
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_read() {
        for (text, expected) in [
            ("1970-01-02", 86_400_000),
            ("1970-01-01T00:00:01Z", 1000),
            ("1970-01-01T01:00:00+01:00", 0),
        ] {
            assert_eq!(time(text).unwrap().unix_millis(), expected, "{text}");
        }
        for text in ["", "yesterday", "1970-13-01", "01.02.1970"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
