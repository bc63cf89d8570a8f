//! The answer on its way past the guardrails.

use std::collections::VecDeque;
use std::sync::Arc;

use models::{Event, FinishReason, RestPlace, strings};
use security::guardrails::{Guardrails, Hit, OutputScreen, Screened};

use super::Trail;

/// Everything the model writes goes through a screen: its words, its thinking, its refusals and
/// the arguments of its tool calls. What a match could still reach into is held back, and what
/// refers to text that is held back waits for it.
pub struct Output<'a> {
    guardrails: &'a Arc<Guardrails>,
    /// What is being written, and its screen.
    writing: Option<(Channel, OutputScreen)>,
    /// Bytes that came in, and that went out.
    pushed: usize,
    released: usize,
    /// Events that follow the first so many bytes.
    waiting: VecDeque<(usize, Event)>,
}

/// Something the model writes in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    Text,
    Reasoning,
    Refusal,
    Arguments(usize),
}

impl Channel {
    fn of(event: &Event) -> Option<(Self, &str)> {
        match event {
            Event::TextDelta { text } => Some((Self::Text, text)),
            Event::ReasoningDelta { text, .. } => Some((Self::Reasoning, text)),
            Event::RefusalDelta { text } => Some((Self::Refusal, text)),
            Event::ToolCallDelta { index, fragment } => Some((Self::Arguments(*index), fragment)),
            _ => None,
        }
    }

    fn event(self, text: String) -> Event {
        match self {
            Self::Text => Event::TextDelta { text },
            Self::Reasoning => Event::ReasoningDelta { text, signature: None },
            Self::Refusal => Event::RefusalDelta { text },
            Self::Arguments(index) => Event::ToolCallDelta { index, fragment: text },
        }
    }
}

/// Events that may go to the client.
type Passed = Vec<Event>;
/// What takes the place of the rest of a blocked answer.
type Cut = Vec<Event>;

impl<'a> Output<'a> {
    pub fn new(guardrails: &'a Arc<Guardrails>) -> Self {
        let waiting = VecDeque::new();
        Self { guardrails, writing: None, pushed: 0, released: 0, waiting }
    }

    /// Adds what may go to the client after this event to `out`.
    pub fn pass(&mut self, event: Event, trail: &mut Trail, out: &mut Vec<Event>) {
        // What was released stays; the rule's own words take the place of the rest.
        if let Err(cut) = self.screened(event, out, trail) {
            self.waiting.clear();
            out.extend(cut);
        }
    }

    fn screened(&mut self, event: Event, out: &mut Passed, trail: &mut Trail) -> Result<(), Cut> {
        match Channel::of(&event) {
            Some((channel, text)) => {
                if self.writing.as_ref().is_some_and(|(writing, _)| *writing != channel) {
                    self.flush(out, trail)?;
                }
                if self.writing.is_none() {
                    let Some(screen) = self.guardrails.output() else {
                        out.push(event);
                        return Ok(());
                    };
                    self.writing = Some((channel, screen));
                }
                self.pushed += text.len();
                self.release(|screen| screen.push(text), out, trail)?;
                // A signature is of the whole thought.
                if let Event::ReasoningDelta { signature: signature @ Some(_), .. } = event {
                    self.flush(out, trail)?;
                    out.push(Event::ReasoningDelta { text: String::new(), signature });
                }
            }
            None => match event {
                // Log probabilities and the like spell out text that may still be held back.
                Event::Rest { place: RestPlace::Choice | RestPlace::Message, .. }
                    if self.guardrails.output().is_some() => {}
                // It has left its trace; nobody else can read it either.
                Event::Unreadable => {}
                Event::Started(_) | Event::Usage(_) | Event::Rest { .. } => out.push(event),
                Event::Other { ref value, .. } => {
                    self.flush(out, trail)?;
                    self.whole(value, trail)?;
                    out.push(event);
                }
                Event::ProviderCitation { ref value, .. } => {
                    self.whole(value, trail)?;
                    self.waiting.push_back((self.pushed, event));
                    self.due(out);
                }
                Event::TextStarted | Event::Citation(_) => {
                    self.waiting.push_back((self.pushed, event));
                    self.due(out);
                }
                _ => {
                    self.flush(out, trail)?;
                    out.push(event);
                }
            },
        }
        Ok(())
    }

    /// Screens a piece that came whole.
    fn whole(&self, value: &serde_json::Value, trail: &mut Trail) -> Result<(), Cut> {
        let Some(mut screen) = self.guardrails.output() else { return Ok(()) };
        let mut words = Vec::new();
        strings(value, &mut words);
        let pushed = screen.push(&words.join("\n"));
        let screened = match pushed {
            Screened::Release(_) => screen.finish(),
            blocked => blocked,
        };
        trail.findings("output", screen.flagged());
        match screened {
            Screened::Release(_) => Ok(()),
            Screened::Blocked(hit) => Err(cut(hit, trail)),
        }
    }

    /// Lets go of all that is held back: nothing can follow that would make it a match.
    fn flush(&mut self, out: &mut Passed, trail: &mut Trail) -> Result<(), Cut> {
        self.release(OutputScreen::finish, out, trail)?;
        self.writing = None;
        Ok(())
    }

    fn release(
        &mut self,
        screen: impl FnOnce(&mut OutputScreen) -> Screened,
        out: &mut Passed,
        trail: &mut Trail,
    ) -> Result<(), Cut> {
        let Some((channel, open)) = &mut self.writing else { return Ok(()) };
        let screened = screen(open);
        trail.findings("output", open.flagged());
        match screened {
            Screened::Release(text) => {
                self.released += text.len();
                if !text.is_empty() {
                    out.push(channel.event(text));
                }
                self.due(out);
                Ok(())
            }
            Screened::Blocked(hit) => Err(cut(hit, trail)),
        }
    }

    /// The waiting events whose text has gone out.
    fn due(&mut self, out: &mut Passed) {
        while let Some((_, event)) = self.waiting.pop_front_if(|(after, _)| *after <= self.released)
        {
            out.push(event);
        }
    }
}

/// What takes the place of an answer that a rule blocks: the rule's own words, what was used so
/// far, and the end.
fn cut(hit: Hit, trail: &mut Trail) -> Cut {
    trail.findings("output", std::slice::from_ref(&hit));
    trail.blocked(&hit.rule);
    let words = Event::TextDelta { text: hit.message };
    let usage = Event::Usage(trail.usage_so_far());
    vec![words, usage, Event::Finished(FinishReason::ContentFilter)]
}
