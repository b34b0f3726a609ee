//! The ring's file: made once, opened again, and a clear word for everything that can be wrong with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cofferdam_schemas::{TenantName, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::crypto::{Directory, ProviderKind, Signer};

const NOW: i64 = 1_790_000_000_000;
const DAY: i64 = 24 * 3600 * 1000;

struct Bench {
    _dir: tempfile::TempDir,
    ring: PathBuf,
    key_file: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ring, key_file) = (
            dir.path().join("data/keys/keyring.json"),
            dir.path().join("config/keyring.key"),
        );
        Self {
            _dir: dir,
            ring,
            key_file,
        }
    }
    fn settings(&self) -> RingSettings {
        self.with(Protection::KeyFile(self.key_file.clone()))
    }
    fn with(&self, protection: Protection) -> RingSettings {
        RingSettings {
            path: self.ring.clone(),
            protection,
            provider: ProviderKind::default(),
        }
    }
    fn open(&self, tenants: &[&str]) -> Result<Opened, KeyError> {
        self.open_at(tenants, NOW)
    }
    fn open_at(&self, tenants: &[&str], now: i64) -> Result<Opened, KeyError> {
        KeyRing::open_or_create(&self.settings(), &names(tenants), Timestamp::from_unix_millis(now))
    }
}

fn names(tenants: &[&str]) -> Vec<TenantName> {
    tenants.iter().map(|t| TenantName::new(*t).unwrap()).collect()
}

fn tenant(ring: &KeyRing, name: &str) -> std::sync::Arc<TenantKeys> {
    ring.tenant(&TenantName::new(name).unwrap()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Every message says which file, and repeats nothing secret.
#[track_caller]
fn says(error: &KeyError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

#[test]
fn first_start_makes_ring_and_key_file() {
    let bench = Bench::new();
    let opened = bench.open(&["default"]).unwrap();
    let first = FirstStart {
        ring: bench.ring.clone(),
        key_file: Some(bench.key_file.clone()),
    };
    assert_eq!(opened.notice, Some(Notice::FirstStart(first)));
    assert_eq!((mode(&bench.ring), mode(&bench.key_file)), (0o600, 0o600));
    assert_eq!(mode(bench.ring.parent().unwrap()), 0o700);
    let keys = tenant(&opened.ring, "default");
    let text = fs::read_to_string(&bench.ring).unwrap();
    for secret in [&keys.kem.seed, &keys.recovery.seed] {
        assert!(!text.contains(&hex::encode(&secret[..])));
    }
    assert_ne!(keys.kem.recipient_key().id(), keys.recovery.recipient_key().id());
    assert!(!format!("{opened:?} {keys:?}").contains(&hex::encode(&keys.kem.seed[..])));
}

#[test]
fn opens_again_with_the_same_keys() {
    let bench = Bench::new();
    let first = bench.open(&["default"]).unwrap().ring;
    let again = bench.open(&["default"]).unwrap();
    assert_eq!(again.notice, None);
    assert_eq!(first.public_keys(), again.ring.public_keys());
    assert_eq!(
        tenant(&first, "default").kem.seed,
        tenant(&again.ring, "default").kem.seed
    );
    let looked = KeyRing::open(&bench.ring, &bench.settings().protection).unwrap();
    assert_eq!(looked.public_keys(), first.public_keys());
    assert!(
        fs::read_dir(bench.ring.parent().unwrap()).unwrap().all(|e| !e
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".tmp"))
    );
}

#[test]
fn a_tenant_added_later_gets_keys_and_the_others_keep_theirs() {
    let bench = Bench::new();
    let before = tenant(&bench.open(&["a"]).unwrap().ring, "a").kem.recipient();
    let opened = bench.open(&["a", "b"]).unwrap();
    let notice = opened.notice.unwrap();
    assert_eq!(
        notice,
        Notice::BackUpAgain {
            ring: bench.ring.clone(),
            tenants: names(&["b"]),
            signer: false
        }
    );
    assert!(notice.to_string().contains("(tenants b)"), "{notice}");
    assert_eq!(tenant(&opened.ring, "a").kem.recipient(), before);
    // A tenant that is no longer configured keeps its keys, and so its documents.
    assert!(bench.open(&[]).unwrap().ring.tenant(&names(&["b"])[0]).is_some());
    // While it is open, and seen by a ring that is opened afterwards.
    assert_eq!(
        opened
            .ring
            .add_tenants(&names(&["b", "c"]), Timestamp::from_unix_millis(NOW))
            .unwrap(),
        names(&["c"])
    );
    let reopened = bench.open(&["a", "b", "c"]).unwrap();
    assert_eq!(reopened.notice, None);
    assert_eq!(
        tenant(&reopened.ring, "c").kem.recipient(),
        tenant(&opened.ring, "c").kem.recipient()
    );
}

#[test]
fn two_open_rings_do_not_lose_each_others_keys() {
    let bench = Bench::new();
    let (one, two) = (bench.open(&[]).unwrap().ring, bench.open(&[]).unwrap().ring);
    one.add_tenants(&names(&["a"]), Timestamp::from_unix_millis(NOW))
        .unwrap();
    two.add_tenants(&names(&["b"]), Timestamp::from_unix_millis(NOW))
        .unwrap();
    let all = bench.open(&[]).unwrap().ring;
    assert_eq!(tenant(&all, "a").kem.recipient(), tenant(&one, "a").kem.recipient());
    assert_eq!(tenant(&all, "b").kem.recipient(), tenant(&two, "b").kem.recipient());
}

#[test]
fn first_starts_at_once_end_with_one_ring() {
    let bench = Bench::new();
    let opened: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| bench.open(&["a"]).unwrap())).collect();
        starts.into_iter().map(|s| s.join().unwrap()).collect()
    });
    assert_eq!(
        opened
            .iter()
            .filter(|o| matches!(o.notice, Some(Notice::FirstStart(_))))
            .count(),
        1
    );
    assert!(
        opened
            .iter()
            .all(|o| o.ring.public_keys() == opened[0].ring.public_keys())
    );
}

