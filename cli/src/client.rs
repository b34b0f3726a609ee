//! How the people's commands talk to a running instance: NATS with the tenant's login, S3 with the tenant's key, both from `run.json`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use cofferdam_schemas::{Accepted, BucketName, CommandResult, Outcome, Selector, WireError};
use cofferdam_seams::Place;
use cofferdam_sinks::s3::{S3Settings, S3Store};
use futures::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::{Global, Name};
use crate::instance::RunFile;
use crate::output::{Exit, Failure, refused};

/// How long a request may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A connection to a running instance as its first tenant.
pub struct Session {
    /// What the instance says about itself.
    pub run: RunFile,
    /// The tenant's connection.
    pub nats: async_nats::Client,
}

/// The data directory a command is about: the flag, or the default.
pub fn data_dir(global: &Global) -> PathBuf {
    global.data.clone().unwrap_or_else(|| PathBuf::from("./cofferdam-data"))
}

impl Session {
    /// Finds the instance and connects.
    pub async fn open(global: &Global) -> Result<Session, Failure> {
        let run = RunFile::read(&data_dir(global)).map_err(|error| Failure::new(Exit::Unavailable, error))?;
        let login = &run.nats.tenant;
        let nats = async_nats::ConnectOptions::with_user_and_password(login.user.clone(), login.password.clone())
            .name("cofferdam-cli")
            .connection_timeout(Duration::from_secs(3))
            .connect(&run.nats.url)
            .await
            .with_context(|| {
                format!(
                    "the instance (pid {}) does not answer at {}: is it still running?",
                    run.pid, run.nats.url
                )
            })
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
        Ok(Session { run, nats })
    }

    /// Asks and waits for the answer, which may be an error of the other side.
    pub async fn ask<T: DeserializeOwned>(&self, subject: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_vec(body)?;
        let answer = tokio::time::timeout(ANSWER, self.nats.request(subject.to_owned(), body.into())).await;
        let answer = match answer {
            Ok(Ok(message)) => message.payload,
            Ok(Err(error)) => {
                return Err(Failure::new(
                    Exit::Unavailable,
                    anyhow::Error::from(error).context(format!("nobody answers {subject}")),
                ));
            }
            Err(_) => {
                return Err(Failure::text(
                    Exit::Unavailable,
                    format!("no answer to {subject} within {} s", ANSWER.as_secs()),
                ));
            }
        };
        if let Ok(error) = serde_json::from_slice::<WireError>(&answer) {
            return Err(refused(&error));
        }
        serde_json::from_slice(&answer)
            .with_context(|| format!("answer to {subject} cannot be read: is this the same version as the instance?"))
            .map_err(Failure::from)
    }

    /// Sends a command and waits for its result.
    pub async fn command(
        &self,
        verb: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<CommandResult, Failure> {
        // Subscribed before asking, or a quick result would be missed.
        let mut results = self.nats.subscribe(format!("live.{verb}.>")).await?;
        self.nats.flush().await?;
        let accepted: Accepted = self.ask(&format!("cmd.{verb}"), body).await?;
        let waiting = async {
            while let Some(message) = results.next().await {
                match serde_json::from_slice::<CommandResult>(&message.payload) {
                    Ok(result) if result.id == accepted.id => return Some(result),
                    Ok(_) | Err(_) => {}
                }
            }
            None
        };
        let result = tokio::time::timeout(patience, waiting)
            .await
            .ok()
            .flatten()
            .ok_or_else(|| {
                Failure::text(
                    Exit::Temporary,
                    format!(
                        "{verb} {} was accepted but has no result after {} s; it will still be done: ask again",
                        accepted.id,
                        patience.as_secs()
                    ),
                )
            })?;
        match (&result.outcome, &result.error) {
            (Outcome::Done, _) => Ok(result),
            (_, Some(error)) => Err(refused(error)),
            (_, None) => Err(Failure::text(
                Exit::Failure,
                format!("{verb} {} failed without a reason", result.id),
            )),
        }
    }

    /// A bucket, through S3 with the tenant's key.
    pub async fn bucket(&self, name: &str) -> anyhow::Result<Place> {
        let settings = S3Settings {
            endpoint: Some(self.run.s3.endpoint.clone()),
            region: self.run.s3.region.clone(),
            credentials: Some((
                self.run.s3.access_key_id.clone(),
                self.run.s3.secret_access_key.clone().into(),
            )),
            force_path_style: true,
        };
        let store = S3Store::connect(settings).await?;
        Ok(Place {
            store: std::sync::Arc::new(store),
            bucket: BucketName::new(name)?,
        })
    }
}

/// What a person named: an object id if it looks like one, else a key.
pub fn selector(name: &Name) -> Result<Selector, Failure> {
    let bucket = name.bucket.as_deref().map(BucketName::new).transpose()?;
    Ok(match name.name.parse() {
        Ok(object) => Selector {
            object: Some(object),
            key: None,
            bucket,
        },
        Err(_) => Selector {
            object: None,
            key: Some(cofferdam_schemas::ObjectKey::new(name.name.clone())?),
            bucket,
        },
    })
}
