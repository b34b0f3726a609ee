//! DICOM files.

use cofferdam_inside::inside::LimitName;

use super::{Case, Want, case};
use crate::common::eicar;
use crate::common::make::{self, Dicom, Entry};

const EXPLICIT: Dicom = Dicom::Explicit;

/// A sound file, most of which is its pixels.
pub fn sound() -> Vec<u8> {
    EXPLICIT.file(&[
        EXPLICIT.element(0x0010_0010, b"PN", b"Halloran^P"),
        EXPLICIT.element(0x7fe0_0010, b"OW", &[7; 4_000]),
    ])
}

/// Sequences in items in sequences, without an end.
fn nested(levels: usize) -> Vec<u8> {
    let sequence = EXPLICIT.said(0x0008_1110, b"SQ", u32::MAX, b"");
    let item = EXPLICIT.said(0xfffe_e000, b"SQ", u32::MAX, b"");
    EXPLICIT.file(&[[sequence, item].concat().repeat(levels)])
}

pub fn dicoms() -> Vec<Case> {
    let name = EXPLICIT.element(0x0010_0010, b"PN", b"Halloran^P");
    let date = |number: usize| EXPLICIT.element(0x0008_0020, b"DA", format!("{number:08}").as_bytes());
    let document = EXPLICIT.file(&[
        EXPLICIT.element(0x0042_0011, b"OB", &make::zip(&[Entry::new("in.txt", &eicar())])),
        name.clone(),
    ]);
    let mut both = make::zip(&[Entry::stored("a.txt", &[b'a'; 200])]);
    both[128..132].copy_from_slice(b"DICM");
    let zeros = [EXPLICIT.element(0x7fe0_0010, b"OW", &vec![0; 120 << 20])];
    vec![
        case("sound.dcm", sound(), Want::Text("Halloran P")),
        case(
            "document.dcm",
            document.clone(),
            Want::Signature("document.dcm!/document!/in.txt"),
        ),
        case(
            "packed.zip",
            make::zip(&[Entry::new("a.dcm", &document)]),
            Want::Signature("packed.zip!/a.dcm!/document!/in.txt"),
        ),
        case("nested.dcm", nested(200_000), Want::Rule("structure/nesting")),
        case("bomb.dcm", Dicom::Deflated.file(&zeros), Want::Limit(LimitName::Ratio)),
        case(
            "many.dcm",
            EXPLICIT.file(&(0..400_000).map(date).collect::<Vec<_>>()),
            Want::Text("0000-00-15"),
        ),
        case(
            "again.dcm",
            EXPLICIT.file(&vec![name.clone(); 400_000]),
            Want::Clean("Halloran P"),
        ),
        case(
            "long.dcm",
            EXPLICIT.file(&[EXPLICIT.said(0x0040_a160, b"UT", u32::MAX - 1, b"x")]),
            Want::Limit(LimitName::PartBytes),
        ),
        case("both.dcm", both, Want::Rule("polyglot/two-formats")),
        case("empty.dcm", EXPLICIT.file(&[]), Want::Clean("")),
        case("headless.dcm", [vec![0; 128], b"DICM".to_vec()].concat(), Want::Refused),
    ]
}
