//! E-mail: what is said in it; of what is attached, the names.

use mail_parser::{Address, MessageParser, MimeHeaders, PartType};

use super::{Builder, Extracted, Refusal, html};

pub fn extract(bytes: &[u8]) -> Result<Extracted, Refusal> {
    let message = MessageParser::default().parse(bytes);
    let message = message.filter(|message| !message.headers().is_empty());
    let message = message.ok_or_else(|| Refusal::malformed("it is no e-mail"))?;
    let mut out = Builder::default();
    out.tell("author", people(message.from()));
    out.tell("to", people(message.to()));
    if let Some(date) = message.date().filter(|date| date.is_valid()) {
        out.tell("created", date.to_rfc3339());
    }
    for part in message.text_bodies() {
        match &part.body {
            PartType::Html(page) => out.take_in(html::extract(page)?),
            PartType::Text(text) => {
                out.end();
                out.verbatim(&text.replace("\r\n", "\n"));
                out.end();
            }
            _ => {}
        }
    }
    let names: Vec<_> =
        message.attachments().map(|part| part.attachment_name().unwrap_or("unnamed")).collect();
    if !names.is_empty() {
        out.tell("attachments", names);
    }
    let mut extracted = out.finish()?;
    extracted.title = message.subject().unwrap_or_default().trim().to_owned();
    Ok(extracted)
}

fn people(address: Option<&Address<'_>>) -> String {
    let all = address.into_iter().flat_map(Address::iter);
    let shown = all.filter_map(|one| one.name().or(one.address()));
    shown.take(20).collect::<Vec<_>>().join(", ")
}
