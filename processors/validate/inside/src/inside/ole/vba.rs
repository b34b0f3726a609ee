//! The source code of macros ([MS-OVBA] 2.4.1).

/// Longest source of one module.
const SOURCE: usize = 8 << 20;

/// Names of procedures that run by themselves.
const AUTO: &[&str] = &[
    "autoexec",
    "autoopen",
    "auto_open",
    "autonew",
    "autoclose",
    "auto_close",
    "document_open",
    "document_close",
    "document_new",
    "documentopen",
    "workbook_open",
    "workbook_beforeclose",
    "workbook_activate",
    "presentation_open",
    "onslideshowpagechange",
];
/// Words that reach out of the document.
const REACH: &[&str] = &[
    "shell",
    "createobject",
    "getobject",
    "wscript",
    "powershell",
    "urldownloadtofile",
    "xmlhttp",
    "winhttp",
    "adodb.stream",
    "callbyname",
    "virtualalloc",
    "createthread",
    "regwrite",
    "filesystemobject",
    "open path for",
    "savetofile",
    "shellexecute",
    "environ(",
];

/// The source of a module: behind the compiled form stands a compressed container that always begins with the word `Attribute`.
pub(super) fn source(stream: &[u8]) -> Option<String> {
    let marker = b"\x00Attribut";
    let mut from = 0;
    while let Some(found) = stream
        .get(from..)?
        .windows(marker.len())
        .position(|window| window == marker)
    {
        let at = from + found;
        if at >= 3 && stream[at - 3] == 1 {
            let bytes = decompress(&stream[at - 3..])?;
            // Code pages are not looked up: letters beyond ASCII matter little in code.
            return Some(bytes.iter().map(|byte| char::from(*byte)).collect());
        }
        from = at + 1;
    }
    None
}

/// Unpacks a container; stops at what is broken.
fn decompress(container: &[u8]) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::new();
    let mut at = 1;
    while let Some(header) = container.get(at..at + 2) {
        let header = u16::from_le_bytes([header[0], header[1]]);
        if header & 0x7000 != 0x3000 || out.len() > SOURCE {
            break;
        }
        let end = (at + usize::from(header & 0x0fff) + 3).min(container.len());
        let body = container.get(at + 2..end)?;
        at = end;
        let start = out.len();
        if header & 0x8000 == 0 {
            out.extend_from_slice(body);
            continue;
        }
        if !chunk(body, start, &mut out) {
            break;
        }
    }
    (!out.is_empty()).then_some(out)
}

fn chunk(body: &[u8], start: usize, out: &mut Vec<u8>) -> bool {
    let mut at = 0;
    while at < body.len() {
        let flags = body[at];
        at += 1;
        for bit in 0..8 {
            if at >= body.len() || out.len() - start > 4_096 {
                break;
            }
            if flags >> bit & 1 == 0 {
                out.push(body[at]);
                at += 1;
                continue;
            }
            let Some(token) = body.get(at..at + 2) else {
                return false;
            };
            let token = u16::from_le_bytes([token[0], token[1]]);
            at += 2;
            // The split of the token depends on how much of the chunk is there (2.4.1.3.19.1).
            let done = out.len() - start;
            let bits = (usize::BITS - done.saturating_sub(1).leading_zeros()).clamp(4, 12);
            let length = usize::from(token & (0xffff >> bits)) + 3;
            let back = usize::from(token >> (16 - bits)) + 1;
            if back > done {
                return false;
            }
            for _ in 0..length {
                // `back` is at most what is there.
                out.push(out[out.len() - back]);
            }
        }
    }
    true
}

/// Whether the code runs by itself and uses something outside of the document.
pub(super) fn runs_and_reaches_out(code: &str) -> bool {
    let code = code.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
    has(AUTO) && has(REACH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_unpacks() {
        // [MS-OVBA] 3.2.3: normal compression.
        let packed =
            "012fb00023616161626364658266007061676869 6a013808616b6c00306d6e6f7006710270041072737475761077 78797a003c";
        let packed = hex::decode(packed.replace(' ', ""));
        let text = decompress(&packed.unwrap()).unwrap();
        assert_eq!(text, b"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa");
    }
}
