//! What happens to errors: retried, caught, or passed to the states around.

use serde_json::{Map, json};

use super::leave::merge;
use super::run::{Effect, FrameId, Phase, Status};
use super::{Sight, Stepper, later};
use crate::definition::{Catcher, Kind, Retrier};
use crate::fault::{Fault, Origin, Unevaluated, name};
use crate::template::Language;

impl Stepper<'_, '_> {
    /// A field of a frame's state has no value: tells so, and the state fails.
    pub(super) fn unevaluated(&mut self, id: FrameId, error: Unevaluated) {
        let Some(frame) = self.run.frames.get_mut(&id) else { return };
        let (entered, before) = frame.entered;
        let state = frame.state.clone();
        let cause = match error.error {
            name::DATA_LIMIT | name::NO_CHOICE | name::ITEM_READER => error.cause,
            _ => format!(
                "An error occurred while executing the state '{state}' (entered at the event id \
                 #{entered}). {}",
                error.cause
            ),
        };
        if error.error == name::QUERY {
            let mut details = Map::new();
            details.insert("cause".to_owned(), cause.clone().into());
            details.insert("error".to_owned(), error.error.into());
            details.extend(error.location.map(|at| ("location".to_owned(), at.into())));
            details.insert("state".to_owned(), state.into());
            let told = self.event(before, "EvaluationFailed", Some(details));
            if let Some(frame) = self.run.frames.get_mut(&id) {
                frame.previous = told;
            }
        }
        self.failed(id, Fault::new(error.error, cause), Origin::State);
    }

    /// The state that a frame is in has failed: it is tried again, or the failure is caught, or
    /// the frame fails.
    pub(super) fn failed(&mut self, id: FrameId, fault: Fault, origin: Origin) {
        let Some(state) = self.state(id) else { return };
        self.failure = Some((fault.clone(), origin));
        let meant = |errors: &[String]| fault.is_among(errors, origin);
        let retrier = state.retry.iter().position(|retrier| meant(&retrier.errors));
        if let Some(at) = retrier
            && self.retry(id, at, &state.retry[at])
        {
            return;
        }
        if matches!(state.kind, Kind::Parallel { .. } | Kind::Map(_)) {
            self.tell(id, &format!("{}StateFailed", state.kind.name()), None);
        }
        let catcher = state.catch.iter().find(|catcher| meant(&catcher.errors));
        let Some(catcher) = catcher else { return self.fail_scope(id, fault) };
        self.drop_below(id);
        if let Err(error) = self.caught(id, state.language, catcher, &fault) {
            // A catcher that cannot be evaluated is not caught by another.
            self.fail_scope(id, error.into());
        }
    }

    fn retry(&mut self, id: FrameId, at: usize, retrier: &Retrier) -> bool {
        let Some(frame) = self.run.frames.get_mut(&id) else { return false };
        let Some(count) = frame.retried.get_mut(at).filter(|count| **count < retrier.max_attempts)
        else {
            return false;
        };
        let growth = retrier.backoff_rate.powi(i32::try_from(*count).unwrap_or(i32::MAX));
        *count += 1;
        frame.attempts += 1;
        let mut delay = retrier.interval * growth;
        delay = retrier.max_delay.map_or(delay, |longest| delay.min(longest));
        if retrier.full_jitter {
            delay *= self.run.draw.unit();
        }
        self.drop_below(id);
        self.set_timer(id, Phase::Retrying, later(self.moment.now, delay));
        true
    }

    fn caught(
        &mut self,
        id: FrameId,
        language: Language,
        catcher: &Catcher,
        fault: &Fault,
    ) -> Result<(), Unevaluated> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let input = frame.input.clone();
        let error = json!({"Error": fault.error, "Cause": fault.cause});
        let (output, variables) = match language {
            Language::JsonPath => {
                let variables = self.assigned(id, catcher.assign.as_ref(), Sight::of(&error))?;
                (merge(&catcher.result_path, input, error)?, variables)
            }
            Language::Jsonata => {
                let sight = || Sight { error: Some(&error), ..Sight::of(&input) };
                let variables = self.assigned(id, catcher.assign.as_ref(), sight())?;
                let output = match &catcher.output {
                    Some(template) => {
                        self.compute(id, sight(), |view| template.evaluate(view, "Output"))?
                    }
                    None => error.clone(),
                };
                (output, variables)
            }
        };
        self.exit(id, output, variables, Some(catcher.next.clone()))
    }

    /// A thread of states fails, and with it the state around it, or the execution.
    pub(super) fn fail_scope(&mut self, id: FrameId, fault: Fault) {
        let Some(frame) = self.run.frames.get_mut(&id) else { return };
        // Around a redrive, states keep what their branches and items came to.
        if !matches!(frame.phase, Phase::Branches { .. } | Phase::Items(_) | Phase::MapRun(_)) {
            frame.phase = Phase::Halted;
        }
        let (parent, previous) = (frame.parent, frame.previous);
        let Some(parent) = parent else {
            return self.end(Status::Failed, None, fault);
        };
        let Some(around) = self.run.frames.get(&parent) else { return };
        if let Phase::Items(_) = around.phase {
            return self.item_ended(id, parent, Err(fault));
        }
        let unfinished = self.state(id).filter(|state| !matches!(state.kind, Kind::Fail { .. }));
        if let Some(unfinished) = unfinished {
            let kind = format!("{}StateAborted", unfinished.kind.name());
            self.aside(id, &kind, None);
        }
        if let Some(around) = self.run.frames.get_mut(&parent) {
            around.previous = previous;
        }
        self.failed(parent, fault, Origin::State);
    }

    /// Drops all frames below one; their tasks are no longer wanted.
    pub(super) fn drop_below(&mut self, id: FrameId) {
        for below in self.run.below(id) {
            match self.run.frames.remove(&below).map(|frame| frame.phase) {
                Some(Phase::Working { task, .. }) => {
                    self.step.effects.push(Effect::Cancel { task });
                }
                Some(Phase::MapRun(map_run)) => {
                    self.step.effects.push(Effect::Withdraw { id: map_run.id });
                }
                _ => {}
            }
        }
    }
}
