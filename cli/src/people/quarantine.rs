//! `cofferdam quarantine`: what was quarantined, and what a person decides about it.

use std::time::Duration;

use cofferdam_schemas::query::DecisionKind;
use cofferdam_schemas::{DestroyRequest, ObjectState, ReleaseRequest};
use serde::Serialize;

use super::ls::{self, Listing};
use super::rm::confirm;
use super::status;
use crate::args::{Decide, Global, Quarantine, Status};
use crate::client::{Session, selector};
use crate::output::{Exit, Failure, json_line, printable};

/// Deciding moves the sealed copy, however large it is.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs a sub-command.
pub async fn run(global: &Global, command: &Quarantine) -> Result<Exit, Failure> {
    match command {
        Quarantine::Ls {
            prefix,
            limit,
            fail_if_any,
        } => {
            let seen = ls::list(
                global,
                &Listing {
                    state: Some(ObjectState::Quarantined),
                    prefix: prefix.clone(),
                    limit: *limit,
                },
            )
            .await?;
            Ok(if *fail_if_any && seen > 0 {
                Exit::Checks
            } else {
                Exit::Ok
            })
        }
        Quarantine::Show { name } => status::run(global, &Status { name: name.clone() }).await,
        Quarantine::Release(decide) => {
            let request = ReleaseRequest {
                id: None,
                select: selector(&decide.name)?,
                reason: decide.reason.clone(),
            };
            send(global, decide, DecisionKind::Release, &request).await
        }
        Quarantine::Destroy(decide) => {
            let request = DestroyRequest {
                id: None,
                select: selector(&decide.name)?,
                reason: decide.reason.clone(),
            };
            send(global, decide, DecisionKind::Destroy, &request).await
        }
    }
}

async fn send(global: &Global, decide: &Decide, kind: DecisionKind, request: &impl Serialize) -> Result<Exit, Failure> {
    let session = Session::open(global).await?;
    let name = printable(&decide.name.name);
    let (question, past) = match kind {
        DecisionKind::Release => (
            format!("let {name} be given out, whatever was found in it?"),
            "released",
        ),
        DecisionKind::Destroy => (
            format!("delete {name} for good, its sealed copy included?"),
            "destroyed",
        ),
    };
    if !decide.yes && !confirm(&question)? {
        return Err(Failure::text(Exit::Failure, format!("not {past}")));
    }
    let result = session.command(kind.as_str(), request, PATIENCE).await?;
    if global.json {
        json_line(&result)?;
    } else {
        let object = result.result.and_then(|given| given.object);
        let object = object.map(|id| id.to_string()).unwrap_or_default();
        println!("{past} {name} ({object})");
    }
    Ok(Exit::Ok)
}
