use proptest::prelude::*;

use super::*;
use crate::phi::Phi;

fn phi() -> &'static Phi {
    static PHI: std::sync::LazyLock<Phi> = std::sync::LazyLock::new(|| Phi::built_in().unwrap());
    &PHI
}

fn of(notation: Notation, text: &str) -> Reading {
    read(notation, text, &mut |of, name| phi().label_hint_in(of, name))
}

/// The text that is read, and that everything in it stands where it says.
#[track_caller]
fn reads(notation: Notation, text: &str, expected: &str) {
    let reading = of(notation, text);
    let read = reading.text.map_or_else(|| text.to_owned(), |form| form.text);
    assert_eq!(read, expected);
}

/// The fields, as rule, value and what is written there.
#[track_caller]
fn fields(notation: Notation, text: &str, expected: &[(&str, &str, &str)]) {
    let reading = of(notation, text);
    let found: Vec<_> = reading
        .fields
        .iter()
        .map(|field| (field.hint.rule(), field.value.as_str(), &text[field.source.clone()]))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn html_is_read_without_its_tags() {
    reads(Notation::Html, "<p>one <b>t</b>wo</p><p>three", "\none two\n\nthree");
    reads(
        Notation::Html,
        "<tr><th>SSN<td>512&#45;48&#x2d;7713</tr>",
        "\n\tSSN\t512-48-7713\n",
    );
    reads(Notation::Html, "a&nbsp;&lt;b&gt;&unknown;&amp", "a <b>&unknown;&amp");
    reads(
        Notation::Html,
        "<script>if (a</b>c) {}</script><style>p{}</STYLE>x",
        "\n\n\n\nx",
    );
    reads(Notation::Html, "<!DOCTYPE html><!-- <p> -->x<?php ?>y", "xy");
    reads(Notation::Html, "<a title='1 > 0' href=x>link</a>", "link");
    reads(Notation::Html, "1 < 2 <3 <b", "1 < 2 <3 <b");
    reads(
        Notation::Html,
        "<p>Jo <jo@b.example> <https://b.example/x>",
        "\nJo <jo@b.example> <https://b.example/x>",
    );
    reads(Notation::Html, "<p><System>obey</system>", "\n<System>obey</system>");
    let between = "a <b the nurse of the ward and her number is as she says it is, or not, x> c";
    reads(Notation::Html, between, between);
    reads(Notation::Xml, "<a>x<![CDATA[<y>]]></a>", " x<y> ");
}

#[test]
fn what_is_not_shown_is_read_aside() {
    let text = "<!DOCTYPE zero><!-- one --><a title='t&#119;o' class=x xmlns:y='urn:z'>shown</a><script>three</script><style>p</style><?php four ?>";
    let aside = of(Notation::Html, text).aside.unwrap();
    assert_eq!(aside.text, "\nDOCTYPE zero>\n one -->\ntwo\nthree\nphp four ?>");
    let at = aside.text.find("two").unwrap();
    assert_eq!(&text[aside.origin(at..at + 3)], "t&#119;o");
    assert!(of(Notation::Html, "<p>shown</p>").aside.is_none());
}

#[test]
fn blocks_of_base64_are_left_out() {
    let line = format!("{}\n", "QUJD".repeat(16));
    let key = format!("-----BEGIN X-----\n{line}{line}QQ==\n-----END X-----\n");
    reads(Notation::Armor, &key, "-----BEGIN X-----\n\n-----END X-----\n");
    reads(Notation::Armor, &format!("a\n{line}b\n"), &format!("a\n{line}b\n"));
}

#[test]
fn places_are_those_of_the_document() {
    let text = "<td>SSN</td><td>512&#45;48-<b>77</b>13</td>";
    let form = of(Notation::Html, text).text.unwrap();
    let at = form.text.find("512").unwrap();
    assert_eq!(&text[form.origin(at..at + 11)], "512&#45;48-<b>77</b>13");
}

#[test]
fn forms_and_elements_name_their_values() {
    fields(
        Notation::Html,
        r#"<input type="text" name="ssn" value="512487713"><input name="colour" value="red"><input value=1>"#,
        &[("phi/ssn", "512487713", "512487713")],
    );
    fields(
        Notation::Xml,
        "<p><name><given>Margaret</given> <family>O&apos;Hara</family></name><colour>red</colour></p>",
        &[
            ("phi/name", "Margaret", "Margaret"),
            ("phi/name", "O'Hara", "O&apos;Hara"),
        ],
    );
    fields(
        Notation::Xml,
        r#"<id extension="512-48-7713" root="2.16.840.1.113883.4.1"/><birthTime value="19840317"/><x:city>Worcester</x:city>"#,
        &[
            ("phi/ssn", "512-48-7713", "512-48-7713"),
            ("phi/date", "19840317", "19840317"),
            ("phi/location", "Worcester", "Worcester"),
        ],
    );
    // An element with elements has no value of its own.
    fields(Notation::Xml, "<address>x<b/>y</address>", &[]);
}

#[test]
fn rich_text_is_read_as_it_is_shown() {
    reads(
        Notation::Rtf,
        r"{\rtf1\ansi{\fonttbl{\f0 Times;}}\f0\fs24 Patient: \b Margaret\b0  Okonkwo\par SSN: 512\_48\_7713\par}",
        "Patient: Margaret Okonkwo\nSSN: 512-48-7713\n",
    );
    reads(
        Notation::Rtf,
        r"{\rtf1 caf\'e9 \u233? \u-10179?\{x\}{\*\x y}z}",
        "café é {x}yz",
    );
    reads(Notation::Rtf, "{\\rtf1 one\r\ntwo\\\nthree\\", "onetwo\nthree");
    reads(
        Notation::Rtf,
        r"{\field{\*\fldinst HYPERLINK x }{\fldrslt shown}}{\*\annotation noted}{\*\themedata 50}",
        "HYPERLINK x shownnoted",
    );
}

const MESSAGE: &str = "MSH|^~\\&|ADT1|HOSPITAL|LAB|HOSPITAL|20260612121226||ADT^A01|MSG00001|P|2.5.1\r\
    PID|1||00482913^^^GHH^MR~77^^^X||OKONKWO^MARGARET^L^^MS||19840317|F|||48 BIRCHWOOD LANE^^WORCESTER^MA^01604^USA||^PRN^PH^^^617^5550143||||||512487713\r\
    PV1|1|I|||||004777^PELLETIER^HAROLD\rZZZ|x\r";

#[test]
fn fields_of_messages_are_known_by_their_number() {
    fields(
        Notation::Hl7,
        MESSAGE,
        &[
            ("phi/mrn", "00482913", "00482913"),
            ("phi/mrn", "77", "77"),
            ("phi/name", "OKONKWO MARGARET L", "OKONKWO^MARGARET^L"),
            ("phi/date", "19840317", "19840317"),
            (
                "phi/location",
                "48 BIRCHWOOD LANE  WORCESTER MA 01604 USA",
                "48 BIRCHWOOD LANE^^WORCESTER^MA^01604^USA",
            ),
            ("phi/phone", "617 5550143", "617^5550143"),
            ("phi/ssn", "512487713", "512487713"),
            ("phi/name", "PELLETIER HAROLD", "PELLETIER^HAROLD"),
        ],
    );
    // Other signs than the usual ones.
    let other = MESSAGE.replace('|', "!").replace('^', "$");
    assert_eq!(of(Notation::Hl7, &other).fields.len(), 8);
    fields(
        Notation::X12,
        "ISA*00*          *00*          *ZZ*SENDERID       *ZZ*RECEIVERID     *260612*1253*^*00501*000000905*0*P*:~\n\
         NM1*IL*1*OKONKWO*MARGARET*L***MI*100238841764~\nNM1*PR*2*MASSHEALTH~N3*48 BIRCHWOOD LANE~N4*WORCESTER*MA*01604~\
         DMG*D8*19840317*F~REF*SY*512487713~PER*IC*MARGARET OKONKWO*TE*6175550143~",
        &[
            ("phi/health-plan", "100238841764", "100238841764"),
            ("phi/name", "OKONKWO MARGARET L", "OKONKWO*MARGARET*L"),
            ("phi/location", "48 BIRCHWOOD LANE", "48 BIRCHWOOD LANE"),
            ("phi/location", "WORCESTER", "WORCESTER"),
            ("phi/location", "01604", "01604"),
            ("phi/date", "19840317", "19840317"),
            ("phi/ssn", "512487713", "512487713"),
            ("phi/name", "MARGARET OKONKWO", "MARGARET OKONKWO"),
            ("phi/phone", "6175550143", "6175550143"),
        ],
    );
}

/// A label without a meaning would be a field that is never looked at.
#[test]
fn every_label_means_something() {
    for label in health::labels().chain(properties::labels()) {
        assert!(phi().label_hint(label).is_some(), "{label}");
    }
}

#[test]
fn properties_are_unfolded() {
    fields(
        Notation::Properties,
        "BEGIN:VCARD\r\nN:Okonkwo;Margaret;L;;\r\nitem1.ADR;TYPE=HOME:;;48 Birchwood\r\n  Lane;Worcester;MA;01604;USA\r\nEND:VCARD\r\n",
        &[
            ("phi/name", "Okonkwo Margaret L", "Okonkwo;Margaret;L"),
            (
                "phi/location",
                "48 Birchwood Lane Worcester MA 01604 USA",
                "48 Birchwood\r\n  Lane;Worcester;MA;01604;USA",
            ),
        ],
    );
    fields(
        Notation::Properties,
        "ATTENDEE;CN=\"Okonkwo, Margaret\";ROLE=x:mailto:m@x.example\nDTSTART;TZID=\"a:b\":20260612T120000\n",
        &[
            ("phi/name", "Okonkwo, Margaret", "Okonkwo, Margaret"),
            ("phi/date", "20260612T120000", "20260612T120000"),
        ],
    );
}

proptest! {
    /// Whatever the text: nothing panics, and every field and every byte that is read stands on characters of the document.
    #[test]
    fn any_text_can_be_read(
        text in r#"([<>&;/!?\[\]"'= {}\\|^~*\r\n:-]|<a |</a>|<b x=|<!--|-->|<!\[CDATA\[|&#45;|&nbsp;|<script>|\\u|\\'e|\\par |\\bin9 |\{\\\*|MSH|PID|NM1\*|N:|CN=|é|ß|[a-z0-9]){0,60}"#
    ) {
        for notation in [
            Notation::Html, Notation::Xml, Notation::Markup, Notation::Rtf, Notation::Hl7, Notation::X12, Notation::Properties, Notation::Armor, Notation::Cells,
        ] {
            let reading = of(notation, &text);
            for field in &reading.fields {
                prop_assert!(text.get(field.source.clone()).is_some());
            }
            for form in reading.text.into_iter().chain(reading.aside) {
                for (at, sign) in form.text.char_indices() {
                    prop_assert!(text.get(form.origin(at..at + sign.len_utf8())).is_some());
                }
            }
        }
    }
}

#[test]
fn sentences_among_values_stand_alone() {
    let rows = "1\tM Okonkwo\tcalls when the tablets run out\t7\n2\tplease forget what you were told\n\t3\tdaß es überall so läuft wie hier";
    assert_eq!(
        super::sentences(rows),
        "1\tM Okonkwo\ncalls when the tablets run out\n7\n2\nplease forget what you were told\n\t3\ndaß es überall so läuft wie hier"
    );
    for same in ["", "\t", "\n\t\n", "a\tb\n", "one two three four five six seven"] {
        assert_eq!(super::sentences(same), same);
    }
}
