//! What applies to whom: schemas, rules of tenants, the verdict cache, and names that tell too much.

use cofferdam_processor::Processor;
use serde_json::Value;

use super::*;

/// A bench whose rules stand in files beside it.
async fn with_files(files: &[(&str, &str)], config: &str) -> Bench {
    let rig = Rig::new();
    for (name, text) in files {
        std::fs::write(rig.deps.config_dir.join(name), text).unwrap();
    }
    let config = config.replace("$DIR", &rig.deps.config_dir.display().to_string());
    let processor = registration().start(config.parse().unwrap(), rig.deps.clone()).await;
    Bench {
        processor: processor.unwrap(),
        rig,
    }
}

const SCHEMAS: &str = r#"
    [[schema]]
    tenant = "*"
    prefix = "surveys/"
    json_file = "survey.json"

    [[schema]]
    tenant = "default"
    prefix = "wards/"

    [schema.table]
    extra_columns = "deny"

    [[schema.table.column]]
    name = "ward"
    type = "text"
    unique = true

    [[schema.table.column]]
    name = "tested"
    type = "integer"
    min = 0

    [[schema.table.column]]
    name = "positives"
    type = "integer"
    nullable = true

    [[schema.table.check]]
    name = "positives are tested"
    rule = "positives <= tested"
"#;
const SURVEY: &str = r#"{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}"#;

fn found(conclusion: &Conclusion) -> Vec<(&str, Option<&str>, Option<&str>)> {
    let schema = conclusion
        .findings
        .iter()
        .filter(|finding| finding.category == "schema");
    let mut found: Vec<_> = schema
        .map(|finding| (finding.rule.as_str(), finding.cell.as_deref(), finding.field.as_deref()))
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn documents_conform_to_their_tenants_schemas() {
    let bench = with_files(
        &[("schemas.toml", SCHEMAS), ("survey.json", SURVEY)],
        "schemas = \"$DIR/schemas.toml\"",
    )
    .await;
    let good = bench
        .validate("wards/a.csv", None, b"ward,tested,positives\nA,10,2\nB,7,\n")
        .await;
    assert_eq!((verdict(&good), found(&good)), (Verdict::Pass, vec![]));
    assert!(
        good.details["checked"]
            .as_array()
            .unwrap()
            .contains(&"table contract".into())
    );
    assert!(good.details["versions"]["schema"].is_string());

    let body = b"ward,tested,positives\nA,10,2\nA,x,1\nC,5,9\n";
    let bad = bench.validate("wards/b.csv", None, body).await;
    assert_eq!(
        found(&bad),
        [
            ("schema/rule", Some("row 3"), None),
            ("schema/type", Some("row 2"), Some("tested")),
            ("schema/unique", Some("row 2"), Some("ward")),
        ]
    );
    assert_eq!(verdict(&bad), Verdict::Review);

    let lines = b"{\"id\": 1}\n{\"id\": \"x\"}\n{\"name\": 1}\n";
    let bad = bench.validate("surveys/a.ndjson", None, lines).await;
    let rules: Vec<_> = found(&bad).into_iter().map(|(rule, ..)| rule).collect();
    assert_eq!(rules, ["schema/json-required", "schema/json-type"]);
    assert!(found(&bench.validate("surveys/a.json", None, b"{\"id\": 1}").await).is_empty());

    // Another kind of document than was agreed, and one that nothing was agreed about.
    let other = bench.validate("wards/c.txt", None, b"there is no table today").await;
    assert_eq!(found(&other), [("schema/kind", None, None)]);
    let free = bench.validate("letters/c.csv", None, body).await;
    assert_eq!((found(&free), free.details["versions"].get("schema")), (vec![], None));
}

#[tokio::test]
async fn books_conform_too() {
    let contract = |name: &str| {
        format!(
            "[[schema]]\ntenant = \"*\"\ntable = {{ column = [{{ name = \"{name}\", type = \"text\" }}], extra_columns = \"allow\" }}"
        )
    };
    let book = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samples/readings.xlsx");
    let book = std::fs::read(book).unwrap();
    for (name, expected) in [("station", 0), ("harbour", 1)] {
        let text = contract(name);
        let bench = with_files(&[("schemas.toml", &text)], "schemas = \"$DIR/schemas.toml\"").await;
        let conclusion = bench.validate("readings.xlsx", None, &book).await;
        let rules: Vec<_> = found(&conclusion).into_iter().map(|(rule, ..)| rule).collect();
        assert_eq!(rules.len(), expected, "{name}: {rules:?}");
        assert!(
            conclusion.details["checked"]
                .as_array()
                .unwrap()
                .contains(&"table contract".into()),
            "{:?}",
            conclusion.details
        );
    }
}

#[tokio::test]
async fn a_schema_that_makes_no_sense_stops_the_start_and_says_where() {
    let rig = Rig::new();
    let path = rig.deps.config_dir.join("schemas.toml");
    let start = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let config: toml::Table = format!("schemas = {path:?}").parse().unwrap();
        let deps = rig.deps.clone();
        async move {
            let error = registration().start(config, deps).await.err().unwrap();
            let source = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            format!("{error}: {source}")
        }
    };
    let said = start("[[schema]]\ntenant = \"*\"\njson_file = \"none.json\"").await;
    assert!(said.contains("schema[0]") && said.contains("none.json"), "{said}");
    let said = start("[[schema]]\ntenant = \"*\"\ntable = { column = [{ name = \"a\", type = \"number\" }] }").await;
    assert!(said.contains("schema[0].table.column[0].type"), "{said}");
    let said = start("[[schema]]\ntenant = \"acme\"\njson = \"{}\"").await;
    assert!(said.contains("acme"), "{said}");
}

