//! What every store must do, as tests that any backend runs: `store_conformance!(make)`, where `make` is an async function in scope that gives an
//! `(Arc<dyn Store>, Arc<dyn Engine>, impl Sized)`; the last is kept until the test has ended (a temporary directory, a session).
//!
//! Each test uses a tenant of its own, so that one database serves all of them at once.

// These are tests: they stop at the first wrong value.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

pub mod engine;
pub mod fixture;
pub mod listing;
pub mod merging;

/// Makes one test of each case for a backend.
#[macro_export]
macro_rules! store_conformance {
    ($make:path) => {
        $crate::store_conformance!(@store $make, merging:
            events_then_results_then_final,
            any_order_gives_the_same_rows,
            dead_then_replayed,
            dead_of_an_optional_processor,
            final_wins_over_late_results,
            deleted_stays_deleted,
            released_when_quarantined,
            final_alone_makes_the_object_known,
            removal_alone_is_no_object,
            superseded_and_quarantined,
            tenants_do_not_see_each_other,
            commands_without_links,
            commands_expire,
            large_values_are_bounded,
            catalog_finds_by_id_and_key,
        );
        $crate::store_conformance!(@store $make, listing:
            newest_first_in_pages,
            over_many_days,
            filters,
            prefixes,
            dead_letters_by_their_index,
            newest_version_of_a_key,
            keys_are_plain_bytes,
        );
        $crate::store_conformance!(@engine $make, engine:
            later_write_wins,
            equal_timestamps_are_a_redelivery,
            deletion_shadows_older_writes,
            rows_expire,
            null_replaces_a_value,
            clustering_order_and_paging,
            partitions_are_apart,
        );
    };
    (@store $make:path, $module:ident: $($case:ident,)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(#[tokio::test]
            async fn $case() {
                let (store, _engine, _keep) = $make().await;
                $crate::conformance::$module::$case(store.as_ref()).await;
            })*
        }
    };
    (@engine $make:path, $module:ident: $($case:ident,)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(#[tokio::test]
            async fn $case() {
                let (_store, engine, _keep) = $make().await;
                $crate::conformance::$module::$case(engine.as_ref()).await;
            })*
        }
    };
}
