//! Office documents, PDF, Parquet.

use cofferdam_inside::inside::LimitName;

use super::{Case, Want, case};
use crate::common::eicar;
use crate::common::make::{self, Entry};

pub fn documents() -> Vec<Case> {
    let far = "<row r=\"1048576\"><c r=\"XFD1048576\" t=\"inlineStr\"><is><t>far away</t></is></c></row>";
    let many: String = (1..=3_000).map(|row| format!("<row r=\"{row}\"><c r=\"A{row}\"><v>{row}</v></c><c r=\"B{row}\" t=\"inlineStr\"><is><t>cell</t></is></c></row>")).collect();
    let mut parts = make::xlsx_parts("");
    parts.push(Entry::new("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1cut"));
    let rels = |kind: &str| {
        format!(
            "<Relationships><Relationship Id=\"r\" Type=\"http://x/{kind}\" Target=\"http://example.invalid/t.dotm\" TargetMode=\"External\"/></Relationships>"
        )
    };
    let field = "<w:p><w:r><w:instrText>DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe</w:instrText></w:r></w:p>";
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\">]>";
    let with_type = {
        let mut parts = make::xlsx_parts("");
        parts[4] = Entry::new("xl/worksheets/sheet1.xml", format!("{bomb}<worksheet/>").as_bytes());
        parts
    };
    let quiet = make::ole(&make::vba_module("Sub Add()\r\nx = 1\r\nEnd Sub"), "Contents", b"x");
    let auto = make::vba_module("Sub AutoOpen()\r\nShell \"cmd /c calc\"\r\nEnd Sub");
    let package = make::ole(&auto, "\u{1}Ole10Native", &eicar());
    let project = [("word/vbaProject.bin", make::ole(&auto, "PROJECT", b"x"))];
    let with_project = {
        let mut entries = vec![
            Entry::new("[Content_Types].xml", b"<Types/>"),
            Entry::new("word/document.xml", b"<w:document xmlns:w='x'><w:p/></w:document>"),
        ];
        entries.extend(project.iter().map(|(name, bytes)| Entry::new(name, bytes)));
        make::zip(&entries)
    };
    let ring = {
        let mut bytes = quiet.clone();
        // The second sector of the folders leads back to the first.
        bytes[512 + 8..512 + 12].copy_from_slice(&1u32.to_le_bytes());
        bytes
    };
    let deep = format!("{}{}", "<w:p>".repeat(2_000), "</w:p>".repeat(2_000));
    let script = b"<< /Type /Action /S /JavaScript /JS (app.alert\\(1\\)) >>".to_vec();
    let launch = b"<< /S /Launch /F (cmd.exe) >>".to_vec();
    let flate = make::pdf_stream("/Filter /FlateDecode", &make::zlib(&eicar()));
    let file = make::pdf_stream("/Type /EmbeddedFile", &make::zip(&[Entry::new("x", &eicar())]));
    let spec = b"<< /Type /Filespec /F (in.zip) /EF << /F 7 0 R >> >>".to_vec();
    let hello = make::pdf_page("Hello page", "", &[]);
    let hidden = {
        // A stream that no table knows: an object of an earlier revision.
        let mut bytes = hello.clone();
        let at = bytes.windows(4).position(|four| four == b"xref").unwrap();
        let stream = [b"99 0 obj\n".to_vec(), flate.clone(), b"\nendobj\n".to_vec()].concat();
        bytes.splice(at..at, stream);
        bytes
    };
    let circle = make::pdf(&[
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R 2 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Pages /Parent 2 0 R /Kids [2 0 R] /Count 1 >>".to_vec(),
    ]);
    let nest = make::pdf(&[
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        [vec![b'['; 200_000], vec![b']'; 200_000]].concat(),
    ]);
    let pdf_bomb = make::pdf_page(
        "x",
        "",
        &[make::pdf_stream(
            "/Filter /FlateDecode",
            &make::zlib(&vec![0; 100 << 20]),
        )],
    );
    vec![
        case(
            "sound.xlsx",
            make::xlsx("<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>patient</t></is></c></row>"),
            Want::Clean("patient"),
        ),
        case("far.xlsx", make::xlsx(far), Want::Clean("far away")),
        case("many.xlsx", make::xlsx(&many), Want::Clean("cell")),
        case("macros.xlsm", make::zip(&parts), Want::Rule("active/macros")),
        case("type.xlsx", make::zip(&with_type), Want::Rule("structure/xml-entities")),
        case(
            "cut.xlsx",
            {
                let bytes = make::xlsx(&many);
                bytes[..bytes.len() / 2].to_vec()
            },
            Want::Refused,
        ),
        case(
            "sound.docx",
            make::docx("<w:p><w:r><w:t>Dear reader</w:t></w:r></w:p>", &[]),
            Want::Clean("Dear reader"),
        ),
        case(
            "entities.docx",
            make::docx("", &[("word/comments.xml", &format!("{bomb}<a>&b;</a>"))]),
            Want::Rule("structure/xml-entities"),
        ),
        case("deep.docx", make::docx(&deep, &[]), Want::Rule("structure/nesting")),
        case("dde.docx", make::docx(field, &[]), Want::Rule("active/dde")),
        case(
            "template.docx",
            make::docx("", &[("word/_rels/settings.xml.rels", &rels("attachedTemplate"))]),
            Want::Rule("active/remote-template"),
        ),
        case(
            "link.docx",
            make::docx(
                "<w:p><w:r><w:t>a link</w:t></w:r></w:p>",
                &[("word/_rels/document.xml.rels", &rels("hyperlink"))],
            ),
            Want::Clean("a link"),
        ),
        case("cut.ole", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), Want::Refused),
        case("quiet.doc", quiet.clone(), Want::Rule("active/macros")),
        case("quiet2.doc", quiet, Want::Text("Sub Add()")),
        case(
            "auto.doc",
            make::ole(&auto, "Contents", b"x"),
            Want::Rule("active/macro-autorun"),
        ),
        case("auto.docm", with_project, Want::Rule("active/macro-autorun")),
        case("package.doc", package.clone(), Want::Rule("active/ole-package")),
        case("package2.doc", package, Want::Signature("Ole10Native")),
        case("ring.doc", ring, Want::Refused),
        case("sound.pdf", hello.clone(), Want::Clean("Hello page")),
        case(
            "script.pdf",
            make::pdf_page("x", "/OpenAction 6 0 R", &[script]),
            Want::Rule("active/pdf-javascript"),
        ),
        case(
            "launch.pdf",
            make::pdf_page("x", "/OpenAction 6 0 R", &[launch]),
            Want::Rule("active/pdf-launch"),
        ),
        case(
            "stream.pdf",
            make::pdf_page("x", "", std::slice::from_ref(&flate)),
            Want::Signature("stream.pdf!/stream 6"),
        ),
        case("hidden-stream.pdf", hidden, Want::Signature("")),
        case(
            "files.pdf",
            make::pdf_page("x", "", &[spec.clone(), file.clone()]),
            Want::Rule("active/pdf-embedded-file"),
        ),
        case(
            "files2.pdf",
            make::pdf_page("x", "", &[spec, file]),
            Want::Signature("files2.pdf!/in.zip!/x"),
        ),
        case("circle.pdf", circle, Want::Rule("structure/loop")),
        case("nest.pdf", nest, Want::Refused),
        case("bomb.pdf", pdf_bomb, Want::Limit(LimitName::PartBytes)),
        case("cut.pdf", hello[..hello.len() / 2].to_vec(), Want::Refused),
        case(
            "after.pdf",
            [&hello[..], b"and more words"].concat(),
            Want::Rule("polyglot/trailing-data"),
        ),
        case(
            "before.pdf",
            [b"words\n", &hello[..]].concat(),
            Want::Rule("polyglot/leading-data"),
        ),
        case("empty.pdf", Vec::new(), Want::Refused),
        case(
            "two.pdf",
            make::zip_after(&hello, &[Entry::new("x", &eicar())]),
            Want::Rule("polyglot/two-formats"),
        ),
        case(
            "two2.pdf",
            make::zip_after(&hello, &[Entry::new("x", &eicar())]),
            Want::Signature("!/x"),
        ),
        case(
            "cut.parquet",
            b"PAR1\0\0\0\0\xff\xff\xff\x7fPAR1".to_vec(),
            Want::Refused,
        ),
    ]
}