#[tokio::test]
async fn a_tenant_has_rules_of_its_own() {
    let ssn = ["write to 536-22", "-1189, SSN"].concat();
    let general = Bench::new("").await;
    let conclusion = general.validate("a.txt", None, ssn.as_bytes()).await;
    assert_eq!(verdict(&conclusion), Verdict::Review);
    let policy = conclusion.details["versions"]["policy"].clone();

    let strict = Bench::new("[tenants.default.categories.phi]\nquarantine_at = \"medium\"").await;
    let conclusion = strict.validate("a.txt", None, ssn.as_bytes()).await;
    assert_eq!(verdict(&conclusion), Verdict::Quarantine);
    assert_ne!(conclusion.details["versions"]["policy"], policy);

    let silent = Bench::new("[tenants.default.packs]\nsilence = [\"phi/ssn\"]").await;
    let conclusion = silent.validate("a.txt", None, ssn.as_bytes()).await;
    assert_eq!(rules(&conclusion), []);
    assert_eq!(conclusion.details["versions"]["silenced"], "phi/ssn");

    let error = registration()
        .start(
            "[tenants.nobody]\nreview_at = \"low\"".parse().unwrap(),
            Rig::new().deps.clone(),
        )
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("nobody"), "{error}");
    let problems = registration()
        .check(
            "[tenants.default]\nreview_at = \"critical\"\nquarantine_at = \"low\"\n[tenants.default.packs]\nphi = [\"x\"]\ninjection = [\"y\"]"
                .parse()
                .unwrap(),
        )
        .unwrap_err();
    let keys: Vec<_> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "processors.validate.tenants.default.review_at",
            "processors.validate.tenants.default.packs.phi",
            "processors.validate.tenants.default.packs.injection"
        ]
    );
}