#[test]
fn a_key_file_that_is_there_is_used() {
    let bench = Bench::new();
    fs::create_dir_all(bench.key_file.parent().unwrap()).unwrap();
    fs::write(&bench.key_file, [9; 32]).unwrap();
    fs::set_permissions(&bench.key_file, fs::Permissions::from_mode(0o600)).unwrap();
    bench.open(&["a"]).unwrap();
    assert_eq!(fs::read(&bench.key_file).unwrap(), [9; 32]);
    // The same key in its other form.
    fs::write(&bench.key_file, format!("{}\n", hex::encode([9; 32]))).unwrap();
    bench.open(&["a"]).unwrap();
}

#[test]
fn signing_key_is_renewed_before_its_end_and_the_old_one_still_verifies() {
    let bench = Bench::new();
    let ring = bench.open(&[]).unwrap().ring;
    let old = ring.signer().key_id();
    assert!(!ring.signer_ends_soon(Timestamp::from_unix_millis(NOW + 334 * DAY)));
    assert!(ring.signer_ends_soon(Timestamp::from_unix_millis(NOW + 336 * DAY)));
    ring.renew_signer(Timestamp::from_unix_millis(NOW + 336 * DAY)).unwrap();
    let new = ring.signer().key_id();
    assert_ne!(old, new);
    assert!(ring.verifier(&old).is_some() && ring.verifier(&new).is_some());
    let later = bench.open_at(&[], NOW + 337 * DAY).unwrap();
    assert_eq!((later.notice, later.ring.signer().key_id()), (None, new));
    let much_later = bench.open_at(&[], NOW + 3000 * DAY).unwrap();
    assert!(matches!(
        much_later.notice,
        Some(Notice::BackUpAgain { signer: true, .. })
    ));
    assert!(much_later.ring.verifier(&old).is_some());
}

#[test]
fn missing_key_file() {
    let bench = Bench::new();
    bench.open(&[]).unwrap();
    fs::remove_file(&bench.key_file).unwrap();
    let error = bench.open(&[]).unwrap_err();
    assert!(matches!(error, KeyError::MissingKeyFile { .. }), "{error}");
    says(&error, &["config/keyring.key", "keyring.json", "backup"]);
    assert!(!bench.key_file.exists(), "a new key file was made for an old ring");
}

