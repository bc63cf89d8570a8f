//! From commands to a plan: each works on the rows that the ones before leave.
//!
//! What a command computes is added as a column; which columns are shown is decided at the end.
//! So `filter` may use what `fields` does not name, as in CloudWatch.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::functions::expr_fn::{coalesce, get_field};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, ExprSchemable, LogicalPlan, LogicalPlanBuilder, SortExpr, lit,
};

use super::discover::discover;
use super::expression::{Compiler, Names, cast_text, column};
use super::functions::sort_by;
use super::syntax::{Command, Expression, Extract, Item, Node, Order, Span, Step};
use super::{InsightsError, Source, scalar};

/// Names of CloudWatch's, and the columns that they may stand for: the first there is.
const NAMES: [(&str, &[&str]); 5] = [
    ("@timestamp", &["timestamp"]),
    ("@message", &["body", "text", "name", "document"]),
    ("@logStream", &["service"]),
    ("@log", &["service"]),
    ("@ingestionTime", &["observed_at"]),
];
/// The text in which fields are discovered.
const TEXTS: [&str; 2] = ["body", "text"];
/// The structure of the fields that were discovered.
const FOUND: &str = "__found";
/// Whether a row is of the time that is asked about, where two times are compared.
pub const CURRENT: &str = "__current";

/// The rows as they are after some commands.
pub struct Rows<'a> {
    pub compiler: Compiler<'a>,
    pub plan: LogicalPlan,
    /// What a query may name, and the columns that hold it. Columns of the plan have names of our
    /// own, so that a new field may have the name of an old one.
    pub names: Vec<(String, String)>,
    /// Those of them that are the table's own texts, and not what a command made.
    own: BTreeSet<String>,
    /// Whether rows are still the table's own, in which fields are discovered.
    pub open: bool,
    /// What is shown; nothing was said yet if there is none.
    pub shown: Option<Vec<(String, Span)>>,
    /// How rows are ordered.
    pub order: Vec<SortExpr>,
    /// Whether two times are compared.
    pub compares: bool,
    hidden: usize,
}

/// Makes a plan.
pub fn compile(
    text: &str,
    commands: &[Command],
    source: Source,
) -> Result<LogicalPlan, InsightsError> {
    let compiler = Compiler { text, now: source.now };
    let limit = source.limit;
    let mut rows = Rows::open(compiler, commands, source)?;
    for command in commands {
        rows.run(command)?;
    }
    rows.close(limit)
}

impl<'a> Rows<'a> {
    fn open(
        compiler: Compiler<'a>,
        commands: &[Command],
        source: Source,
    ) -> Result<Self, InsightsError> {
        let mut rows = Self {
            compiler,
            plan: source.rows,
            names: Vec::new(),
            own: BTreeSet::new(),
            open: true,
            shown: None,
            order: Vec::new(),
            compares: false,
            hidden: 0,
        };
        let diff = commands.iter().find(|command| matches!(command.step, Step::Diff(_)));
        if let Some(diff) = diff {
            let Some(before) = source.before else {
                return Err(compiler.error(&diff.span, "there is no earlier time to compare with"));
            };
            let both = flagged(rows.plan.clone(), true)
                .and_then(|now| now.union(flagged(before, false)?.build()?))
                .and_then(LogicalPlanBuilder::build);
            rows.plan = rows.planned(&diff.span, both)?;
            rows.compares = true;
        }
        let columns: Vec<_> = rows.plan.schema().iter().map(Column::from).collect();
        let mut projected = Vec::new();
        for column in columns {
            let name = match column.name.as_str() {
                CURRENT => CURRENT.to_owned(),
                _ => rows.hide(),
            };
            rows.names.push((column.name.clone(), name.clone()));
            rows.own.insert(name.clone());
            projected.push(Expr::Column(column).alias(name));
        }
        rows.project(&(0..0), projected)?;
        if let Some(found) = rows.found(commands) {
            rows.keep(&(0..0), vec![(FOUND.to_owned(), found)])?;
        }
        Ok(rows)
    }

