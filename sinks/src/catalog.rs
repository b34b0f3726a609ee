//! The store as commands see it.

use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_processor::{Catalog, CatalogError, ObjectRecord};
use cofferdam_schemas::query::Decision;
use cofferdam_schemas::{ObjectId, Selector, TenantName, Timestamp};

use crate::error::StoreError;
use crate::store::{ObjectRow, Store};

/// [`Catalog`] over a [`Store`].
#[derive(Clone)]
pub struct StoreCatalog(pub Arc<dyn Store>);

/// The object a selector names: by id (then a bucket or key must agree, if named), or the newest version of a key that is neither superseded nor
/// deleted. `None` also for a selector that names nothing.
pub async fn select(
    store: &dyn Store,
    tenant: &TenantName,
    select: &Selector,
) -> Result<Option<ObjectRow>, StoreError> {
    match (&select.object, &select.key) {
        (Some(id), key) => {
            let found = store.object(tenant, id).await?;
            Ok(found.filter(|row| {
                key.as_ref().is_none_or(|key| row.object.key == *key)
                    && select.bucket.as_ref().is_none_or(|bucket| row.object.bucket == *bucket)
            }))
        }
        (None, Some(key)) => store.find_by_key(tenant, select.bucket.as_ref(), key).await,
        (None, None) => Ok(None),
    }
}

#[async_trait]
impl Catalog for StoreCatalog {
    async fn find(&self, tenant: &TenantName, selector: &Selector) -> Result<Option<ObjectRecord>, CatalogError> {
        let row = select(&*self.0, tenant, selector).await.map_err(of_store)?;
        Ok(row.map(ObjectRecord::from))
    }

    async fn mark_deleted(&self, tenant: &TenantName, object: &ObjectId, at: Timestamp) -> Result<(), CatalogError> {
        self.0.mark_deleted(tenant, object, at).await.map_err(of_store)
    }

    async fn decide(&self, tenant: &TenantName, object: &ObjectId, decision: &Decision) -> Result<(), CatalogError> {
        self.0.decide(tenant, object, decision).await.map_err(of_store)
    }
}

fn of_store(error: StoreError) -> CatalogError {
    CatalogError {
        source: Box::new(error),
    }
}
