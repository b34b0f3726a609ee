//! Documents out of the rows of a running instance, asked for with the tenant's login.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use cofferdam_schemas::bom::{Batch, Document, MOST_DOCUMENTS};
use cofferdam_schemas::query::{ObjectAnswer, ObjectView, ObjectsAnswer, ObjectsQuery, ResultView, ResultsAnswer};
use cofferdam_schemas::{ObjectId, Outcome, Selector, Sha256Hex};
use futures::{StreamExt, TryStreamExt};

use super::Gathered;
use crate::client::Session;
use crate::output::{Failure, printable};

/// Objects asked for at once.
const PAGE: u32 = 200;
/// The longest list of ids in bytes.
const LONGEST: u64 = 64 << 20;
/// Questions under way at once.
const TOGETHER: usize = 8;

/// Everything that the batch's conditions hold for. Newest first, as the listing gives it.
///
/// # Errors
/// When the instance does not answer, and when there are more than a statement may have: nothing is left out without a word.
pub async fn select(session: &Session, batch: &Batch) -> Result<Gathered, Failure> {
    let mut gathered = Gathered::default();
    let (mut cursor, mut seen) = (None, BTreeSet::new());
    loop {
        let query = ObjectsQuery {
            state: None,
            prefix: batch.prefix.clone(),
            bucket: batch.bucket.clone(),
            limit: Some(PAGE),
            cursor,
        };
        let answer: ObjectsAnswer = session.ask("q.objects", &query).await?;
        // The listing is by time, newest first: what comes after is older still.
        let over = |object: &ObjectView| batch.since.is_some_and(|since| object.last_modified < since);
        let older = answer.objects.last().is_some_and(over);
        let wanted = answer.objects.into_iter().filter(|object| {
            let at = object.last_modified;
            let within = batch.since.is_none_or(|since| at >= since) && batch.until.is_none_or(|until| at < until);
            // A row that changes while pages are turned may come again.
            within && seen.insert(object.id)
        });
        describe(session, wanted.collect(), &mut gathered).await?;
        cursor = answer.next;
        if older || cursor.is_none() {
            return Ok(gathered);
        }
    }
}

/// Exactly these objects.
///
/// # Errors
/// Also when there is no object of an id.
pub async fn named(session: &Session, ids: &[ObjectId]) -> Result<Gathered, Failure> {
    let mut gathered = Gathered::default();
    let views = futures::stream::iter(ids.iter().map(|id| async move {
        let answer: ObjectAnswer = session.ask("q.object", &selector(*id)).await.map_err(|mut failure| {
            failure.error = failure.error.context(format!("object {id}"));
            failure
        })?;
        Ok::<_, Failure>(answer.object)
    }));
    let views: Vec<ObjectView> = views.buffered(TOGETHER).try_collect().await?;
    describe(session, views, &mut gathered).await?;
    Ok(gathered)
}

/// Ids out of arguments and a file, each once, in their order.
///
/// # Errors
/// When a text is no object id.
pub fn ids(named: &[String], file: Option<&Path>) -> anyhow::Result<Vec<ObjectId>> {
    let mut text = String::new();
    match file {
        None => {}
        Some(path) if path == Path::new("-") => {
            std::io::stdin().take(LONGEST + 1).read_to_string(&mut text)?;
        }
        Some(path) => {
            let file = std::fs::File::open(path);
            file.and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
                .with_context(|| format!("{} cannot be read", path.display()))?;
        }
    }
    if text.len() as u64 > LONGEST {
        bail!("the list of objects is longer than {LONGEST} bytes: make several bills");
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut seen = BTreeSet::new();
    let mut ids = Vec::new();
    for word in named.iter().map(String::as_str).chain(lines) {
        let id: ObjectId = word
            .parse()
            .with_context(|| format!("{}: not an object id", printable(word)))?;
        if seen.insert(id) {
            ids.push(id);
        }
    }
    if ids.len() > MOST_DOCUMENTS {
        bail!(
            "{} objects are more than the {MOST_DOCUMENTS} of a statement: make several",
            ids.len()
        );
    }
    Ok(ids)
}

fn selector(object: ObjectId) -> Selector {
    Selector {
        object: Some(object),
        ..Selector::default()
    }
}

async fn describe(session: &Session, views: Vec<ObjectView>, gathered: &mut Gathered) -> Result<(), Failure> {
    if gathered.documents.len() + views.len() > MOST_DOCUMENTS {
        return Err(anyhow!(
            "the batch has more than {MOST_DOCUMENTS} documents: make several bills, by prefix or by time"
        )
        .into());
    }
    let mut results = futures::stream::iter(views.into_iter().map(|view| async move {
        let answer: ResultsAnswer = session.ask("q.results", &selector(view.id)).await?;
        Ok::<_, Failure>((view, answer.results))
    }))
    .buffered(TOGETHER);
    while let Some(one) = results.next().await {
        let (view, results) = one?;
        let document = document(view, &results, gathered)?;
        gathered.documents.push(document);
    }
    Ok(())
}

/// What the rows say of one object.
fn document(view: ObjectView, results: &[ResultView], gathered: &mut Gathered) -> anyhow::Result<Document> {
    let checked = results
        .iter()
        .find(|one| one.processor.as_str() == "validate" && one.outcome == Outcome::Done && one.verdict.is_some());
    let text = |name: &str| checked?.details.get(name)?.as_str();
    let read = text("sha256").map(Sha256Hex::new).transpose()?;
    let sealed = view
        .sealed
        .as_ref()
        .map(|sealed| Sha256Hex::new(sealed.plaintext_sha256.clone()));
    let sealed = sealed.transpose()?;
    if let (Some(read), Some(sealed)) = (&read, &sealed)
        && read != sealed
    {
        bail!(
            "{} ({}): validate read other bytes than were sealed; nothing is signed until that is explained",
            printable(view.key.as_str()),
            view.id
        );
    }
    let number = |name: &str| checked?.details.get(name)?.as_u64();
    // A final verdict that another processor made worse counts; one without any check behind it does not.
    let verdict = checked.and_then(|one| one.verdict).max(checked.and(view.verdict));
    let versions = checked.and_then(|one| {
        let packs = one.details.get("versions")?.clone();
        let mut packs: BTreeMap<String, String> = serde_json::from_value(packs).ok()?;
        packs.insert("validate".to_owned(), one.processor_version.clone());
        Some(gathered.versions.place(packs))
    });
    Ok(Document {
        name: view.key.to_string(),
        bucket: Some(view.bucket),
        object: Some(view.id),
        state: Some(view.state),
        size: Some(view.size),
        sha256: read.or(sealed),
        verdict,
        risk: number("risk").and_then(|risk| u8::try_from(risk).ok()),
        findings: checked.map_or(0, |one| {
            u64::from(one.findings_total).saturating_add(number("findings_not_listed").unwrap_or(0))
        }),
        rules: checked.map_or_else(BTreeSet::new, |one| {
            one.findings.iter().map(|finding| finding.rule.clone()).collect()
        }),
        versions,
        checked_at: checked.map(|one| one.finished_at),
    })
}
