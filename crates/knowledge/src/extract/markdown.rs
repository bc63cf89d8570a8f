//! Markdown, by CommonMark with tables.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Builder, Extracted};

pub fn extract(text: &str) -> Extracted {
    let (title, body) = front_matter(text);
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
    let mut extracted = builder.finish();
    extracted.title = title;
    extracted
}

/// The `title` of front matter, and the text after it.
fn front_matter(text: &str) -> (String, &str) {
    for fence in ["---", "+++"] {
        let Some(rest) = text.strip_prefix(fence).and_then(|rest| rest.strip_prefix('\n')) else {
            continue;
        };
        let Some(end) = rest.find(&format!("\n{fence}\n")) else { continue };
        let title = rest[..end].lines().find_map(|line| {
            let value = line.strip_prefix("title")?.trim_start().strip_prefix([':', '='])?;
            Some(value.trim().trim_matches(['"', '\'']).to_owned())
        });
        return (title.unwrap_or_default(), &rest[end + fence.len() + 2..]);
    }
    (String::new(), text)
}
