//! The tool calls of an answer while it is made: none may end up half.

use crate::FinishReason;

/// The arguments of each call so far.
#[derive(Debug, Default)]
pub struct ToolCalls(Vec<String>);

impl ToolCalls {
    /// Adds to the arguments of the call at `index`, which is begun if it is new.
    pub fn push(&mut self, index: usize, fragment: &str) {
        if self.0.len() <= index {
            self.0.resize_with(index + 1, String::new);
        }
        self.0[index].push_str(fragment);
    }

    /// What is wrong with them where the answer ends. An answer that was cut off at its length may
    /// end within a call, and says so by its reason; a call without arguments has none to break.
    pub fn broken(&self, finish: &FinishReason) -> Option<&'static str> {
        let whole = |arguments: &String| {
            arguments.is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok()
        };
        match finish {
            FinishReason::Length => None,
            FinishReason::ToolCalls if self.0.is_empty() => {
                Some("the end of a tool call that never came")
            }
            _ if !self.0.iter().all(whole) => Some("a tool call that breaks off"),
            _ => None,
        }
    }
}
