//! Poison is refused with its reason, in time, by the binary itself; and the next document is read.

#![expect(clippy::unwrap_used, reason = "a test fails where its helpers do")]

use std::fs;
use std::io::{Cursor, Write};
use std::time::Duration;

use knowledge::{Extracted, Extractor, Limits, Metadata, RawDocument, Refusal};
use rustix::process::{Pid, Signal, kill_process};

/// Little enough for poison to work soon, enough for everything else.
fn limits() -> Limits {
    Limits { memory: 1 << 30, seconds: 1, wall: Duration::from_secs(60), ..Limits::default() }
}

fn extractor(limits: Limits) -> Extractor {
    Extractor::new(env!("CARGO_BIN_EXE_groundcrew").into(), limits)
}

fn document(path: &str, bytes: impl Into<Vec<u8>>) -> RawDocument {
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

fn page() -> RawDocument {
    document("a\nb/\u{0}\"'.html", "<h1>Returns</h1><p>Within 30 days.</p>")
}

fn is_read(extracted: Result<Extracted, Refusal>) {
    assert_eq!(extracted.unwrap().text, "Within 30 days.");
}

/// A PDF whose one page has these objects.
fn pdf(count: &str, objects: &str) -> Vec<u8> {
    format!(
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
         2 0 obj<</Type/Pages/Kids[3 0 R]/Count {count}>>endobj\n\
         3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R\
         /Resources<</Font<</F 5 0 R>>/XObject<</X 10 0 R>>>>>>endobj\n\
         5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n{objects}\n\
         trailer<</Root 1 0 R/Size 40>>\n"
    )
    .into_bytes()
}

/// Each form draws the next one ten times: ten thousand million times in all.
fn endless_pdf() -> Vec<u8> {
    let form = |number: usize| {
        let (content, next) = ("/X Do ".repeat(10), number + 1);
        format!(
            "{number} 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X \
             {next} 0 R>>>>/Length {}>>stream\n{content}\nendstream endobj\n",
            content.len()
        )
    };
    let forms: String = (10..20).map(form).collect();
    let last = "20 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Length 1>>stream\n \nendstream endobj\n";
    pdf("1", &format!("4 0 obj<</Length 6>>stream\n/X Do \nendstream endobj\n{forms}{last}"))
}

/// A PDF that really has one page more than is allowed.
fn many_pages() -> Vec<u8> {
    let numbers = 100..10_101;
    let page =
        |number| format!("{number} 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n");
    let kids: String = numbers.clone().map(|number| format!("{number} 0 R ")).collect();
    let pages: String = numbers.map(page).collect();
    format!(
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
         2 0 obj<</Type/Pages/Kids[{kids}]/Count 10001>>endobj\n{pages}\
         trailer<</Root 1 0 R/Size 10200>>\n"
    )
    .into_bytes()
}

fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A spreadsheet of a few bytes that says it has a hundred million cells.
fn wide_sheet() -> Vec<u8> {
    let row = "<table:table-cell office:value-type=\"string\" table:number-columns-repeated=\"16000\">\
               <text:p>x</text:p></table:table-cell>";
    let rows =
        format!("<table:table-row table:number-rows-repeated=\"6000\">{row}</table:table-row>");
    let content = format!(
        "<office:document-content><office:body><office:spreadsheet><table:table table:name=\"a\">\
         {rows}</table:table></office:spreadsheet></office:body></office:document-content>"
    );
    let kind = b"application/vnd.oasis.opendocument.spreadsheet";
    let manifest = b"<manifest:manifest/>";
    zipped(&[
        ("mimetype", &kind[..]),
        ("META-INF/manifest.xml", manifest),
        ("content.xml", content.as_bytes()),
    ])
}

#[tokio::test]
async fn poison_is_refused_with_its_reason_and_the_next_one_is_read() {
    let extractor = extractor(limits());
    let bomb = zipped(&[("word/document.xml", &vec![b' '; 64 << 20])]);
    let laughs = b"<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><w:p>&b;</w:p>";
    let lie = pdf("2000000000", "4 0 obj<</Length 1>>stream\n \nendstream endobj");
    let poison = [
        (document("bomb.docx", bomb), "too large"),
        (document("laughs.docx", zipped(&[("word/document.xml", laughs)])), "malformed"),
        (document("deep.html", "<div>".repeat(100_000)), "malformed"),
        (document("deep.json", "[".repeat(1_000_000)), "malformed"),
        (document("binary.csv", b"a\0b".to_vec()), "unsupported"),
        (document("broken.pdf", b"%PDF-1.7\n\xff\xff".to_vec()), "malformed"),
        (document("lie.pdf", lie), "malformed"),
        (document("many.pdf", many_pages()), "too large: it has 10001 pages"),
        (document("endless.pdf", endless_pdf()), "out of time"),
    ];
    for (document, kind) in poison {
        let refused = extractor.extract(&document).await.unwrap_err().to_string();
        assert!(refused.starts_with(kind), "{}: {refused}", document.path);
        is_read(extractor.extract(&page()).await);
    }
}

#[tokio::test]
async fn what_grows_out_of_all_memory_is_refused_and_the_next_one_is_read() {
    let extractor = extractor(Limits { memory: 128 << 20, seconds: 3_600, ..limits() });
    let refused = extractor.extract(&document("wide.ods", wide_sheet())).await.unwrap_err();
    assert_eq!(refused, Refusal::Memory("it takes more than 128 MiB of memory".to_owned()));
    is_read(extractor.extract(&page()).await);
}

#[tokio::test]
async fn a_document_larger_than_allowed_never_reaches_a_child() {
    let extractor = extractor(Limits { document: 10, ..limits() });
    let refused = extractor.extract(&page()).await.unwrap_err();
    assert!(matches!(refused, Refusal::TooLarge(_)), "{refused}");
}

#[tokio::test]
async fn a_document_that_waits_is_given_up_by_the_clock() {
    let wall = Duration::from_millis(300);
    let slow = extractor(Limits { wall, seconds: 3_600, ..limits() });
    let refused = slow.extract(&document("endless.pdf", endless_pdf())).await.unwrap_err();
    assert_eq!(refused, Refusal::Time("it was not read within 0.3 seconds".to_owned()));
}

#[tokio::test]
async fn a_child_that_is_killed_costs_its_document_and_no_other() {
    let patient = extractor(Limits { seconds: 3_600, ..limits() });
    let endless = document("endless.pdf", endless_pdf());
    let kill = async {
        loop {
            if let Some(child) = readers().first() {
                break kill_process(*child, Signal::KILL).unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let (refused, ()) = tokio::join!(patient.extract(&endless), kill);
    let refused = refused.unwrap_err();
    assert!(matches!(&refused, Refusal::Crash(why) if why.contains("signal: 9")), "{refused}");
    is_read(patient.extract(&page()).await);
}

#[tokio::test]
async fn what_is_not_wanted_any_more_leaves_no_process_behind() {
    let patient = extractor(Limits { seconds: 3_600, ..limits() });
    let endless = document("endless.pdf", endless_pdf());
    let mut reading = Box::pin(patient.extract(&endless));
    let begun = async {
        while readers().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut reading => unreachable!("it is endless"),
        () = begun => {}
    }
    drop(reading);
    while !readers().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn documents_are_read_side_by_side_and_by_children_that_take_turns() {
    let extractor = extractor(Limits { documents: 3, ..limits() });
    let page = page();
    let all = (0..20).map(|_| extractor.extract(&page));
    for read in futures::future::join_all(all).await {
        is_read(read);
    }
}

#[tokio::test]
async fn a_program_that_is_no_reader_is_a_crash_and_not_a_hang() {
    for program in ["false", "no-such-program"] {
        let refused = Extractor::new(program.into(), limits()).extract(&page()).await.unwrap_err();
        assert!(matches!(refused, Refusal::Crash(_)), "{refused}");
    }
}

/// This process's children that live.
fn readers() -> Vec<Pid> {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let child = |number: &i32| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        fields.get(1) == Some(&own.as_str()) && fields[0] != "Z"
    };
    numbers.filter(child).filter_map(Pid::from_raw).collect()
}