#[tokio::test]
async fn the_same_bytes_are_scanned_once() {
    let rig = Rig::new();
    let plan = Validate::plan(crate::Config::default()).unwrap();
    let validate = Validate::start(plan, &rig.deps).await.unwrap();
    let name = ProcessorName::new("validate").unwrap();
    let body = ["SSN 536-22", "-1189 stands here"].concat();
    let sample = |key: &str, body: &str| Sample {
        name: key.to_owned(),
        key: key.to_owned(),
        content_type: None,
        body: body.as_bytes().to_vec(),
    };
    let (job, document) = rig.job(&name, &sample("a.txt", &body)).await;
    let first = Processor::process(&validate, &job, document.clone()).await.unwrap();
    assert_eq!(validate.remembered(), 1);
    // Under another name of the same kind, and again.
    for key in ["b.txt", "deep/c.txt", "a.txt"] {
        let (job, document) = rig.job(&name, &sample(key, &body)).await;
        assert_eq!(Processor::process(&validate, &job, document).await.unwrap(), first);
        assert_eq!(validate.remembered(), 1, "{key}");
    }
    // A name that promises something else is something else.
    let (job, document) = rig.job(&name, &sample("a.pdf", &body)).await;
    let pdf = Processor::process(&validate, &job, document).await.unwrap();
    assert!(pdf != first && validate.remembered() == 2);
    // Bytes that are not those of the claimed hash are scanned, and it is said.
    let (mut job, document) = rig.job(&name, &sample("d.txt", "something else")).await;
    let (known, _) = rig.job(&name, &sample("a.txt", &body)).await;
    job.object.checksums = known.object.checksums.clone();
    job.object.size = known.object.size;
    let lie = Processor::process(&validate, &job, document).await.unwrap();
    assert!(
        lie.findings.iter().any(|finding| finding.category == "integrity"),
        "{lie:?}"
    );
    assert_eq!(validate.remembered(), 2, "what is damaged is not remembered");
}

/// Without a header the first row stands where names of columns do; members of objects can be named by anything.
#[tokio::test]
async fn a_name_that_tells_something_is_withheld() {
    let bench = Bench::new("").await;
    let ssn = ["536-22", "-1189"].concat();
    let mail = ["jo.milbrook@clinic", ".example.org"].concat();
    let table = format!("{ssn},{mail}\n{ssn},{mail}\n{ssn},{mail}\n");
    let object = format!("{{\"{mail}\": {{\"ssn\": \"{ssn}\"}}, \"ward\": {{\"ssn\": \"{ssn}\"}}}}");
    for (key, body) in [("a.csv", table), ("a.json", object)] {
        let conclusion = bench.validate(key, None, body.as_bytes()).await;
        assert!(conclusion.findings.iter().any(|finding| finding.rule == "phi/ssn"));
        let text = serde_json::to_string(&(&conclusion.findings, &conclusion.details)).unwrap();
        assert!(!text.contains(&ssn) && !text.contains(&mail), "{key}: {text}");
        if key == "a.json" {
            let fields: Vec<_> = conclusion
                .findings
                .iter()
                .filter_map(|finding| finding.field.as_deref())
                .collect();
            assert!(
                fields.contains(&"/ward/ssn") && fields.contains(&"(name withheld)"),
                "{fields:?}"
            );
        }
    }
}

#[tokio::test]
async fn each_category_of_the_safe_harbor_rule_is_answered() {
    let bench = Bench::new("").await;
    let body = ["SSN 536-22", "-1189, mail a.b@clinic.example.org"].concat();
    let conclusion = bench.validate("a.txt", None, body.as_bytes()).await;
    let hipaa = conclusion.details["hipaa"].as_object().unwrap();
    assert_eq!(hipaa.len(), 18);
    assert_eq!(
        (&hipaa["G"], &hipaa["F"], &hipaa["A"], &hipaa["Q"]),
        (
            &Value::from(1),
            &Value::from(1),
            &"not found".into(),
            &"not checkable".into()
        )
    );
    let picture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samples/tide.png");
    let conclusion = bench.validate("a.png", None, &std::fs::read(picture).unwrap()).await;
    assert_eq!(conclusion.details.get("hipaa"), None, "nobody looked for any");
}

/// A program without YARA does not pass over rules in silence.
#[cfg(not(feature = "yara"))]
#[test]
fn yara_rules_need_a_program_that_has_yara() {
    let packs = crate::Packs {
        yara: vec!["/etc/cofferdam/yara".into()],
        ..crate::Packs::default()
    };
    let error = crate::Engines::load(&packs)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(
        error.contains("built without YARA") && error.contains("--features yara"),
        "{error}"
    );
}
