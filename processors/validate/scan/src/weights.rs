//! The line for people in the head of a file of weights: what it is, its version, its licence.

/// Its bytes, padded with spaces.
pub(crate) const ABOUT: usize = 160;

/// The line for the weights `name`, made by version `version` of their trainer from the data in `folder`.
pub(crate) fn about(name: &str, version: &str, folder: &str) -> [u8; ABOUT] {
    let line = format!(
        " cofferdam {name} {version}; licence MIT OR Apache-2.0; trained on {folder}, each set under its own licence, see LICENCE there"
    );
    let mut bytes = [b' '; ABOUT];
    for (byte, letter) in bytes.iter_mut().zip(line.bytes()) {
        *byte = letter;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_fit() {
        for (name, folder) in [("phi-tagger", "data/phi"), ("injection.model", "data/injection")] {
            let line = about(name, "10.10.10", folder);
            assert!(line.is_ascii() && line.trim_ascii().ends_with(b"LICENCE there"));
        }
    }
}
