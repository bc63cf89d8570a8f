//! What commands read: PDF (poppler's `pdfinfo` and `pdftotext`) and pictures of pages (`tesseract`).
//!
//! They run with the limits of the process that starts them, read from their input, write to their
//! output, and find no file but their own.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{Builder, Extracted, MAX_TEXT, Refusal};

/// The most pages of a document.
const MAX_PAGES: u64 = 10_000;
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
    if text.trim().is_empty() {
        let why = "it has no text, only pictures of pages; convert it to images to have them read";
        return Err(Refusal::Unsupported(why.to_owned()));
    }
    let mut out = Builder::default();
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

/// What stands on a picture.
pub fn image(bytes: &[u8]) -> Result<Extracted, Refusal> {
    let text = run(&["tesseract", "stdin", "stdout"], "tesseract-ocr", bytes)?;
    if text.trim().is_empty() {
        return Err(Refusal::Malformed("no text was recognised on the image".to_owned()));
    }
    let mut out = Builder::default();
    pages(&text, &mut out);
    out.finish()
}

/// Pages end with form feeds, paragraphs with blank lines.
fn pages(text: &str, out: &mut Builder) {
    for page in text.strip_suffix('\x0c').unwrap_or(text).split('\x0c') {
        out.page();
        for paragraph in page.split("\n\n") {
            out.verbatim(paragraph);
            out.end();
        }
    }
}

/// Runs a command on `input`, and gives what it writes.
fn run(line: &[&str], package: &str, input: &[u8]) -> Result<String, Refusal> {
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
        return Ok(String::from_utf8_lossy(&text).into_owned());
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
