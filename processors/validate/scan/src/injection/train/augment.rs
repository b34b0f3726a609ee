//! Attacks in disguise, in documents and with suffixes. Everything is seeded by the place of the row.

use super::data::Row;
use super::random::Random;

const DISGUISES: &[&str] = &[
    "zero_width",
    "base64",
    "base64_bare",
    "leet",
    "homoglyph",
    "fullwidth",
    "tags",
    "spaced",
    "rot13",
    "reversed",
    "styled",
    "hex",
    "tags_in_text",
    "caesar",
];

const LOOK: &[(char, char)] = &[
    ('a', 'а'),
    ('c', 'с'),
    ('e', 'е'),
    ('i', 'і'),
    ('o', 'о'),
    ('p', 'р'),
    ('x', 'х'),
    ('y', 'у'),
    ('s', 'ѕ'),
    ('j', 'ј'),
];

/// Base64 with padding (RFC 4648).
pub(in crate::injection) fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            out.push(if at <= three.len() {
                char::from(LETTERS[(bits >> (18 - 6 * at)) as usize & 63])
            } else {
                '='
            });
        }
    }
    out
}

fn shifted(text: &str, by: u8) -> String {
    text.chars()
        .map(|c| match c {
            'a'..='z' => char::from((c as u8 - b'a' + by) % 26 + b'a'),
            'A'..='Z' => char::from((c as u8 - b'A' + by) % 26 + b'A'),
            _ => c,
        })
        .collect()
}

/// `text` in a disguise. Unknown names leave it as it is.
pub fn disguise(text: &str, how: &str, random: &mut Random) -> String {
    match how {
        "zero_width" => {
            let every = 2 + random.below(3);
            let mark = *random.pick(&['\u{200b}', '\u{200c}', '\u{2060}', '\u{feff}']);
            text.chars()
                .enumerate()
                .flat_map(|(at, c)| [Some(c), (at % every == 1).then_some(mark)])
                .flatten()
                .collect()
        }
        "base64" => format!(
            "{} {}",
            random.pick(&[
                "Decode this and act on it:",
                "base64:",
                "Read the attached note:",
                "Payload"
            ]),
            base64(text)
        ),
        "base64_bare" => base64(text),
        "hex" => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        "leet" => text
            .to_lowercase()
            .chars()
            .map(|c| match c {
                'a' => '4',
                'e' => '3',
                'i' => '1',
                'o' => '0',
                's' => '5',
                't' => '7',
                _ => c,
            })
            .collect(),
        "homoglyph" => {
            let all = random.below(2) == 0;
            text.chars()
                .map(|c| match LOOK.iter().find(|(plain, _)| *plain == c) {
                    Some((_, look)) if all || random.below(3) > 0 => *look,
                    _ => c,
                })
                .collect()
        }
        "fullwidth" => text
            .chars()
            .map(|c| {
                if c.is_ascii_graphic() {
                    char::from_u32(c as u32 + 0xfee0).unwrap_or(c)
                } else {
                    c
                }
            })
            .collect(),
        "tags" => text
            .chars()
            .map(|c| {
                if c.is_ascii() && c >= ' ' {
                    char::from_u32(0xe0000 + c as u32).unwrap_or(c)
                } else {
                    c
                }
            })
            .collect(),
        "tags_in_text" => format!(
            "{}{}",
            random.pick(&[
                "What is the weather like?",
                "See you soon.",
                "Nice picture! ",
                "Please check this."
            ]),
            disguise(text, "tags", random)
        ),
        "spaced" => {
            let gap = *random.pick(&[" ", " ", " ", ".", "-"]);
            text.chars().map(String::from).collect::<Vec<_>>().join(gap)
        }
        "rot13" => shifted(text, 13),
        "caesar" => shifted(text, 1 + random.below(25) as u8),
        "reversed" => text.chars().rev().collect(),
        "styled" => {
            let base = *random.pick(&[0x1d41a_u32, 0x1d44e, 0x1d4ea, 0x1d5ba, 0x1d68a]);
            text.to_lowercase()
                .chars()
                .map(|c| {
                    if c.is_ascii_lowercase() {
                        char::from_u32(base + (c as u32 - 97)).unwrap_or(c)
                    } else {
                        c
                    }
                })
                .collect()
        }
        _ => text.to_owned(),
    }
}

/// About one attack in four again, in disguise; and a few harmless texts, since a disguise alone is not an attack.
pub fn disguised(rows: &[Row]) -> Vec<Row> {
    let mut out = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let mut random = Random::new(1000 + at as u64);
        let wanted = if row.attack() {
            random.below(4) == 0
        } else {
            row.source.starts_with("own:") && random.below(40) == 0
        };
        if !wanted || row.family.starts_with("obfuscated") || !(12..1200).contains(&row.text.len()) {
            continue;
        }
        if matches!(row.source.as_str(), "own:indirect" | "own:suffix") {
            continue;
        }
        // what has no Latin letters is not changed by most disguises
        let latin = row.text.bytes().filter(u8::is_ascii_alphabetic).count() * 2 > row.text.len();
        let how = if latin {
            *random.pick(DISGUISES)
        } else {
            *random.pick(&["zero_width", "base64", "tags_in_text"])
        };
        out.push(Row {
            id: format!("{}~{how}", row.id),
            text: disguise(&row.text, how, &mut random),
            label: row.label,
            source: format!("derived:{}", row.group()),
            family: format!("obfuscated_{how}"),
            inside: None,
        });
    }
    out
}

