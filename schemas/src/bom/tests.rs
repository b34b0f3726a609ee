//! Every way in which a statement can contradict itself.

use super::*;

fn hash(digit: char) -> Sha256Hex {
    Sha256Hex::new(String::from(digit).repeat(64)).unwrap()
}

fn document(name: &str, sha256: Option<Sha256Hex>, verdict: Option<Verdict>) -> Document {
    Document {
        name: name.to_owned(),
        bucket: None,
        object: None,
        state: None,
        size: Some(1),
        sha256,
        verdict,
        risk: verdict.map(|_| 0),
        findings: 0,
        rules: BTreeSet::new(),
        versions: verdict.map(|_| 0),
        checked_at: None,
    }
}

fn bom(source: Source) -> Bom {
    Bom {
        made_at: Timestamp::from_unix_millis(0),
        made_by: Maker {
            program: "cofferdam".to_owned(),
            version: "0".to_owned(),
            key: KeyId([0; 16]),
            tenant: None,
        },
        batch: Batch::all(source),
        counts: Counts::default(),
        versions: vec![BTreeMap::from([("phi".to_owned(), "1".to_owned())])],
        documents: Vec::new(),
        split: None,
    }
}

fn documents() -> Statement {
    let mut bom = bom(Source::Catalog);
    bom.documents = vec![
        document("a", Some(hash('a')), Some(Verdict::Pass)),
        document("b", None, None),
        document("a", Some(hash('c')), Some(Verdict::Quarantine)),
    ];
    bom.documents.iter().for_each(|one| bom.counts.add(one.verdict));
    Statement::new(bom)
}

fn part(name: &str, verdicts: &[Verdict]) -> Part {
    let mut counts = Counts::default();
    verdicts.iter().for_each(|verdict| counts.add(Some(*verdict)));
    let file = File {
        name: name.to_owned(),
        size: 10,
        sha256: hash('d'),
        records: counts.total,
    };
    Part { file, counts }
}

fn split() -> Statement {
    let mut bom = bom(Source::Split);
    let parts = vec![
        part("clean.csv", &[Verdict::Pass, Verdict::Pass]),
        part("review.csv", &[Verdict::Incomplete]),
    ];
    for verdict in [Verdict::Pass, Verdict::Pass, Verdict::Incomplete] {
        bom.counts.add(Some(verdict));
    }
    let input = File {
        name: "set.csv".to_owned(),
        size: 30,
        sha256: hash('e'),
        records: 3,
    };
    bom.split = Some(Split {
        input,
        parts,
        set: BTreeMap::new(),
        limits: Vec::new(),
    });
    Statement::new(bom)
}

#[track_caller]
fn refused(mut statement: Statement, expected: BomError, change: impl FnOnce(&mut Statement)) {
    assert_eq!(statement.check(), Ok(()));
    change(&mut statement);
    assert_eq!(statement.check(), Err(expected));
}

#[test]
fn subjects_are_what_has_a_hash() {
    let statement = documents();
    let named: Vec<_> = statement
        .subject
        .iter()
        .map(|one| (one.name.as_str(), &one.digest.sha256))
        .collect();
    assert_eq!(named, [("a", &hash('a')), ("a", &hash('c'))]);
    assert_eq!(split().subject.len(), 2);
}

#[test]
fn documents_that_contradict_themselves_are_refused() {
    refused(documents(), BomError::Subjects, |s| {
        s.subject.pop();
    });
    refused(documents(), BomError::Subjects, |s| s.subject.swap(0, 1));
    refused(documents(), BomError::Subjects, |s| {
        s.subject[0].digest.sha256 = hash('f')
    });
    refused(documents(), BomError::Subjects, |s| s.subject[0].name.push('!'));
    refused(documents(), BomError::Counts, |s| s.predicate.counts.pass += 1);
    refused(documents(), BomError::Counts, |s| {
        s.predicate.documents[1].verdict = Some(Verdict::Pass)
    });
    refused(documents(), BomError::Counts, |s| {
        s.predicate.documents.remove(1);
    });
    refused(documents(), BomError::Versions(2), |s| {
        s.predicate.documents[2].versions = Some(1)
    });
    refused(documents(), BomError::Risk(0), |s| {
        s.predicate.documents[0].risk = Some(101)
    });
    refused(documents(), BomError::Kind, |s| {
        s.predicate.batch.source = Source::Split
    });
    refused(documents(), BomError::NoSubject, |s| {
        s.predicate.documents.iter_mut().for_each(|one| one.sha256 = None);
        s.subject.clear();
    });
    refused(
        documents(),
        BomError::TooMany(MOST_DOCUMENTS + 1, MOST_DOCUMENTS),
        |s| {
            let one = s.predicate.documents[1].clone();
            s.predicate.documents.resize(MOST_DOCUMENTS + 1, one);
        },
    );
}

#[test]
fn a_split_that_lost_something_is_refused() {
    let parts = |s: &mut Statement, change: fn(&mut Split)| change(s.predicate.split.as_mut().unwrap());
    let lost = BomError::Lost { input: 4, parts: 3 };
    refused(split(), lost, |s| parts(s, |split| split.input.records = 4));
    let lost = BomError::Lost { input: 3, parts: 1 };
    refused(split(), lost, |s| {
        parts(s, |split| {
            split.parts.remove(0);
        });
    });
    refused(split(), BomError::Counts, |s| {
        parts(s, |split| split.parts[0].counts.pass = 1)
    });
    refused(split(), BomError::Counts, |s| {
        parts(s, |split| {
            (split.parts[0].file.records, split.parts[1].file.records) = (1, 2);
        });
    });
    refused(split(), BomError::Counts, |s| s.predicate.counts.total = u64::MAX);
    refused(split(), BomError::Twins, |s| {
        parts(s, |split| split.parts[1].file.name = "clean.csv".to_owned())
    });
    refused(split(), BomError::Kind, |s| s.predicate.split = None);
    refused(split(), BomError::Kind, |s| {
        s.predicate.documents = documents().predicate.documents
    });
    refused(split(), BomError::Subjects, |s| {
        parts(s, |split| split.parts[0].file.sha256 = hash('f'))
    });
}

#[test]
fn nothing_stands_twice() {
    let text = serde_json::to_string(&documents()).unwrap();
    assert_eq!(serde_json::from_str::<Statement>(&text).unwrap(), documents());
    for (once, twice) in [
        ("\"phi\":\"1\"", "\"phi\":\"1\",\"phi\":\"2\""),
        ("\"findings\":0", "\"findings\":0,\"findings\":1"),
        ("\"verdict\":\"pass\"", "\"verdict\":\"pass\",\"verdict\":\"review\""),
        ("\"made_at\":", "\"made_at\":\"1970-01-01T00:00:00.000Z\",\"made_at\":"),
        ("\"subject\":", "\"subject\":[],\"subject\":"),
    ] {
        assert!(text.contains(once), "{once}");
        assert!(
            serde_json::from_str::<Statement>(&text.replacen(once, twice, 1)).is_err(),
            "{twice}"
        );
    }
}
