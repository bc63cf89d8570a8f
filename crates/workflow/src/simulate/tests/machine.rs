//! A valid state machine drawn from a seed: every kind of state, nested, in both query languages.

use release::Draw;
use serde_json::{Map, Value, json};

/// How deep states nest.
const DEPTH: usize = 2;

/// Draws a definition.
pub fn draw(seed: u64) -> Value {
    let mut drawing = Drawing { draw: Draw::seeded(seed), names: 0, seen: Vec::new() };
    let jsonata = drawing.chance(0.25);
    let mut machine = drawing.container(0, jsonata);
    if jsonata {
        machine["QueryLanguage"] = "JSONata".into();
    }
    if drawing.chance(0.2) {
        machine["TimeoutSeconds"] = json!(5 + drawing.below(120));
    }
    machine
}

/// What every state is given and passes on, beside what it adds.
pub fn input() -> Value {
    json!({"n": 2, "items": [1, 2, 3], "text": "a", "new_year": "2026-01-01T00:00:00Z"})
}

struct Drawing {
    draw: Draw,
    /// How many names were given: they are unique in the machine.
    names: usize,
    /// The variables that are set wherever the drawing is now.
    seen: Vec<String>,
}

impl Drawing {
    fn below(&mut self, bound: usize) -> usize {
        (self.draw.bits() % bound as u64) as usize
    }

    fn chance(&mut self, share: f64) -> bool {
        self.draw.unit() < share
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let at = self.below(of.len());
        of[at]
    }

    fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("{what}{}", self.names)
    }

    /// States in a row, maybe with a loop around some of them, that end in one of several ways.
    fn container(&mut self, depth: usize, jsonata: bool) -> Value {
        let outer = self.seen.len();
        let names: Vec<_> = (0..1 + self.below(4 - depth)).map(|_| self.name("S")).collect();
        let (fine, broken) = (self.name("Fine"), self.name("Broken"));
        let mut states = Map::new();
        let mut used = false;
        let counter = (names.len() > 1 && self.chance(0.4)).then(|| self.name("v"));
        let begin = self.name("Begin");
        if let Some(counter) = &counter {
            let next = names[0].clone();
            states.insert(
                begin.clone(),
                json!({"Type": "Pass", "Assign": {counter: 0}, "Next": next}),
            );
            self.seen.push(counter.clone());
        }
        for (at, name) in names.iter().enumerate() {
            let last = at + 1 == names.len();
            let next = names.get(at + 1);
            let mut state = match (&counter, last) {
                (Some(counter), true) => {
                    used = true;
                    let to = (names[0].as_str(), fine.as_str());
                    self.again(counter, to, jsonata)
                }
                _ => self.state(depth, jsonata),
            };
            if state["Type"] == "Choice" && state["Default"].is_null() {
                used |= next.is_none();
                state["Default"] = next.unwrap_or(&fine).clone().into();
                state["Choices"][0]["Next"] = state["Default"].clone();
            } else if state["Type"] != "Choice" {
                match next {
                    Some(next) => state["Next"] = next.clone().into(),
                    None => state["End"] = true.into(),
                }
            }
            if let Some(catchers) = state.get_mut("Catch").and_then(Value::as_array_mut) {
                for catcher in catchers {
                    catcher["Next"] = broken.clone().into();
                }
            }
            states.insert(name.clone(), state);
        }
        if used {
            states.insert(fine, json!({"Type": "Succeed"}));
        }
        if states.values().any(|state| state.get("Catch").is_some()) {
            let (fails, wait) = (self.chance(0.3), json!({"Type": "Pass", "End": true}));
            let fail = json!({"Type": "Fail", "Error": "Broken", "Cause": "it was caught"});
            states.insert(broken, if fails { fail } else { wait });
        }
        self.seen.truncate(outer);
        let start = if counter.is_some() { &begin } else { &names[0] };
        json!({"StartAt": start, "States": states})
    }

    /// A Choice that goes back until the counter, which it counts up itself, has come far enough.
    fn again(&mut self, counter: &str, (back, on): (&str, &str), jsonata: bool) -> Value {
        let most = 1 + self.below(3);
        let mut rule = if jsonata {
            json!({"Condition": format!("{{% ${counter} < {most} %}}")})
        } else {
            json!({"Variable": format!("${counter}"), "NumericLessThan": most})
        };
        rule["Next"] = back.into();
        rule["Assign"] = if jsonata {
            json!({counter: format!("{{% ${counter} + 1 %}}")})
        } else {
            json!({format!("{counter}.$"): format!("States.MathAdd(${counter}, 1)")})
        };
        json!({"Type": "Choice", "Choices": [rule], "Default": on})
    }

    /// One state, without where it leads.
    fn state(&mut self, depth: usize, outer_jsonata: bool) -> Value {
        let jsonata = outer_jsonata || self.chance(0.25);
        let nests = depth < DEPTH;
        let mut state = match self.below(if nests { 12 } else { 8 }) {
            0 => self.pass(jsonata),
            1 => self.choice(jsonata),
            2 | 3 => self.wait(jsonata),
            4..=7 => self.task(jsonata),
            8 | 9 => self.parallel(depth, outer_jsonata || jsonata),
            _ => self.map(depth, outer_jsonata || jsonata),
        };
        if jsonata && !outer_jsonata {
            state["QueryLanguage"] = "JSONata".into();
        }
        let kind = state["Type"].as_str().unwrap_or_default().to_owned();
        if ["Task", "Parallel", "Map"].contains(&kind.as_str()) {
            self.failures(&mut state);
            match jsonata {
                true => state["Output"] = self.output(),
                false => state["ResultPath"] = self.result_path(),
            }
        }
        if kind != "Choice" && self.chance(0.2) {
            let name = self.name("v");
            let value = match (jsonata, self.seen.last().cloned()) {
                (true, Some(seen)) => json!({&name: format!("{{% [${seen}, $random()] %}}")}),
                (true, None) => json!({&name: "{% $uuid() %}"}),
                (false, Some(seen)) => json!({format!("{name}.$"): format!("${seen}")}),
                (false, None) => json!({format!("{name}.$"): "States.UUID()"}),
            };
            state["Assign"] = value;
        }
        state
    }

    /// JSONata leaves the same shape behind as JSONPath does.
    fn output(&mut self) -> Value {
        let all = [
            "{% $states.input %}",
            "{% $merge([$states.input, {\"r\": $type($states.result)}]) %}",
        ];
        self.one(&all).into()
    }

    fn result_path(&mut self) -> Value {
        match self.below(3) {
            0 => "$.r".into(),
            _ => Value::Null,
        }
    }

    fn pass(&mut self, jsonata: bool) -> Value {
        match (jsonata, self.below(3)) {
            (_, 0) => json!({"Type": "Pass"}),
            (true, _) => {
                json!({"Type": "Pass", "Output": "{% $merge([$states.input, {\"n\": $states.input.n + 1}]) %}"})
            }
            (false, _) => json!({"Type": "Pass", "ResultPath": "$.r",
                "Parameters": {"n.$": "States.MathRandom(1, 9)", "at.$": "$$.State.EnteredTime"}}),
        }
    }

    fn choice(&mut self, jsonata: bool) -> Value {
        let bound = self.below(4);
        let rule = match jsonata {
            true => json!({"Condition": format!("{{% $states.input.n > {bound} %}}")}),
            false => json!({"And": [
                {"Variable": "$.n", "IsPresent": true},
                {"Not": {"Variable": "$.n", "NumericLessThanEquals": bound}}]}),
        };
        // Where it leads is said where the states are put in a row.
        json!({"Type": "Choice", "Choices": [rule]})
    }

    fn wait(&mut self, jsonata: bool) -> Value {
        let seconds = self.below(20);
        match (self.below(4), jsonata) {
            (0, true) => json!({"Type": "Wait", "Timestamp": "{% $states.input.new_year %}"}),
            (0, false) => json!({"Type": "Wait", "TimestampPath": "$.new_year"}),
            (1, true) => json!({"Type": "Wait", "Seconds": "{% $states.input.n %}"}),
            (1, false) => json!({"Type": "Wait", "SecondsPath": "$.n"}),
            _ => json!({"Type": "Wait", "Seconds": seconds}),
        }
    }

    fn task(&mut self, jsonata: bool) -> Value {
        let resource = self.one(&[
            "arn:aws:states:local:000000000000:activity:work",
            "arn:aws:states:local:000000000000:activity:groundcrew.test.work",
            "arn:aws:lambda:us-east-1:123456789012:function:work",
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "arn:aws:states:::sagemaker:createTrainingJob.sync",
        ]);
        let token = resource.ends_with("waitForTaskToken");
        let arguments = match (jsonata, token) {
            (true, true) => {
                json!({"QueueUrl": "q", "MessageBody": "{% $states.context.Task.Token %}"})
            }
            (false, true) => json!({"QueueUrl": "q", "MessageBody.$": "$$.Task.Token"}),
            (true, false) => json!({"n": "{% $states.input.n %}"}),
            (false, false) => json!({"n.$": "$.n"}),
        };
        let field = if jsonata { "Arguments" } else { "Parameters" };
        let mut state = json!({"Type": "Task", "Resource": resource, field: arguments});
        if self.chance(0.6) {
            let timeout = 2 + self.below(25);
            state["TimeoutSeconds"] = timeout.into();
            if self.chance(0.4) {
                state["HeartbeatSeconds"] = (1 + self.below(timeout - 1)).into();
            }
        }
        state
    }

    fn parallel(&mut self, depth: usize, jsonata: bool) -> Value {
        let count = 1 + self.below(3);
        let branches: Vec<_> = (0..count).map(|_| self.container(depth + 1, jsonata)).collect();
        json!({"Type": "Parallel", "Branches": branches})
    }

    fn map(&mut self, depth: usize, jsonata: bool) -> Value {
        let mut processor = self.container(depth + 1, jsonata);
        processor["ProcessorConfig"] = json!({"Mode": "INLINE"});
        let concurrency = self.below(3);
        let mut state =
            json!({"Type": "Map", "ItemProcessor": processor, "MaxConcurrency": concurrency});
        if jsonata {
            state["Items"] = "{% $states.input.items %}".into();
            state["ItemSelector"] =
                "{% $merge([$states.input, {\"n\": $states.context.Map.Item.Value}]) %}".into();
        } else {
            state["ItemsPath"] = "$.items".into();
            state["ItemSelector"] = json!({"n.$": "$$.Map.Item.Value", "items.$": "$.items",
                "text.$": "$.text", "new_year.$": "$.new_year"});
        }
        state
    }

    fn failures(&mut self, state: &mut Value) {
        let sets = [
            json!(["Busy"]),
            json!(["Busy", "States.Timeout"]),
            json!(["States.TaskFailed"]),
            json!(["States.HeartbeatTimeout"]),
            json!(["Broken"]),
        ];
        let some = |drawing: &mut Self| {
            let mut errors = Vec::new();
            if drawing.chance(0.6) {
                errors.push(sets[drawing.below(sets.len())].clone());
            }
            if drawing.chance(0.4) {
                errors.push(json!(["States.ALL"]));
            }
            errors
        };
        let mut retriers = Vec::new();
        for errors in some(self) {
            let mut retrier = json!({"ErrorEquals": errors, "IntervalSeconds": 1 + self.below(4),
                "MaxAttempts": self.below(4), "BackoffRate": 1.0 + self.draw.unit()});
            if self.chance(0.3) {
                retrier["JitterStrategy"] = "FULL".into();
            }
            if self.chance(0.3) {
                retrier["MaxDelaySeconds"] = 5.into();
            }
            retriers.push(retrier);
        }
        if !retriers.is_empty() {
            state["Retry"] = retriers.into();
        }
        let mut catchers: Vec<_> =
            some(self).into_iter().map(|errors| json!({"ErrorEquals": errors})).collect();
        if state["QueryLanguage"].is_null() && state.get("Arguments").is_none() {
            for catcher in &mut catchers {
                if state["Type"] == "Task" && self.chance(0.5) {
                    catcher["ResultPath"] = "$.error".into();
                }
            }
        }
        if !catchers.is_empty() {
            state["Catch"] = catchers.into();
        }
    }
}
