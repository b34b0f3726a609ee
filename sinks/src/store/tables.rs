//! The domain's verbs over rows: the same for every backend.

use async_trait::async_trait;
use cofferdam_schemas::query::{CommandAnswer, Decision, ResultView};
use cofferdam_schemas::{
    BucketName, CommandId, CommandResult, Done, ObjectEvent, ObjectId, ObjectKey, ObjectState, ResultEvent, TenantName,
    Timestamp,
};

use super::cursor::Cursor;
use super::engine::{Engine, Mutation, Record, Select, Value};
use super::rows::{EventRow, Filter, ObjectRow, Page};
use super::{Stamped, Store, encode, list, merge};
use crate::error::StoreError;
use crate::schema::TableId;

/// How many buckets of a tenant are searched for a key.
const MANY_BUCKETS: usize = 1000;
/// How many event messages of a version are shown.
const MANY_EVENTS: usize = 1000;
/// How many versions of a key are looked at in one read.
const VERSIONS: usize = 16;

/// [`Store`] over any [`Engine`].
#[derive(Debug, Clone)]
pub struct TableStore<E> {
    pub(crate) engine: E,
    shards: i64,
}

impl<E: Engine> TableStore<E> {
    /// A store over an engine, with one listing shard a tenant and day.
    pub fn new(engine: E) -> Self {
        Self { engine, shards: 1 }
    }

    /// Spreads each tenant's listing of a day over so many partitions (1 to 256). Only ever raise it: rows in higher shards would not be found.
    pub fn with_shards(engine: E, shards: u16) -> Self {
        Self {
            engine,
            shards: i64::from(shards.clamp(1, 256)),
        }
    }

    pub(super) fn shards(&self) -> i64 {
        self.shards
    }

    /// Several versions, in the order of their ids; those not known are left out.
    pub(super) async fn objects(&self, tenant: &TenantName, ids: &[ObjectId]) -> Result<Vec<ObjectRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let selects = ids
            .iter()
            .flat_map(|id| merge::selects(&partition(tenant, id)))
            .collect();
        let answers = self.engine.read(selects).await?;
        answers
            .chunks(merge::SELECTS)
            .filter_map(|answers| merge::merge(tenant, answers).transpose())
            .collect()
    }

    /// The landing buckets a tenant has rows in.
    pub(super) async fn buckets(&self, tenant: &TenantName) -> Result<Vec<BucketName>, StoreError> {
        let partition = vec![tenant.as_str().into()];
        let rows = self
            .rows(Select::new(TableId::BucketsByTenant, partition, MANY_BUCKETS))
            .await?;
        rows.iter().map(|row| row.parsed("bucket")).collect()
    }

    async fn one(&self, select: Select) -> Result<Option<Record>, StoreError> {
        Ok(self.engine.read(vec![select]).await?.into_iter().flatten().next())
    }

    async fn rows(&self, select: Select) -> Result<Vec<Record>, StoreError> {
        Ok(self.engine.read(vec![select]).await?.into_iter().flatten().collect())
    }

    async fn write(&self, mutations: Vec<Mutation>) -> Result<(), StoreError> {
        if mutations.is_empty() {
            Ok(())
        } else {
            self.engine.write(mutations).await
        }
    }

    /// The newest version of a key in one bucket that is neither superseded nor deleted.
    async fn newest(
        &self,
        tenant: &TenantName,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Option<ObjectRow>, StoreError> {
        let mut select = Select::new(
            TableId::ObjectsByKey,
            vec![tenant.as_str().into(), bucket.as_str().into(), key.as_str().into()],
            VERSIONS,
        );
        loop {
            let rows = self.rows(select.clone()).await?;
            let ids = rows
                .iter()
                .map(|row| row.object("object_id"))
                .collect::<Result<Vec<_>, _>>()?;
            let found = self.objects(tenant, &ids).await?;
            let wanted = |row: &ObjectRow| !matches!(row.state, ObjectState::Superseded | ObjectState::Deleted);
            if let Some(row) = found.into_iter().find(wanted) {
                return Ok(Some(row));
            }
            let Some(last) = rows.last().filter(|_| rows.len() == VERSIONS) else {
                return Ok(None);
            };
            select.after = Some(vec![
                last.time("last_modified")?.into(),
                last.object("object_id")?.into(),
            ]);
        }
    }
}

/// The partition key of the tables about one version.
pub(super) fn partition(tenant: &TenantName, object: &ObjectId) -> Vec<Value> {
    vec![tenant.as_str().into(), (*object).into()]
}

