//! `stats`: many rows become one for each group.
//!
//! Aggregations are computed first; what is made of them comes after, and may use what stands
//! before it in the same command, as in `stats max(a) as x, min(a) as y, x - y as range`.

use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;

use super::InsightsError;
use super::compile::Rows;
use super::expression::{Compiler, Names, column};
use super::functions::{Call, aggregate, is_aggregate, sort_by};
use super::syntax::{Expression, Item, Node, Span};

impl Rows<'_> {
    /// Computes `outputs` for each group of rows with the same values of `by`.
    pub fn stats(
        &mut self,
        outputs: &[Item],
        by: &[Item],
        span: &Span,
    ) -> Result<(), InsightsError> {
        if self.compares && self.open {
            let error = self.compiler.error(span, "`diff` compares log events");
            return Err(error.hint("`stats` may come after it"));
        }
        let text = self.compiler.text;
        let mut groups = Vec::new();
        for item in by {
            let name = self.hide();
            groups.push((name.clone(), self.compiler.value(&item.value, self)?.alias(name)));
        }
        let mut aggregations: Vec<(&str, String, Expr)> = Vec::new();
        for call in outputs.iter().flat_map(|item| aggregate_calls(&item.value)) {
            let written = &text[call.span.clone()];
            if aggregations.iter().any(|(other, ..)| *other == written) {
                continue;
            }
            let Node::Call(name, arguments) = &call.node else { continue };
            let as_call =
                Call { compiler: self.compiler, names: self, arguments, span: &call.span };
            let computed = aggregate(name, &as_call)?;
            let name = self.hide();
            aggregations.push((written, name.clone(), computed.alias(name)));
        }
        let grouped = groups.iter().map(|(_, group)| group.clone()).collect::<Vec<_>>();
        let computed = aggregations.iter().map(|(.., of)| of.clone()).collect::<Vec<_>>();
        self.step(span, |plan| plan.aggregate(grouped, computed))?;

        let mut made = Made {
            compiler: self.compiler,
            schema: self.plan.schema().as_ref().clone(),
            aggregations: aggregations.iter().map(|(text, name, _)| (*text, name)).collect(),
            named: Vec::new(),
        };
        for (item, (name, _)) in by.iter().zip(&groups) {
            made.named.push((item.name.clone(), column(name)));
        }
        for Item { value, name } in outputs {
            let value = made.compiler.value(value, &made)?;
            made.named.push((name.clone(), value));
        }
        let named = made.named;
        self.leave(span, named)?;
        let names = by.iter().chain(outputs).map(|item| (item.name.clone(), span.clone()));
        self.shown = Some(names.collect());
        // Groups in a fixed order, unless another is asked for: times rise.
        let mut order = Vec::new();
        for item in by {
            order.push(sort_by(self.field(&item.name, span)?, self).sort(true, false));
        }
        self.order = order;
        Ok(())
    }
}

/// The outermost calls of aggregate functions.
fn aggregate_calls(expression: &Expression) -> Vec<&Expression> {
    let mut found: Vec<&Expression> = Vec::new();
    expression.walk(&mut |part| {
        let inside = found.iter().any(|outer| outer.span.end >= part.span.end);
        if matches!(&part.node, Node::Call(name, _) if is_aggregate(name)) && !inside {
            found.push(part);
        }
    });
    found
}

/// Names after the aggregation.
struct Made<'a> {
    compiler: Compiler<'a>,
    schema: DFSchema,
    aggregations: Vec<(&'a str, &'a String)>,
    /// Groups, and the outputs so far.
    named: Vec<(String, Expr)>,
}

impl Names for Made<'_> {
    fn schema(&self) -> &DFSchema {
        &self.schema
    }

    fn field(&self, name: &str, span: &Span) -> Result<Expr, InsightsError> {
        match self.named.iter().find(|(named, _)| named == name) {
            Some((_, value)) => Ok(value.clone()),
            None => {
                let message = format!("`{name}` has many values here");
                let error = self.compiler.error(span, message);
                let error = error.hint("group `by` it, or compute one value, as `latest(…)`");
                Err(error.like(name, self.named.iter().map(|(name, _)| name.as_str())))
            }
        }
    }

    fn computed(&self, expression: &Expression) -> Option<Expr> {
        let written = self.compiler.text.get(expression.span.clone())?;
        let found = self.aggregations.iter().find(|(text, _)| *text == written);
        let group = || self.named.iter().find(|(name, _)| name == written);
        match found {
            Some((_, name)) => Some(column(*name)),
            None if matches!(expression.node, Node::Call(..)) => {
                group().map(|(_, value)| value.clone())
            }
            None => None,
        }
    }
}
