//! What commands read: PDF (poppler's `pdfinfo`, `pdftotext`, `pdfimages`, `pdftoppm`) and pictures of
//! pages (`tesseract`).
//!
//! They run with the limits of the process that starts them, read from their input, write to their
//! output, and find no file but their own.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{Builder, Extracted, MAX_TEXT, Refusal};

/// The most pages of a document.
const MAX_PAGES: u64 = 10_000;
/// The most pages of a PDF that are read as pictures, and how many points their longer side has.
const MAX_SCANNED: usize = 20;
const SCANNED_SIDE: &str = "2200";
/// How much of what a command says aside is kept.
const ASIDE: u64 = 4 << 10;

/// The pages of a PDF.
pub fn pdf(bytes: &[u8]) -> Result<Extracted, Refusal> {
    let told = run(&["pdfinfo", "-isodates", "-enc", "UTF-8", "-"], "poppler-utils", bytes)?;
    let told = |name: &str| {
        let mut fields = told.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| *field == name).map_or("", |(_, value)| value.trim())
    };
    if told("Pages").parse().is_ok_and(|pages: u64| pages > MAX_PAGES) {
        let many = format!("it has {} pages, more than {MAX_PAGES}", told("Pages"));
        return Err(Refusal::TooLarge(many));
    }
    let text = run(&["pdftotext", "-enc", "UTF-8", "-", "-"], "poppler-utils", bytes)?;
    let mut out = Builder::default();
    let text = recognised(text, bytes, &mut out)?;
    if text.trim().is_empty() {
        return Err(Refusal::Malformed("it has no text, and none was recognised".to_owned()));
    }
    for (name, field) in [
        ("author", "Author"),
        ("created", "CreationDate"),
        ("modified", "ModDate"),
        ("keywords", "Keywords"),
    ] {
        out.tell(name, told(field));
    }
    pages(&text, &mut out);
    let mut extracted = out.finish()?;
    extracted.title = told("Title").to_owned();
    Ok(extracted)
}

/// The text of a PDF's pages with that of those that are pictures: they have an image and no text.
/// Pages beyond [`MAX_SCANNED`] of them stay empty, which the document tells; one that has nothing else
/// is refused.
fn recognised(text: String, bytes: &[u8], out: &mut Builder) -> Result<String, Refusal> {
    let mut pages: Vec<String> = split(&text).map(str::to_owned).collect();
    if pages.iter().all(|page| !page.trim().is_empty()) {
        return Ok(text);
    }
    let images = run(&["pdfimages", "-list", "-"], "poppler-utils", bytes)?;
    // Two lines of heads, then a line for each image that begins with its page.
    let number = |line: &str| line.split_whitespace().next()?.parse::<usize>().ok();
    let with_images: BTreeSet<usize> = images.lines().skip(2).filter_map(number).collect();
    let bare = |number: &usize| {
        pages.get(number.wrapping_sub(1)).is_some_and(|page| page.trim().is_empty())
    };
    let scanned: Vec<usize> = with_images.into_iter().filter(bare).collect();
    if scanned.len() > MAX_SCANNED {
        if text.trim().is_empty() {
            let many =
                format!("{} of its pages are pictures, more than {MAX_SCANNED}", scanned.len());
            return Err(Refusal::TooLarge(many));
        }
        out.tell("unread_pages", scanned.len() - MAX_SCANNED);
    }
    for number in scanned.into_iter().take(MAX_SCANNED) {
        let page = number.to_string();
        let draw =
            ["pdftoppm", "-png", "-gray", "-scale-to", SCANNED_SIDE, "-f", &page, "-l", &page];
        let picture = run_raw(&[&draw[..], &["-"]].concat(), "poppler-utils", bytes)?;
        pages[number - 1] = read_image(&picture)?.replace('\x0c', "");
    }
    Ok(pages.join("\x0c"))
}

fn read_image(bytes: &[u8]) -> Result<String, Refusal> {
    run(&["tesseract", "stdin", "stdout"], "tesseract-ocr", bytes)
}

/// What stands on a picture.
pub fn image(bytes: &[u8]) -> Result<Extracted, Refusal> {
    let text = read_image(bytes)?;
    if text.trim().is_empty() {
        return Err(Refusal::Malformed("no text was recognised on the image".to_owned()));
    }
    let mut out = Builder::default();
    pages(&text, &mut out);
    out.finish()
}

/// Pages end with form feeds, paragraphs with blank lines.
fn pages(text: &str, out: &mut Builder) {
    for page in split(text) {
        out.page();
        for paragraph in page.split("\n\n") {
            out.verbatim(paragraph);
            out.end();
        }
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.strip_suffix('\x0c').unwrap_or(text).split('\x0c')
}

/// Runs a command on `input`, and gives what it writes as text.
fn run(line: &[&str], package: &str, input: &[u8]) -> Result<String, Refusal> {
    Ok(String::from_utf8_lossy(&run_raw(line, package, input)?).into_owned())
}

/// Runs a command on `input`, and gives what it writes.
fn run_raw(line: &[&str], package: &str, input: &[u8]) -> Result<Vec<u8>, Refusal> {
    let program = line[0];
    let mut command = Command::new(program);
    command.args(&line[1..]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Refusal::Unsupported(format!(
            "`{program}` is not installed on the server (Debian's package `{package}`)"
        )),
        ErrorKind::OutOfMemory => Refusal::Memory(format!("`{program}` cannot be run")),
        _ => Refusal::Crash(format!("`{program}` cannot be run: {error}")),
    })?;
    let pipes = (running.stdin.take(), running.stdout.take(), running.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(mut stderr)) = pipes else {
        return Err(Refusal::Crash(format!("`{program}` has no input and output")));
    };
    let (mut text, mut aside) = (Vec::new(), Vec::new());
    let read = std::thread::scope(|scope| {
        scope.spawn(move || {
            // It need not read all of it: what it makes of that shows in what it writes.
            let _written = stdin.write_all(input);
        });
        scope.spawn(|| {
            let kept = stderr.by_ref().take(ASIDE).read_to_end(&mut aside);
            // The rest is read only so that it can go on.
            kept.and_then(|_| std::io::copy(&mut stderr, &mut std::io::sink()))
        });
        let read = stdout.take(MAX_TEXT as u64 + 1).read_to_end(&mut text);
        if text.len() > MAX_TEXT || read.is_err() {
            // It may have ended by itself.
            let _killed = running.kill();
        }
        read
    });
    let status = running.wait().map_err(|error| Refusal::broken(&error))?;
    if text.len() > MAX_TEXT {
        return Err(Refusal::TooLarge(format!("it gives more than {MAX_TEXT} bytes of text")));
    }
    read.map_err(|error| Refusal::broken(&error))?;
    if status.success() {
        return Ok(text);
    }
    let aside = String::from_utf8_lossy(&aside);
    let said = aside.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    let said = format!("`{program}`: {said}");
    Err(match status.signal() {
        Some(signal) if signal == Signal::XCPU.as_raw() => Refusal::Time(said),
        _ if aside.contains("bad_alloc") || aside.contains("Out of memory") => {
            Refusal::Memory(said)
        }
        Some(signal) => Refusal::Crash(format!("{said} (signal {signal})")),
        None => Refusal::Malformed(said),
    })
}
