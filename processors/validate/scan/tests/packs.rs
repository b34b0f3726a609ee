//! The packs that are built in are sound.

use cofferdam_scan::secrets::{PackSource, Packs, gitleaks};

#[test]
fn builtin_packs_pass_their_own_examples() {
    let packs = Packs::builtin().unwrap_or_else(|refusal| panic!("{refusal}"));
    if let Err(refusal) = packs.check() {
        panic!(
            "{}",
            refusal.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        );
    }
    assert_eq!(packs.unsupported(), [] as [&str; 0]);
}

#[test]
fn all_of_gitleaks_is_read() {
    let packs = Packs::load(&[gitleaks()], &[]).unwrap();
    assert_eq!(packs.len(), 222);
}

fn tenant(text: &str) -> PackSource {
    PackSource {
        name: "tenant.toml".to_owned(),
        text: text.to_owned(),
        ignore_paths: false,
        check: true,
    }
}

#[track_caller]
fn refused(text: &str, line: usize, rule: &str, part: &str) {
    let Err(refusal) = Packs::load(&[tenant(text)], &[]) else {
        panic!("not refused")
    };
    let found = refusal.0.iter().any(|error| {
        error.line == line && error.rule == rule && error.what.contains(part) && error.pack == "tenant.toml"
    });
    assert!(found, "{refusal}");
}

#[test]
fn a_bad_pack_is_refused_with_its_line() {
    refused(
        "[[rules]]\nid = \"a\"\nregex = '(x'\nkeywords = [\"x\"]\n",
        3,
        "a",
        "unclosed group",
    );
    refused(
        "[[rules]]\nid = \"a\"\nregex = 'x(?!y)'\nkeywords = [\"x\"]\n",
        3,
        "a",
        "look-around",
    );
    refused("[[rules]]\nid = \"a\"\nregex = 'x'\n", 2, "a", "keywords");
    refused(
        "[[rules]]\n\nid = \"a\"\nregex = 'x[0-9]'\nkeywords = [\"x\"]\npositive = [\"xy\"]\n",
        3,
        "a",
        "positive example 1 is not found",
    );
    refused(
        "[[rules]]\nid = \"a\"\nregex = 'x[0-9]'\nkeywords = [\"x\"]\nnegative = [\"x1\"]\n",
        2,
        "a",
        "negative example 1 is found",
    );
    refused(
        "[[rules]]\nid = \"a\"\nregex = '(x)'\nkeywords = [\"x\"]\nsecretGroup = 2\n",
        2,
        "a",
        "secretGroup is 2",
    );
    refused("[[rules]]\nregex = 'x'\n", 2, "", "needs an id");
    refused(
        "[[rules]]\nid = \"a b\"\nregex = 'x'\nkeywords = [\"x\"]\n",
        2,
        "a b",
        "an id is",
    );
    refused("[[rules]\n", 1, "", "");
    refused(
        "[[rules]]\nid = \"a\"\nregex = '(?:x{1000}){1000}{1000}'\nkeywords = [\"x\"]\n",
        2,
        "a",
        "",
    );
}

#[test]
fn a_tenant_adds_and_silences() {
    let more = "[[rules]]\nid = \"badge\"\ndescription = \"a badge\"\nregex = 'BDG-([0-9]{6})'\nkeywords = [\"bdg-\"]\nodd = 1\npositive = [\"x BDG-@{digit:6}\"]\n";
    let packs = Packs::load(
        &[gitleaks(), tenant(more)],
        &["secrets/jwt".to_owned(), "generic-api-key".to_owned()],
    )
    .unwrap();
    assert_eq!(packs.len(), 221);
    assert_eq!(packs.unsupported(), ["tenant.toml:6: badge: `odd` is not supported"]);
    let mut out = Vec::new();
    let _ = packs.scan("my BDG-123456.", None, &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!((out[0].rule.as_ref(), out[0].span.clone()), ("secrets/badge", 7..13));
    assert!(Packs::load(&[gitleaks()], &["no-such-rule".to_owned()]).is_err());
    assert!(Packs::load(&[gitleaks(), gitleaks()], &[]).is_err());
}
