//! What is handed over of DICOM files, and what is said of them.

use std::io::Read;

use cofferdam_inside::inside::{
    Cell, Column, Kind, Limits, Member, Place, Problem, Source, Table, Value, Visitor, look,
};

use crate::common::make::Dicom;

#[derive(Default)]
struct All {
    cells: Vec<(String, String)>,
    people: Vec<String>,
    texts: Vec<(String, usize)>,
    members: Vec<(String, Vec<u8>)>,
    problems: Vec<String>,
}

impl Visitor for All {
    fn member(&mut self, member: &Member, bytes: &mut dyn Read) {
        let mut all = Vec::new();
        bytes.read_to_end(&mut all).unwrap();
        self.members.push((member.place.to_string(), all));
    }

    fn text(&mut self, place: &Place, text: &str) {
        self.texts.push((place.to_string(), text.len()));
    }

    fn row(&mut self, table: &Table, row: u64, cells: &[Cell<'_>]) {
        assert_eq!(row, 0, "all are one row");
        for (column, value) in cells {
            let Value::Text(text) = value else { panic!("{value:?}") };
            let column = &table.columns[*column as usize];
            if column.logical.as_deref() == Some(Column::PERSON) {
                self.people.push(column.path.clone());
            }
            self.cells.push((column.path.clone(), (*text).to_owned()));
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem.rule.into_owned());
    }
}

fn all(bytes: &[u8]) -> All {
    let mut all = All::default();
    let kind = look(
        Source::memory(bytes.to_vec()),
        "a.dcm",
        None,
        &Limits::default(),
        &mut all,
    );
    assert_eq!(kind, Kind::Dicom);
    all
}

#[track_caller]
fn cells(bytes: &[u8], expected: &[(&str, &str)], problems: &[&str]) {
    let all = all(bytes);
    let cells: Vec<_> = all
        .cells
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert_eq!(cells, expected);
    assert_eq!(all.problems, problems);
}

const EVERY: [Dicom; 4] = [Dicom::Implicit, Dicom::Explicit, Dicom::Big, Dicom::Deflated];

#[test]
fn a_patient_is_read_in_every_syntax() {
    for syntax in EVERY {
        let file = syntax.patient("Okonkwo^Margarethe^^Dr", "call before visit");
        cells(
            &file,
            &[
                ("PatientName", "Okonkwo Margarethe Dr"),
                ("PatientBirthDate", "1932-03-15"),
                ("PatientAge", "94"),
                ("PatientComments", "call before visit"),
                ("(0029,1001)", "kept by the maker"),
                ("ScheduledPerformingPhysicianName", "Marchetti Lucia"),
            ],
            &["not-checked/pixels"],
        );
        assert_eq!(all(&file).people, ["PatientName", "ScheduledPerformingPhysicianName"]);
    }
}

#[test]
fn sequences_may_end_with_delimiters() {
    for syntax in EVERY {
        let name = syntax.element(0x0010_0010, b"PN", b"Halloran^P");
        let open = |tag, what: &[u8; 2]| syntax.said(tag, what, u32::MAX, b"");
        let close = |tag| syntax.said(tag, b"SQ", 0, b"");
        let inner = [
            open(0x0008_1120, b"SQ"),
            open(0xfffe_e000, b"SQ"),
            name.clone(),
            close(0xfffe_e00d),
            close(0xfffe_e0dd),
        ]
        .concat();
        let file = syntax.file(&[
            open(0x0008_1110, b"SQ"),
            open(0xfffe_e000, b"SQ"),
            inner,
            close(0xfffe_e00d),
            close(0xfffe_e0dd),
            syntax.element(0x0010_0020, b"LO", b"MRN 7"),
        ]);
        cells(&file, &[("PatientName", "Halloran P"), ("PatientID", "MRN 7")], &[]);
    }
}

/// A sequence of an unknown representation is written without any (PS3.5, 6.2.2).
#[test]
fn an_unknown_sequence_is_implicit() {
    let item = Dicom::Implicit.element(0x0010_0010, b"PN", b"Halloran^P");
    let items = [
        Dicom::Implicit.said(0xfffe_e000, b"SQ", item.len() as u32, &item),
        Dicom::Implicit.said(0xfffe_e0dd, b"SQ", 0, b""),
    ];
    let file = Dicom::Explicit.file(&[
        Dicom::Explicit.said(0x0009_1002, b"UN", u32::MAX, &items.concat()),
        Dicom::Explicit.element(0x0010_0020, b"LO", b"MRN 7"),
    ]);
    cells(&file, &[("PatientName", "Halloran P"), ("PatientID", "MRN 7")], &[]);
}

/// Where nothing says how a value is written, a sequence shows it by its first item, wherever in the file that is.
#[test]
fn sequences_are_seen_at_every_place() {
    for before in 8_100..8_200 {
        let implicit = Dicom::Implicit;
        let item = implicit.element(0x0010_0010, b"PN", b"Halloran^P");
        let items = implicit.said(0xfffe_e000, b"SQ", item.len() as u32, &item);
        let file = implicit.file(&[
            implicit.said(0x0009_1001, b"UN", before, &vec![1; before as usize]),
            implicit.said(0x0040_0275, b"SQ", items.len() as u32, &items),
        ]);
        cells(&file, &[("PatientName", "Halloran P")], &[]);
    }
}

#[test]
fn letters_are_those_of_the_character_set() {
    let file = |set: &[u8], name: &[u8]| {
        Dicom::Explicit.file(&[
            Dicom::Explicit.element(0x0008_0005, b"CS", set),
            Dicom::Explicit.element(0x0010_0010, b"PN", name),
        ])
    };
    cells(
        &file(b"ISO_IR 100", b"B\xfchler^J"),
        &[("PatientName", "Bühler J")],
        &[],
    );
    cells(
        &file(b"ISO_IR 192", "Bühler^J".as_bytes()),
        &[("PatientName", "Bühler J")],
        &[],
    );
    let japanese = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B";
    cells(
        &file(b"\\ISO 2022 IR 87", japanese),
        &[("PatientName", "Yamada Tarou"), ("PatientName", "山田 太郎")],
        &[],
    );
}

#[test]
fn a_document_in_it_is_a_file() {
    let pdf = b"%PDF-1.4\n%%EOF\n\n";
    let file = Dicom::Explicit.file(&[
        Dicom::Explicit.element(0x0042_0011, b"OB", pdf),
        Dicom::Explicit.element(0x0042_0012, b"LO", b"application/pdf"),
        Dicom::Explicit.element(0x0070_0084, b"PN", b"Singh^R"),
    ]);
    let all = all(&file);
    assert_eq!(all.members, [("a.dcm!/document.pdf".to_owned(), pdf.to_vec())]);
    assert_eq!(
        all.cells.last().unwrap(),
        &("ContentCreatorName".to_owned(), "Singh R".to_owned())
    );
}

#[test]
fn long_values_are_texts_and_what_stands_again_is_said_once() {
    let long = "word ".repeat(2_000);
    let frame = Dicom::Explicit.element(0x0008_002a, b"DT", b"20260114101500.5+0100");
    let file = Dicom::Explicit.file(&[
        frame.clone(),
        frame,
        Dicom::Explicit.element(0x0040_a160, b"UT", long.as_bytes()),
        Dicom::Explicit.element(0x0040_a160, b"UT", b"short"),
    ]);
    let all = all(&file);
    assert_eq!(all.texts, [("a.dcm!/TextValue".to_owned(), long.trim_end().len())]);
    assert_eq!(
        all.cells[0],
        ("AcquisitionDateTime".to_owned(), "2026-01-14".to_owned())
    );
    assert_eq!(all.cells.len(), 2);
}

#[test]
fn what_the_picture_shows_is_said() {
    let burned = |said: &[u8]| Dicom::Explicit.file(&[Dicom::Explicit.element(0x0028_0301, b"CS", said)]);
    cells(&burned(b"NO"), &[], &[]);
    cells(&burned(b"YES"), &[], &["phi/burned-in"]);
    let pieces = [
        Dicom::Explicit.said(0xfffe_e000, b"SQ", 0, b""),
        Dicom::Explicit.said(0xfffe_e000, b"SQ", 4, b"\xff\xd8\xff\xd9"),
        Dicom::Explicit.said(0xfffe_e0dd, b"SQ", 0, b""),
    ];
    let packed = Dicom::Explicit.file(&[
        Dicom::Explicit.said(0x7fe0_0010, b"OB", u32::MAX, &pieces.concat()),
        Dicom::Explicit.element(0xfffc_fffc, b"OB", &[0; 8]),
    ]);
    cells(&packed, &[], &["not-checked/pixels"]);
}

#[test]
fn a_broken_file_is_told_and_what_was_read_is_kept() {
    let name = Dicom::Explicit.element(0x0010_0010, b"PN", b"Halloran^P");
    let kept: &[(&str, &str)] = &[("PatientName", "Halloran P")];
    let with = |more: Vec<u8>| Dicom::Explicit.file(&[name.clone(), more]);
    cells(
        &with(Dicom::Explicit.said(0x0010_4000, b"LT", 900, b"cut")),
        kept,
        &["structure/truncated"],
    );
    let pixels = with(Dicom::Explicit.said(0x7fe0_0010, b"OW", 0xffff_fff0, b""));
    cells(&pixels, kept, &["structure/truncated", "not-checked/pixels"]);
    cells(
        &with(b"\x10\0\x20\0\x01\x02\x03\x04".to_vec()),
        kept,
        &["structure/broken"],
    );
    let lost = Dicom::Explicit.said(
        0x0008_1110,
        b"SQ",
        u32::MAX,
        &Dicom::Explicit.said(0xfffe_e000, b"SQ", u32::MAX, b""),
    );
    cells(&with(lost), kept, &["structure/truncated"]);
    let over = Dicom::Explicit.said(0xfffe_e000, b"SQ", 8, &name);
    cells(
        &with(Dicom::Explicit.said(0x0008_1110, b"SQ", 16, &over)),
        kept,
        &["structure/broken"],
    );
    let mut program = Dicom::Explicit.file(&[name]);
    program[..2].copy_from_slice(b"MZ");
    cells(&program, kept, &["polyglot/two-formats"]);
}