#[test]
fn wrong_key_file() {
    let bench = Bench::new();
    bench.open(&[]).unwrap();
    fs::write(&bench.key_file, "07".repeat(32)).unwrap();
    let error = bench.open(&[]).unwrap_err();
    assert!(matches!(error, KeyError::WrongKeyFile { .. }), "{error}");
    says(&error, &["config/keyring.key", "another ring"]);
    fs::write(&bench.key_file, "short").unwrap();
    assert!(matches!(bench.open(&[]).unwrap_err(), KeyError::Damaged { path, .. } if path == bench.key_file));
}

#[test]
fn files_that_others_may_read() {
    let bench = Bench::new();
    bench.open(&[]).unwrap();
    for path in [&bench.ring, &bench.key_file] {
        for open in [0o640, 0o604, 0o620] {
            fs::set_permissions(path, fs::Permissions::from_mode(open)).unwrap();
            let error = bench.open(&[]).unwrap_err();
            assert!(
                matches!(&error, KeyError::TooOpen { path: p, mode } if p == path && *mode == open),
                "{error}"
            );
            says(&error, &["chmod 600", &format!("{open:04o}")]);
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
        bench.open(&[]).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn every_damaged_byte_is_noticed() {
    let bench = Bench::new();
    bench.open(&["a"]).unwrap();
    let good = fs::read(&bench.ring).unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x11;
        fs::write(&bench.ring, &bad).unwrap();
        match bench.open(&["a"]) {
            Err(KeyError::Damaged { path, .. }) => assert_eq!(path, bench.ring),
            // White space between the fields means nothing.
            Ok(opened) if good[at].is_ascii_whitespace() => assert_eq!(opened.notice, None),
            other => panic!("byte {at}: {other:?}"),
        }
    }
    for cut in [0, 1, good.len() / 2, good.len() - 3] {
        fs::write(&bench.ring, &good[..cut]).unwrap();
        says(&bench.open(&[]).unwrap_err(), &["damaged", "backup"]);
    }
}

#[test]
fn an_altered_header_with_a_right_checksum_does_not_open() {
    let bench = Bench::new();
    bench.open(&[]).unwrap();
    let mut file: serde_json::Value = serde_json::from_slice(&fs::read(&bench.ring).unwrap()).unwrap();
    let mut salt = hex::decode(file["salt"].as_str().unwrap()).unwrap();
    salt[0] ^= 1;
    use base64::Engine;
    use sha2::Digest;
    let sealed = base64::engine::general_purpose::STANDARD
        .decode(file["sealed"].as_str().unwrap())
        .unwrap();
    let associated = b"cofferdam-keyring/1\0{\"kind\":\"key-file\"}";
    file["sha256"] = hex::encode(sha2::Sha256::digest([&associated[..], &salt, &sealed].concat())).into();
    file["salt"] = hex::encode(salt).into();
    fs::write(&bench.ring, file.to_string()).unwrap();
    assert!(matches!(bench.open(&[]).unwrap_err(), KeyError::WrongKeyFile { .. }));
}

#[test]
fn passphrase() {
    let bench = Bench::new();
    let open = |text: &str| {
        let settings = bench.with(Protection::Passphrase(SecretString::from(text)));
        KeyRing::open_or_create(&settings, &names(&["a"]), Timestamp::from_unix_millis(NOW))
    };
    assert!(matches!(
        open("short").unwrap_err(),
        KeyError::PassphraseTooShort { least: 8 }
    ));
    assert!(!bench.ring.exists());
    let opened = open("correct horse battery").unwrap();
    assert_eq!(
        opened.notice,
        Some(Notice::FirstStart(FirstStart {
            ring: bench.ring.clone(),
            key_file: None
        }))
    );
    assert_eq!(
        open("correct horse battery").unwrap().ring.public_keys(),
        opened.ring.public_keys()
    );
    let error = open("correct horse batterz").unwrap_err();
    assert!(matches!(error, KeyError::WrongPassphrase { .. }));
    assert!(!format!("{error} {error:?}").contains("horse"));
    // The other kind of protection.
    let error = bench.open(&[]).unwrap_err();
    assert!(matches!(
        error,
        KeyError::OtherProtection {
            stored: "passphrase",
            configured: "key file",
            ..
        }
    ));
    assert!(!bench.key_file.exists());
    // The parameters are RFC 9106's second recommended option, and are read from the file.
    let file: serde_json::Value = serde_json::from_slice(&fs::read(&bench.ring).unwrap()).unwrap();
    let p = &file["protection"];
    assert_eq!(
        (&p["memory_kib"], &p["passes"], &p["lanes"]),
        (&65536.into(), &3.into(), &4.into())
    );
}

#[test]
fn absurd_argon2_parameters_take_no_memory() {
    let bench = Bench::new();
    let header = protection::Header::Passphrase {
        algorithm: "argon2id".into(),
        memory_kib: u32::MAX,
        passes: 3,
        lanes: 4,
        salt: "00".repeat(16),
    };
    let passphrase = Protection::Passphrase(SecretString::from("correct horse"));
    let error = protection::root(&bench.ring, &header, &passphrase, false).unwrap_err();
    assert!(matches!(error, KeyError::Stretch { .. }));
}

#[test]
fn passphrase_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("passphrase");
    assert!(matches!(read_passphrase(&path).unwrap_err(), KeyError::Io { .. }));
    fs::write(&path, "correct horse battery\r\nsecond line\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(read_passphrase(&path).unwrap_err(), KeyError::TooOpen { .. }));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(read_passphrase(&path).unwrap().expose_secret(), "correct horse battery");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(read_passphrase(&path).unwrap_err(), KeyError::Damaged { .. }));
}

#[test]
fn key_file_inside_the_data_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    fs::create_dir_all(data.join("in")).unwrap();
    fs::create_dir_all(&out).unwrap();
    assert!(refuse_inside(&out.join("key"), &data).is_ok());
    assert!(matches!(
        refuse_inside(&data.join("in/key"), &data).unwrap_err(),
        KeyError::KeyFileInsideData { .. }
    ));
    assert!(refuse_inside(&out.join("../data/in/key"), &data).is_err());
    std::os::unix::fs::symlink(data.join("in"), out.join("link")).unwrap();
    assert!(refuse_inside(&out.join("link/key"), &data).is_err());
}

#[test]
fn an_unwritable_directory_is_named() {
    // Root may write anywhere; a file in the place of a directory stops everybody.
    let bench = Bench::new();
    fs::create_dir_all(bench.ring.parent().unwrap().parent().unwrap()).unwrap();
    fs::write(bench.ring.parent().unwrap(), "in the way").unwrap();
    let error = bench.open(&[]).unwrap_err();
    assert!(matches!(error, KeyError::Io { .. }));
    says(&error, &["data/keys"]);
}

#[test]
fn stock_age_takes_our_keys() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let age = std::env::var_os("COFFERDAM_AGE").unwrap_or_else(|| "age".into());
    let keygen = std::env::var_os("COFFERDAM_AGE_KEYGEN").unwrap_or_else(|| "age-keygen".into());
    // A skip is said out loud: only age 1.3 or later knows these keys.
    let version = Command::new(&age)
        .arg("--version")
        .output()
        .ok()
        .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    let number = version
        .as_deref()
        .and_then(|v| v.trim_start_matches('v').split('.').nth(1)?.parse::<u32>().ok());
    if number.is_none_or(|minor| minor < 3) {
        eprintln!(
            "SKIPPED stock_age_takes_our_keys: needs age >= 1.3 on PATH (or COFFERDAM_AGE, COFFERDAM_AGE_KEYGEN), found {version:?}"
        );
        return;
    }
    let bench = Bench::new();
    let pair = tenant(&bench.open(&["a"]).unwrap().ring, "a").recovery.clone();
    let run = |program: &std::ffi::OsStr, args: &[&std::ffi::OsStr], input: &[u8]| {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let identity = pair.identity();
    let shown = run(&keygen, &["-y".as_ref()], identity.expose_secret().as_bytes());
    assert_eq!(String::from_utf8(shown).unwrap().trim(), pair.recipient());
    let sealed = run(
        &age,
        &["-r".as_ref(), pair.recipient().as_ref()],
        b"to the recovery key",
    );
    let file = bench.ring.with_file_name("identity.txt");
    fs::write(&file, identity.expose_secret()).unwrap();
    assert_eq!(
        run(&age, &["-d".as_ref(), "-i".as_ref(), file.as_os_str()], &sealed),
        b"to the recovery key"
    );
}