/// Sentences that speak to a model, put into harmless documents; and sentences that do not, put there in the same way.
pub fn embedded(own: &[Row], prose: &[Row]) -> Vec<Row> {
    let of = |sources: &[&str]| -> Vec<&Row> {
        own.iter()
            .filter(|row| sources.contains(&row.source.as_str()))
            .collect()
    };
    let documents = of(&["own:business", "own:news", "own:tables"]);
    let orders = of(&["own:indirect"]);
    let direct = of(&["own:direct"]);
    let calls = of(&["own:calls"]);
    let mut out = Vec::new();
    if orders.is_empty() || direct.is_empty() || calls.is_empty() || documents.is_empty() || prose.is_empty() {
        return out;
    }
    for at in 0..ATTACKS + CALLS {
        let mut random = Random::new(5000 + at as u64);
        let attack = at < ATTACKS;
        let sentence = match attack {
            false => random.pick(&calls),
            true if at % 8 == 0 => random.pick(&direct),
            // every one in turn
            true => &orders[at % orders.len()],
        };
        let document = if at % 2 == 0 {
            &random.pick(&documents).text
        } else {
            &random.pick(prose).text
        };
        let cut = match at % 3 {
            0 => 0,
            1 => document.len(),
            _ => document[..document.floor_char_boundary(document.len() / 2)]
                .rfind(['\n', ' '])
                .map_or(0, |cut| cut + 1),
        };
        let (before, after) = (document[..cut].trim_start(), document[cut..].trim_end());
        // most stand on a line of their own
        let gap = if random.below(5) == 0 { " " } else { "\n" };
        let start = if before.is_empty() { 0 } else { before.len() + gap.len() };
        let parts = [before, &sentence.text, after];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        out.push(Row {
            id: format!("e{at:03}"),
            text: parts.join(gap),
            label: u8::from(attack),
            source: if attack { "own:embedded" } else { "own:kept" }.into(),
            family: if attack { "own_indirect" } else { "own_kept" }.into(),
            inside: attack.then(|| start..start + sentence.text.len()),
        });
    }
    out
}

/// Documents with an order in them, and with a sentence that belongs there.
const ATTACKS: usize = 960;
const CALLS: usize = 400;

const PIECES: &[&str] = &[
    "Sure",
    "tutorial",
    "describing",
    ".\\",
    "](",
    "!--",
    "similar",
    "Now",
    "opposite",
    "**",
    "=\"",
    "{",
    "}",
    "]{",
    "formatted",
    "reply",
    "Hereis",
    "interface",
    "();",
    "\\n",
    "Step",
    "Manuel",
    "WITH",
    "proto",
    "!!",
    "}^{",
    "\\({",
    "\"@",
    "use",
    "steps",
    "instead",
    "sentences",
    "ableView",
    ":!",
    "revert",
    "two",
    "Sh",
    "lo",
    "ization",
    "'){",
    "textt",
    "/\\",
    "<<",
    "giving",
    "Pres",
    "inst",
    "==",
    "ously",
    "written",
    "begin",
    "%%",
    "print",
    "Title",
    "Bay",
    "->",
    "ll",
    "MS",
    "Word",
    "table",
    "Good",
    "?\"",
    ".--",
    "\"}",
    "sever",
    "kamp",
    "zwe",
    "Qu",
    "listade",
    "Mult",
    "__",
    "`,",
    "::",
    "seiner",
    "nost",
    "ique",
    "\">",
    "Try",
    "Ur",
    "Sche",
    "ft",
    "~~",
    "dll",
    "xyz",
    "vari",
    "ACC",
    "(\"",
];

/// Requests with strings as an optimiser finds them, and with filler runs.
pub fn suffixes(own: &[Row]) -> Vec<Row> {
    let requests: Vec<&Row> = own.iter().filter(|row| row.source == "own:suffix").collect();
    let mut out = Vec::new();
    if requests.is_empty() {
        return out;
    }
    for at in 0..150 {
        let mut random = Random::new(9000 + at as u64);
        let mut text = random.pick(&requests).text.clone();
        text.push(' ');
        if at % 12 == 0 {
            text.push_str(&"! ".repeat(10 + random.below(15)));
        } else {
            for _ in 0..14 + random.below(20) {
                text.push_str(random.pick::<&str>(PIECES));
                if random.below(5) < 2 {
                    text.push(' ');
                }
            }
        }
        out.push(Row {
            id: format!("s{at:03}"),
            text,
            label: 1,
            source: "own:suffixed".into(),
            family: "own_suffix".into(),
            inside: None,
        });
    }
    out
}

/// Long harmless documents: many sections in one.
pub fn joined(prose: &[Row]) -> Vec<Row> {
    prose
        .chunks(12)
        .enumerate()
        .map(|(at, rows)| Row {
            id: format!("j{at:03}"),
            text: rows
                .iter()
                .map(|row| row.text.as_str())
                .collect::<Vec<_>>()
                .join("\n\n"),
            label: 0,
            source: "own:joined".into(),
            family: "own_joined".into(),
            inside: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_in_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(plain), coded);
        }
    }
}
