//! Sources, dialects, the normaliser, the command gateway, the ledger's pump and its re-drive.
//!
//! The only place that turns "something happened to an object" into an [`cofferdam_schemas::ObjectEvent`], whoever says so:
//!
//! * the embedded bucket and the inbox folder, through the ledger ([`run_pump`]);
//! * a foreign store's notifications on `raw.s3.<source>` ([`RawNormaliser`]), read by a [`dialect`];
//! * a client's command on `cmdin.v1.<tenant>.<verb>` ([`run_gateway`]).
//!
//! What is accepted is never forgotten: a ledger row stays until the object's final state is durable ([`Finaliser`]), and whatever stays too long is
//! published again with the same ids ([`run_redrive`]).

pub mod dialect;
mod error;
mod finalise;
pub mod folder;
mod gateway;
mod metrics;
mod normalise;
mod publish;
mod pump;
mod raw;
mod redrive;
mod tenants;
#[cfg(test)]
mod testing;

pub use error::IngestError;
pub use finalise::{Final, Finaliser, Isolation, RetirePolicy};
pub use folder::{FolderSettings, recover_folder, run_folder};
pub use gateway::{Gateway, GatewaySettings, run_gateway};
pub use normalise::{Normaliser, PlanPolicy};
pub use publish::{Publisher, Trouble};
pub use pump::run_pump;
pub use raw::{RawNormaliser, RawSource};
pub use redrive::{Finals, FinalsError, RedriveSettings, run_redrive};
pub use tenants::{Refusal, Tenancy, TenantMap, TenantMapError};
