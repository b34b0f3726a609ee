//! Packs: what is taken and what is refused, with which words.

use super::*;
use crate::phi::pack::BUILT_IN;

const HEAD: &str = "pack = \"site\"\nversion = \"7\"\nlicence = \"MIT\"\n";

fn load(text: &str) -> Result<Phi, PackError> {
    let [a, b, c] = BUILT_IN;
    Phi::load(&[
        a,
        b,
        c,
        PackSource {
            name: "site.toml",
            text,
        },
    ])
}

#[track_caller]
fn refused(body: &str, expected: &str) {
    match load(&format!("{HEAD}{body}")) {
        Ok(_) => panic!("accepted"),
        Err(error) => assert_eq!(error.to_string(), expected),
    }
}

const BADGE: &str = "\n[[recognizer]]\nrule = \"site/badge\"\nseverity = \"low\"\nmessage = \"names a badge\"\n";

#[test]
fn a_tenant_adds_a_rule() {
    let phi = load(&format!("{HEAD}{BADGE}pattern = 'B-\\d{{4}}'\nkeywords = [\"badge\"]\npositive = [\"badge B-1234\"]\nnegative = [\"B-1234\"]\n")).unwrap();
    let mut hits = Vec::new();
    phi.scan("his badge is B-7788 or B-7789", None, &mut hits);
    let found: Vec<_> = hits
        .iter()
        .filter(|hit| hit.rule == "site/badge")
        .map(|hit| hit.span.clone())
        .collect();
    assert_eq!(found, [13..19, 23..29]);
    assert!(phi.version().contains("site@7+"), "{}", phi.version());
    assert_eq!(coarse_type("site/badge"), "OTHER");
}

#[test]
fn a_tenant_silences_and_replaces() {
    let phi = load(&format!("{HEAD}silence = [\"phi/url\"]\n")).unwrap();
    let mut hits = Vec::new();
    phi.scan("https://example.org/a and 536-90-4399", None, &mut hits);
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].rule, "phi/ssn");
    let body = "[[recognizer]]\nrule = \"phi/mrn\"\nseverity = \"info\"\nmessage = \"ours\"\ncontext = [\"zwiebel\"]\npositive = [\"zwiebel 778899\"]\n";
    let phi = load(&format!("{HEAD}{body}")).unwrap();
    hits.clear();
    phi.scan("zwiebel 123456; MRN 223344", None, &mut hits);
    assert_eq!(
        hits.iter()
            .map(|hit| (hit.rule.as_ref(), hit.message.as_ref()))
            .collect::<Vec<_>>(),
        [("phi/mrn", "ours"); 2]
    );
}

#[test]
fn bad_packs_are_refused_with_the_line() {
    refused("unknown = 1\n", "site.toml is not a rule pack");
    refused(
        "silence = [\"phi/nothing\"]\n",
        "site.toml line 4: rule phi/nothing: silenced, but no earlier pack has it",
    );
    refused(
        BADGE,
        "site.toml line 6: rule site/badge: takes at least one positive example",
    );
    let with = |more: &str| format!("{BADGE}{more}");
    refused(
        &with("positive = [\"x\"]\n"),
        "site.toml line 6: rule site/badge: is not built in and takes a pattern",
    );
    refused(
        &with("pattern = \"x\"\npositive = [\"x\"]\n"),
        "site.toml line 6: rule site/badge: takes keywords of at least two bytes",
    );
    refused(
        &with("pattern = \"(\"\nkeywords = [\"xx\"]\npositive = [\"xx\"]\n"),
        "site.toml line 6: rule site/badge: bad pattern",
    );
    refused(
        &with("pattern = \"(a{1000}){1000}\"\nkeywords = [\"xx\"]\npositive = [\"xx\"]\n"),
        "site.toml line 6: rule site/badge: bad pattern",
    );
    refused(
        &with("pattern = \"x\"\nkeywords = [\"xx\"]\npositive = [\"xx\", \"yy\"]\n"),
        "site.toml line 6: rule site/badge: positive example 2 is not found",
    );
    refused(
        &with("pattern = \"x\"\nkeywords = [\"xx\"]\npositive = [\"xx\"]\nnegative = [\"xx\"]\n"),
        "site.toml line 6: rule site/badge: negative example 1 is found",
    );
    refused(
        &with("minimum = 2.0\npositive = [\"x\"]\n"),
        "site.toml line 6: rule site/badge: minimum takes 0 to 1",
    );
    refused(
        &with("context = [\"a b c d e\"]\npositive = [\"x\"]\n"),
        "site.toml line 6: rule site/badge: context takes phrases of one to four words",
    );
}

#[test]
fn every_built_in_rule_has_texts_and_examples() {
    let rules = PHI.recognizers();
    assert_eq!(rules.len(), Kind::ALL.len());
    for rule in rules {
        assert!(
            rule.citation.is_some() && rule.remediation.is_some() && !rule.message.is_empty(),
            "{}",
            rule.rule
        );
        assert!(!rule.positive.is_empty() && !rule.negative.is_empty(), "{}", rule.rule);
    }
}

#[test]
fn too_many_keywords_are_reported() {
    let phi = load(&format!(
        "{HEAD}{BADGE}pattern = 'zz'\nkeywords = [\"qq\"]\npositive = [\"qq zz\"]\n"
    ))
    .unwrap();
    let text = "qq ".repeat(crate::phi::pack::PLACES + 10);
    let mut hits = Vec::new();
    phi.scan(&text, None, &mut hits);
    assert_eq!(hits.len(), 1);
    assert_eq!(
        (hits[0].rule.as_ref(), hits[0].span.end),
        ("limit/keywords", text.len())
    );
}
