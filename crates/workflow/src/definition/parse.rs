//! From text to [`Machine`], noting every mistake.

use serde_json::{Map, Value};

use super::{
    Batcher, Catcher, Choice, Condition, Container, Finding, Kind, MAX_DEFINITION, Machine,
    MapState, Reader, Resource, Retrier, Selected, Severity, State, Task, Transformation, Wait,
    Writer, place,
};
use crate::choice::Rule;
use crate::intrinsic::Intrinsic;
use crate::jsonata::Expression;
use crate::template::{Language, Template};

pub const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";
/// How deep machines may nest.
const DEPTH: usize = 16;
/// The most characters of a state's name.
const NAME: usize = 80;
/// The most mistakes that are told of one definition.
const FINDINGS: usize = 1_000;

/// Reads a definition; the machine is none if nothing could be made of it.
pub fn machine(text: &str) -> (Option<Machine>, Vec<Finding>) {
    let mut findings = Vec::new();
    let refuse = |code: &str, message: String, location: Option<String>| {
        let code = code.to_owned();
        (None, vec![Finding { severity: Severity::Error, code, message, location }])
    };
    if text.len() > MAX_DEFINITION {
        let message = format!("The definition has more than {MAX_DEFINITION} bytes");
        return refuse(SCHEMA, message, None);
    }
    let document = match serde_json::from_str::<Value>(text) {
        _ if text.trim().is_empty() => Value::Null,
        Ok(document) => document,
        Err(error) => {
            let (message, place) = invalid_json(text, &error);
            return refuse("INVALID_JSON_DESCRIPTION", message, Some(place));
        }
    };
    let Value::Object(fields) = document else {
        return refuse(SCHEMA, "Definition must be a valid JSON object".to_owned(), None);
    };
    let mut node = Node { fields: &fields, at: String::new(), findings: &mut findings };
    let language = node.language(Language::JsonPath);
    let states = node.container(language, 0);
    let timeout_seconds = node.count("TimeoutSeconds");
    let known = ["Comment", "Version", "QueryLanguage", "StartAt", "States", "TimeoutSeconds"];
    node.only(&known);
    (states.map(|states| Machine::new(states, timeout_seconds)), findings)
}

/// Reads one state as a machine of its own; targets outside it are let be.
pub fn single(name: &str, state: &Value) -> (Option<Machine>, Vec<Finding>) {
    let mut findings = Vec::new();
    let Value::Object(fields) = state else {
        let message = "State must be a valid JSON object".to_owned();
        return (None, vec![Finding::new(Severity::Error, SCHEMA, message, "/")]);
    };
    let state =
        Node { fields, at: String::new(), findings: &mut findings }.state(Language::JsonPath, 0);
    let states = |state| [(name.to_owned(), state)].into();
    let alone = |state| Container { start_at: name.to_owned(), states: states(state) };
    (state.map(|state| Machine::new(alone(state), None)), findings)
}

/// The service's own words for a text that is no JSON, and the place: behind the first token if
/// that is none of JSON's.
fn invalid_json(text: &str, error: &serde_json::Error) -> (String, String) {
    let place = |column: usize| {
        format!("[Source: (String)\"{text}\"; line: {}, column: {column}]", error.line())
    };
    let trimmed = text.trim_start();
    let token: String = trimmed.chars().take_while(|c| c.is_alphanumeric()).collect();
    if token.is_empty() || token.starts_with(|c: char| c.is_ascii_digit()) {
        let place = place(error.column());
        return (format!("{error}\n at {place}"), place);
    }
    let place = place(text.chars().count() - trimmed.chars().count() + token.chars().count() + 1);
    let message = format!(
        "Unrecognized token '{token}': was expecting (JSON String, Number, Array, Object or token \
         'null', 'true' or 'false')\n at {place}"
    );
    (message, place)
}

/// An object of the definition, and where it is.
struct Node<'a> {
    fields: &'a Map<String, Value>,
    at: String,
    findings: &'a mut Vec<Finding>,
}

