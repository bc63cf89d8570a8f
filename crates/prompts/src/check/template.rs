//! Walking a template's tree: what it uses that is not there.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::machinery::Span;
use minijinja::machinery::ast::{Call, CallArg, Expr, ForLoop, Stmt};
use release::{Code, Diagnostic, Place};

use super::Includes;
use crate::codes;
use crate::front_matter::Located;
use crate::language::{FILTERS, FUNCTIONS, TESTS, did_you_mean};

/// The fields of a passage, as [`crate::PassageView`] has them.
const PASSAGE_FIELDS: &[&str] = &["id", "title", "text", "source"];

/// A finding before its place in the file is known.
pub(super) struct Finding {
    at: At,
    code: Code,
    message: String,
    hint: Option<String>,
}

enum At {
    /// Bytes into the template.
    Template(usize),
    /// Bytes into the file: a declaration, and what is said about it is only a warning.
    File(usize),
}

impl Finding {
    /// The diagnostic; `place` tells where a byte of the template lies, `declared` where a byte of
    /// the file does.
    pub(super) fn located(
        self,
        place: impl Fn(usize) -> Place,
        declared: impl Fn(usize) -> Place,
    ) -> Diagnostic {
        let diagnostic = match self.at {
            At::Template(at) => Diagnostic::error(self.code, place(at), self.message),
            At::File(at) => Diagnostic::warning(self.code, declared(at), self.message),
        };
        Diagnostic { hint: self.hint, ..diagnostic }
    }
}

/// What is wrong with a parsed template.
pub(super) fn check(tree: &Stmt<'_>, located: &Located, includes: Includes) -> Vec<Finding> {
    let mut walk = Walk {
        located,
        includes,
        scopes: vec![BTreeMap::new()],
        used: BTreeSet::new(),
        reported: BTreeSet::new(),
        has_includes: false,
        findings: Vec::new(),
    };
    walk.statement(tree);
    if !walk.has_includes {
        walk.unused();
    }
    walk.findings
}

/// What a name of a scope is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Passage,
    Anything,
}

