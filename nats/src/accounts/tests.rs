use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::topology::{Topology, TopologySettings};

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn table() -> Vec<RoleNeeds> {
    roles(RoleFacts {
        processors: &[name("encrypt"), name("validate")],
        verbs: &[name("retrieve"), name("delete")],
        sinks: &["sqlite".to_owned()],
        sources: &[name("minio")],
    })
}

fn role(role: &str) -> RoleNeeds {
    table().into_iter().find(|needs| needs.role == role).unwrap()
}

/// Whether a subject pattern of the broker covers a subject.
fn covers(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (Some(">"), Some(_)) => return true,
            (Some("*"), Some(_)) => {}
            (Some(p), Some(s)) if p == s => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

fn may_publish(role_name: &str, subject: &str) -> bool {
    role(role_name)
        .may_publish()
        .iter()
        .any(|pattern| covers(pattern, subject))
}

#[test]
fn each_consumer_of_the_topology_has_exactly_one_role() {
    let topology = Topology::new(&TopologySettings {
        processors: vec![name("encrypt"), name("validate")],
        verbs: vec![name("retrieve"), name("delete")],
        sinks: vec!["sqlite".to_owned()],
        ..TopologySettings::default()
    });
    let mut granted: Vec<(String, String)> = table().into_iter().flat_map(|needs| needs.consumers).collect();
    let mut there: Vec<(String, String)> = topology
        .consumers
        .iter()
        .map(|c| (c.stream.to_owned(), c.name.clone()))
        .collect();
    granted.sort();
    there.sort();
    assert_eq!(granted, there);
}

#[test]
fn a_processor_may_do_its_work_and_nothing_else() {
    for subject in [
        "$JS.API.CONSUMER.INFO.EVT.encrypt-hi",
        "$JS.API.CONSUMER.MSG.NEXT.EVT.encrypt-bulk",
        "$JS.ACK.EVT.encrypt-hi.1.2.3.4.5",
        "$JS.ACK.hub.acchash.EVT.encrypt-hi.1.2.3.4.5",
        "res.v1.default.encrypt.done.07",
        "dlq.v1.default.EVT.encrypt-hi.reject",
    ] {
        assert!(may_publish("encrypt", subject), "{subject}");
    }
    for subject in [
        "$JS.API.CONSUMER.MSG.NEXT.EVT.validate-hi",
        "$JS.API.CONSUMER.CREATE.EVT.encrypt-hi",
        "$JS.API.CONSUMER.DELETE.EVT.encrypt-hi",
        "$JS.API.STREAM.MSG.GET.EVT",
        "$JS.ACK.EVT.validate-hi.1.2.3.4.5",
        "res.v1.default.validate.done.07",
        "evt.v1.hi.default.put.07",
        "join.v1.done.default.x",
        "dlq.v1.default.EVT.validate-hi.reject",
        "live.v1.default.done.x",
    ] {
        assert!(!may_publish("encrypt", subject), "{subject}");
    }
    assert_eq!(role("encrypt").may_subscribe(), ["_INBOX_encrypt.>"]);
}

#[test]
fn only_the_provisioner_changes_streams_and_consumers() {
    let changes = [
        "$JS.API.STREAM.CREATE.EVT",
        "$JS.API.STREAM.UPDATE.EVT",
        "$JS.API.STREAM.DELETE.EVT",
        "$JS.API.STREAM.PURGE.EVT",
        "$JS.API.STREAM.MSG.DELETE.EVT",
        "$JS.API.CONSUMER.CREATE.EVT.x",
        "$JS.API.CONSUMER.DURABLE.CREATE.EVT.x",
        "$JS.API.CONSUMER.DELETE.EVT.x",
    ];
    for needs in table() {
        let can = changes
            .iter()
            .any(|change| needs.may_publish().iter().any(|pattern| covers(pattern, change)));
        let may = matches!(needs.role.as_str(), "provisioner" | "trim");
        assert_eq!(can, may, "{}", needs.role);
    }
    let trims: Vec<_> = changes.iter().filter(|change| may_publish("trim", change)).collect();
    assert_eq!(
        trims,
        [&"$JS.API.STREAM.PURGE.EVT"],
        "and makes, changes and deletes none"
    );
    for stream in ["DLQ", "ADV", "JOB"] {
        assert!(
            !may_publish("trim", &format!("$JS.API.STREAM.PURGE.{stream}")),
            "{stream}"
        );
    }
}

#[test]
fn a_foreign_store_may_only_notify() {
    assert_eq!(role("source_minio").may_publish(), ["raw.s3.minio"]);
    assert!(!role("source_minio").responds);
}

#[test]
fn passwords_stay_and_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.json");
    let tenant: TenantName = name("acme");
    let first = Accounts::load_or_create(&path, std::slice::from_ref(&tenant), &table()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let password = |accounts: &Accounts| accounts.login("encrypt").unwrap().password.expose_secret().to_owned();
    assert_eq!(password(&first).len(), 43, "32 bytes in base64");
    assert_ne!(
        password(&first),
        first.login("validate").unwrap().password.expose_secret()
    );
    // Another start, with one more tenant and somebody else's part in the file.
    let mut file: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    file["s3"] = serde_json::json!({"access_key_id": "kept"});
    std::fs::write(&path, file.to_string()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let second = Accounts::load_or_create(&path, &[tenant.clone(), name("beta")], &table()).unwrap();
    assert_eq!(password(&first), password(&second));
    assert_eq!(
        first.tenant_login(&tenant).unwrap().password.expose_secret(),
        second.tenant_login(&tenant).unwrap().password.expose_secret()
    );
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600,
        "closed again"
    );
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(file["s3"]["access_key_id"], "kept");
    let debug = format!("{second:?} {:?}", second.login("encrypt"));
    assert!(!debug.contains(&password(&second)), "{debug}");
    // A process that joins finds them, and makes none.
    let joined = Accounts::load(&path, &[], &table()).unwrap();
    assert_eq!(password(&joined), password(&second));
    let missing = Accounts::load(&path, &[name("gamma")], &table()).unwrap_err();
    assert!(
        matches!(missing, AccountsError::Missing { ref user, .. } if user == "gamma"),
        "{missing}"
    );
}

#[test]
fn a_damaged_file_is_kept_and_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.json");
    for damaged in [
        "{\"nats\": {\"roles\": {\"encrypt\": \"hunter2hunter2",
        "{\"nats\": {\"roles\": {\"encrypt\": \"\"}}}",
        "{\"nats\": {\"roles\": [\"hunter2hunter2\"]}}",
        "{\"nats\": \"hunter2hunter2\"}",
        "[]",
    ] {
        std::fs::write(&path, damaged).unwrap();
        let error = Accounts::load_or_create(&path, &[], &table()).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(matches!(error, AccountsError::Damaged { .. }), "{damaged}: {error:?}");
        assert!(!format!("{error} {error:?} {source}").contains("hunter2"), "{error:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[test]
fn names_that_collide_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.json");
    let table = roles(RoleFacts {
        processors: &[name("join")],
        verbs: &[],
        sinks: &[],
        sources: &[],
    });
    let error = Accounts::load_or_create(&path, &[], &table).unwrap_err();
    assert_eq!(error.to_string(), "two roles are called join");
    let error = Accounts::load_or_create(&path, &[name("a"), name("a")], &[]).unwrap_err();
    assert_eq!(error.to_string(), "two tenants are called a");
    assert!(!path.exists());
}

#[test]
fn a_tenant_is_tied_to_its_own_subjects() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = Accounts::load_or_create(&folder.path().join("s"), &[name("acme"), name("beta")], &table()).unwrap();
    let rendered = accounts.render();
    assert_eq!(rendered["T_acme"].get("jetstream"), None);
    assert!(!rendered["T_acme"].to_string().contains("beta"));
    for export in rendered["CORE"]["exports"].as_array().unwrap() {
        let subject = export["stream"].as_str().or(export["service"].as_str()).unwrap();
        let tenant = subject.split('.').nth(2).unwrap();
        assert_eq!(
            export["accounts"],
            serde_json::json!([format!("T_{tenant}")]),
            "{subject}"
        );
    }
    assert_eq!(rendered["SYS"], serde_json::json!({}), "nobody can log in there");
}
