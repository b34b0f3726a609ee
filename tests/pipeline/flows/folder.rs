//! The inbox folder.

use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::ensure;
use cofferdam_tests::Settings;
use serde_json::json;

use crate::support::{PATIENCE, block_on, noise, start, until};

/// Copied files are taken when they are stable; links and unfinished files are not.
pub fn copy(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (instance, tenant) = start(home, Settings::default()).await?;
        let inbox = instance.run.inbox_folder.clone();
        std::fs::create_dir_all(inbox.join("sub dir"))?;
        let body = noise(3, 300_000);
        std::fs::write(inbox.join("sub dir/caf\u{e9}.bin"), &body)?;
        std::fs::write(inbox.join(".hidden"), b"no")?;
        std::fs::write(inbox.join("unfinished.part"), b"no")?;
        std::fs::write(home.join("outside.txt"), b"outside the inbox")?;
        symlink(home.join("outside.txt"), inbox.join("link.txt"))?;
        // A file that grows for a while is taken once, whole.
        let growing = inbox.join("growing.log");
        for _ in 0..8 {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&growing)?;
            std::io::Write::write_all(&mut file, b"one more line\n")?;
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
        for (key, expected) in [
            ("sub dir/caf\u{e9}.bin", body),
            ("growing.log", b"one more line\n".repeat(8)),
        ] {
            until("document is done", PATIENCE, || async {
                let answer = tenant.ask("q.object", &json!({"key": key})).await?;
                Ok(answer.to_string().contains("\"state\":\"done\""))
            })
            .await?;
            let back = tenant.retrieve(json!({ "key": key }), None).await?;
            ensure!(back.body[..] == expected[..], "{key} came back different");
        }
        ensure!(
            !inbox.join("sub dir/caf\u{e9}.bin").exists() && !growing.exists(),
            "taken files must leave the folder"
        );
        for left in [".hidden", "unfinished.part", "link.txt"] {
            ensure!(inbox.join(left).symlink_metadata().is_ok(), "{left} must be left alone");
        }
        let all = tenant.ask("q.objects", &json!({})).await?;
        ensure!(all["objects"].as_array().is_some_and(|rows| rows.len() == 2), "{all}");
        Ok(())
    })
}
