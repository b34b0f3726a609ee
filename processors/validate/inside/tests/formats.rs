//! Every sample of the shared data gives what its manifest says.

use std::path::Path;

use crate::common::{Look, look, settings};
use cofferdam_inside::sandbox::Pool;
use serde_json::Value;

fn right(expect: &str, look: &Look) -> bool {
    match expect {
        "accept" => look.end.is_ok() && !look.is_refused() && !look.is_limited(),
        "reject" | "reject_if_checksums_verified" => look.is_refused(),
        "accept_macro" => {
            look.end.is_ok()
                && !look.is_refused()
                && look
                    .problems()
                    .any(|problem| problem.rule.starts_with("active/") && problem.rule.contains("macro"))
        }
        "accept_encrypted" => look.end.is_ok() && !look.is_refused(),
        "reject_or_bounded" => true,
        "either" | "either_no_panic" => !look.has("structure/parser") && look.end.is_ok(),
        other => panic!("unknown expectation {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_gives_its_outcome() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/formats");
    let manifest: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(folder.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest.len(), 68, "the data changed");
    let pool = Pool::new(settings());
    let mut wrong = Vec::new();
    for sample in &manifest {
        let path = sample["path"].as_str().unwrap();
        let bytes = std::fs::read(folder.join(path)).unwrap();
        let expect = sample["expect"].as_str().unwrap();
        let found = look(&pool, path, &bytes).await;
        if std::env::var_os("SHOW").is_some() {
            println!(
                "{path} {expect}: {:?} {:?}\n   text {:?}",
                found.end.as_ref().err(),
                found.rules(),
                found.text().chars().take(150).collect::<String>()
            );
        }
        if !right(expect, &found) {
            wrong.push(format!("{path} {expect}: {:?} {:?}", found.end, found.rules()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
