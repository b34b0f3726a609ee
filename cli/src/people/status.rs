//! `cofferdam status`, and what other commands ask about one document.

use cofferdam_schemas::query::{ObjectAnswer, ResultsAnswer, StepKind};
use cofferdam_schemas::{Done, ErrorCode, FinalState, ObjectState, Selector, Timestamp, Verdict};

use super::follow::{Known, Seen};
use crate::args::{Global, Status};
use crate::client::{Session, selector};
use crate::output::{Exit, Failure, Table, bytes, json_line, printable};

/// Shows a document's way through. Exits 3 when it is dead or quarantined.
pub async fn run(global: &Global, args: &Status) -> Result<Exit, Failure> {
    let select = selector(&args.name)?;
    let session = Session::open(global).await?;
    let answer: ObjectAnswer = session.ask("q.object", &select).await?;
    let results: ResultsAnswer = session
        .ask(
            "q.results",
            &Selector {
                object: Some(answer.object.id),
                ..Selector::default()
            },
        )
        .await?;
    let exit = match answer.object.state {
        ObjectState::Dead | ObjectState::Quarantined => Exit::Checks,
        ObjectState::Open
        | ObjectState::Done
        | ObjectState::Released
        | ObjectState::Superseded
        | ObjectState::Deleted => Exit::Ok,
    };
    if global.json {
        let mut value = serde_json::to_value(&answer)?;
        value["results"] = serde_json::to_value(&results.results)?;
        json_line(&value)?;
        return Ok(exit);
    }
    let object = &answer.object;
    println!("{}  {}", printable(object.key.as_str()), object.id);
    let found = object.detected_type.as_deref().unwrap_or("type not known yet");
    println!("{} in {}, {found}; {}", bytes(object.size), object.bucket, object.state);
    if let Some(sealed) = &object.sealed {
        println!(
            "sealed: {}/{} ({}), opened again {}",
            sealed.bucket,
            sealed.key,
            bytes(sealed.size),
            sealed.opened_at
        );
    }
    println!();
    let first = answer.timeline.first().map_or(object.last_modified, |step| step.at);
    let mut table = Table::new(&["when", ">after", "step", "what"]);
    for step in &answer.timeline {
        let processor = step.processor.as_ref().map(ToString::to_string).unwrap_or_default();
        let words = |verdict: Option<Verdict>| verdict.map(|v| format!(" {}", v.as_str())).unwrap_or_default();
        let (name, what) = match step.kind {
            StepKind::Accepted => ("accepted", String::new()),
            StepKind::Removed => ("removed", "from the landing bucket, by its owner".to_owned()),
            StepKind::Changed => ("changed", "metadata".to_owned()),
            StepKind::Started => ("started", processor),
            StepKind::Finished => {
                let outcome = step.outcome.map(|o| o.to_string()).unwrap_or_default();
                let findings = step
                    .findings
                    .filter(|n| *n > 0)
                    .map(|n| format!(", {n} findings"))
                    .unwrap_or_default();
                let error = step
                    .error
                    .as_ref()
                    .map(|e| format!(": {}", e.message))
                    .unwrap_or_default();
                (
                    "finished",
                    format!("{processor}: {outcome}{}{findings}{error}", words(step.verdict)),
                )
            }
            StepKind::Final => (
                "final",
                format!(
                    "{}{}",
                    step.state.map(|s| s.to_string()).unwrap_or_default(),
                    words(step.verdict)
                ),
            ),
            StepKind::Released => ("released", because(step.reason.as_deref())),
            StepKind::Deleted => ("deleted", because(step.reason.as_deref())),
        };
        table.row([
            clock(step.at),
            format!("{} ms", step.at.unix_millis() - first.unix_millis()),
            name.to_owned(),
            what,
        ]);
    }
    print!("{table}");
    let findings: Vec<_> = results
        .results
        .iter()
        .flat_map(|result| result.findings.iter().map(move |finding| (result, finding)))
        .collect();
    if !findings.is_empty() {
        println!();
        for (result, finding) in findings {
            let place = finding
                .span
                .map(|span| format!(" at byte {}", span.start))
                .unwrap_or_default();
            println!(
                "{} {} ({:?}){place}: {}",
                result.processor,
                finding.rule,
                finding.severity,
                printable(&finding.message)
            );
        }
    }
    Ok(exit)
}

/// Who deletes what is not quarantined need not say why.
fn because(reason: Option<&str>) -> String {
    reason.map_or_else(
        || "by command".to_owned(),
        |reason| format!("because: {}", printable(reason)),
    )
}

fn clock(at: Timestamp) -> String {
    at.to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

/// The size of a document, for ranges counted from its end.
pub async fn size_of(session: &Session, select: &Selector) -> Result<u64, Failure> {
    let answer: ObjectAnswer = session.ask("q.object", select).await?;
    Ok(answer
        .object
        .sealed
        .as_ref()
        .map_or(answer.object.size, |sealed| sealed.plaintext_size))
}

/// What the store says of a version whose live events may have been missed: `Some` once it is final or dead.
pub async fn final_of(session: &Session, known: &Known, mut seen: Seen) -> Result<Option<Seen>, Failure> {
    let select = match seen.object {
        Some(object) => Selector {
            object: Some(object),
            ..Selector::default()
        },
        None => Selector {
            object: None,
            key: Some(known.1.clone()),
            bucket: Some(known.0.clone()),
        },
    };
    let answer: ObjectAnswer = match session.ask("q.object", &select).await {
        Ok(answer) => answer,
        Err(failure) if failure.code == Some(ErrorCode::NotFound) || failure.exit == Exit::Unavailable => {
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    let view = answer.object;
    if view.etag != known.2 {
        return Ok(None);
    }
    seen.object = Some(view.id);
    seen.required = view.plan.required.iter().map(ToString::to_string).collect();
    let state = match view.state {
        ObjectState::Done => FinalState::Done,
        // What was released was quarantined when it was done.
        ObjectState::Quarantined | ObjectState::Released => FinalState::Quarantined,
        ObjectState::Superseded => FinalState::Superseded,
        ObjectState::Dead => {
            seen.results.insert("?".to_owned(), "dead".to_owned());
            return Ok(Some(seen));
        }
        ObjectState::Open | ObjectState::Deleted => return Ok(None),
    };
    seen.done = Some(Done {
        event: view.event,
        object: cofferdam_schemas::ObjectRef {
            id: view.id,
            tenant: cofferdam_schemas::TenantName::new(session.run.nats.tenant.name.clone())?,
            source: view.source,
            bucket: view.bucket,
            key: view.key,
            version: view.version,
            etag: view.etag,
            size: view.size,
            last_modified: view.last_modified,
            content_type: view.content_type,
            checksums: Default::default(),
        },
        plan: view.plan,
        state,
        verdict: view.verdict.unwrap_or(Verdict::Pass),
        sealed: view.sealed,
        results: Vec::new(),
    });
    Ok(Some(seen))
}
