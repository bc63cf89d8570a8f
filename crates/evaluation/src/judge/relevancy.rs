//! Answer relevancy (RAGAS: Es and others, 2023): the mean cosine of the question with questions
//! that a judge makes from the answer. 0 if the answer is noncommittal to all of them.

use serde::Deserialize;
use serde_json::json;

use super::reply::{nonsense, read};
use super::{Bench, Prompt};
use crate::scorers::{Outcome, Seen, cosines};

#[derive(Deserialize)]
struct Questions {
    questions: Vec<Asked>,
}

#[derive(Deserialize)]
struct Asked {
    question: String,
    noncommittal: bool,
}

pub(super) async fn score(
    seen: Seen<'_>,
    count: usize,
    bench: &mut Bench<'_>,
) -> Result<Outcome, Outcome> {
    if seen.answer.text.trim().is_empty() {
        return Err(Outcome::undefined("the answer is empty"));
    }
    let fields = [("answer", json!(seen.answer.text)), ("count", json!(count))];
    let reply = bench.ask(Prompt::RELEVANCY, &fields, None).await?;
    let Questions { questions } = read(&reply)?;
    let blank = questions.iter().any(|asked| asked.question.trim().is_empty());
    if questions.len() != count || blank {
        return Err(nonsense(&reply, &format!("it does not give {count} questions")));
    }
    if questions.iter().all(|asked| asked.noncommittal) {
        return Ok(Outcome::scored(0.0, "the answer commits to nothing"));
    }
    let question = seen.case.input.question();
    let made = questions.iter().map(|asked| asked.question.as_str());
    let texts: Vec<&str> = std::iter::once(question.as_str()).chain(made).collect();
    let cosines = cosines(bench.engines, &texts).await?;
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    Ok(Outcome::scored(mean, format!("it would answer `{}`", texts[1..].join("`, `"))))
}
