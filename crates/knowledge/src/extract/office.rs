//! Word and PowerPoint files: zip archives of XML (ECMA-376).

mod pen;
mod xml;

use std::collections::BTreeMap;

use super::archive::Archive;
use super::{Builder, Extracted, Refusal};
use pen::Pen;
use xml::{Step, attribute, walk};

/// The properties that are told, and as what.
const PROPERTIES: &[(&str, &str)] = &[
    ("creator", "author"),
    ("created", "created"),
    ("modified", "modified"),
    ("keywords", "keywords"),
    ("description", "description"),
    ("language", "language"),
];

/// A Word document: its text, then its notes.
pub fn document(bytes: &[u8]) -> Result<Extracted, Refusal> {
    let mut archive = Archive::open(bytes)?;
    let body = archive.read("word/document.xml")?;
    let body = body.ok_or_else(|| Refusal::malformed("it has no `word/document.xml`"))?;
    let styles = archive.read("word/styles.xml")?.map(|xml| styles(&xml)).transpose()?;
    let mut pen = Pen::for_document(styles.unwrap_or_default());
    pen.write(&body)?;
    for notes in ["word/footnotes.xml", "word/endnotes.xml"] {
        if let Some(xml) = archive.read(notes)? {
            pen.write(&xml)?;
        }
    }
    finish(&mut archive, pen.out)
}

/// A presentation: each slide a page, its notes after it.
pub fn slides(bytes: &[u8]) -> Result<Extracted, Refusal> {
    let mut archive = Archive::open(bytes)?;
    let main = "ppt/presentation.xml";
    let xml = archive.read(main)?;
    let xml = xml.ok_or_else(|| Refusal::malformed("it has no `ppt/presentation.xml`"))?;
    let related = relations(&mut archive, main)?;
    let mut order = Vec::new();
    walk(&xml, |step| {
        if let Step::Open("sldId", start) = step {
            // It has an id of its own beside the one of the relation.
            order.extend(attribute(start, "r:id"));
        }
        Ok(())
    })?;
    let mut pen = Pen::for_slides();
    for id in order {
        let Some((part, _)) = related.get(&id) else { continue };
        let Some(xml) = archive.read(part)? else { continue };
        pen.out.page();
        pen.write(&xml)?;
        let beside = relations(&mut archive, part)?;
        for (notes, _) in beside.values().filter(|(_, kind)| kind.ends_with("/notesSlide")) {
            if let Some(xml) = archive.read(notes)? {
                pen.write(&xml)?;
            }
        }
    }
    finish(&mut archive, pen.out)
}

/// Adds what the file says of itself.
fn finish(archive: &mut Archive<'_>, mut out: Builder) -> Result<Extracted, Refusal> {
    let mut title = String::new();
    if let Some(xml) = archive.read("docProps/core.xml")? {
        let mut told = String::new();
        walk(&xml, |step| {
            match step {
                Step::Open(..) => told.clear(),
                Step::Text(text) => told.push_str(text),
                Step::Close("title") => title = told.trim().to_owned(),
                Step::Close(name) => {
                    if let Some((_, name)) = PROPERTIES.iter().find(|(own, _)| *own == name) {
                        out.tell(name, told.trim());
                    }
                    told.clear();
                }
            }
            Ok(())
        })?;
    }
    let mut extracted = out.finish()?;
    extracted.title = title;
    Ok(extracted)
}

/// The levels of the styles that are headings; 0 for those of list items.
fn styles(xml: &[u8]) -> Result<BTreeMap<String, u8>, Refusal> {
    let (mut levels, mut style) = (BTreeMap::new(), String::new());
    walk(xml, |step| {
        let Step::Open(name, start) = step else { return Ok(()) };
        let value = |name| attribute(start, name);
        match name {
            "style" => style = value("w:styleId").unwrap_or_default(),
            "name" => {
                let name = value("w:val").unwrap_or_default().to_ascii_lowercase();
                let level = name.strip_prefix("heading ").and_then(|level| level.parse().ok());
                let level = level.or((name == "title").then_some(1));
                levels.extend(level.map(|level| (style.clone(), level)));
            }
            "numPr" => drop(levels.entry(style.clone()).or_insert(0)),
            "outlineLvl" => {
                let level = value("w:val").and_then(|level| level.parse::<u8>().ok());
                // 9 is the level of plain text.
                let level = level.filter(|level| *level < 9);
                levels.extend(level.map(|level| (style.clone(), level + 1)));
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(levels)
}

/// What a part refers to within the archive, by id: its name and its kind.
fn relations(
    archive: &mut Archive<'_>,
    part: &str,
) -> Result<BTreeMap<String, (String, String)>, Refusal> {
    let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
    let mut related = BTreeMap::new();
    let Some(xml) = archive.read(&format!("{folder}/_rels/{name}.rels"))? else {
        return Ok(related);
    };
    walk(&xml, |step| {
        if let Step::Open("Relationship", start) = step
            && attribute(start, "TargetMode").is_none_or(|mode| mode != "External")
            && let (Some(id), Some(target)) = (attribute(start, "Id"), attribute(start, "Target"))
        {
            let kind = attribute(start, "Type").unwrap_or_default();
            related.insert(id, (within(folder, &target), kind));
        }
        Ok(())
    })?;
    Ok(related)
}

/// The name of the part that `target` is, seen from `folder`.
fn within(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => folder.split('/').collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests;
