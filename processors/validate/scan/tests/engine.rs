//! What the engine promises: no panic, whole characters, linear time, decoding to a depth.

use std::fs;

use cofferdam_scan::hit::Hit;
use cofferdam_scan::secrets::eval::{evaluate, parse};
use cofferdam_scan::secrets::{DecodeLimits, Decoded, Packs, decoded_runs};
use cofferdam_schemas::Severity;
use proptest::prelude::*;

fn packs() -> &'static Packs {
    static PACKS: std::sync::OnceLock<Packs> = std::sync::OnceLock::new();
    PACKS.get_or_init(|| Packs::builtin().unwrap())
}

fn scan(text: &str, path: Option<&str>) -> Vec<Hit> {
    let mut out = Vec::new();
    let _ = packs().scan(text, path, &mut out);
    out
}

fn decoded(text: &str) -> Vec<Decoded> {
    let mut out = Vec::new();
    let _ = packs().scan_decoded(text, None, &DecodeLimits::default(), &mut out);
    out
}

fn base64(bytes: &[u8]) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            let digit = move |n: usize| {
                if n <= chunk.len() {
                    char::from(letters[(word >> (18 - 6 * n) & 63) as usize])
                } else {
                    '='
                }
            };
            (0..4).map(digit)
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn finds(text: &str, value: &str, rule: &str) {
    let hits = scan(text, None);
    let found = hits
        .iter()
        .any(|hit| &text[hit.span.clone()] == value && hit.rule == rule);
    assert!(
        found,
        "{text}: {:?}",
        hits.iter()
            .map(|hit| (&hit.rule, &text[hit.span.clone()]))
            .collect::<Vec<_>>()
    );
}

#[test]
fn the_span_is_the_value() {
    finds("db.password = hunter2\n", "hunter2", "secrets/password-assignment");
    finds("see postgres://app:hunter2@db/x", "hunter2", "secrets/url-password");
    finds("mysql -u root -phunter2 x", "hunter2", "secrets/command-password");
    finds("machine x.org login bob password hunter2", "hunter2", "secrets/netrc");
    let token = format!("gh{}_{}", "p", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    finds(&format!("x {token} y"), &token, "secrets/github-pat");
    finds(&format!("TOKEN={token}\n"), &token, "secrets/github-pat");
}

#[test]
fn a_place_has_one_hit() {
    let hits = scan(
        "DB_PASSWORD=hunter2\nurl=postgres://a:hunter2@h/x?password=hunter2\n",
        Some(".env"),
    );
    assert!(
        hits.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start),
        "{hits:?}"
    );
    assert_eq!(hits.len(), 3);
}

#[test]
fn a_placeholder_is_low_and_a_reference_is_nothing() {
    let hits = scan("password=changeme\n", None);
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].severity, Severity::Low);
    for quiet in [
        "password=${X}\n",
        "password: <password>\n",
        "password=xxxxxxxx\n",
        "password=\n",
        "password = get()\n",
        "token: string\n",
    ] {
        assert_eq!(scan(quiet, None), [], "{quiet}");
    }
}

#[test]
fn a_key_over_many_lines_is_found_and_so_is_a_cut_one() {
    let body: String = (0..40)
        .map(|line| format!("{}\n", base64(format!("{line:048}").as_bytes())))
        .collect();
    let kind = "PRIVATE KEY";
    let text = format!("x\n-----BEGIN RSA {kind}-----\n{body}-----END RSA {kind}-----\ny\n");
    let hits = scan(&text, None);
    assert_eq!(hits.len(), 1, "{hits:?}");
    assert_eq!(
        (hits[0].rule.as_ref(), hits[0].severity),
        ("secrets/private-key", Severity::Critical)
    );
    assert!(hits[0].span.len() > body.len());
    let cut = &text[..text.len() / 2];
    assert_eq!(
        scan(cut, None).first().map(|hit| hit.rule.to_string()).as_deref(),
        Some("secrets/private-key-begin")
    );
}

#[test]
fn decodes_to_the_depth_and_tells_the_chain() {
    let plain = "db_password=hunter2-and-more\n";
    let once = base64(plain.as_bytes());
    let twice = hex(once.as_bytes());
    let thrice = base64(twice.as_bytes());
    for (coded, chain) in [
        (once.clone(), &["base64"][..]),
        (once.trim_end_matches('=').to_owned(), &["base64"]),
        (twice, &["hex", "base64"]),
        (thrice.clone(), &["base64", "hex", "base64"]),
        ("db%5Fpassword%3Dhunter2%2Dand".to_owned(), &["percent"]),
    ] {
        let text = format!("{{\"x\": \"{coded}\"}}");
        let found = decoded(&text);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].chain.names(), chain);
        assert_eq!(text[found[0].hit.span.clone()], coded);
    }
    // A fourth is beyond the depth, and said to be.
    let text = base64(thrice.as_bytes());
    let mut out = Vec::new();
    let reached = packs().scan_decoded(&text, None, &DecodeLimits::default(), &mut out);
    assert!(out.is_empty() && reached.decoding, "{out:?} {reached:?}");
    assert_eq!(reached.names(), ["secrets/decoding"]);
    let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(decoded(&format!("powershell -enc {}", base64(&utf16))).len(), 1);
}

