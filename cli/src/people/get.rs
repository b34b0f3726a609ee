//! `cofferdam get`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use cofferdam_schemas::{RetrieveRequest, Selector};
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::status;
use crate::args::{Get, Global};
use crate::client::{Session, selector};
use crate::output::{Exit, Failure, json_line, on_terminal, printable};

/// Asks for the document, then fetches it from the outbox into a file that appears whole or not at all.
pub async fn run(global: &Global, args: &Get) -> Result<Exit, Failure> {
    let select = selector(&args.name)?;
    let session = Session::open(global).await?;
    let (start, end) = range(args, &session, &select).await?;
    let request = RetrieveRequest {
        id: None,
        select,
        start,
        end,
        expires_s: Some(args.expires),
    };
    let result = session
        .command("retrieve", &request, Duration::from_secs(args.timeout))
        .await?;
    let values = result.result.as_ref().map(|result| &result.values);
    let value = |name: &str| values.and_then(|values| values.get(name));
    let url = value("url")
        .and_then(Value::as_str)
        .context("the result carries no link")?;
    let size = value("size")
        .and_then(Value::as_u64)
        .context("the result carries no size")?;
    let sha256 = value("sha256").and_then(Value::as_str).map(str::to_owned);
    if args.link {
        if global.json {
            json_line(&result)?;
        } else {
            println!("{url}");
        }
        return Ok(Exit::Ok);
    }
    let key = value("key").and_then(Value::as_str).unwrap_or(&args.name.name);
    let output = match &args.output {
        Some(output) => output.clone(),
        None => default_output(key)?,
    };
    let body = reqwest::Client::new()
        .get(url)
        .send()
        .await
        .map_err(reqwest::Error::without_url)?;
    if !body.status().is_success() {
        return Err(Failure::text(
            Exit::Failure,
            format!("the outbox answers {}: has the link expired? ask again", body.status()),
        ));
    }
    let bar = ProgressBar::with_draw_target(
        Some(size),
        if on_terminal() && !global.json {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        },
    );
    if let Ok(style) = ProgressStyle::with_template("{prefix:24!} {bar:28} {bytes:>9}/{total_bytes:<9} {bytes_per_sec}")
    {
        bar.set_style(style);
    }
    bar.set_prefix(printable(key));
    let mut target = Target::open(&output, args.force).await?;
    let mut hash = <sha2::Sha256 as sha2::Digest>::new();
    let mut stream = body.bytes_stream();
    let mut total = 0;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(reqwest::Error::without_url)?;
        sha2::Digest::update(&mut hash, &piece);
        total += piece.len() as u64;
        bar.inc(piece.len() as u64);
        target.write(&piece).await?;
    }
    bar.finish_and_clear();
    let found = hex(&sha2::Digest::finalize(hash));
    if total != size || sha256.as_ref().is_some_and(|sha256| *sha256 != found) {
        target.give_up().await;
        return Err(Failure::text(
            Exit::Failure,
            format!(
                "{total} bytes came, {size} were promised, or their SHA-256 differs; nothing was written: ask again"
            ),
        ));
    }
    target.finish().await?;
    if global.json {
        json_line(
            &serde_json::json!({"key": key, "output": output, "size": total, "sha256": found, "object": result.result.as_ref().and_then(|r| r.object)}),
        )?;
    } else if output != Path::new("-") {
        eprintln!("{} bytes in {}", total, output.display());
    }
    Ok(Exit::Ok)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Where a key is written when nobody says: its last segment, here. Names that mean a directory are refused.
fn default_output(key: &str) -> Result<PathBuf, Failure> {
    match key.rsplit('/').find(|part| !part.is_empty()) {
        Some(name) if name != "." && name != ".." && !name.contains('\0') => Ok(PathBuf::from(name)),
        _ => Err(Failure::text(
            Exit::Failure,
            "this key does not make a file name: say where with -o",
        )),
    }
}

/// Reads `START-END` (both included), `START-` and `-LAST`. The last form needs the size, and asks for it.
async fn range(args: &Get, session: &Session, select: &Selector) -> Result<(Option<u64>, Option<u64>), Failure> {
    let Some(text) = args.range.as_deref() else {
        return Ok((None, None));
    };
    let wrong = || {
        Failure::text(
            Exit::Failure,
            format!("--range {text}: write START-END, START- or -LAST, for example 0-1023"),
        )
    };
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    match text.split_once('-').ok_or_else(wrong)? {
        ("", last) => {
            let size = status::size_of(session, select).await?;
            Ok((Some(size.saturating_sub(number(last)?)), None))
        }
        (start, "") => Ok((Some(number(start)?), None)),
        (start, end) => {
            let (start, end) = (number(start)?, number(end)?);
            if end < start {
                return Err(wrong());
            }
            Ok((Some(start), Some(end.saturating_add(1))))
        }
    }
}

enum Target {
    Stdout,
    File {
        file: tokio::fs::File,
        temporary: PathBuf,
        path: PathBuf,
    },
}

impl Target {
    async fn open(path: &Path, force: bool) -> Result<Target, Failure> {
        if path == Path::new("-") {
            return Ok(Target::Stdout);
        }
        if path.exists() && !force {
            return Err(Failure::text(
                Exit::Failure,
                format!("{} exists: say --force to overwrite it, or -o another", path.display()),
            ));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = tokio::fs::File::create_new(&temporary)
            .await
            .with_context(|| format!("cannot write {}", temporary.display()))?;
        Ok(Target::File {
            file,
            temporary,
            path: path.to_owned(),
        })
    }

    async fn write(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        match self {
            Target::Stdout => Ok(std::io::stdout().write_all(piece)?),
            Target::File { file, path, .. } => file
                .write_all(piece)
                .await
                .with_context(|| format!("cannot write {}", path.display())),
        }
    }

    async fn finish(self) -> anyhow::Result<()> {
        match self {
            Target::Stdout => Ok(std::io::stdout().flush()?),
            Target::File {
                mut file,
                temporary,
                path,
            } => {
                file.flush().await?;
                file.sync_all().await?;
                tokio::fs::rename(&temporary, &path)
                    .await
                    .with_context(|| format!("cannot write {}", path.display()))
            }
        }
    }

    async fn give_up(self) {
        if let Target::File { temporary, .. } = self {
            let _ = tokio::fs::remove_file(temporary).await;
        }
    }
}
