//! Documents as Word writes them, in their corners.

use crate::extract::tests::{extracted, zipped};

fn document(body: &str) -> crate::Extracted {
    let xml = format!("<w:document><w:body>{body}</w:body></w:document>");
    let styles =
        "<w:styles><w:style w:styleId=\"H2\"><w:name w:val=\"heading 2\"/></w:style></w:styles>";
    let parts = [("word/document.xml", xml.as_bytes()), ("word/styles.xml", styles.as_bytes())];
    extracted("a.docx", zipped(&parts))
}

#[test]
fn pages_are_where_word_broke_them() {
    let read = document(
        "<w:p><w:r><w:t>One</w:t></w:r></w:p><w:p><w:r><w:br w:type=\"page\"/></w:r></w:p>\
         <w:p><w:r><w:lastRenderedPageBreak/><w:t>Two</w:t></w:r></w:p>",
    );
    assert_eq!((read.text.as_str(), &read.pages[..]), ("One\n\nTwo", &[0, 3][..]));
}

#[test]
fn what_was_deleted_or_is_said_twice_is_not_said() {
    let read = document(
        "<w:p><w:r><w:t>Kept</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>\
         <mc:AlternateContent><mc:Choice><w:p><w:r><w:t>Once</w:t></w:r></w:p></mc:Choice>\
         <mc:Fallback><w:p><w:r><w:t>Twice</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>",
    );
    assert_eq!(read.text, "Kept\n\nOnce");
}

#[test]
fn runs_join_and_headings_end_lists() {
    let read = document(
        "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>It</w:t></w:r><w:r><w:t>em &amp; more</w:t></w:r></w:p>\
         <w:p><w:pPr><w:pStyle w:val=\"H2\"/></w:pPr><w:r><w:t>Next</w:t></w:r></w:p>\
         <w:p><w:r><w:t>Text</w:t><w:tab/><w:t>end</w:t></w:r></w:p>",
    );
    assert_eq!(read.text, "- Item & more\n\nText end");
    assert_eq!((read.headings[0].level, read.headings[0].at), (2, 13));
}