#[test]
fn the_test_virus_is_seen_inside_encodings() {
    // The EICAR test file in Base64: it must not stand here as it is.
    let coded = "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo=";
    let run = decoded_runs(coded, &DecodeLimits::default()).next().unwrap();
    let bytes = run.bytes;
    assert_eq!((bytes.len(), run.chain.names()), (68, vec!["base64"]));
    let wrapped: String = coded
        .as_bytes()
        .chunks(76)
        .map(|line| format!("{}\r\n", std::str::from_utf8(line).unwrap()))
        .collect();
    for text in [
        format!("{{\"file\":\"{coded}\"}}"),
        format!("{{\"file\":\"\\n{coded}\"}}"),
        format!("data:application/octet-stream;base64,{coded}"),
        format!("Content-Transfer-Encoding: base64\r\n\r\n{wrapped}"),
        format!("{{\"file\":\"{}\"}}", hex(&bytes)),
        format!("{{\"file\":\"{}\"}}", base64(coded.as_bytes())),
    ] {
        let found =
            decoded_runs(&text, &DecodeLimits::default()).any(|run| run.bytes == bytes && text.get(run.span).is_some());
        assert!(found, "{text}");
    }
}

#[test]
fn decoding_limits_are_told() {
    let run = base64("a plain text, and long enough to be one. ".repeat(100).as_bytes());
    let all = |limits: DecodeLimits| {
        let mut runs = decoded_runs(&run, &limits);
        let bytes = runs.by_ref().map(|run| run.bytes.len()).sum::<usize>();
        (bytes, runs.limit_reached())
    };
    assert_eq!(all(DecodeLimits::default()), (4100, false));
    let (bytes, reached) = all(DecodeLimits {
        run: 1000,
        ..DecodeLimits::default()
    });
    assert!(bytes <= 1000 && reached);
    let many = format!("{run}\n\n").repeat(20);
    let limits = DecodeLimits {
        total: 10_000,
        ..DecodeLimits::default()
    };
    let mut runs = decoded_runs(&many, &limits);
    assert!(runs.by_ref().map(|run| run.bytes.len()).sum::<usize>() <= 10_000 && runs.limit_reached());
    let mut none = decoded_runs(
        &run,
        &DecodeLimits {
            depth: 0,
            ..DecodeLimits::default()
        },
    );
    assert!(none.next().is_none());
}

#[test]
fn hits_beyond_the_limit_are_told() {
    let text = "password=hunter2\n".repeat(3000);
    let mut out = Vec::new();
    let reached = packs().scan(&text, None, &mut out);
    assert!(reached.hits && out.len() == 2000, "{}", out.len());
}

/// CPU seconds of this thread.
fn cpu() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields: Vec<f64> = text
        .rsplit(") ")
        .next()
        .unwrap()
        .split(' ')
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    (fields[11] + fields[12]) / 100.0
}

