//! What event names mean. The names of all record dialects are one vocabulary (Amazon's, with additions by MinIO, Ceph and versitygw), and no name
//! means two things, so that one table serves them all.

use cofferdam_schemas::Verb;

use super::Why;

/// What an event name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Something happened to an object.
    Happened(Verb),
    /// No work.
    Nothing(Why),
}

/// Reads a name without its `s3:` prefix, for example `ObjectCreated:Put`.
pub(super) fn meaning(name: &str) -> Meaning {
    use Meaning::{Happened, Nothing};
    let (group, detail) = name.split_once(':').unwrap_or((name, ""));
    match (group, detail) {
        ("TestEvent", _) => Nothing(Why::TestEvent),
        // MinIO announces changes of tags and locks as creations of the object they are on.
        ("ObjectCreated", "PutTagging" | "DeleteTagging" | "PutRetention" | "PutLegalHold") => Happened(Verb::Meta),
        // A part is not an object before the upload is completed.
        ("ObjectCreated", "UploadPart") => Nothing(Why::NothingChanged),
        ("ObjectCreated", _) | ("ObjectSynced", "Create") => Happened(Verb::Put),
        // MinIO: somebody deleted what was not there.
        ("ObjectRemoved", "NoOP") => Nothing(Why::NothingChanged),
        ("ObjectRemoved", _) => Happened(Verb::Del),
        ("ObjectSynced", "Delete" | "DeletionMarkerCreated") => Happened(Verb::Del),
        ("LifecycleExpiration", _) => Happened(Verb::Del),
        ("ObjectLifecycle", "Expiration:AbortMPU" | "Expiration:AbortMultipartUpload") => Nothing(Why::NothingChanged),
        ("ObjectLifecycle", detail) if detail.starts_with("Expiration") => Happened(Verb::Del),
        ("ObjectTagging" | "ObjectAcl", _) => Happened(Verb::Meta),
        ("ObjectRestore", "Completed") => Happened(Verb::Restore),
        // A restore was asked for, or the restored copy ran out: the object itself is as it was.
        ("ObjectRestore" | "ObjectAccessed", _) => Nothing(Why::NothingChanged),
        ("ObjectLifecycle" | "ObjectTransition" | "LifecycleTransition" | "IntelligentTiering", _) => {
            Nothing(Why::NotAnObject)
        }
        ("Replication" | "BucketCreated" | "BucketRemoved" | "Scanner" | "ReducedRedundancyLostObject", _) => {
            Nothing(Why::NotAnObject)
        }
        _ => Nothing(Why::Unknown),
    }
}
