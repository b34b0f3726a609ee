//! Bytes and documents in a CPU second of one core, with the peers over the same bytes.

use std::error::Error;
use std::fmt::Write as _;

use cofferdam_scan::injection::Injection;
use cofferdam_scan::injection::train::data;
use cofferdam_scan::phi::Phi;
use cofferdam_scan::secrets::{DecodeLimits, Packs};

use crate::{figure, peers};

/// Bytes of each text.
const SIZE: usize = 1 << 20;
/// What a slow peer gets of them.
const PART: usize = 200 << 10;

pub fn all(quick: bool) -> Result<(), Box<dyn Error>> {
    let seconds = if quick { 0.3 } else { 2.0 };
    let texts = Texts::load()?;
    phi(&texts, seconds)?;
    injection(&texts, seconds)?;
    secrets(&texts, seconds)
}

/// CPU seconds of this thread, as the kernel counts them.
fn cpu() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split(' ').next().ok_or("empty")?.parse::<f64>()? / 1e9)
}

/// Rounds in a CPU second.
fn rate(seconds: f64, mut round: impl FnMut()) -> Result<f64, Box<dyn Error>> {
    round();
    let (start, mut rounds) = (cpu()?, 0.0);
    loop {
        round();
        rounds += 1.0;
        let took = cpu()? - start;
        if took >= seconds {
            return Ok(rounds / took);
        }
    }
}

/// What is scanned: texts of people, texts full of personal data, code, log lines.
struct Texts {
    rows: Vec<data::Row>,
    prose: String,
    dense: String,
    code: String,
    log: String,
}

fn repeated<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> String {
    let mut all = String::new();
    for text in texts.cycle() {
        all.push_str(text);
        all.push_str("\n\n");
        if all.len() >= SIZE {
            break;
        }
    }
    all
}

fn start(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

impl Texts {
    fn load() -> Result<Self, Box<dyn Error>> {
        let mut rows = data::parse(data::DEV)?;
        let prose = data::parse(data::PROSE)?;
        let people = crate::phi_sets()?.concat();
        let family = |names: &'static [&'static str]| {
            let all = rows.iter().chain(&prose);
            all.filter(move |row| names.contains(&row.family.as_str()))
                .map(|row| row.text.as_str())
        };
        let mut log = String::new();
        for n in 0..10_000_u32 {
            let (ms, id) = (n * 37 % 1000, n.wrapping_mul(2_654_435_761));
            let _ = writeln!(
                log,
                "2026-03-01T12:{:02}:{:02}.{ms:03}Z INFO http: request id={id:08x} path=/api/items?page={n} status=200 ms={}",
                n / 60 % 60,
                n % 60,
                n % 97
            );
        }
        Ok(Self {
            prose: repeated(family(&["own_readme", "benign_docs_prose"])),
            code: repeated(family(&["own_code", "own_manifest"])),
            dense: repeated(people.iter().map(|document| document.text.as_str())),
            log,
            rows: {
                rows.retain(|row| (400..600).contains(&row.text.len()));
                rows
            },
        })
    }
}

fn megabytes(name: &str, text: &str, seconds: f64, mut scan: impl FnMut(&str)) -> Result<(), Box<dyn Error>> {
    let speed = rate(seconds, || scan(text))? * text.len() as f64 / 1e6;
    figure(name, speed, "MB/CPU-s");
    Ok(())
}

fn peer(name: &str, speed: Option<f64>) {
    if let Some(speed) = speed {
        figure(name, speed, "MB/CPU-s");
    }
}

fn phi(texts: &Texts, seconds: f64) -> Result<(), Box<dyn Error>> {
    let mut engine = Phi::built_in()?;
    let mut hits = Vec::new();
    for with in ["phi", "phi-rules"] {
        for (name, text) in [("prose", &texts.prose), ("dense", &texts.dense)] {
            megabytes(&format!("speed.{with}.{name}"), text, seconds, |text| {
                hits.clear();
                engine.scan(text, None, &mut hits);
            })?;
        }
        engine.set_tagger(None);
    }
    for (name, text) in [("prose", &texts.prose), ("dense", &texts.dense)] {
        for with in ["presidio", "presidio-patterns"] {
            peer(
                &format!("speed.{with}.{name}"),
                peers::python_speed(with, start(text, PART))?,
            );
        }
    }
    Ok(())
}

fn injection(texts: &Texts, seconds: f64) -> Result<(), Box<dyn Error>> {
    let engine = Injection::built_in()?;
    let mut hits = Vec::new();
    for (name, attack) in [("harmless", false), ("attacks", true)] {
        let texts: Vec<&str> = texts
            .rows
            .iter()
            .filter(|row| row.attack() == attack)
            .map(|row| row.text.as_str())
            .collect();
        let rounds = rate(seconds, || {
            for text in &texts {
                hits.clear();
                engine.scan(text, &mut hits);
            }
        })?;
        figure(
            &format!("speed.injection.half-kilobyte.{name}"),
            rounds * texts.len() as f64 / 1e3,
            "thousand documents/CPU-s",
        );
    }
    megabytes("speed.injection.prose", &texts.prose, seconds, |text| {
        hits.clear();
        engine.scan(text, &mut hits);
    })
}

fn secrets(texts: &Texts, seconds: f64) -> Result<(), Box<dyn Error>> {
    let packs = Packs::builtin()?;
    for (name, text) in [("prose", &texts.prose), ("code", &texts.code), ("log", &texts.log)] {
        megabytes(&format!("speed.secrets.{name}"), text, seconds, |text| {
            let _ = packs.scan(text, None, &mut Vec::new());
        })?;
        megabytes(&format!("speed.secrets-decoding.{name}"), text, seconds, |text| {
            let _ = packs.scan_decoded(text, None, &DecodeLimits::default(), &mut Vec::new());
        })?;
        peer(&format!("speed.gitleaks.{name}"), peers::gitleaks_speed(text)?);
        peer(
            &format!("speed.detect-secrets.{name}"),
            peers::python_speed("detect-secrets", start(text, PART))?,
        );
    }
    Ok(())
}
