//! The outbox: retrieved copies under `<tenant>/<expiry, Unix seconds, 10 digits>/<command id>/<file name>`, so that a
//! listing has the first to expire first.

use cofferdam_schemas::{CommandId, IdError, ObjectId, ObjectKey, TenantName, Timestamp};
use cofferdam_seams::{Locator, ObjectError, Place};

/// Metadata of an outbox object: the object it is a copy of.
pub(crate) const META_OBJECT: &str = "cofferdam-object";
/// Metadata of an outbox object: which bytes of the document it holds, as `start-end`.
pub(crate) const META_RANGE: &str = "cofferdam-range";
/// Metadata of an outbox object: SHA-256 of its bytes, when it is a whole document.
pub(crate) const META_SHA256: &str = "cofferdam-sha256";

/// A file name is cut to this many bytes, which file systems take and which leaves a key room for the rest.
const NAME_MOST: usize = 200;
const PAGE: usize = 1000;

/// The key of a retrieved copy. `expiry` is in Unix seconds.
pub(crate) fn key(tenant: &TenantName, expiry: u64, command: &CommandId, name: &str) -> Result<ObjectKey, IdError> {
    ObjectKey::new(format!("{tenant}/{expiry:010}/{command}/{name}"))
}

/// The name a copy is saved under: the last segment of the document's key, made harmless for a file system.
pub(crate) fn file_name(document: &ObjectKey) -> String {
    let last = document.as_str().rsplit('/').next().unwrap_or_default();
    let mut name: String = last
        .chars()
        .map(|c| if c.is_control() || c == '\\' { '_' } else { c })
        .collect();
    if name.len() > NAME_MOST {
        // The extension stays, when it is one.
        let extension = name
            .rsplit_once('.')
            .map(|(_, e)| e)
            .filter(|e| !e.is_empty() && e.len() <= 16);
        let extension = extension.map(|e| format!(".{e}")).unwrap_or_default();
        let room = name.floor_char_boundary(NAME_MOST - extension.len());
        name.truncate(room);
        name.push_str(&extension);
    }
    match name.as_str() {
        "" | "." | ".." => "document".to_owned(),
        _ => name,
    }
}

/// When a copy expires, in Unix seconds; `None` when the key is not one of ours.
pub(crate) fn expiry(tenant: &TenantName, key: &ObjectKey) -> Option<u64> {
    let rest = key.as_str().strip_prefix(tenant.as_str())?.strip_prefix('/')?;
    let (digits, _) = rest.split_once('/')?;
    if digits.len() != 10 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) deleted: u64,
    pub(crate) failed: u64,
}

/// Deletes the copies of a tenant whose time has passed. A copy that cannot be deleted is left for the next sweep.
pub(crate) async fn sweep(outbox: &Place, tenant: &TenantName, now: Timestamp) -> Result<Swept, ObjectError> {
    let now = u64::try_from(now.unix_millis() / 1000).unwrap_or(0);
    let prefix = format!("{tenant}/");
    let mut swept = Swept::default();
    let mut after: Option<String> = None;
    loop {
        let page = outbox
            .store
            .list(&outbox.bucket, &prefix, after.as_deref(), PAGE)
            .await?;
        for listed in &page {
            match expiry(tenant, &listed.key) {
                Some(expiry) if expiry > now => return Ok(swept),
                Some(_) => {}
                // Not ours: whoever put it there removes it.
                None => continue,
            }
            match outbox.store.delete(&outbox.at(listed.key.clone())).await {
                Ok(()) => swept.deleted += 1,
                Err(error) => {
                    swept.failed += 1;
                    tracing::warn!(%tenant, key = %listed.key, error = &error as &dyn std::error::Error, "expired outbox object is not deleted");
                }
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.key.as_str().to_owned()),
            _ => return Ok(swept),
        }
    }
}

/// Deletes every retrieved copy of one object; says how many.
pub(crate) async fn delete_copies(
    outbox: &Place,
    tenant: &TenantName,
    object: &ObjectId,
    name: &str,
) -> Result<u64, ObjectError> {
    let prefix = format!("{tenant}/");
    let (suffix, id) = (format!("/{name}"), object.to_string());
    let mut deleted = 0;
    let mut after: Option<String> = None;
    loop {
        let page = outbox
            .store
            .list(&outbox.bucket, &prefix, after.as_deref(), PAGE)
            .await?;
        for listed in page.iter().filter(|l| l.key.as_str().ends_with(&suffix)) {
            let at: Locator = outbox.at(listed.key.clone());
            match outbox.store.head(&at).await {
                Ok(meta) if meta.user.get(META_OBJECT) == Some(&id) => {
                    outbox.store.delete(&at).await?;
                    deleted += 1;
                }
                Ok(_) | Err(ObjectError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.key.as_str().to_owned()),
            _ => return Ok(deleted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn named(document: &str, expected: &str) {
        assert_eq!(file_name(&ObjectKey::new(document).unwrap()), expected);
    }

    #[test]
    fn file_names_are_harmless() {
        named("report.pdf", "report.pdf");
        named("a/b/Übersicht 100%+2F 🎉.pdf", "Übersicht 100%+2F 🎉.pdf");
        named("folder/", "document");
        named("a/..", "document");
        named("a\\b\r\nc.txt", "a_b__c.txt");
    }

    #[test]
    fn long_file_names_keep_their_extension() {
        let name = file_name(&ObjectKey::new(format!("{}.xlsx", "ü".repeat(400))).unwrap());
        assert!(name.len() <= NAME_MOST && name.ends_with("ü.xlsx"), "{name}");
        let tenant = TenantName::new("t".repeat(32)).unwrap();
        let command = CommandId::new("c".repeat(64)).unwrap();
        assert!(key(&tenant, u64::MAX, &command, &name).is_ok());
    }

    #[test]
    fn expiry_is_read_back() {
        let tenant = TenantName::new("acme").unwrap();
        let made = key(&tenant, 1_700_000_000, &CommandId::new("c1").unwrap(), "x").unwrap();
        assert_eq!(made.as_str(), "acme/1700000000/c1/x");
        assert_eq!(expiry(&tenant, &made), Some(1_700_000_000));
        for other in [
            "acme-2/1700000000/c/x",
            "acme/170000000/c/x",
            "acme/+700000000/c/x",
            "acme/1700000000",
        ] {
            assert_eq!(expiry(&tenant, &ObjectKey::new(other).unwrap()), None, "{other}");
        }
    }
}