    /// What finds the fields that no column holds.
    fn found(&self, commands: &[Command]) -> Option<Expr> {
        let attributes = self.named("attributes");
        let text = TEXTS.into_iter().find_map(|text| self.named(text));
        if attributes.is_none() && text.is_none() {
            return None;
        }
        let wanted = wanted(commands, |name| !matches!(self.column_of(name), Some((_, None))));
        if wanted.is_empty() {
            return None;
        }
        let map = attributes.map_or_else(|| lit(ScalarValue::Null), column);
        let kind = map.get_type(self.schema()).unwrap_or(DataType::Null);
        let text = match text {
            Some(text) => cast_text(column(text), self),
            None => lit(ScalarValue::Utf8(None)),
        };
        Some(discover((map, kind), text, wanted))
    }

    /// The column that holds what is named so.
    fn named(&self, name: &str) -> Option<&str> {
        self.names.iter().find(|(named, _)| named == name).map(|(_, column)| column.as_str())
    }

    /// A field that was found in attributes or text, while rows are the table's own.
    fn discovered(&self, name: &str) -> Option<Expr> {
        let found = self.schema().field_with_unqualified_name(FOUND).ok()?;
        match found.data_type() {
            DataType::Struct(fields) if self.open => {
                fields.find(name).map(|_| scalar::part(column(FOUND), fields, name))
            }
            _ => None,
        }
    }

