//! What of the passages that were found is given to the model.

use std::collections::HashSet;

use knowledge::Retrieved;
use models::{Passage, estimate};

/// The passages that ground an answer, best first, within `most` tokens: the parent of each where it
/// has one and that fits, else the passage itself. A parent is given once, with the best of its
/// passages; the first passage is given whatever it takes.
pub fn given(found: Vec<Retrieved>, most: Option<u32>) -> Vec<Passage> {
    let mut left = most.map_or(u64::MAX, u64::from);
    let mut parents = HashSet::new();
    let mut given = Vec::new();
    for passage in found {
        let parent = passage.parent.as_ref();
        let place = parent.map(|parent| (passage.document.clone(), parent.start));
        if place.as_ref().is_some_and(|place| parents.contains(place)) {
            continue;
        }
        let fits = |text: &str| estimate(text) <= left;
        let (text, start, start_char) = match parent {
            Some(parent) if fits(&parent.text) => {
                parents.extend(place);
                (&parent.text, parent.start, parent.start_char)
            }
            _ if given.is_empty() || fits(&passage.text) => {
                (&passage.text, passage.start, passage.start_char)
            }
            _ => break,
        };
        left = left.saturating_sub(estimate(text));
        given.push(Passage {
            id: passage.id.to_string(),
            title: title(&passage),
            text: text.clone(),
            source: passage.document.clone(),
            copies: passage.copies.clone(),
            start,
            start_char,
        });
    }
    given
}

/// The document's title, with the headings that the passage stands under.
fn title(passage: &Retrieved) -> String {
    let headings = passage.headings.join(" › ");
    match headings.as_str() {
        "" => passage.title.clone(),
        headings if headings.starts_with(&passage.title) => headings.to_owned(),
        headings => format!("{} › {headings}", passage.title),
    }
}

#[cfg(test)]
mod tests;
