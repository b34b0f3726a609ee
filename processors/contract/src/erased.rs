//! Processors behind one object type, so that a list of them can be run by one shell.

use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_schemas::{IdError, ProcessorName};
use futures::future::BoxFuture;

use crate::Processor;
use crate::command::CommandHandler;
use crate::deps::Deps;
use crate::document::Document;
use crate::error::{ConfigErrors, ConfigProblem, ProcessError, StartError};
use crate::job::{Conclusion, Job};
use crate::telemetry::Instruments;

/// A started processor of any type.
#[async_trait]
pub trait AnyProcessor: Send + Sync + 'static {
    /// See [`Processor::NAME`].
    fn name(&self) -> &ProcessorName;
    /// See [`Processor::VERSION`].
    fn version(&self) -> &'static str;
    /// See [`Processor::process`].
    async fn process(&self, job: &Job, document: Document) -> Result<Conclusion, ProcessError>;
    /// See [`Processor::commands`].
    fn commands(&self) -> Vec<Arc<dyn CommandHandler>>;
}

struct Erased<P> {
    name: ProcessorName,
    processor: Arc<P>,
    instruments: Instruments,
}

#[async_trait]
impl<P: Processor> AnyProcessor for Erased<P> {
    fn name(&self) -> &ProcessorName {
        &self.name
    }
    fn version(&self) -> &'static str {
        P::VERSION
    }
    async fn process(&self, job: &Job, document: Document) -> Result<Conclusion, ProcessError> {
        self.instruments
            .observe(job, self.processor.process(job, document))
            .await
    }
    fn commands(&self) -> Vec<Arc<dyn CommandHandler>> {
        self.processor.commands()
    }
}

type CheckFn = fn(toml::Table) -> Result<(), ConfigErrors>;
type StartFn = fn(ProcessorName, toml::Table, Deps) -> BoxFuture<'static, Result<Arc<dyn AnyProcessor>, StartError>>;

/// A processor's line in the list.
#[derive(Clone)]
pub struct Registration {
    /// Its name.
    pub name: ProcessorName,
    /// Its version.
    pub version: &'static str,
    /// The verbs of its commands are known only once it runs; these are the ones it declares for provisioning.
    pub verbs: &'static [&'static str],
    check: CheckFn,
    start: StartFn,
}

impl Registration {
    /// Registers a processor; `verbs` are the commands it answers.
    pub fn of<P: Processor>(verbs: &'static [&'static str]) -> Result<Self, IdError> {
        fn read<P: Processor>(table: toml::Table) -> Result<P::Plan, ConfigErrors> {
            let key = format!("processors.{}", P::NAME);
            let config: P::Config = toml::Value::Table(table).try_into().map_err(|e: toml::de::Error| {
                ConfigErrors(vec![ConfigProblem {
                    key,
                    message: e.message().to_owned(),
                }])
            })?;
            P::plan(config)
        }
        Ok(Self {
            name: ProcessorName::new(P::NAME)?,
            version: P::VERSION,
            verbs,
            check: |table| read::<P>(table).map(drop),
            start: |name, table, deps| {
                Box::pin(async move {
                    let plan = read::<P>(table).map_err(StartError::Config)?;
                    let processor = Arc::new(P::start(plan, &deps).await?);
                    let instruments = Instruments::new(&name, P::VERSION);
                    Ok(Arc::new(Erased {
                        name,
                        processor,
                        instruments,
                    }) as Arc<dyn AnyProcessor>)
                })
            },
        })
    }

    /// Checks the processor's table of the configuration.
    pub fn check(&self, table: toml::Table) -> Result<(), ConfigErrors> {
        (self.check)(table)
    }

    /// Starts the processor.
    pub async fn start(&self, table: toml::Table, deps: Deps) -> Result<Arc<dyn AnyProcessor>, StartError> {
        (self.start)(self.name.clone(), table, deps).await
    }
}