    /// The column that a name stands for, or a part of it.
    fn column_of<'n>(&self, name: &'n str) -> Option<(&str, Option<&'n str>)> {
        let exact = |name: &str| {
            let known = || {
                let known = NAMES.iter().filter(|_| self.open).find(|(known, _)| *known == name)?;
                known.1.iter().find_map(|column| self.named(column))
            };
            self.named(name).or_else(known)
        };
        if let Some(found) = exact(name) {
            return Some((found, None));
        }
        let points = name.rmatch_indices('.').map(|(at, _)| at);
        points.into_iter().find_map(|at| Some((exact(&name[..at])?, Some(&name[at + 1..]))))
    }

    fn run(&mut self, command: &Command) -> Result<(), InsightsError> {
        let span = &command.span;
        match &command.step {
            Step::Source(_) => Ok(()),
            Step::Fields(items) => self.fields(items, span),
            Step::Display(items) => {
                self.shown = Some(Vec::new());
                self.fields(items, span)
            }
            Step::Filter(condition) => {
                let condition = self.compiler.condition(condition, self)?;
                self.step(span, |plan| plan.filter(condition))
            }
            Step::Stats { outputs, by } => self.stats(outputs, by, span),
            Step::Sort(keys) => self.sort(keys, span),
            Step::Limit(count) => {
                self.ordered(span)?;
                self.step(span, |plan| plan.limit(0, Some(*count)))
            }
            Step::Dedup(fields) => self.dedup(fields, span),
            Step::Parse { of, with, names } => self.parse(of, (with, names), span),
            Step::Pattern(of) => self.pattern(of, span),
            Step::Diff(_) => self.diff(span),
            Step::Unnest { list, into } => self.unnest(list, into, span),
        }
    }

    /// Shows what is named, and computes what is no field.
    fn fields(&mut self, items: &[Item], span: &Span) -> Result<(), InsightsError> {
        let mut added = Vec::new();
        for Item { value, name } in items {
            let plain = matches!(&value.node, Node::Field(field) if field == name);
            let held = self.named(name).map(column);
            let there = held.is_some() && self.computed(value) == held;
            if !plain && !there {
                added.push((name.clone(), self.compiler.value(value, self)?));
            }
        }
        self.add(span, added)?;
        for item in items {
            self.show(&item.name, &item.value.span);
        }
        Ok(())
    }

    fn show(&mut self, name: &str, span: &Span) {
        let shown = self.shown.get_or_insert_default();
        if !shown.iter().any(|(shown, _)| shown == name) {
            shown.push((name.to_owned(), span.clone()));
        }
    }

    fn sort(&mut self, keys: &[(Expression, Order)], span: &Span) -> Result<(), InsightsError> {
        let (mut added, mut order) = (Vec::new(), Vec::new());
        for (key, direction) in keys {
            let value = self.compiler.value(key, self)?;
            let name = self.hide();
            added.push((name.clone(), sort_by(value, self)));
            order.push(column(name).sort(*direction == Order::Ascending, false));
        }
        self.keep(span, added)?;
        // Rows that are equal by it stay in the order that they had.
        order.append(&mut self.order);
        self.order = order;
        Ok(())
    }

    /// Orders the rows as was asked; rows of the table that nobody ordered, the newest first.
    fn ordered(&mut self, span: &Span) -> Result<(), InsightsError> {
        if self.order.is_empty() && self.open && self.column_of("@timestamp").is_some() {
            self.order = vec![self.field("@timestamp", span)?.sort(false, false)];
        }
        let order = self.order.clone();
        match order.is_empty() {
            true => Ok(()),
            false => self.step(span, |plan| plan.sort(order)),
        }
    }

    /// Keeps the first row of those with the same values. A missing value is like no other.
    fn dedup(&mut self, fields: &[Expression], span: &Span) -> Result<(), InsightsError> {
        let values = fields.iter().map(|field| self.compiler.value(field, self));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        self.ordered(span)?;
        let first = row_number().partition_by(values.clone()).order_by(self.order.clone()).build();
        let first = self.planned(span, first)?;
        let numbered = column(first.schema_name().to_string());
        let missing = values.into_iter().map(Expr::is_null);
        let kept = missing.fold(numbered.eq(lit(1_u64)), Expr::or);
        let before = self.columns();
        self.step(span, |plan| plan.window(vec![first])?.filter(kept)?.project(before))
    }

    fn parse(
        &mut self,
        of: &Expression,
        (with, names): (&Extract, &[String]),
        span: &Span,
    ) -> Result<(), InsightsError> {
        let text = self.compiler.text_value(of, self)?;
        let parts = self.hide();
        self.keep(span, vec![(parts.clone(), scalar::extract(text, with.clone(), names))])?;
        let fields = scalar::text_fields(names);
        let part = |name: &String| (name.clone(), scalar::part(column(&parts), &fields, name));
        self.add(span, names.iter().map(part).collect())?;
        for name in names {
            self.show(name, span);
        }
        Ok(())
    }

    fn unnest(&mut self, list: &Expression, into: &str, span: &Span) -> Result<(), InsightsError> {
        let text = self.compiler.text_value(list, self)?;
        let items = self.hide();
        self.keep(span, vec![(items.clone(), scalar::items(text))])?;
        self.step(span, |plan| plan.unnest_column(items.as_str()))?;
        self.name(into, items);
        if self.shown.is_some() {
            self.show(into, span);
        }
        Ok(())
    }

    /// Orders and limits the rows, and leaves what is shown.
    fn close(mut self, limit: usize) -> Result<LogicalPlan, InsightsError> {
        let all = 0..self.compiler.text.len();
        self.ordered(&all)?;
        self.step(&all, |plan| plan.limit(0, Some(limit)))?;
        let usual = ["@timestamp", "@message"];
        let shown = self.shown.take().unwrap_or_else(|| match self.open {
            true => usual.map(|name| (name.to_owned(), all.clone())).into(),
            false => self.names.iter().map(|(name, _)| (name.clone(), all.clone())).collect(),
        });
        let shown = shown.iter().map(|(name, span)| Ok(self.field(name, span)?.alias(name)));
        let shown = shown.collect::<Result<Vec<_>, InsightsError>>()?;
        self.project(&all, shown)?;
        Ok(self.plan)
    }

    /// All columns of the plan.
    fn columns(&self) -> Vec<Expr> {
        self.plan.schema().fields().iter().map(|field| column(field.name())).collect()
    }

    /// A name for a column of our own.
    pub fn hide(&mut self) -> String {
        self.hidden += 1;
        format!("__{}", self.hidden)
    }

    /// Adds fields; one that has the name of another takes its place.
    pub fn add(&mut self, span: &Span, added: Vec<(String, Expr)>) -> Result<(), InsightsError> {
        let held: Vec<_> = added.iter().map(|(name, _)| (name.clone(), self.hide())).collect();
        let values = added.into_iter().zip(&held);
        let values = values.map(|((_, value), (_, column))| (column.clone(), value)).collect();
        self.keep(span, values)?;
        held.into_iter().for_each(|(name, column)| self.name(&name, column));
        Ok(())
    }

    /// Says which column holds what is named so.
    fn name(&mut self, name: &str, column: String) {
        self.names.retain(|(named, _)| named != name);
        self.names.push((name.to_owned(), column));
    }

    /// Adds columns of our own.
    pub fn keep(&mut self, span: &Span, added: Vec<(String, Expr)>) -> Result<(), InsightsError> {
        if added.is_empty() {
            return Ok(());
        }
        let added = added.into_iter().map(|(name, value)| value.alias(name));
        self.project(span, self.columns().into_iter().chain(added).collect())
    }

    /// Leaves nothing but these fields.
    pub fn leave(&mut self, span: &Span, left: Vec<(String, Expr)>) -> Result<(), InsightsError> {
        self.names.clear();
        let mut columns = Vec::new();
        for (name, value) in left {
            let held = self.hide();
            columns.push(value.alias(&held));
            self.names.push((name, held));
        }
        self.open = false;
        self.project(span, columns)
    }

    /// Leaves nothing but these columns.
    pub fn project(&mut self, span: &Span, columns: Vec<Expr>) -> Result<(), InsightsError> {
        self.step(span, |plan| plan.project(columns))
    }

    /// Goes on with the plan.
    pub fn step(
        &mut self,
        span: &Span,
        step: impl FnOnce(LogicalPlanBuilder) -> Result<LogicalPlanBuilder, DataFusionError>,
    ) -> Result<(), InsightsError> {
        let next = step(LogicalPlanBuilder::new(self.plan.clone()));
        self.plan = self.planned(span, next.and_then(LogicalPlanBuilder::build))?;
        Ok(())
    }

    /// What DataFusion has against a plan, told of the place that asks for it.
    pub fn planned<T>(
        &self,
        span: &Span,
        planned: Result<T, DataFusionError>,
    ) -> Result<T, InsightsError> {
        planned.map_err(|error| {
            let error = error.strip_backtrace();
            let first = error.lines().next().unwrap_or_default();
            self.compiler.error(span, format!("this cannot be computed: {first}"))
        })
    }
}

