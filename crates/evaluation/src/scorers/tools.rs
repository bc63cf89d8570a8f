//! Whether the right tools were called.

use super::{Outcome, Overlap, Seen};
use crate::answer::ToolCall;

/// The F1 of the tools that were called against those that should be, in any order. Each counts as
/// often as it is called. Both empty is 1.
pub(super) fn calls(seen: Seen<'_>, arguments: bool) -> Result<Outcome, Outcome> {
    let wanted = seen.case.expected_tool_calls.as_ref();
    let wanted =
        wanted.ok_or_else(|| Outcome::not_applicable("the case has no `expected_tool_calls`"))?;
    let called = &seen.answer.tool_calls;
    if wanted.is_empty() && called.is_empty() {
        return Ok(Outcome::scored(1.0, "no tool was called, and none should be"));
    }
    let mut open: Vec<&ToolCall> = wanted.iter().collect();
    let mut common = 0;
    for call in called {
        let same =
            |it: &&ToolCall| it.name == call.name && (!arguments || it.arguments == call.arguments);
        if let Some(place) = open.iter().position(same) {
            open.swap_remove(place);
            common += 1;
        }
    }
    let Overlap { precision, recall, f1 } = Overlap::of(common, called.len(), wanted.len());
    Ok(Outcome::scored(f1, format!("precision {precision:.3}, recall {recall:.3}")))
}
