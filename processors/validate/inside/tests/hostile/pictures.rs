//! Pictures, maps, and the test file of EICAR in everything.

use cofferdam_inside::inside::LimitName;

use super::{Case, Want, case};
use crate::common::eicar;
use crate::common::make::{self, Entry};

pub fn pictures_and_maps() -> Vec<Case> {
    let huge = make::png(60_000, 60_000, &[]);
    let mut bad = make::png(1, 1, &[]);
    bad[20] ^= 1;
    let png = make::png(1, 1, &[make::png_chunk(b"tEXt", b"Comment\0taken by nobody")]);
    let gifar = make::zip_after(&make::gif(), &[Entry::new("META-INF/MANIFEST.MF", b"Main-Class: X\n")]);
    let [shp, shx, dbf] = make::shapefile(&[(1.0, 2.0), (3.0, 4.0)]);
    let map = |shp: &[u8], shx: &[u8], dbf: &[u8], prj: bool| {
        let mut entries = vec![
            Entry::new("w.shp", shp),
            Entry::new("w.shx", shx),
            Entry::new("w.dbf", dbf),
        ];
        if prj {
            entries.push(Entry::new("w.prj", b"GEOGCS[\"WGS 84\"]"));
        }
        make::zip(&entries)
    };
    let [other, ..] = make::shapefile(&[(1.0, 2.0)]);
    let [outside, ..] = make::shapefile(&[(1.0, 2.0), (30.0, 4.0)]);
    vec![
        case("sound.png", png.clone(), Want::Clean("taken by nobody")),
        case("huge.png", huge, Want::Limit(LimitName::Pixels)),
        case("bad-crc.png", bad, Want::Rule("structure/checksum")),
        case("cut.png", png[..40].to_vec(), Want::Refused),
        case(
            "after.png",
            [&png[..], b"words"].concat(),
            Want::Rule("polyglot/trailing-data"),
        ),
        case("sound.gif", make::gif(), Want::Clean("")),
        case("cut.gif", make::gif()[..25].to_vec(), Want::Refused),
        case("jar.gif", gifar, Want::Rule("polyglot/two-formats")),
        case("sound.jpg", make::jpeg(false), Want::Clean("")),
        case("place.jpg", make::jpeg(true), Want::Rule("phi/image-location")),
        case("cut.jpg", make::jpeg(true)[..70].to_vec(), Want::Refused),
        case(
            "pdf.jpg",
            [make::jpeg(false), make::pdf_page("x", "", &[])].concat(),
            Want::Rule("polyglot/two-formats"),
        ),
        case(
            "drawing.svg",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>x()</script></svg>".to_vec(),
            Want::Rule("active/script"),
        ),
        case(
            "quiet.svg",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><text>on a line = 1</text></svg>".to_vec(),
            Want::Clean(""),
        ),
        case("wards.zip", map(&shp, &shx, &dbf, true), Want::Clean("")),
        case(
            "no-prj.zip",
            map(&shp, &shx, &dbf, false),
            Want::Rule("geo/no-projection"),
        ),
        case(
            "counts.zip",
            map(&other, &shx, &dbf, true),
            Want::Rule("geo/inconsistent"),
        ),
        case("bounds.zip", map(&outside, &shx, &dbf, true), Want::Rule("geo/bounds")),
        case(
            "part.zip",
            make::zip(&[Entry::new("w.shp", &shp)]),
            Want::Rule("geo/missing-part"),
        ),
        case(
            "cut-map.zip",
            map(&shp[..120], &shx, &dbf, true),
            Want::Rule("geo/inconsistent"),
        ),
    ]
}

pub fn malware() -> Vec<Case> {
    let test = eicar();
    let inner = make::zip(&[Entry::new("c.txt", &test)]);
    let mut bz2 = Vec::new();
    std::io::copy(
        &mut bzip2::read::BzEncoder::new(&test[..], bzip2::Compression::best()),
        &mut bz2,
    )
    .unwrap();
    vec![
        case("a.zip", inner.clone(), Want::Signature("a.zip!/c.txt")),
        case(
            "a2.zip",
            make::zip(&[Entry::new("b.zip", &inner)]),
            Want::Signature("a2.zip!/b.zip!/c.txt"),
        ),
        case("a.txt.gz", make::gzip(&test), Want::Signature("a.txt.gz!/a.txt")),
        case("a.bz2", bz2, Want::Signature("a.bz2!/a")),
        case(
            "a.zst",
            zstd::encode_all(&test[..], 3).unwrap(),
            Want::Signature("a.zst!/a"),
        ),
        case(
            "a.tar",
            make::tar(&[make::tar_entry("x", b'0', "", &test)]),
            Want::Signature("a.tar!/x"),
        ),
        case(
            "before.zip",
            make::zip_after(&test, &[Entry::new("x", b"y")]),
            Want::Signature("bytes 0"),
        ),
        case(
            "lost.zip",
            {
                let bytes = make::zip(&[Entry::new("c.txt", &test)]);
                bytes[..bytes.len() - 40].to_vec()
            },
            Want::Signature("c.txt"),
        ),
        case("after.png", [make::png(1, 1, &[]), test].concat(), Want::Signature("")),
    ]
}
