//! Moving an object from one place to another.

use bytes::Bytes;
use cofferdam_schemas::ObjectKey;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use crate::crash::{self, Point, When};
use crate::objects::{ByteStream, Locator, ObjectError, Place, PutOptions};

/// Moves what stands at `key` in `from` to the same key in `to`, with its type and user metadata.
///
/// The copy is durable and was read back, and found to be the same bytes (SHA-256), before the original is deleted, so that at every moment at least one of
/// them is there; whoever looks for it meanwhile finds it in one place or the other. May be repeated, also after it was interrupted anywhere. Memory does not depend
/// on the size. `Ok(false)` when it was there already, [`ObjectError::NotFound`] when it is in neither place, [`ObjectError::Corrupt`] when what was
/// written does not read back.
pub async fn transfer(from: &Place, to: &Place, key: &ObjectKey) -> Result<bool, ObjectError> {
    let (source, target) = (from.at(key.clone()), to.at(key.clone()));
    let body = match from.store.get(&source, None).await {
        Ok(body) => body,
        Err(missing @ ObjectError::NotFound { .. }) => {
            return match to.store.head(&target).await {
                Ok(_) => Ok(false),
                // In neither: the caller named the place where it should have been.
                Err(ObjectError::NotFound { .. }) => Err(missing),
                Err(error) => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    let etag = body.meta.etag.clone();
    let options = PutOptions {
        content_type: body.meta.content_type.clone(),
        user: body.meta.user.clone(),
        size_hint: Some(body.meta.size),
        ..PutOptions::default()
    };
    let mut upload = to.store.upload(&target, options).await?;
    let mut stream = body.stream;
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
    if sha256(to.store.get(&target, None).await?.stream).await? != copied {
        // The original stays; the next try writes the copy anew.
        return Err(ObjectError::Corrupt {
            at: target,
            reason: "the copy is not what was read",
        });
    }
    crash::point(Point::Isolated, When::Before);
    let original = Locator {
        etag: Some(etag),
        ..source
    };
    from.store.delete(&original).await?;
    crash::point(Point::Isolated, When::After);
    Ok(true)
}

async fn sha256(mut stream: ByteStream) -> Result<[u8; 32], ObjectError> {
    let mut hash = Sha256::new();
    while let Some(chunk) = stream.next().await {
        hash.update(&chunk?);
    }
    Ok(hash.finalize().into())
}
