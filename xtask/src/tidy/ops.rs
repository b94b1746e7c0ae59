//! Op ↔ fixture: every name that `Op::name` returns has golden values, and every golden file belongs to an op.

use super::{File, Violation};
use proc_macro2::Span;
use syn::visit::{self, Visit};

const OPS: &str = "crates/graph/src/op.rs";
const FIXTURES: &str = "fixtures/ops/";

/// Checks the tree's list of files against the list of ops.
pub(super) fn check(files: &[File]) -> Vec<Violation> {
    let Some(ops) = files.iter().find(|f| f.path == OPS) else {
        let message = "the list of ops is gone".to_owned();
        let fix = "tell xtask/src/tidy/ops.rs where it is";
        return vec![Violation { path: OPS.to_owned(), line: 1, rule: "op-fixture", message, fix }];
    };
    let names = names(ops.text().unwrap_or(""));
    if names.is_empty() {
        let message = "Op::name returns no literal".to_owned();
        return vec![ops.violation(1, "op-fixture", message, "keep one string literal per op in Op::name")];
    }
    let fixtures: Vec<(&File, &str)> =
        files.iter().filter_map(|f| Some((f, f.path.strip_prefix(FIXTURES)?))).collect();
    let mut found = missing(ops, &names, &fixtures);
    found.extend(orphans(&names, &fixtures));
    found
}

fn missing(ops: &File, names: &[Name], fixtures: &[(&File, &str)]) -> Vec<Violation> {
    let bare = names.iter().filter(|n| !fixtures.iter().any(|(_, path)| belongs(path, &n.text)));
    let violation = |n: &Name| {
        let message = format!("`{}` has no golden values {FIXTURES}{}*", n.text, n.text);
        ops.violation(n.line, "op-fixture", message, "add a case to the fixture generator")
    };
    bare.map(violation).collect()
}

/// Golden files that no op answers to; scripts, notes and checksums beside them are free.
fn orphans(names: &[Name], fixtures: &[(&File, &str)]) -> Vec<Violation> {
    let free = |path: &str| [".py", ".md", ".toml", ".txt"].iter().any(|end| path.ends_with(end));
    let lost =
        fixtures.iter().filter(|(_, path)| !free(path) && !names.iter().any(|n| belongs(path, &n.text)));
    let violation = |(file, _): &(&File, &str)| {
        file.violation(1, "op-fixture", "belongs to no op".to_owned(), "name it <op>.* or <op>-<case>.*")
    };
    lost.map(violation).collect()
}

/// `conv2d/..`, `conv2d.safetensors` and `conv2d-stride2.json` belong to `conv2d`; `conv2d_grad_input.json` does not.
fn belongs(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.starts_with(['/', '.', '-']))
}

struct Name {
    text: String,
    line: usize,
}

/// The string literals in `Op::name`.
fn names(text: &str) -> Vec<Name> {
    let Ok(syntax) = syn::parse_file(text) else { return Vec::new() };
    let mut literals = Literals(Vec::new());
    for item in &syntax.items {
        let syn::Item::Impl(block) = item else { continue };
        if block.trait_.is_some() || !is_op(&block.self_ty) {
            continue;
        }
        for member in &block.items {
            if let syn::ImplItem::Fn(function) = member
                && function.sig.ident == "name"
            {
                literals.visit_block(&function.block);
            }
        }
    }
    literals.0
}

fn is_op(ty: &syn::Type) -> bool {
    matches!(ty, syn::Type::Path(path) if path.path.is_ident("Op"))
}

struct Literals(Vec<Name>);

impl<'a> Visit<'a> for Literals {
    fn visit_lit_str(&mut self, literal: &'a syn::LitStr) {
        let span: Span = literal.span();
        self.0.push(Name { text: literal.value(), line: span.start().line });
        visit::visit_lit_str(self, literal);
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    const LIST: &str = "//! Ops.\nimpl Op {\n    fn name(&self) -> &'static str {\n        match self {\n            \
                        Op::Add => \"add\",\n            Op::AddScaled => \"add_scaled\",\n            \
                        Op::Fill => \"fill\",\n        }\n    }\n}\nimpl Other { fn name() -> &'static str { \"other\" } }\n";

    fn found(fixtures: &[&str]) -> Vec<(String, usize)> {
        let mut files = vec![file(OPS, LIST)];
        files.extend(fixtures.iter().map(|f| file(&format!("{FIXTURES}{f}"), "")));
        check(&files).into_iter().map(|v| (v.path, v.line)).collect()
    }

    #[test]
    fn names_are_read_from_the_one_place() {
        let names: Vec<String> = names(LIST).into_iter().map(|n| n.text).collect();
        assert_eq!(names, ["add", "add_scaled", "fill"]);
    }

    #[test]
    fn every_op_has_a_fixture() {
        assert_eq!(found(&["add/a.json", "add_scaled-half.json", "fill.json", "generate.py"]), []);
        let missing = found(&["add_scaled.json", "fill/a.json"]);
        assert_eq!(missing, [(OPS.to_owned(), 5)], "a longer name is another op's");
    }

    #[test]
    fn every_fixture_has_an_op() {
        let lost = found(&["add.json", "add_scaled.json", "fill.json", "sub.json"]);
        assert_eq!(lost, [(format!("{FIXTURES}sub.json"), 1)]);
    }

    #[test]
    fn a_lost_list_is_noticed() {
        assert_eq!(check(&[]).len(), 1);
        assert_eq!(check(&[file(OPS, "//! Nothing.\n")]).len(), 1);
    }

    #[test]
    fn the_real_list_is_found() {
        let text = std::fs::read_to_string(crate::root().join(OPS)).unwrap();
        let names = names(&text);
        assert!(names.len() > 30 && names.iter().any(|n| n.text == "conv2d"), "{}", names.len());
    }
}
