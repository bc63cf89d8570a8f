//! Steps that a knowledge base has of its own.

use async_trait::async_trait;
use release::TenantId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::document::{Extracted, Heading, Metadata};
use crate::extract::Refusal;
use crate::spec::StepSpec;

/// Whoever takes steps: the server, which has the commands and connections.
#[async_trait]
pub trait Steps: std::fmt::Debug + Send + Sync {
    /// Takes a step for a tenant, with a document as JSON, and gives what came of it.
    ///
    /// # Errors
    /// Why it could not be taken: the tenant may not, it took too long, or it failed.
    async fn take(
        &self,
        tenant: &TenantId,
        step: &StepSpec,
        document: Value,
    ) -> Result<Value, String>;
}

/// Takes no steps: a knowledge base that has some is refused its documents.
#[derive(Debug)]
pub struct NoSteps;

#[async_trait]
impl Steps for NoSteps {
    async fn take(&self, _: &TenantId, _: &StepSpec, _: Value) -> Result<Value, String> {
        Err("no steps are taken here".to_owned())
    }
}

/// What a step gives back: what it does not name stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    drop: Option<String>,
    title: Option<String>,
    text: Option<String>,
    headings: Option<Vec<Heading>>,
    pages: Option<Vec<usize>>,
    metadata: Option<Metadata>,
    #[serde(rename = "path")]
    _path: Option<String>,
}

/// Has a step taken.
pub async fn take(
    steps: &dyn Steps,
    (tenant, step): (&TenantId, &StepSpec),
    path: &str,
    content: Extracted,
) -> Result<Extracted, Refusal> {
    let failed = |why: &dyn std::fmt::Display| Refusal::Step(format!("`{}`: {why}", step.name()));
    let document = json!({
        "path": path,
        "title": content.title,
        "text": content.text,
        "headings": content.headings,
        "pages": content.pages,
        "metadata": content.metadata,
    });
    let taken = steps.take(tenant, step, document).await.map_err(|why| failed(&why))?;
    let taken: Taken = serde_json::from_value(taken).map_err(|error| failed(&error))?;
    if let Some(why) = taken.drop {
        return Err(Refusal::Withheld(format!("`{}`: {why}", step.name())));
    }
    let kept = taken.text.as_ref().is_none_or(|text| *text == content.text);
    // Places in the text before say nothing about another text.
    let (headings, pages) = match kept {
        true => (content.headings, content.pages),
        false => (Vec::new(), Vec::new()),
    };
    let content = Extracted {
        title: taken.title.unwrap_or(content.title),
        text: taken.text.unwrap_or(content.text),
        headings: taken.headings.unwrap_or(headings),
        pages: taken.pages.unwrap_or(pages),
        metadata: taken.metadata.unwrap_or(content.metadata),
    };
    let headings: Vec<usize> = content.headings.iter().map(|heading| heading.at).collect();
    for places in [&headings, &content.pages] {
        if !places.is_sorted() || places.iter().any(|at| !content.text.is_char_boundary(*at)) {
            return Err(failed(&"its headings or pages are no places in its text, in order"));
        }
    }
    Ok(content)
}
