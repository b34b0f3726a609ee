//! Object stores out of configuration.

use anyhow::Context;
use cofferdam_sinks::s3::{S3Settings, S3Store};

use crate::config;

/// Connects to an S3 store. Its secret is read from the file the configuration names.
pub async fn s3(name: &str, settings: &config::S3Store) -> anyhow::Result<S3Store> {
    let secret = settings.secret_access_key_file.as_ref().map(|path| {
        std::fs::read_to_string(path).with_context(|| format!("secret of store {name}: cannot read {}", path.display()))
    });
    let credentials = match (&settings.access_key_id, secret.transpose()?) {
        (Some(id), Some(secret)) => Some((id.clone(), secret.trim().to_owned().into())),
        _ => None,
    };
    let settings = S3Settings {
        endpoint: settings.endpoint.clone(),
        region: settings.region.clone(),
        credentials,
        force_path_style: settings.path_style,
    };
    S3Store::connect(settings)
        .await
        .with_context(|| format!("store {name}"))
}