impl Names for Rows<'_> {
    fn schema(&self) -> &DFSchema {
        self.plan.schema()
    }

    fn field(&self, name: &str, span: &Span) -> Result<Expr, InsightsError> {
        let discovered = self.discovered(name);
        match (self.column_of(name), discovered) {
            (Some((held, None)), _) => return Ok(column(held)),
            (Some((held, Some(path))), discovered) => {
                let kind = self.schema().field_with_unqualified_name(held);
                if let Ok(DataType::Map(..) | DataType::Struct(_)) = kind.map(|it| it.data_type()) {
                    return Ok(get_field(column(held), path));
                }
                let inside = scalar::at_path(cast_text(column(held), self), path);
                // `service.name` is an attribute, though there is a column `service`.
                return Ok(match discovered.filter(|_| self.own.contains(held)) {
                    Some(discovered) => coalesce(vec![discovered, inside]),
                    None => inside,
                });
            }
            (None, Some(discovered)) => return Ok(discovered),
            (None, None) => {}
        }
        let known: Vec<_> = self.names.iter().map(|(name, _)| name.clone()).collect();
        let error = self.compiler.error(span, format!("there is no field `{name}` here"));
        let error = error.hint(format!("there are {}", known.join(", ")));
        Err(error.like(name, known.iter().map(String::as_str)))
    }

    fn computed(&self, expression: &Expression) -> Option<Expr> {
        if !matches!(expression.node, Node::Call(..) | Node::Binary(..)) {
            return None;
        }
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        let wanted = bare(self.compiler.text.get(expression.span.clone())?);
        let named = self.names.iter().find(|(name, _)| bare(name) == wanted);
        named.map(|(_, held)| column(held))
    }
}

/// The fields that are named while rows are the table's own, and that no column holds.
fn wanted(commands: &[Command], missing: impl Fn(&str) -> bool) -> Vec<String> {
    let mut wanted = BTreeSet::new();
    for Command { step, .. } in commands {
        for expression in step.expressions() {
            expression.walk(&mut |part| {
                if let Node::Field(name) = &part.node
                    && missing(name)
                {
                    wanted.insert(name.clone());
                }
            });
        }
        if matches!(step, Step::Stats { .. } | Step::Pattern(_) | Step::Diff(_)) {
            break;
        }
    }
    wanted.into_iter().collect()
}

/// Rows that say whether they are of the time that is asked about.
fn flagged(plan: LogicalPlan, current: bool) -> Result<LogicalPlanBuilder, DataFusionError> {
    let columns = plan
        .schema()
        .iter()
        .map(|(table, field)| Expr::Column((table, field).into()).alias(field.name()));
    let columns: Vec<_> = columns.chain([lit(current).alias(CURRENT)]).collect();
    LogicalPlanBuilder::new(plan).project(columns)
}
