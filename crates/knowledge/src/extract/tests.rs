//! Structure is kept, decoration is not, and nothing that is read can take more than it may.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::document::Metadata;

pub fn raw(path: &str, bytes: impl Into<Vec<u8>>) -> RawDocument {
    RawDocument {
        path: path.to_owned(),
        bytes: bytes.into().into(),
        media_type: None,
        mark: String::new(),
        modified_at: None,
        version: None,
        metadata: Metadata::new(),
    }
}

/// The text of a document that can be read.
pub fn extracted(path: &str, bytes: impl Into<Vec<u8>>) -> Extracted {
    extract(&raw(path, bytes)).unwrap()
}

fn refused(path: &str, bytes: impl Into<Vec<u8>>) -> String {
    extract(&raw(path, bytes)).unwrap_err().to_string()
}

/// A zip archive of these parts.
pub fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A PDF of one page with this content stream and these further objects.
pub fn pdf(count: &str, content: &str, more: &str) -> Vec<u8> {
    format!(
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
         2 0 obj<</Type/Pages/Kids[3 0 R]/Count {count}>>endobj\n\
         3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R\
         /Resources<</Font<</F1 5 0 R>>/XObject<</X0 10 0 R>>>>>>endobj\n\
         4 0 obj<</Length {}>>stream\n{content}\nendstream endobj\n\
         5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n{more}\n\
         trailer<</Root 1 0 R/Size 40>>\n",
        content.len()
    )
    .into_bytes()
}

#[test]
fn markdown_keeps_headings_lists_tables_and_code() {
    let text = "---\ntitle: Returns policy\ntags: [returns, 'helmets']\ndate: 2026-02-03\n---\n# Returns\n\nSend it *back*\nwithin `30` days.\n\n## How\n\n- Print the label.\n- Drop it off.\n\n| Part | Days |\n|---|---|\n| Helmet | 14 |\n\n```\n  let x;\n```\n";
    insta::assert_debug_snapshot!(extracted("a.md", text));
}

#[test]
fn front_matter_may_be_toml_or_lists_over_lines() {
    let toml = "+++\ntitle = \"A\"\ndate = 2026-01-02\ntags = [\"x\", \"y\"]\n+++\nText.\n";
    let read = extracted("a.md", toml);
    assert_eq!((read.title.as_str(), read.text.as_str()), ("A", "Text."));
    assert_eq!(read.metadata["date"], "2026-01-02");
    let yaml = "---\ntags:\n  - x\n  - y z\nnested:\n  deep: 1\n---\nText.\n";
    assert_eq!(extracted("a.md", yaml).metadata["tags"], serde_json::json!(["x", "y z"]));
    let rule = "---\nNot front matter at all.\n---\n\nText.\n";
    assert!(extracted("a.md", rule).metadata.is_empty());
}

#[test]
fn html_keeps_the_content_and_drops_the_page_around_it() {
    let text = "<html><head><title>Shop</title><style>x{}</style></head><body><nav>Home</nav><main><h1>Delivery</h1><p>We ship <b>daily</b>.<script>evil()</script></p><ul><li>To Norway</li><li>To Sweden</li></ul><table><tr><th>Zone</th><td>1</td></tr></table></main><footer>©</footer></body></html>";
    insta::assert_debug_snapshot!(extracted("a.html", text));
}

#[test]
fn text_stays_as_it_is_and_lends_its_first_line_as_title() {
    let extracted = extracted("a.txt", "\nOpening hours\n\nNine to five.\n");
    assert_eq!(extracted.title, "Opening hours");
    assert_eq!(extracted.text, "\nOpening hours\n\nNine to five.\n");
}

#[test]
fn office_files_keep_headings_lists_tables_slides_and_properties() {
    let data = |name: &str| -> &[u8] {
        match name {
            "policy.docx" => include_bytes!("data/policy.docx"),
            "welcome.pptx" => include_bytes!("data/welcome.pptx"),
            "prices.xlsx" => include_bytes!("data/prices.xlsx"),
            _ => include_bytes!("data/zones.ods"),
        }
    };
    for name in ["policy.docx", "welcome.pptx", "prices.xlsx", "zones.ods"] {
        let mut read = extracted(name, data(name));
        read.metadata.retain(|name, _| name != "created" && name != "modified");
        insta::assert_debug_snapshot!(name, read);
        // Without an ending, the archive itself tells what it is.
        assert_eq!(extracted("blob", data(name)).text, read.text);
    }
}

#[test]
fn rows_say_what_their_cells_are() {
    let csv = "name;days;note\nHelmet;14;\"fits; all\"\nLock;30;\n";
    let read = extracted("a.csv", csv);
    assert_eq!(read.text, "name: Helmet | days: 14 | note: fits; all\nname: Lock | days: 30");
    assert_eq!(extracted("a.csv", "1,2\n3,4\n").text, "1 | 2\n3 | 4");
    assert_eq!(extracted("a.tsv", "a\tb\n").text, "a | b");
}

