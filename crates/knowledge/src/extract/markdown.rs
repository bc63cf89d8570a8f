//! Markdown, by CommonMark with tables; front matter in YAML or TOML.

mod front;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Builder, Extracted, Refusal};

pub fn extract(text: &str) -> Result<Extracted, Refusal> {
    let (front, body) = front::split(text);
    let mut builder = Builder::default();
    let mut code = false;
    for event in Parser::new_ext(body, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Text(text) if code => builder.verbatim(&text),
            Event::Text(text) | Event::Code(text) => builder.say(&text),
            Event::SoftBreak => builder.say(" "),
            Event::HardBreak => builder.line(),
            Event::Start(Tag::CodeBlock(_)) => {
                builder.end();
                code = true;
            }
            Event::End(TagEnd::CodeBlock) => {
                builder.end();
                code = false;
            }
            Event::Start(Tag::Item) => {
                builder.line();
                builder.verbatim("- ");
            }
            Event::Start(Tag::Heading { .. }) | Event::End(TagEnd::List(_) | TagEnd::Table) => {
                builder.end();
            }
            Event::End(TagEnd::Paragraph) => builder.end(),
            Event::End(TagEnd::Item | TagEnd::TableRow | TagEnd::TableHead) => builder.line(),
            Event::End(TagEnd::TableCell) => builder.say(" | "),
            Event::End(TagEnd::Heading(level)) => builder.heading(level as u8),
            _ => {}
        }
    }
    let mut extracted = builder.finish()?;
    let title = front.get("title").and_then(|title| title.as_str());
    extracted.title = title.unwrap_or_default().to_owned();
    extracted.metadata = front;
    extracted.metadata.remove("title");
    Ok(extracted)
}