#[async_trait]
impl<E: Engine> Store for TableStore<E> {
    async fn put_events(&self, events: &[Stamped<ObjectEvent>]) -> Result<(), StoreError> {
        let mut out = Vec::with_capacity(events.len() * 7);
        events
            .iter()
            .for_each(|event| encode::event(event, self.shards, &mut out));
        self.write(out).await
    }

    async fn put_results(&self, results: &[Stamped<ResultEvent>]) -> Result<(), StoreError> {
        let mut out = Vec::with_capacity(results.len());
        results.iter().for_each(|result| encode::result(result, &mut out));
        self.write(out).await
    }

    async fn put_command_results(&self, results: &[Stamped<CommandResult>]) -> Result<(), StoreError> {
        let mut out = Vec::with_capacity(results.len());
        results.iter().for_each(|result| encode::command(result, &mut out));
        self.write(out).await
    }

    async fn put_final(&self, done: &[Stamped<Done>]) -> Result<(), StoreError> {
        let mut out = Vec::with_capacity(done.len() * 7);
        done.iter().for_each(|done| encode::done(done, self.shards, &mut out));
        self.write(out).await
    }

    async fn mark_deleted(&self, tenant: &TenantName, object: &ObjectId, at: Timestamp) -> Result<(), StoreError> {
        // The first deletion's time stands. (Two at once may both write; then the later time stands, and nothing else differs.)
        let known = Select::new(TableId::ObjectDeletions, partition(tenant, object), 1);
        if self.one(known).await?.is_some() {
            return Ok(());
        }
        self.write(vec![encode::deletion(tenant, object, at)]).await
    }

    async fn decide(&self, tenant: &TenantName, object: &ObjectId, decision: &Decision) -> Result<(), StoreError> {
        self.write(vec![encode::decision(tenant, object, decision)]).await
    }

    async fn object(&self, tenant: &TenantName, object: &ObjectId) -> Result<Option<ObjectRow>, StoreError> {
        Ok(self.objects(tenant, &[*object]).await?.pop())
    }

    async fn find_by_key(
        &self,
        tenant: &TenantName,
        bucket: Option<&BucketName>,
        key: &ObjectKey,
    ) -> Result<Option<ObjectRow>, StoreError> {
        if let Some(bucket) = bucket {
            return self.newest(tenant, bucket, key).await;
        }
        let buckets = self.buckets(tenant).await?;
        let mut best: Option<ObjectRow> = None;
        for bucket in buckets {
            if let Some(found) = self.newest(tenant, &bucket, key).await?
                && best.as_ref().is_none_or(|best| found.cursor() > best.cursor())
            {
                best = Some(found);
            }
        }
        Ok(best)
    }

    async fn list_objects(
        &self,
        tenant: &TenantName,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        match filter.state {
            // The few that wait for a person have an index of their own.
            Some(ObjectState::Dead) => list::dead(self, tenant, filter, after, limit).await,
            Some(_) | None => match list::few(self, tenant, filter, after, limit).await? {
                Some(page) => Ok(page),
                None => list::all(self, tenant, filter, after, limit).await,
            },
        }
    }

    async fn results_of(&self, tenant: &TenantName, object: &ObjectId) -> Result<Vec<ResultView>, StoreError> {
        merge::results(&self.rows(merge::results_select(&partition(tenant, object))).await?)
    }

    async fn has_results(&self, done: &Done) -> Result<bool, StoreError> {
        let partition = partition(&done.object.tenant, &done.object.id);
        let rows = self.rows(merge::results_select(&partition)).await?;
        merge::has(&rows, &done.results)
    }

    async fn events_of(&self, tenant: &TenantName, object: &ObjectId) -> Result<Vec<EventRow>, StoreError> {
        let rows = self
            .rows(Select::new(
                TableId::ObjectEvents,
                partition(tenant, object),
                MANY_EVENTS,
            ))
            .await?;
        rows.iter().map(merge::event).collect()
    }

    async fn command(&self, tenant: &TenantName, command: &CommandId) -> Result<Option<CommandAnswer>, StoreError> {
        let select = Select::new(
            TableId::Commands,
            vec![tenant.as_str().into(), command.as_str().into()],
            1,
        );
        self.one(select).await?.as_ref().map(merge::command).transpose()
    }

    async fn final_state(&self, tenant: &TenantName, object: &ObjectId) -> Result<Option<ObjectState>, StoreError> {
        let row = self
            .one(Select::new(TableId::ObjectFinals, partition(tenant, object), 1))
            .await?;
        row.map(|row| merge::final_state(&row)).transpose()
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.engine.ready().await
    }

    async fn maintain(&self) -> Result<(), StoreError> {
        self.engine.maintain().await
    }
}