#[test]
fn members_of_json_are_lines_that_name_them() {
    let json =
        r#"{"title": "Fees", "zones": ["NO", "SE"], "by": {"part": [{"id": 1}, {"id": 2}]}}"#;
    let read = extracted("a.json", json);
    assert_eq!(read.title, "Fees");
    assert_eq!(read.text, "title: Fees\nzones: NO, SE\nby.part.id: 1\nby.part.id: 2");
    let lines = "{\"q\": \"Why?\", \"a\": \"Because.\\n\\nReally.\"}\n\n{\"q\": \"When?\"}\n";
    assert_eq!(extracted("a.jsonl", lines).text, "q: Why?\na: Because.\n\nReally.\n\nq: When?");
    assert!(refused("a.jsonl", "{}\n{oops\n").contains("line 2"));
}

#[test]
fn a_mail_gives_its_words_and_the_names_of_what_is_attached() {
    let mail = "From: Ada <ada@example.com>\r\nTo: team@example.com\r\nSubject: =?utf-8?q?R=C3=BCckgabe?=\r\nDate: Thu, 26 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<p>Gr\u{fc}sse <b>Ada</b></p><h2>PS</h2><p>Bye</p>\r\n--b\r\nContent-Type: application/pdf; name=\"a\\\"b.pdf\"\r\nContent-Disposition: attachment; filename=\"label.pdf\"\r\n\r\nx\r\n--b--\r\n";
    let latin: Vec<u8> = mail.chars().map(|char| char as u8).collect();
    insta::assert_debug_snapshot!(extracted("a.eml", latin));
    assert!(refused("a.eml", "").contains("no e-mail"));
}

#[test]
fn a_pdf_keeps_its_pages_and_an_image_is_read() {
    let read = extracted("a.pdf", pdf("1", "BT /F1 24 Tf 100 700 Td (Hello page) Tj ET", ""));
    assert_eq!((read.text.as_str(), &read.pages[..]), ("Hello page", &[0][..]));
    let scan = include_bytes!("data/scan.png");
    assert_eq!(extracted("scan", scan).text, "Returns are accepted\nwithin thirty days.");
    assert!(refused("a.pdf", "%PDF-1.4 nothing").starts_with("malformed: `pdfinfo`"));
    assert!(refused("a.pdf", pdf("1", "", "")).contains("has no text"));
}

