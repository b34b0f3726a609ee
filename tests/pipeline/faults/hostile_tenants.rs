//! Two tenants share a landing bucket: each gets its own part, and nobody writes what belongs to nobody.

use std::path::Path;

use anyhow::{Context, ensure};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use cofferdam_tests::{Instance, Settings, s3_client};
use serde_json::Value;

use crate::support::{PATIENCE, block_on, text, until};

const CONFIG: &str = r#"
tenants = [{ name = "acme" }, { name = "zeta" }]
landing = [{ bucket = "shared", tenant_from = "first-segment" }]
folder = { settle_ms = 100, poll_ms = 50 }
"#;

/// Through the endpoint and through the folder.
pub fn shared_landing_bucket(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let settings = Settings {
            config: Some(CONFIG.to_owned()),
            ..Settings::default()
        };
        let instance = Instance::start(home, settings)?;
        let pairs: Value = serde_json::from_slice(&std::fs::read(instance.data().join("s3.json"))?)?;
        let client = |pair: &Value| -> anyhow::Result<aws_sdk_s3::Client> {
            let s3 = &instance.run.s3;
            let (id, secret) = (text(pair, "access_key_id")?, text(pair, "secret_access_key")?);
            Ok(s3_client(&s3.endpoint, &s3.region, id, secret))
        };
        let (acme, zeta) = (client(&pairs["tenants"]["acme"])?, client(&pairs["tenants"]["zeta"])?);
        let operator = client(&pairs["operator"])?;
        let put = |client: &aws_sdk_s3::Client, key: &str| {
            let body = ByteStream::from(key.as_bytes().to_vec());
            client.put_object().bucket("shared").key(key).body(body).send()
        };
        put(&acme, "acme/report.txt").await.context("its own part")?;
        for key in ["zeta/x", "nobody/x", "loose.txt"] {
            let refused = put(&acme, key).await.err().context("must be refused")?;
            ensure!(refused.code() == Some("AccessDenied"), "{key}: {refused:?}");
        }
        for key in ["nobody/x", "loose.txt"] {
            let refused = put(&operator, key).await.err().context("must be refused")?;
            ensure!(refused.code() == Some("InvalidRequest"), "{key}: {refused:?}");
            let message = refused.message().unwrap_or_default();
            ensure!(
                message.contains("bucket shared takes keys of the form <tenant>/<name>"),
                "{message}"
            );
        }
        zeta.list_objects_v2().bucket("shared").prefix("zeta/").send().await?;
        for prefix in ["", "acme/"] {
            let list = zeta.list_objects_v2().bucket("shared").prefix(prefix).send().await;
            let refused = list.err().context("must be refused")?;
            ensure!(refused.code() == Some("AccessDenied"), "{prefix}: {refused:?}");
        }

        // The folder takes what is in a tenant's folder and moves the rest aside.
        let inbox = &instance.run.inbox_folder;
        for (path, body) in [("zeta/a.txt", "a"), ("nobody/b.txt", "b"), ("c.txt", "c")] {
            let path = inbox.join(path);
            std::fs::create_dir_all(path.parent().context("a folder")?)?;
            std::fs::write(path, body)?;
        }
        let rejected = inbox.join(".rejected");
        until("taken or moved aside", PATIENCE, || async {
            let aside = std::fs::read_dir(&rejected).map(Iterator::count).unwrap_or(0);
            Ok(aside == 4 && !inbox.join("zeta/a.txt").exists())
        })
        .await?;
        let mut reasons = Vec::new();
        for entry in std::fs::read_dir(&rejected)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(".reason.txt") {
                reasons.push(std::fs::read_to_string(path)?);
            }
        }
        ensure!(
            reasons
                .iter()
                .all(|reason| reason.contains("bucket shared takes keys of the form <tenant>/<name>")),
            "{reasons:?}"
        );

        // Both documents are sealed, each where its tenant reads.
        for (tenant, client) in [("acme", &acme), ("zeta", &zeta)] {
            until("the document is sealed", PATIENCE, || async {
                let list = client.list_objects_v2().bucket("vault").prefix(format!("{tenant}/"));
                Ok(list.send().await?.contents().len() == 1)
            })
            .await?;
        }
        Ok(())
    })
}
