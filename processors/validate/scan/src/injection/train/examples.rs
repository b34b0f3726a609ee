//! Own examples: templates with slots, expanded the same way every time.

use std::collections::{BTreeMap, BTreeSet};

use super::data::Row;
use super::random::Random;
use crate::injection::InjectionError;

struct Section {
    family: String,
    label: u8,
    source: String,
    draws: usize,
    lines: Vec<(usize, String)>,
}

/// Expands the file; its head says how it is written.
///
/// # Errors
/// The first line that is wrong.
pub fn expand(text: &str) -> Result<Vec<Row>, InjectionError> {
    let mut slots: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut sections: Vec<Section> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let wrong = |reason: &str| InjectionError::Examples {
            line: at + 1,
            reason: reason.to_owned(),
        };
        // a text may begin like a heading; then it has more than one line
        let comment = line == "#" || line.starts_with("# ") && (sections.is_empty() || !line.contains("\\n"));
        if line.trim().is_empty() || comment {
            continue;
        }
        if let Some(slot) = line.strip_prefix("@slot ") {
            let (name, values) = slot
                .split_once(" = ")
                .ok_or_else(|| wrong("takes @slot name = a | b"))?;
            slots.insert(name.to_owned(), values.split(" | ").map(str::to_owned).collect());
        } else if let Some(head) = line.strip_prefix("[own_").and_then(|head| head.strip_suffix(']')) {
            let parts: Vec<&str> = head.split(' ').collect();
            let [family, label, source, draws] = parts[..] else {
                return Err(wrong("takes [family label source n]"));
            };
            sections.push(Section {
                family: format!("own_{family}"),
                label: label.parse().map_err(|_| wrong("label takes 0 or 1"))?,
                source: source.to_owned(),
                draws: draws.parse().map_err(|_| wrong("n takes a number"))?,
                lines: Vec::new(),
            });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push((at + 1, line.replace("\\n", "\n")));
        } else {
            return Err(wrong("a text before the first section"));
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut seen = BTreeSet::new();
    for section in &sections {
        let mut random = Random::new(17 + section.draws as u64);
        let draws = if section.draws == 0 {
            section.lines.len()
        } else {
            section.draws
        };
        for draw in 0..draws {
            // every line in turn, so that no template is left out
            let (line, template) = &section.lines[draw % section.lines.len().max(1)];
            let text = fill(template, &slots, &mut random).map_err(|name| InjectionError::Examples {
                line: *line,
                reason: format!("no slot {name}"),
            })?;
            if seen.insert(text.clone()) {
                rows.push(Row {
                    id: format!("o{:04}", rows.len()),
                    text,
                    label: section.label,
                    source: section.source.clone(),
                    family: section.family.clone(),
                    inside: None,
                });
            }
        }
    }
    Ok(rows)
}

fn fill(template: &str, slots: &BTreeMap<String, Vec<String>>, random: &mut Random) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..at + 1];
        rest = &rest[at + 1..];
        if rest.starts_with(brace) {
            out.push_str(brace);
            rest = &rest[1..];
            continue;
        }
        let (name, after) = rest
            .split_once('}')
            .ok_or_else(|| rest.chars().take(12).collect::<String>())?;
        let values = slots.get(name).ok_or_else(|| name.to_owned())?;
        out.push_str(random.pick::<String>(values));
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::injection::train::data::OWN;

    #[test]
    fn the_own_file_expands_the_same_way_twice() {
        let one = expand(OWN).unwrap();
        let two = expand(OWN).unwrap();
        assert!(one.len() > 1500, "{}", one.len());
        assert!(one.iter().zip(&two).all(|(a, b)| a.text == b.text));
        assert!(one.iter().all(|row| row.label < 2));
    }

    #[test]
    fn a_missing_slot_is_named_with_its_line() {
        let error = expand("[own_x 0 own:x 1]\nsee {nowhere}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2 of the own examples is refused: no slot nowhere"
        );
    }
}