impl Node<'_> {
    fn place(&self, name: &str) -> String {
        place(&self.at, name)
    }

    /// Where this object itself is.
    fn here(&self) -> String {
        if self.at.is_empty() { "/".to_owned() } else { self.at.clone() }
    }

    fn wrong(&mut self, location: &str, message: impl Into<String>) {
        if self.findings.len() < FINDINGS {
            self.findings.push(Finding::new(Severity::Error, SCHEMA, message.into(), location));
        }
    }

    fn wrong_field(&mut self, name: &str, message: impl Into<String>) {
        let place = self.place(name);
        self.wrong(&place, message);
    }

    /// Names the fields of `names` that are missing.
    fn require(&mut self, names: &[&str]) -> bool {
        let missing: Vec<_> =
            names.iter().copied().filter(|name| !self.fields.contains_key(*name)).collect();
        let here = self.here();
        match missing.as_slice() {
            [] => return true,
            [only] => self.wrong(&here, format!("The field '{only}' is required but was missing")),
            several => {
                self.wrong(&here, format!("These fields are required: [{}]", several.join(", ")));
            }
        }
        false
    }

    fn only(&mut self, known: &[&str]) {
        let others = self.fields.keys().filter(|name| !known.contains(&name.as_str()));
        for name in others.cloned().collect::<Vec<_>>() {
            self.wrong_field(&name, format!("Field '{name}' is not supported"));
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.fields.get(name)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.wrong_field(name, "Value is not a String");
                None
            }
        }
    }

    fn count(&mut self, name: &str) -> Option<u64> {
        let value = self.fields.get(name)?;
        let count = value.as_u64().filter(|count| *count > 0);
        if count.is_none() {
            self.wrong_field(name, "Value is not a positive integer");
        }
        count
    }

    fn child(&mut self, name: &str) -> Option<Node<'_>> {
        match self.fields.get(name)? {
            Value::Object(fields) => {
                let at = self.place(name);
                Some(Node { fields, at, findings: self.findings })
            }
            _ => {
                self.wrong_field(name, "Value is not an object");
                None
            }
        }
    }

    fn language(&mut self, inherited: Language) -> Language {
        match self.fields.get("QueryLanguage").map(Value::as_str) {
            None => inherited,
            Some(Some("JSONPath")) => Language::JsonPath,
            Some(Some("JSONata")) => Language::Jsonata,
            Some(_) => {
                self.wrong_field("QueryLanguage", "Value is not one of [JSONPath, JSONata]");
                inherited
            }
        }
    }

    fn template(&mut self, name: &str, language: Language) -> Option<Template> {
        let value = self.fields.get(name)?;
        match Template::parse(value, language, &self.place(name)) {
            Ok(template) => Some(template),
            Err(wrong) => {
                for (at, why) in wrong {
                    self.wrong(&at, why);
                }
                None
            }
        }
    }

    /// A field that may be computed: an expression in JSONata, `…Path` beside it in JSONPath.
    fn dynamic(&mut self, name: &str, language: Language) -> Option<Template> {
        let by_path = format!("{name}Path");
        if language == Language::JsonPath && self.fields.contains_key(&by_path) {
            if self.fields.contains_key(name) {
                let here = self.here();
                self.wrong(&here, format!("Only one of [{name}, {by_path}] may be present"));
            }
            let text = self.text(&by_path)?;
            let read = if Intrinsic::is_call(&text) {
                Intrinsic::parse(&text).map(|call| Template::Call(by_path.clone(), call))
            } else {
                let path = text.parse().map(|path| Template::Path(by_path.clone(), path));
                path.map_err(|error| format!("`{text}` is no path: {error}"))
            };
            return match read {
                Ok(template) => Some(template),
                Err(why) => {
                    self.wrong_field(&by_path, why);
                    None
                }
            };
        }
        self.template(name, language)
    }

    /// A number that may be computed.
    fn number(&mut self, name: &str, language: Language) -> Option<Template> {
        let template = self.dynamic(name, language)?;
        let plain = match &template {
            Template::Value(value) => value.as_f64().is_some_and(|number| number >= 0.0),
            _ => true,
        };
        if !plain {
            self.wrong_field(name, "Value is not a non-negative number");
        }
        plain.then_some(template)
    }

    fn selected(&mut self, name: &str, reference: bool) -> Selected {
        match self.fields.get(name) {
            None => return Selected::All,
            Some(Value::Null) => return Selected::Nothing,
            Some(_) => {}
        }
        let Some(text) = self.text(name) else { return Selected::All };
        match text.parse::<crate::path::Path>() {
            Ok(path) if reference && !path.is_reference() => {
                self.wrong_field(name, "Value is not a Reference Path");
            }
            Ok(path) => return Selected::Path(path),
            Err(error) => {
                self.wrong_field(name, format!("Value is not a valid JSONPath: {error}"));
            }
        }
        Selected::All
    }

    fn container(&mut self, language: Language, depth: usize) -> Option<Container> {
        if depth > DEPTH {
            let here = self.here();
            self.wrong(&here, format!("State machines are nested more than {DEPTH} deep"));
            return None;
        }
        if !self.require(&["States", "StartAt"]) {
            return None;
        }
        let start_at = self.text("StartAt");
        let node = self.child("States")?;
        let mut states = std::collections::BTreeMap::new();
        if node.fields.is_empty() {
            node.findings.push(Finding::new(
                Severity::Error,
                SCHEMA,
                "At least one state is required".to_owned(),
                &node.at,
            ));
        }
        for (name, value) in node.fields {
            let at = node.place(name);
            if name.chars().count() > NAME {
                let message = format!("State name exceeds {NAME} characters");
                node.findings.push(Finding::new(Severity::Error, SCHEMA, message, &at));
                // A long name would stand in every place below it.
                continue;
            }
            let Value::Object(fields) = value else {
                let message = "Value is not an object".to_owned();
                node.findings.push(Finding::new(Severity::Error, SCHEMA, message, &at));
                continue;
            };
            let mut state = Node { fields, at, findings: node.findings };
            if let Some(state) = state.state(language, depth) {
                states.insert(name.clone(), state);
            }
        }
        Some(Container { start_at: start_at?, states })
    }

    fn state(&mut self, inherited: Language, depth: usize) -> Option<State> {
        let language = self.language(inherited);
        if inherited == Language::Jsonata && language == Language::JsonPath {
            self.wrong_field("QueryLanguage", "A JSONPath state cannot stand in a JSONata machine");
        }
        if !self.require(&["Type"]) {
            return None;
        }
        let kind_name = self.text("Type")?;
        self.fields_of(&kind_name, language);
        let kind = self.kind(&kind_name, language, depth);
        let ends = matches!(kind_name.as_str(), "Succeed" | "Fail" | "Choice");
        let next = if ends { None } else { self.transition() };
        let json_path = language == Language::JsonPath;
        let arguments = if json_path { "Parameters" } else { "Arguments" };
        // A Map's old `Parameters` are its `ItemSelector`.
        let arguments = if kind_name == "Map" { None } else { self.template(arguments, language) };
        let input_path = self.selected("InputPath", false);
        let result_selector = self.template("ResultSelector", language);
        let result_path = self.selected("ResultPath", true);
        let output_path = self.selected("OutputPath", false);
        let output = self.template("Output", language).filter(|_| !json_path);
        let assign = self.template("Assign", language);
        let (retry, catch) = (self.retriers(), self.catchers(language));
        // A state that cannot be read is refused with all the rest; where it leads is looked at
        // all the same.
        Some(State {
            kind: kind.unwrap_or(Kind::Succeed),
            language,
            input_path,
            arguments,
            result_selector,
            result_path,
            output_path,
            output,
            assign,
            next,
            retry,
            catch,
        })
    }

    /// Names fields that a state of this type and language cannot have.
    fn fields_of(&mut self, kind: &str, language: Language) {
        let mut known = vec!["Type", "Comment", "QueryLanguage"];
        let (common, data, work): (&[&str], &[&str], &[&str]) = match language {
            Language::JsonPath => (
                &["InputPath", "OutputPath"],
                &["ResultPath", "Parameters", "ResultSelector"],
                &["ResultPath", "Parameters", "ResultSelector", "Retry", "Catch"],
            ),
            Language::Jsonata => (&["Output"], &[], &["Arguments", "Retry", "Catch"]),
        };
        let moving = ["Next", "End", "Assign"];
        let own: &[&str] = match kind {
            "Pass" => &["Result"],
            "Choice" => &["Choices", "Default", "Assign"],
            "Succeed" => &[],
            "Fail" => &["Error", "Cause", "ErrorPath", "CausePath"],
            "Wait" => &["Seconds", "Timestamp", "SecondsPath", "TimestampPath"],
            "Task" => &[
                "Resource",
                "TimeoutSeconds",
                "TimeoutSecondsPath",
                "HeartbeatSeconds",
                "HeartbeatSecondsPath",
                "Credentials",
            ],
            "Parallel" => &["Branches"],
            "Map" => &[
                "ItemProcessor",
                "Iterator",
                "ItemsPath",
                "Items",
                "ItemSelector",
                "MaxConcurrency",
                "MaxConcurrencyPath",
                "ItemReader",
                "ItemBatcher",
                "ResultWriter",
                "ToleratedFailureCount",
                "ToleratedFailureCountPath",
                "ToleratedFailurePercentage",
                "ToleratedFailurePercentagePath",
                "Label",
            ],
            _ => return,
        };
        known.extend(own);
        if kind != "Fail" {
            known.extend(common);
        }
        match kind {
            "Pass" => known.extend(data),
            "Task" | "Parallel" | "Map" => known.extend(work),
            _ => {}
        }
        if matches!(kind, "Pass" | "Wait" | "Task" | "Parallel" | "Map") {
            known.extend(moving);
        }
        self.only(&known);
    }

    fn transition(&mut self) -> Option<String> {
        let end = match self.fields.get("End") {
            None | Some(Value::Bool(false)) => false,
            Some(Value::Bool(true)) => true,
            Some(_) => {
                self.wrong_field("End", "Value is not a Boolean");
                true
            }
        };
        let next = self.text("Next");
        let here = self.here();
        match (&next, end) {
            (Some(_), true) => self.wrong(&here, "Only one of [Next, End] may be present"),
            (None, false) if !self.fields.contains_key("Next") => {
                self.wrong(&here, "One of [Next, End] is required");
            }
            _ => {}
        }
        next
    }

    fn kind(&mut self, name: &str, language: Language, depth: usize) -> Option<Kind> {
        Some(match name {
            "Pass" => Kind::Pass { result: self.fields.get("Result").cloned() },
            "Succeed" => Kind::Succeed,
            "Fail" => Kind::Fail {
                error: self.dynamic("Error", language),
                cause: self.dynamic("Cause", language),
            },
            "Choice" => {
                self.require(&["Choices"]);
                let choices = self.choices(language);
                Kind::Choice { choices, default: self.text("Default") }
            }
            "Wait" => Kind::Wait(self.wait(language)?),
            "Task" => Kind::Task(Box::new(self.task(language)?)),
            "Parallel" => Kind::Parallel { branches: self.branches(language, depth)? },
            "Map" => Kind::Map(Box::new(self.map(language, depth)?)),
            _ => {
                let all = "Task, Pass, Choice, Wait, Succeed, Fail, Parallel, Map";
                self.wrong_field("Type", format!("Value is not one of [{all}]"));
                return None;
            }
        })
    }

    /// The objects of a list, each with its place.
    fn objects(&mut self, name: &str) -> Vec<(Map<String, Value>, String)> {
        let items = match self.fields.get(name) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.wrong_field(name, "Value is not an array");
                return Vec::new();
            }
        };
        let mut objects = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let at = format!("{}[{index}]", self.place(name));
            match item {
                Value::Object(fields) => objects.push((fields.clone(), at)),
                _ => self.wrong(&at, "Value is not an object"),
            }
        }
        objects
    }

    fn choices(&mut self, language: Language) -> Vec<Choice> {
        let rules = self.objects("Choices");
        if rules.is_empty() && self.fields.get("Choices").is_some_and(Value::is_array) {
            self.wrong_field("Choices", "At least one choice is required");
        }
        let rules = rules.into_iter().filter_map(|(fields, at)| {
            let mut node = Node { fields: &fields, at, findings: self.findings };
            node.choice(language)
        });
        rules.collect()
    }

    fn choice(&mut self, language: Language) -> Option<Choice> {
        let condition = match language {
            Language::JsonPath => Rule::parse(self.fields).map(Condition::Rule),
            Language::Jsonata => match self.fields.get("Condition") {
                Some(Value::Bool(fixed)) => Ok(Condition::Fixed(*fixed)),
                Some(Value::String(text)) => match Expression::marked(text) {
                    Some(text) => Expression::parse(text).map(Condition::Expression),
                    None => Err("The condition must be a JSONata expression".to_owned()),
                },
                _ => Err("The field 'Condition' is required but was missing".to_owned()),
            },
        };
        let here = self.here();
        let condition = match condition {
            Ok(condition) => Some(condition),
            Err(why) => {
                self.wrong(&here, why);
                None
            }
        };
        self.require(&["Next"]);
        Some(Choice {
            condition: condition?,
            next: self.text("Next")?,
            assign: self.template("Assign", language),
            output: self.template("Output", language),
        })
    }

    fn wait(&mut self, language: Language) -> Option<Wait> {
        let all = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
        let given = all.iter().filter(|name| self.fields.contains_key(**name)).count();
        if given != 1 {
            let here = self.here();
            self.wrong(&here, format!("Exactly one of [{}] is required", all.join(", ")));
            return None;
        }
        if let Some(seconds) = self.number("Seconds", language) {
            return Some(Wait::Seconds(seconds));
        }
        let timestamp = self.dynamic("Timestamp", language)?;
        if let Template::Value(value) = &timestamp
            && value.as_str().and_then(crate::choice::timestamp).is_none()
        {
            self.wrong_field("Timestamp", "Value is not a valid RFC 3339 timestamp");
        }
        Some(Wait::Timestamp(timestamp))
    }

    fn task(&mut self, language: Language) -> Option<Task> {
        self.require(&["Resource"]);
        let timeout = self.number("TimeoutSeconds", language);
        let heartbeat = self.number("HeartbeatSeconds", language);
        let fixed = |template: &Option<Template>| match template {
            Some(Template::Value(value)) => value.as_f64(),
            _ => None,
        };
        if let (Some(heartbeat), Some(timeout)) = (fixed(&heartbeat), fixed(&timeout))
            && heartbeat >= timeout
        {
            self.wrong_field("HeartbeatSeconds", "HeartbeatSeconds must be below TimeoutSeconds");
        }
        if let Some(mut credentials) = self.child("Credentials")
            && !credentials.fields.contains_key("RoleArn.$")
        {
            credentials.require(&["RoleArn"]);
        }
        let credentials = self.template("Credentials", language);
        let text = self.text("Resource")?;
        let Some(resource) = Resource::parse(&text) else {
            let why = format!(
                "The resource provided {text} is not recognized. The value is not a valid \
                 resource ARN, or the resource is not available in this region."
            );
            self.wrong_field("Resource", why);
            return None;
        };
        Some(Task { resource, timeout, heartbeat, credentials })
    }

    fn branches(&mut self, language: Language, depth: usize) -> Option<Vec<Container>> {
        if !self.require(&["Branches"]) {
            return None;
        }
        let branches = self.objects("Branches");
        if branches.is_empty() {
            self.wrong_field("Branches", "At least one branch is required");
        }
        let branches = branches.into_iter().map(|(fields, at)| {
            let mut node = Node { fields: &fields, at, findings: self.findings };
            node.only(&["Comment", "StartAt", "States"]);
            node.container(language, depth + 1)
        });
        // Every branch is read, so that all mistakes are told.
        branches.collect::<Vec<_>>().into_iter().collect()
    }

    fn map(&mut self, language: Language, depth: usize) -> Option<MapState> {
        let processor =
            if self.fields.contains_key("Iterator") { "Iterator" } else { "ItemProcessor" };
        if !self.require(&[processor]) {
            return None;
        }
        let mut distributed = false;
        let container = self.child(processor).and_then(|mut node| {
            if let Some(mut config) = node.child("ProcessorConfig") {
                distributed = config.text("Mode").as_deref() == Some("DISTRIBUTED");
                if distributed {
                    config.require(&["ExecutionType"]);
                }
                config.only(&["Mode", "ExecutionType"]);
            }
            let known = ["Comment", "StartAt", "States", "ProcessorConfig", "QueryLanguage"];
            node.only(&known);
            let language = node.language(language);
            node.container(language, depth + 1)
        });
        let selector =
            if self.fields.contains_key("ItemSelector") { "ItemSelector" } else { "Parameters" };
        if !distributed {
            for name in ["ItemReader", "ItemBatcher", "ResultWriter"] {
                if self.fields.contains_key(name) {
                    self.wrong_field(name, format!("{name} needs a Map in DISTRIBUTED mode"));
                }
            }
        }
        let items_path = match self.selected("ItemsPath", false) {
            Selected::Path(path) => Some(path),
            _ => None,
        };
        Some(MapState {
            processor: container?,
            processor_field: processor,
            distributed,
            items_path,
            items: self.template("Items", language),
            item_selector: self.template(selector, language),
            max_concurrency: self.number("MaxConcurrency", language),
            reader: self.child("ItemReader").and_then(|mut node| node.reader(language)),
            batcher: self.child("ItemBatcher").map(|mut node| node.batcher(language)),
            writer: self.child("ResultWriter").map(|mut node| node.writer(language)),
            tolerated_count: self.number("ToleratedFailureCount", language),
            tolerated_percentage: self.number("ToleratedFailurePercentage", language),
            label: self.text("Label"),
        })
    }

    fn reader(&mut self, language: Language) -> Option<Reader> {
        if !self.require(&["Resource"]) {
            return None;
        }
        let resource = self.text("Resource")?;
        let by_language = if language == Language::JsonPath { "Parameters" } else { "Arguments" };
        let mut reader = Reader {
            resource,
            arguments: self.template(by_language, language),
            input_type: None,
            max_items: None,
            csv_headers: None,
            csv_delimiter: ',',
        };
        self.only(&["Resource", "Parameters", "Arguments", "ReaderConfig"]);
        if let Some(mut config) = self.child("ReaderConfig") {
            reader.input_type = config.text("InputType");
            reader.max_items = config.dynamic("MaxItems", language);
            if config.text("CSVHeaderLocation").as_deref() == Some("GIVEN") {
                config.require(&["CSVHeaders"]);
                let names = config.fields.get("CSVHeaders").and_then(Value::as_array);
                let names = names.into_iter().flatten().filter_map(Value::as_str);
                reader.csv_headers = Some(names.map(str::to_owned).collect());
            }
            reader.csv_delimiter = match config.text("CSVDelimiter").as_deref() {
                None | Some("COMMA") => ',',
                Some("PIPE") => '|',
                Some("SEMICOLON") => ';',
                Some("SPACE") => ' ',
                Some("TAB") => '\t',
                Some(_) => {
                    let all = "COMMA, PIPE, SEMICOLON, SPACE, TAB";
                    config.wrong_field("CSVDelimiter", format!("Value is not one of [{all}]"));
                    ','
                }
            };
        }
        Some(reader)
    }

    fn batcher(&mut self, language: Language) -> Batcher {
        Batcher {
            max_items: self.dynamic("MaxItemsPerBatch", language),
            max_bytes: self.dynamic("MaxInputBytesPerBatch", language),
            batch_input: self.template("BatchInput", language),
        }
    }

    fn writer(&mut self, language: Language) -> Writer {
        let by_language = if language == Language::JsonPath { "Parameters" } else { "Arguments" };
        let resource = self.text("Resource").unwrap_or_default();
        let arguments = self.template(by_language, language);
        let mut writer = Writer { resource, arguments, transformation: None, lines: false };
        self.only(&["Resource", by_language, "WriterConfig"]);
        if let Some(mut config) = self.child("WriterConfig") {
            writer.transformation = match config.text("Transformation").as_deref() {
                None => None,
                Some("NONE") => Some(Transformation::None),
                Some("COMPACT") => Some(Transformation::Compact),
                Some("FLATTEN") => Some(Transformation::Flatten),
                Some(_) => {
                    let all = "NONE, COMPACT, FLATTEN";
                    config.wrong_field("Transformation", format!("Value is not one of [{all}]"));
                    None
                }
            };
            writer.lines = match config.text("OutputType").as_deref() {
                None | Some("JSON") => false,
                Some("JSONL") => true,
                Some(_) => {
                    config.wrong_field("OutputType", "Value is not one of [JSON, JSONL]");
                    false
                }
            };
        } else if writer.resource.is_empty() {
            self.require(&["Resource"]);
        }
        writer
    }

    fn errors(&mut self) -> Vec<String> {
        self.require(&["ErrorEquals"]);
        let names = self.fields.get("ErrorEquals").and_then(Value::as_array);
        let names: Vec<String> = names
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        if names.is_empty() && self.fields.contains_key("ErrorEquals") {
            self.wrong_field("ErrorEquals", "Value is not a list of error names");
        }
        if names.len() > 1 && names.iter().any(|name| name == crate::fault::name::ALL) {
            self.wrong_field("ErrorEquals", "States.ALL must appear alone");
        }
        names
    }

    fn retriers(&mut self) -> Vec<Retrier> {
        let all = self.objects("Retry").into_iter();
        let all = all.map(|(fields, at)| {
            let mut node = Node { fields: &fields, at, findings: self.findings };
            node.retrier()
        });
        all.collect()
    }

    fn retrier(&mut self) -> Retrier {
        let errors = self.errors();
        self.only(&[
            "Comment",
            "ErrorEquals",
            "IntervalSeconds",
            "MaxAttempts",
            "BackoffRate",
            "MaxDelaySeconds",
            "JitterStrategy",
        ]);
        let attempts = match self.fields.get("MaxAttempts") {
            None => 3,
            Some(value) => match value.as_u64().and_then(|count| u32::try_from(count).ok()) {
                Some(count) => count,
                None => {
                    self.wrong_field("MaxAttempts", "Value is not a non-negative integer");
                    0
                }
            },
        };
        let interval = self.count("IntervalSeconds").unwrap_or(1) as f64;
        let max_delay = self.count("MaxDelaySeconds").map(|seconds| seconds as f64);
        if max_delay.is_some_and(|longest| longest <= interval) {
            self.wrong_field("MaxDelaySeconds", "MaxDelaySeconds must exceed IntervalSeconds");
        }
        let rate = self.fields.get("BackoffRate").map_or(Some(2.0), Value::as_f64);
        let backoff_rate = match rate.filter(|rate| *rate >= 1.0) {
            Some(rate) => rate,
            None => {
                self.wrong_field("BackoffRate", "Value is not a number of 1.0 or more");
                1.0
            }
        };
        let full_jitter = match self.text("JitterStrategy").as_deref() {
            None | Some("NONE") => false,
            Some("FULL") => true,
            Some(_) => {
                self.wrong_field("JitterStrategy", "Value is not one of [FULL, NONE]");
                false
            }
        };
        Retrier { errors, interval, max_attempts: attempts, backoff_rate, max_delay, full_jitter }
    }

    fn catchers(&mut self, language: Language) -> Vec<Catcher> {
        let all = self.objects("Catch").into_iter();
        let all = all.filter_map(|(fields, at)| {
            let mut node = Node { fields: &fields, at, findings: self.findings };
            let errors = node.errors();
            node.require(&["Next"]);
            Some(Catcher {
                errors,
                next: node.text("Next")?,
                result_path: node.selected("ResultPath", true),
                assign: node.template("Assign", language),
                output: node.template("Output", language),
            })
        });
        all.collect()
    }
}
