//! Every rule of the engine: what it is called, how grave it is, what it means.

use cofferdam_schemas::Severity;

use super::problem::Class;

/// One rule. Texts are empty where there is nothing to say.
#[derive(Debug)]
pub struct Rule {
    /// `<category>/<name>`.
    pub name: &'static str,
    /// What it means for the verdict.
    pub class: Class,
    /// How grave.
    pub severity: Severity,
    /// 0 to 1.
    pub confidence: f32,
    /// One sentence for a person.
    pub message: &'static str,
    /// What to do about it.
    pub remediation: &'static str,
    /// The standard, weakness or technique behind it.
    pub citation: &'static str,
}

/// The table below: a constant for each rule, and the list of all.
macro_rules! rules {
    ($($constant:ident $name:literal $class:ident $severity:ident $confidence:literal
        $message:literal $remediation:literal $citation:literal;)*) => {
        $(pub(crate) const $constant: Rule = Rule {
            name: $name,
            class: Class::$class,
            severity: Severity::$severity,
            confidence: $confidence,
            message: $message,
            remediation: $remediation,
            citation: $citation,
        };)*

        /// All of them, in the order in which they are written.
        pub static RULES: &[Rule] = &[$($constant),*];
    };
}

rules! {
    BROKEN "structure/broken" Damaged Medium 1.0
        "the file breaks the rules of its format"
        "ask for the file again" "";
    NOT_FORMAT "structure/not-the-format" Damaged Medium 0.9
        "the content is not of the format that the name promises"
        "ask for the file again" "CWE-434";
    TRUNCATED "structure/truncated" Damaged Medium 1.0
        "the file ends before its format says it does"
        "ask for the file again" "";
    CHECKSUM "structure/checksum" Damaged High 1.0
        "the content does not match the checksum that the format stores with it"
        "ask for the file again" "";
    SIZE_LIE "structure/size" Damaged High 1.0
        "a stored size is not the true one"
        "do not open it with software that trusts sizes" "CWE-130";
    HEADERS_DIFFER "structure/header-mismatch" Damaged High 0.9
        "two headers describe one member differently, so that programs disagree on what it is"
        "do not open it" "CWE-436";
    TOO_DEEP "structure/nesting" Damaged Medium 1.0
        "elements are nested deeper than any sound document does"
        "do not open it" "CWE-674";
    ENTITIES "structure/xml-entities" Damaged High 1.0
        "the XML declares entities or a document type, which office formats forbid and bombs use"
        "do not open it" "ECMA-376 part 2, 8.1; CWE-776";
    PARSER_PANIC "structure/parser" Damaged Medium 0.9
        "the parser of this format gave up in a way it should not"
        "ask for the file again" "";
    LOOP "structure/loop" Damaged High 1.0
        "parts of the file refer to each other in a circle"
        "do not open it" "CWE-835";
    BOMB "archive/bomb" Danger High 0.95
        "a small member unpacks to so much that it can only be meant to exhaust the reader"
        "do not unpack it" "CWE-409";
    OVERLAP "archive/overlap" Danger High 1.0
        "members share the same bytes, as in a bomb or a file that shows different content to different programs"
        "do not unpack it" "CWE-409; Fifield, A better zip bomb, WOOT 2019";
    TRAVERSAL "archive/path-traversal" Danger High 1.0
        "a member's name leads out of the folder it is unpacked to"
        "do not unpack it" "CWE-22";
    ABSOLUTE "archive/absolute-path" Danger High 1.0
        "a member's name is an absolute path"
        "do not unpack it" "CWE-36";
    ODD_NAME "archive/odd-name" Danger Medium 0.9
        "a member's name holds control characters or turns the direction of writing"
        "look at the name before unpacking" "CWE-451";
    LINK "archive/link" Danger Low 1.0
        "a member is a link"
        "unpack it with a program that ignores links" "CWE-59";
    LINK_OUT "archive/link-outside" Danger High 1.0
        "a link leads out of the folder it is unpacked to"
        "do not unpack it" "CWE-59";
    DEVICE "archive/device" Danger High 1.0
        "a member is a device or a pipe"
        "do not unpack it" "CWE-59";
    DUPLICATE "archive/duplicate-name" Danger Medium 1.0
        "two members have the same name, so that programs disagree on which counts"
        "do not unpack it" "CWE-694";
    EXECUTABLE "archive/executable" Danger Medium 1.0
        "a member is a program or a script that a double click runs"
        "do not run it" "";
    DISGUISED "archive/disguised-executable" Danger High 1.0
        "a member is a program under the name of something harmless"
        "do not open it" "CWE-451";
    MISNAMED "archive/name-mismatch" Danger Medium 0.9
        "a member's content is not what its name promises"
        "look at it before it is used" "CWE-434";
    SETUID "archive/setuid" Danger Medium 1.0
        "a member would be unpacked with the rights of another user"
        "do not unpack it as root" "CWE-732";
    SPARSE "archive/sparse" Danger Low 0.8
        "a member declares large holes that take room when unpacked"
        "check the size before unpacking" "CWE-409";
    POLYGLOT "polyglot/two-formats" Danger High 0.95
        "the file is valid in two formats at once, so that two programs see two documents"
        "do not pass it on" "CWE-434";
    LEADING "polyglot/leading-data" Danger Medium 0.9
        "there are bytes before the beginning of the format"
        "look at them" "";
    TRAILING "polyglot/trailing-data" Danger Medium 0.8
        "there are bytes after the end of the format"
        "look at them" "";
    PADDING "polyglot/padding" Danger Info 0.5
        "there are a few zero or blank bytes after the end of the format"
        "" "";
    HIDDEN "polyglot/gap" Danger Low 0.7
        "there are bytes between the members that no program shows"
        "look at them" "";
    MACROS "active/macros" Danger Medium 1.0
        "the document carries macros"
        "open it only if the sender is known and the macros are expected" "[MS-OVBA] 1.3";
    MACRO_READY "active/macro-enabled" Danger Low 0.9
        "the document declares that it carries macros, but has none"
        "" "ECMA-376 part 1; [MS-OFFMACRO2]";
    MACRO_AUTO "active/macro-autorun" Danger High 0.9
        "a macro runs by itself and starts programs, writes files or loads from the network"
        "do not open it" "[MS-OVBA]; MITRE ATT&CK T1059.005";
    XLM "active/xlm-macros" Danger High 1.0
        "the workbook has Excel 4.0 macro sheets"
        "do not open it" "[MS-XLS] 2.4.28; MITRE ATT&CK T1059";
    DDE "active/dde" Danger High 0.9
        "the document starts another program through DDE"
        "do not open it" "MITRE ATT&CK T1559.002";
    REMOTE_TEMPLATE "active/remote-template" Danger High 0.9
        "the document loads a template or an object from another place when it is opened"
        "do not open it" "MITRE ATT&CK T1221";
    EXTERNAL_LINK "active/external-link" Danger Low 1.0
        "the document takes data from other documents"
        "update no links when opening it" "ECMA-376 part 2, 9.3";
    EMBEDDED "active/embedded-object" Danger Low 1.0
        "the document carries an embedded object"
        "look at what is embedded" "[MS-OLEDS]";
    PACKAGE "active/ole-package" Danger High 0.9
        "the document carries a file packaged as an OLE object, which a double click runs"
        "do not click on it" "[MS-OLEDS] 2.3.6; MITRE ATT&CK T1204.002";
    EQUATION "active/equation-object" Danger High 0.8
        "the document carries an Equation Editor object, which was attacked for years"
        "do not open it" "CVE-2017-11882";
    ACTIVEX "active/activex" Danger Medium 0.9
        "the document carries ActiveX controls"
        "open it only in protected view" "";
    SCRIPT "active/script" Danger Medium 0.9
        "the page or picture carries scripts"
        "do not open it in a browser" "CWE-79";
    PDF_JS "active/pdf-javascript" Danger High 0.9
        "the PDF carries JavaScript"
        "open it in a reader without scripts" "ISO 32000-2, 12.6.4.17";
    PDF_LAUNCH "active/pdf-launch" Danger Critical 0.95
        "the PDF starts a program"
        "do not open it" "ISO 32000-2, 12.6.4.6";
    PDF_OPEN "active/pdf-open-action" Danger Low 0.8
        "the PDF does something by itself when it or a page of it is opened"
        "" "ISO 32000-2, 12.6.3";
    PDF_FILES "active/pdf-embedded-file" Danger Medium 1.0
        "the PDF carries other files"
        "look at the files" "ISO 32000-2, 7.11.4";
    PDF_SUBMIT "active/pdf-submit" Danger Medium 0.9
        "the PDF sends what is filled in to an address, or loads from one"
        "" "ISO 32000-2, 12.7.6";
    PDF_RICH "active/pdf-rich-media" Danger Medium 0.9
        "the PDF carries media or a program for an outdated player"
        "" "ISO 32000-2, 13.7";
    PDF_XFA "active/pdf-xfa" Danger Low 0.9
        "the PDF carries an XFA form, which may hold scripts"
        "" "ISO 32000-2, 12.7.8";
    RTF_OBJECT "active/rtf-object" Danger High 0.8
        "the RTF document carries an object"
        "do not open it" "MITRE ATT&CK T1203";
    GPS "phi/image-location" Danger Medium 0.95
        "the picture says where it was taken"
        "remove the metadata before it is passed on" "45 CFR 164.514(b)(2)(i)(B)";
    BURNED_IN "phi/burned-in" Danger High 0.9
        "the file says that the patient is told by text that is part of its picture"
        "blank that text before it is passed on" "DICOM PS3.3, C.7.6.1; 45 CFR 164.514(b)(2)(i)(R)";
    NO_PRJ "geo/no-projection" Danger Low 1.0
        "the shapefile does not say which coordinates it uses"
        "add the .prj file" "ESRI Shapefile Technical Description, 1998";
    GEO_INCONSISTENT "geo/inconsistent" Damaged Medium 1.0
        "the parts of the shapefile do not fit each other"
        "ask for the file again" "ESRI Shapefile Technical Description, 1998";
    GEO_BOUNDS "geo/bounds" Damaged Low 0.9
        "the shapes lie outside the bounds that the shapefile states"
        "ask for the file again" "ESRI Shapefile Technical Description, 1998";
    GEO_PART "geo/missing-part" Damaged Medium 1.0
        "a part that every shapefile needs is missing"
        "ask for the file again" "ESRI Shapefile Technical Description, 1998";
    ENCRYPTED "not-checked/encrypted" NotChecked Info 1.0
        "it is encrypted, so nothing in it was looked at"
        "ask for it without the password" "";
    METHOD "not-checked/compression" NotChecked Info 1.0
        "it is packed with a method that is not supported, so nothing in it was looked at"
        "" "";
    FORMAT "not-checked/format" NotChecked Info 1.0
        "this container format is not supported, so nothing in it was looked at"
        "" "";
    FILTER "not-checked/filter" NotChecked Info 1.0
        "a stream uses a filter that is not supported; its packed bytes were looked at"
        "" "";
    NO_TEXT "not-checked/text" NotChecked Info 1.0
        "the text of this format cannot be extracted; only its bytes were looked at"
        "" "";
    PIXELS "not-checked/pixels" NotChecked Info 1.0
        "text that is part of the picture cannot be read"
        "look at the picture" "DICOM PS3.15, E.3.1";
    FREE_PAGES "not-checked/free-pages" NotChecked Info 1.0
        "free pages of the database may still hold rows that were deleted; only their bytes were looked at"
        "run VACUUM before it is passed on" "SQLite Database File Format, 1.5";
    NOT_EXPANDED "not-checked/not-unpacked" NotChecked Info 1.0
        "members of a hostile archive were not unpacked"
        "" "";
    LIMIT "limit/reached" Limit Low 1.0
        "a bound was reached, so that not everything was looked at"
        "raise the bound if the document is trusted" "";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_well_formed() {
        let mut names: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
        for rule in RULES {
            assert!(
                rule.name.len() <= 80 && rule.name.matches('/').count() == 1,
                "{}",
                rule.name
            );
            assert!(!rule.message.is_empty() && (0.0..=1.0).contains(&rule.confidence));
        }
    }
}
