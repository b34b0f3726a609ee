//! Moving a sealed copy into quarantine, and back.
//!
//! In its place in the vault stands [`MARKER`] meanwhile, so that whoever seals the same object again, because a message came twice, finds that it was done
//! (a vault takes an object once, `If-None-Match: *`), without asking two places about every document.

use bytes::Bytes;
use cofferdam_schemas::ObjectKey;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use crate::crash::{self, Point, When};
use crate::objects::{ByteStream, ObjectBody, ObjectError, Place, PutOptions, read_all};

/// What stands in the vault in place of a sealed copy that is in quarantine. No envelope begins like this.
pub const MARKER: &[u8] = b"quarantined: the sealed copy is in the quarantine bucket, under the same key\n";

/// Moves the sealed copy at `key` from the vault into quarantine.
///
/// The copy is durable and was read back, and found to be the same bytes (SHA-256), before the original is replaced, so that at every moment at least one of them is
/// there. May be repeated, also after it was interrupted anywhere, and may be done by several at once. Memory does not depend on the size. `Ok(false)` when it was
/// there already, [`ObjectError::NotFound`] when it is in neither place, [`ObjectError::Corrupt`] when what was written does not read back.
pub async fn isolate(vault: &Place, quarantine: &Place, key: &ObjectKey) -> Result<bool, ObjectError> {
    let body = vault.store.get(&vault.at(key.clone()), None).await?;
    // Told from the very bytes that would be copied: another may be doing the same at this moment.
    let body = match unless_marker(body).await? {
        Some(body) => body,
        None => return quarantine.store.head(&quarantine.at(key.clone())).await.map(|_| false),
    };
    copy(body, quarantine, key).await?;
    crash::point(Point::Isolated, When::Before);
    let marker = vault
        .put(key.clone(), Bytes::from_static(MARKER), PutOptions::default())
        .await;
    crash::point(Point::Isolated, When::After);
    marker.map(|_| true)
}

/// Brings the sealed copy back into the vault. It stays in quarantine as well, so that an isolation that is under way at the same time can never be left with its
/// marker alone. The same promises; `Ok(false)` when it stands in the vault already.
pub async fn restore(quarantine: &Place, vault: &Place, key: &ObjectKey) -> Result<bool, ObjectError> {
    match is_marked(vault, key).await {
        Ok(false) => return Ok(false),
        Ok(true) | Err(ObjectError::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let body = quarantine.store.get(&quarantine.at(key.clone()), None).await?;
    copy(body, vault, key).await?;
    Ok(true)
}

/// The body, unless it is the marker.
async fn unless_marker(body: ObjectBody) -> Result<Option<ObjectBody>, ObjectError> {
    if body.meta.size != MARKER.len() as u64 {
        return Ok(Some(body));
    }
    let ObjectBody { meta, range, stream } = body;
    let bytes = read_all(stream, MARKER.len() as u64).await?;
    if bytes == MARKER {
        return Ok(None);
    }
    let stream = futures::stream::iter([Ok(bytes)]).boxed();
    Ok(Some(ObjectBody { meta, range, stream }))
}

/// Whether the marker stands at this key. [`ObjectError::NotFound`] when nothing does.
pub async fn is_marked(vault: &Place, key: &ObjectKey) -> Result<bool, ObjectError> {
    let at = vault.at(key.clone());
    if vault.store.head(&at).await?.size != MARKER.len() as u64 {
        return Ok(false);
    }
    let body = vault.store.get(&at, None).await?;
    Ok(unless_marker(body).await?.is_none())
}

/// Writes a copy, with type and user metadata, over whatever is there, and reads it back.
async fn copy(from: ObjectBody, to: &Place, key: &ObjectKey) -> Result<(), ObjectError> {
    let target = to.at(key.clone());
    let options = PutOptions {
        content_type: from.meta.content_type.clone(),
        user: from.meta.user.clone(),
        size_hint: Some(from.meta.size),
        ..PutOptions::default()
    };
    let mut upload = to.store.upload(&target, options).await?;
    let mut stream = from.stream;
    let mut hash = Sha256::new();
    while let Some(chunk) = stream.next().await {
        let written = match chunk {
            Ok(chunk) => {
                hash.update(&chunk);
                upload.write(chunk).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            upload.abort().await;
            return Err(error);
        }
    }
    upload.finish(Bytes::new()).await?;
    let copied: [u8; 32] = hash.finalize().into();
    if sha256(to.store.get(&target, None).await?.stream).await? == copied {
        return Ok(());
    }
    // The original stays; the next try writes the copy anew.
    Err(ObjectError::Corrupt {
        at: target,
        reason: "the copy is not what was read",
    })
}

async fn sha256(mut stream: ByteStream) -> Result<[u8; 32], ObjectError> {
    let mut hash = Sha256::new();
    while let Some(chunk) = stream.next().await {
        hash.update(&chunk?);
    }
    Ok(hash.finalize().into())
}
