//! Archives.

use cofferdam_inside::inside::LimitName;

use super::{Case, Want, case};
use crate::common::eicar;
use crate::common::make::{self, Entry};

fn nested_zip(levels: usize) -> Vec<u8> {
    let mut bytes = make::zip(&[Entry::new("x.txt", b"deep")]);
    for _ in 0..levels {
        bytes = make::zip(&[Entry::stored("inner.zip", &bytes)]);
    }
    bytes
}

/// Members that quote the headers of those behind them, so that one kernel is unpacked many times (Fifield 2019), in its simple form:
/// many directory entries for one local header.
fn overlapping(count: usize) -> Vec<u8> {
    let kernel = Entry::new("0", &vec![0; 4 << 20]);
    let again = Entry {
        at: Some(0),
        ..kernel.clone()
    };
    let mut entries = vec![kernel];
    entries.extend((1..count).map(|number| Entry {
        name: number.to_string().into(),
        ..again.clone()
    }));
    make::zip(&entries)
}

pub fn archives() -> Vec<Case> {
    let plain = Entry::new("a.txt", b"hello there");
    let lie = |change: fn(&mut Entry)| {
        let mut entry = Entry::new("a.txt", b"hello there, this is a text of some length");
        change(&mut entry);
        make::zip(&[entry])
    };
    let sound = make::zip(std::slice::from_ref(&plain));
    let mut flipped = make::zip(&[Entry::stored("a.txt", b"hello there")]);
    flipped[36] ^= 1;
    let mut link = Entry::stored("link", b"../../etc/passwd");
    link.mode = 0o120_777;
    let gzip = make::gzip(b"hello there");
    let mut lying_gzip = gzip.clone();
    let end = lying_gzip.len();
    lying_gzip[end - 1] ^= 0x40;
    let tar = |name: &str, flag: u8, target: &str| make::tar(&[make::tar_entry(name, flag, target, b"")]);
    let bomb = vec![0; 64 << 20];
    vec![
        case("sound.zip", sound.clone(), Want::Clean("")),
        case(
            "flat-bomb.zip",
            make::zip(&[Entry::new("zeros", &bomb)]),
            Want::Rule("archive/bomb"),
        ),
        case(
            "nested-bomb.zip",
            make::zip(&[Entry::stored("in.zip", &make::zip(&[Entry::new("zeros", &bomb)]))]),
            Want::Rule("archive/bomb"),
        ),
        case(
            "zipped-bomb.zip",
            make::zip(&[Entry::new("in.zip", &make::zip(&vec![Entry::new("zeros", &bomb); 20]))]),
            Want::Rule("archive/bomb"),
        ),
        case("overlapping.zip", overlapping(1_000), Want::Rule("archive/overlap")),
        case("deep.zip", nested_zip(40), Want::Limit(LimitName::Depth)),
        case(
            "many.zip",
            make::zip(&vec![Entry::stored("x", b""); 30_000]),
            Want::Limit(LimitName::Entries),
        ),
        case(
            "traversal.zip",
            make::zip(&[Entry::new("../../x", b"x")]),
            Want::Rule("archive/path-traversal"),
        ),
        case(
            "backslash.zip",
            make::zip(&[Entry::new("..\\..\\x", b"x")]),
            Want::Rule("archive/path-traversal"),
        ),
        case(
            "absolute.zip",
            make::zip(&[Entry::new("/etc/cron.d/x", b"x")]),
            Want::Rule("archive/absolute-path"),
        ),
        case(
            "drive.zip",
            make::zip(&[Entry::new("C:\\x", b"x")]),
            Want::Rule("archive/absolute-path"),
        ),
        case(
            "nul.zip",
            make::zip(&[Entry::new("a.txt\0.exe", b"x")]),
            Want::Rule("archive/odd-name"),
        ),
        case(
            "turned.zip",
            make::zip(&[Entry::new("a\u{202e}txt.exe", b"x")]),
            Want::Rule("archive/odd-name"),
        ),
        case("link.zip", make::zip(&[link]), Want::Rule("archive/link-outside")),
        case(
            "twice.zip",
            make::zip(&[plain.clone(), Entry::new("a.txt", b"other")]),
            Want::Rule("archive/duplicate-name"),
        ),
        case(
            "locked.zip",
            lie(|entry| entry.flags = 1),
            Want::Rule("not-checked/encrypted"),
        ),
        case(
            "ppmd.zip",
            lie(|entry| entry.method = 98),
            Want::Rule("not-checked/compression"),
        ),
        case(
            "short-size.zip",
            lie(|entry| (entry.size, entry.local_size) = (5, 5)),
            Want::Rule("structure/size"),
        ),
        case(
            "long-size.zip",
            lie(|entry| (entry.size, entry.local_size) = (500, 500)),
            Want::Rule("structure/size"),
        ),
        case("bad-crc.zip", flipped, Want::Rule("structure/checksum")),
        case(
            "two-names.zip",
            lie(|entry| entry.local_name = b"b.exe".to_vec()),
            Want::Rule("structure/header-mismatch"),
        ),
        case(
            "two-sizes.zip",
            lie(|entry| entry.local_size = 7),
            Want::Rule("structure/header-mismatch"),
        ),
        case("cut.zip", sound[..sound.len() - 30].to_vec(), Want::Refused),
        case(
            "after.zip",
            [&sound[..], b"hidden words"].concat(),
            Want::Rule("polyglot/trailing-data"),
        ),
        case(
            "before.zip",
            make::zip_after(b"some words before it", std::slice::from_ref(&plain)),
            Want::Rule("polyglot/leading-data"),
        ),
        case(
            "program.zip",
            make::zip(&[Entry::new("tool", b"\x7fELF\x02\x01\x01\0\0\0\0\0")]),
            Want::Rule("archive/executable"),
        ),
        case(
            "script.zip",
            make::zip(&[Entry::new("invoice.pdf.vbs", b"WScript.Echo 1")]),
            Want::Rule("archive/executable"),
        ),
        case(
            "disguised.zip",
            make::zip(&[Entry::new("photo.jpg", b"\x7fELF\x02\x01\x01\0\0\0\0\0")]),
            Want::Rule("archive/disguised-executable"),
        ),
        case(
            "misnamed.zip",
            make::zip(&[Entry::new("photo.png", &make::gif())]),
            Want::Rule("archive/name-mismatch"),
        ),
        case(
            "page.zip",
            make::zip(&[Entry::new("x.html", b"<html><body onload = 'go()'>")]),
            Want::Rule("active/script"),
        ),
        case("sound.gz", gzip.clone(), Want::Clean("")),
        case(
            "two.gz",
            [gzip.clone(), make::gzip(&eicar())].concat(),
            Want::Signature("two"),
        ),
        case("lying.gz", lying_gzip, Want::Refused),
        case("cut.gz", gzip[..gzip.len() - 9].to_vec(), Want::Refused),
        case(
            "after.gz",
            [&gzip[..], b"words"].concat(),
            Want::Rule("polyglot/trailing-data"),
        ),
        case("bomb.gz", make::gzip(&bomb), Want::Rule("archive/bomb")),
        case(
            "sound.tar",
            make::tar(&[make::tar_entry("a/b.txt", b'0', "", b"hello")]),
            Want::Clean(""),
        ),
        case(
            "traversal.tar",
            tar("../x", b'0', ""),
            Want::Rule("archive/path-traversal"),
        ),
        case("absolute.tar", tar("/x", b'0', ""), Want::Rule("archive/absolute-path")),
        case(
            "link.tar",
            tar("a", b'2', "/etc/passwd"),
            Want::Rule("archive/link-outside"),
        ),
        case(
            "hard-link.tar",
            tar("a", b'1', "../../x"),
            Want::Rule("archive/link-outside"),
        ),
        case("inner-link.tar", tar("a/b/c", b'2', "../d"), Want::Rule("archive/link")),
        case("device.tar", tar("a", b'3', ""), Want::Rule("archive/device")),
        case(
            "cut.tar",
            make::tar_sized("a", b'0', "", b"hello", 1 << 20),
            Want::Refused,
        ),
        case(
            "huge.tar",
            make::tar_sized("a", b'0', "", b"hello", (1 << 33) - 1),
            Want::Refused,
        ),
        case(
            "bad-sum.tar",
            {
                let mut bytes = make::tar(&[
                    make::tar_entry("a", b'0', "", b"x"),
                    make::tar_entry("b", b'0', "", b"x"),
                ]);
                bytes[1_024] = b'c';
                bytes
            },
            Want::Rule("structure/checksum"),
        ),
        case(
            "packed.tar.gz",
            make::gzip(&make::tar(&[make::tar_entry("x", b'0', "", &eicar())])),
            Want::Signature("packed.tar.gz!/packed.tar!/x"),
        ),
    ]
}