/// Twice the text takes about twice the time, and a megabyte of the worst kind a few seconds at most.
#[test]
fn time_is_linear() {
    let keywords = "password token secret api_key://-----BEGIN PRIVATE KEY machine default curl mysql sshpass auth insert into users (password) values (";
    let cases = [
        ("keywords", keywords.to_owned()),
        ("base64", "QUJD".to_owned()),
        ("equals", "=".to_owned()),
        ("password=", "password=".to_owned()),
        ("begin", "-----BEGIN RSA PRIVATE KEY-----".to_owned()),
        ("url", "://a:".to_owned()),
        ("at", "a://b:c@".to_owned()),
        ("ey", "-eyJ0eXAiOiJKV1QiLCJhbGciOi.eyJ".to_owned()),
        ("insert", "insert into a (password) values ".to_owned()),
        ("copy", "copy (".to_owned()),
        ("curl", "curl -H ".to_owned()),
        ("percent", "%41".to_owned()),
        ("quote", "password=\"".to_owned()),
        ("xml", "<password a".to_owned()),
        ("kind", "kind: Secret\n data: a\n".to_owned()),
        ("dollar", "$6$".to_owned()),
        ("mnemonic", "mnemonic a b ".to_owned()),
        ("umlaut", "pässwörd=ü".to_owned()),
        ("key", "key=aaaaaaaaaaaaaa".to_owned()),
        ("csv", "password,a\n".to_owned()),
        ("ops", "ops_eyJ".to_owned()),
        ("hvs", "hvs.".to_owned()),
        ("slash", "/a/b".to_owned()),
    ];
    let time = |unit: &str, size: usize| {
        let text = unit.repeat(size / unit.len() + 1);
        let before = cpu();
        let mut out = Vec::new();
        let _ = packs().scan(&text, Some("x.env"), &mut out);
        let _ = packs().scan_decoded(&text, None, &DecodeLimits::default(), &mut Vec::new());
        cpu() - before
    };
    for (name, unit) in cases {
        let (half, whole) = (time(&unit, 512 << 10), time(&unit, 1 << 20));
        println!("{name}: {half:.2} {whole:.2}");
        assert!(whole <= half * 3.0 + 0.2, "{name}: {half} {whole}");
        assert!(whole < 6.0, "{name}: {whole}");
    }
}

#[test]
fn scores_do_not_fall() {
    let set = |name: &str| {
        parse(&fs::read_to_string(format!("{}/tests/data/{name}.txt", env!("CARGO_MANIFEST_DIR"))).unwrap())
    };
    let leaky = evaluate(packs(), &set("leaky"), Severity::Medium, true);
    assert!(
        leaky.files >= 60 && leaky.lines_found * 100 >= leaky.lines * 97,
        "{leaky:?}"
    );
    let fresh = evaluate(packs(), &set("fresh"), Severity::Medium, false);
    assert!(
        fresh.files >= 20 && fresh.lines_found * 100 >= fresh.lines * 90,
        "{fresh:?}"
    );
    let third = evaluate(packs(), &set("third"), Severity::Medium, true);
    assert!(
        third.files >= 30 && third.lines_found * 100 >= third.lines * 90,
        "{third:?}"
    );
    let benign = evaluate(packs(), &set("benign"), Severity::Medium, true);
    assert!(benign.false_lines == 0 && benign.bytes > 5_000, "{benign:?}");
}

fn check_spans(text: &str) {
    for path in [
        None,
        Some("a/.env"),
        Some("passwd"),
        Some("x.py"),
        Some("config.yml"),
        Some("chap-secrets"),
    ] {
        for hit in scan(text, path) {
            assert!(text.get(hit.span.clone()).is_some(), "{hit:?} in {text:?}");
            assert!((0.0..=1.0).contains(&hit.confidence) && hit.rule.len() <= 80);
        }
    }
    for found in decoded(text) {
        assert!(text.get(found.hit.span.clone()).is_some());
    }
    for run in decoded_runs(text, &DecodeLimits::default()) {
        assert!(text.get(run.span).is_some() && !run.chain.names().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_scanned(text in any::<String>()) {
        check_spans(&text);
    }

    #[test]
    fn what_is_encoded_is_found_wherever_it_stands(before in "([ -~]{0,60}[ .])?", payload in "[A-Z][a-z ]{14,50}", after in "([ .,][ -~]{0,60})?") {
        let text = format!("{before}{}{after}", base64(payload.as_bytes()));
        let found = decoded_runs(&text, &DecodeLimits::default()).any(|run| run.bytes == payload.as_bytes());
        prop_assert!(found, "{text}");
    }

    #[test]
    fn text_of_keywords_and_marks_is_scanned(
        parts in proptest::collection::vec(prop_oneof![
            Just("password"), Just("DB_PASS"), Just("token"), Just("=") , Just(": "), Just("\""), Just("'"), Just("<"), Just(">"), Just("</"), Just("\n"),
            Just("://"), Just("@"), Just("ü"), Just("😀"), Just("\\"), Just("\\n"), Just(" "), Just("-----BEGIN PRIVATE KEY-----"), Just("%41%42%43"),
            Just("aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ"), Just("68656c6c6f20776f726c6468656c6c6f"), Just("insert into u (a, password) values ("), Just("$6$"),
            Just("machine"), Just("name"), Just("value"), Just("<![CDATA["), Just("("), Just(")"), Just(","), Just(";"), Just("hunter2"), Just("kind: Secret"),
            Just("copy t (pass) from stdin;\n"), Just("\t"), Just("::"), Just("=>"), Just("key"), Just("${"), Just("}"), Just("\r\n"), Just("ey"),
        ], 0..60)
    ) {
        check_spans(&parts.concat());
    }
}