struct Walk<'a> {
    located: &'a Located,
    includes: Includes,
    /// Names bound by the template, innermost scope last.
    scopes: Vec<BTreeMap<String, Bound>>,
    used: BTreeSet<String>,
    /// Undeclared names: each is reported where it is used first.
    reported: BTreeSet<String>,
    has_includes: bool,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn statements(&mut self, statements: &[Stmt<'_>]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitRaw(_) => {}
            Stmt::EmitExpr(emit) => self.expression(&emit.expr),
            Stmt::ForLoop(for_loop) => self.for_loop(for_loop),
            // What a branch sets is seen behind it.
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr);
                self.statements(&condition.true_body);
                self.statements(&condition.false_body);
            }
            Stmt::WithBlock(with) => self.scoped(|walk| {
                for (target, value) in &with.assignments {
                    walk.expression(value);
                    walk.bind(target, Bound::Anything);
                }
                walk.statements(&with.body);
            }),
            Stmt::Set(set) => {
                self.expression(&set.expr);
                self.bind(&set.target, Bound::Anything);
            }
            Stmt::SetBlock(set) => {
                self.scoped(|walk| walk.statements(&set.body));
                set.filter.iter().for_each(|filter| self.expression(filter));
                self.bind(&set.target, Bound::Anything);
            }
            Stmt::AutoEscape(escape) => {
                self.refused("autoescape", escape.span(), "a prompt is never escaped");
            }
            Stmt::FilterBlock(block) => {
                self.expression(&block.filter);
                self.scoped(|walk| walk.statements(&block.body));
            }
            Stmt::Include(include) => self.include(&include.name, include.span()),
            Stmt::Do(call) => self.call(&call.call),
            Stmt::Block(block) => self.refused("block", block.span(), USE_INCLUDE),
            Stmt::Extends(extends) => self.refused("extends", extends.span(), USE_INCLUDE),
            Stmt::Import(import) => self.refused("import", import.span(), USE_INCLUDE),
            Stmt::FromImport(import) => self.refused("from", import.span(), USE_INCLUDE),
            Stmt::Macro(definition) => self.refused("macro", definition.span(), USE_INCLUDE),
            Stmt::CallBlock(call) => self.refused("call", call.span(), USE_INCLUDE),
        }
    }

    fn for_loop(&mut self, for_loop: &ForLoop<'_>) {
        self.expression(&for_loop.iter);
        let bound = if is_passages(&for_loop.iter) { Bound::Passage } else { Bound::Anything };
        self.scoped(|walk| {
            walk.bind_name("loop", Bound::Anything);
            walk.bind(&for_loop.target, bound);
            for_loop.filter_expr.iter().for_each(|filter| walk.expression(filter));
            walk.statements(&for_loop.body);
        });
        self.scoped(|walk| walk.statements(&for_loop.else_body));
    }

    fn include(&mut self, name: &Expr<'_>, span: Span) {
        self.has_includes = true;
        let is_text = matches!(name, Expr::Const(value) if value.value.as_str().is_some());
        if self.includes == Includes::Resolved || !is_text {
            let message = "an include must name a prompt that is there when this one is applied";
            let hint = "write exactly `{% include \"name\" %}`";
            self.error(codes::INCLUDE, span, message.to_owned(), Some(hint.to_owned()));
        }
    }

    fn expression(&mut self, expression: &Expr<'_>) {
        match expression {
            Expr::Var(variable) => self.uses(variable.id, variable.span()),
            Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.expression(&slice.expr);
                let bounds = [&slice.start, &slice.stop, &slice.step];
                bounds.into_iter().flatten().for_each(|bound| self.expression(bound));
            }
            Expr::UnaryOp(operation) => self.expression(&operation.expr),
            Expr::BinOp(operation) => {
                self.expression(&operation.left);
                self.expression(&operation.right);
            }
            Expr::Compare(comparison) => {
                self.expression(&comparison.expr);
                comparison.ops.iter().for_each(|operand| self.expression(&operand.expr));
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr);
                self.expression(&choice.true_expr);
                choice.false_expr.iter().for_each(|other| self.expression(other));
            }
            Expr::Filter(filter) => {
                filter.expr.iter().for_each(|input| self.expression(input));
                self.known("filter", filter.name, FILTERS, filter.span());
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.expression(&test.expr);
                self.known("test", test.name, TESTS, test.span());
                self.arguments(&test.args);
            }
            Expr::GetAttr(attribute) => {
                self.expression(&attribute.expr);
                self.passage_field(&attribute.expr, attribute.name, attribute.span());
            }
            Expr::GetItem(item) => {
                self.expression(&item.expr);
                self.expression(&item.subscript_expr);
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => list.items.iter().for_each(|item| self.expression(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.expression(item)),
            Expr::Map(map) => {
                map.keys.iter().chain(&map.values).for_each(|part| self.expression(part));
            }
        }
    }

    fn call(&mut self, call: &minijinja::machinery::ast::Spanned<Call<'_>>) {
        match &call.expr {
            Expr::Var(function) if self.bound(function.id).is_none() => {
                self.known("function", function.id, FUNCTIONS, function.span());
            }
            called => self.expression(called),
        }
        self.arguments(&call.args);
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        for argument in arguments {
            let (CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value)) = argument;
            self.expression(value);
        }
    }

    fn uses(&mut self, name: &str, span: Span) {
        if self.bound(name).is_some() || name == "passages" || FUNCTIONS.contains(&name) {
            return;
        }
        if self.located.declared.contains_key(name) {
            self.used.insert(name.to_owned());
        } else if self.reported.insert(name.to_owned()) {
            let declared = self.located.declared.keys().map(String::as_str);
            let hint = match did_you_mean(name, declared.chain(["passages"])) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("declare it in the front matter: `[variables.{name}]`"),
            };
            let message = format!("variable `{name}` is not declared");
            self.error(codes::UNDECLARED, span, message, Some(hint));
        }
    }

    fn known(&mut self, kind: &str, name: &str, all: &[&str], span: Span) {
        if all.contains(&name) {
            return;
        }
        let hint = match did_you_mean(name, all.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are `{}`", all.join("`, `")),
        };
        self.error(codes::UNKNOWN_NAME, span, format!("there is no {kind} `{name}`"), Some(hint));
    }

    fn passage_field(&mut self, owner: &Expr<'_>, field: &str, span: Span) {
        let is_passage =
            matches!(owner, Expr::Var(name) if self.bound(name.id) == Some(Bound::Passage));
        if !is_passage || PASSAGE_FIELDS.contains(&field) {
            return;
        }
        let hint = match did_you_mean(field, PASSAGE_FIELDS.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("a passage has `{}`", PASSAGE_FIELDS.join("`, `")),
        };
        let message = format!("a passage has no `{field}`");
        self.error(codes::NO_SUCH_FIELD, span, message, Some(hint));
    }

    fn unused(&mut self) {
        let usable = &self.located.front_matter.variables;
        for (name, at) in &self.located.declared {
            if usable.contains_key(name) && !self.used.contains(name) {
                self.findings.push(Finding {
                    at: At::File(*at),
                    code: codes::UNUSED,
                    message: format!("variable `{name}` is declared but not used"),
                    hint: Some("use it in the template, or remove it".to_owned()),
                });
            }
        }
    }

    fn refused(&mut self, what: &str, span: Span, hint: &str) {
        let message = format!("prompts have no `{what}`");
        self.error(codes::NOT_IN_PROMPTS, span, message, Some(hint.to_owned()));
    }

    fn error(&mut self, code: Code, span: Span, message: String, hint: Option<String>) {
        let at = At::Template(span.start_offset as usize);
        self.findings.push(Finding { at, code, message, hint });
    }

    fn scoped(&mut self, body: impl FnOnce(&mut Self)) {
        self.scopes.push(BTreeMap::new());
        body(self);
        self.scopes.pop();
    }

    /// Binds the names that `target` assigns. An assignment to a field, as of a namespace, only
    /// uses its owner.
    fn bind(&mut self, target: &Expr<'_>, bound: Bound) {
        match target {
            Expr::Var(name) => self.bind_name(name.id, bound),
            Expr::List(list) => {
                list.items.iter().for_each(|item| self.bind(item, Bound::Anything));
            }
            Expr::Tuple(tuple) => {
                tuple.items.iter().for_each(|item| self.bind(item, Bound::Anything));
            }
            other => self.expression(other),
        }
    }

    fn bind_name(&mut self, name: &str, bound: Bound) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned(), bound);
        }
    }

    fn bound(&self, name: &str) -> Option<Bound> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name).copied())
    }
}

const USE_INCLUDE: &str = "put shared text in its own file and write `{% include \"name\" %}`";

/// Whether an expression is `passages` or a part of it.
fn is_passages(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Var(name) => name.id == "passages",
        Expr::Slice(slice) => is_passages(&slice.expr),
        _ => false,
    }
}