/// A PDF whose pages are these, each with text or as the picture of `scan.png`.
fn scanned(pages: &[Option<&str>]) -> Vec<u8> {
    let png = include_bytes!("data/scan.png");
    let (mut at, mut data, mut head) = (8, Vec::new(), Vec::new());
    while at < png.len() {
        let length = u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
        let body = &png[at + 8..at + 8 + length];
        match &png[at + 4..at + 8] {
            b"IHDR" => head = body.to_vec(),
            b"IDAT" => data.extend_from_slice(body),
            _ => {}
        }
        at += 12 + length;
    }
    let side = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
    let (width, height, depth, colours) =
        (side(0), side(4), head[8], if head[9] == 2 { 3 } else { 1 });
    let space = if colours == 3 { "/DeviceRGB" } else { "/DeviceGray" };
    let mut out = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n".to_vec();
    let kids: Vec<_> = (0..pages.len()).map(|page| format!("{} 0 R", 10 + 2 * page)).collect();
    out.extend(
        format!("2 0 obj<</Type/Pages/Kids[{}]/Count {}>>endobj\n", kids.join(" "), pages.len())
            .bytes(),
    );
    out.extend(b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n");
    out.extend(
        format!(
            "6 0 obj<</Type/XObject/Subtype/Image/Width {width}/Height {height}/ColorSpace{space}\
             /BitsPerComponent {depth}/Filter/FlateDecode/DecodeParms<</Predictor 15/Colors {colours}\
             /BitsPerComponent {depth}/Columns {width}>>/Length {}>>stream\n",
            data.len()
        )
        .bytes(),
    );
    out.extend(&data);
    out.extend(b"\nendstream endobj\n");
    for (page, text) in pages.iter().enumerate() {
        let (own, content) = (
            10 + 2 * page,
            match text {
                Some(text) => format!("BT /F1 24 Tf 100 100 Td ({text}) Tj ET"),
                None => format!("{width} 0 0 {height} 0 0 cm /X0 Do"),
            },
        );
        let resources = if text.is_some() { "/Font<</F1 5 0 R>>" } else { "/XObject<</X0 6 0 R>>" };
        out.extend(format!(
            "{own} 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width} {height}]/Contents {} 0 R\
             /Resources<<{resources}>>>>endobj\n{} 0 obj<</Length {}>>stream\n{content}\nendstream endobj\n",
            own + 1, own + 1, content.len()
        ).bytes());
    }
    out.extend(b"trailer<</Root 1 0 R/Size 200>>\n");
    out
}

#[test]
fn pages_of_a_pdf_that_are_pictures_are_recognised_and_keep_their_numbers() {
    let read = extracted("a.pdf", scanned(&[Some("First page"), None, Some("Last page")]));
    let words: Vec<_> = read.text.split_whitespace().collect();
    assert_eq!(words.join(" "), "First page Returns are accepted within thirty days. Last page");
    assert_eq!(read.pages.len(), 3);
    let many = refused("a.pdf", scanned(&[None; 21]));
    assert!(many.contains("21 of its pages are pictures, more than 20"), "{many}");
}

#[test]
fn a_media_type_tells_more_than_an_ending_and_an_ending_more_than_the_bytes() {
    let kind = |path: &str, media: Option<&str>, bytes: &[u8]| {
        let media_type = media.map(str::to_owned);
        Kind::of(&RawDocument { media_type, ..raw(path, bytes) })
    };
    assert_eq!(kind("a.md", Some("text/html; charset=utf-8"), b""), Ok(Kind::Html));
    assert_eq!(kind("a.md", Some("text/plain"), b"%PDF-"), Ok(Kind::Markdown));
    assert_eq!(kind("a\n.b/download", None, b"%PDF-1.7"), Ok(Kind::Pdf));
    assert_eq!(kind("index", None, b"\n<!DOCTYPE HTML>"), Ok(Kind::Html));
    assert_eq!(kind("LICENSE", None, b"MIT"), Ok(Kind::Text));
    assert!(kind("a.mp3", Some("audio/mpeg"), b"").unwrap_err().to_string().contains("audio/mpeg"));
    assert!(refused("a.zip", zipped(&[("a.txt", b"x")])).contains("unpack it"));
}

#[test]
fn hostile_nesting_is_bounded() {
    assert!(refused("a.html", "<div>".repeat(50_000) + "deep").contains("deeper than 256"));
    extracted("a.html", "<div><p>wide</div>".repeat(5_000));
    assert!(extracted("a.md", "> ".repeat(20_000) + "deep").text.ends_with("deep"));
    assert!(refused("a.json", "[".repeat(100_000)).contains("recursion"));
    let xml = "<a>".repeat(50_000);
    let parts = [("word/document.xml", xml.as_bytes())];
    assert!(refused("a.docx", zipped(&parts)).contains("deeper than 256"));
}

#[test]
fn entities_of_xml_are_never_expanded() {
    let laughs = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]><w:p>&b;</w:p>";
    let parts = [("word/document.xml", laughs.as_bytes())];
    assert!(refused("a.docx", zipped(&parts)).contains("declares a document type"));
    let unknown = zipped(&[("word/document.xml", b"<w:t>&lol; &amp;</w:t>")]);
    assert!(refused("a.docx", unknown).contains("`lol`"));
}

#[test]
fn archives_that_unpack_to_too_much_are_refused() {
    let zeros = vec![b' '; 64 << 20];
    for (name, part) in [("a.docx", "word/document.xml"), ("a.xlsx", "xl/workbook.xml")] {
        let bomb = zipped(&[(part, &zeros)]);
        assert!(bomb.len() < 100_000);
        assert!(refused(name, bomb).starts_with("too large"), "{name}");
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..10_001 {
        zip.start_file(number.to_string(), SimpleFileOptions::default()).unwrap();
    }
    let many = zip.finish().unwrap().into_inner();
    assert!(refused("a.docx", many).contains("10001 parts"));
}

#[test]
fn names_in_archives_lead_nowhere() {
    let rels = r#"<Relationships><Relationship Id="r1" Type="x/slide" Target="../../../../etc/passwd"/><Relationship Id="r2" TargetMode="External" Target="http://169.254.169.254/"/></Relationships>"#;
    let slides =
        r#"<p:sldIdLst><p:sldId id="1" r:id="r1"/><p:sldId id="2" r:id="r2"/></p:sldIdLst>"#;
    let parts = [
        ("ppt/presentation.xml", slides.as_bytes()),
        ("ppt/_rels/presentation.xml.rels", rels.as_bytes()),
    ];
    assert_eq!(extracted("a.pptx", zipped(&parts)).text, "");
}

#[test]
fn text_that_grows_beyond_all_measure_is_refused() {
    let name = "n".repeat(100_000);
    let json = format!("{{\"{name}\": [{}{{}}]}}", "{\"a\":1},".repeat(1_000));
    assert!(refused("a.json", json).starts_with("too large"));
}
