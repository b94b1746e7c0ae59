//! Rules for Rust sources, read with `syn`: module doc, size of files and functions, `unsafe`, unfinished code.

use super::{File, Violation};
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Path prefixes under which `unsafe` may stand: SIMD kernels and device buffers.
const UNSAFE_ALLOWED: [&str; 2] = ["crates/cpu/src/kernels/", "crates/gpu/"];

/// A test of this name may too: only a counting global allocator can show that hostile bytes do not over-allocate.
const UNSAFE_TEST: &str = "/tests/allocation.rs";

/// Macros of unfinished or debugged code.
const MACROS_REFUSED: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Checks one `.rs` file.
pub(super) fn check(file: &File) -> Vec<Violation> {
    let Some(text) = file.text() else {
        return vec![file.violation(1, "source", "not UTF-8".to_owned(), "save it as UTF-8")];
    };
    let mut found: Vec<Violation> = Vec::new();
    found.extend(module_doc(file, text));
    found.extend(file_size(file, text));
    found.extend(module_file(file));
    match (text.parse::<TokenStream>(), syn::parse_file(text)) {
        (Ok(tokens), Ok(syntax)) => {
            found.extend(function_size(file, &syntax));
            let mut words = Vec::new();
            collect_words(tokens, &mut words);
            found.extend(unsafe_code(file, &words));
            found.extend(unfinished(file, &words));
        }
        _ => found.push(file.violation(1, "source", "does not parse".to_owned(), "see cargo check")),
    }
    found
}

/// Rule `module-doc`: line 1 says what the file is for.
fn module_doc(file: &File, text: &str) -> Option<Violation> {
    let line = text.lines().next().unwrap_or("");
    let documented = line.strip_prefix("//!").is_some_and(|l| !l.trim().is_empty());
    let message = || "line 1 is not a module doc".to_owned();
    (!documented).then(|| file.violation(1, "module-doc", message(), "begin with //! and one sentence"))
}

/// Rule `file-size`.
fn file_size(file: &File, text: &str) -> Option<Violation> {
    let lines = text.lines().count();
    let message = || format!("{lines} lines, at most {FILE_LINES_MAX}");
    (lines > FILE_LINES_MAX)
        .then(|| file.violation(FILE_LINES_MAX + 1, "file-size", message(), "move a part to its own module"))
}

/// Rule `mod-rs`: a module's file has the module's name.
fn module_file(file: &File) -> Option<Violation> {
    let name = file.path.rsplit('/').next().unwrap_or("");
    // Shared code of integration tests is the exception that cargo asks for: tests/common.rs would be a test.
    let shared = file.path.contains("/tests/");
    (name == "mod.rs" && !shared)
        .then(|| file.violation(1, "mod-rs", "module in mod.rs".to_owned(), "use foo.rs beside foo/"))
}

/// Rule `function-size`: from `fn` to the closing brace. Functions inside macro calls are not seen.
fn function_size(file: &File, syntax: &syn::File) -> Vec<Violation> {
    let mut functions = Functions::default();
    functions.visit_file(syntax);
    let long = functions.0.into_iter().filter(|f| f.lines > FUNCTION_LINES_MAX);
    let violation = |f: Function| {
        let message = format!("`{}` has {} lines, at most {FUNCTION_LINES_MAX}", f.name, f.lines);
        file.violation(f.line, "function-size", message, "split it")
    };
    long.map(violation).collect()
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

#[derive(Default)]
struct Functions(Vec<Function>);

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let line = signature.span().start().line;
        let lines = block.span().end().line + 1 - line;
        self.0.push(Function { name: signature.ident.to_string(), line, lines });
    }
}

impl<'a> Visit<'a> for Functions {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// An identifier with the punctuation behind it, if any: comments and strings hold none.
struct Word {
    text: String,
    line: usize,
    next: Option<char>,
}

fn collect_words(tokens: TokenStream, words: &mut Vec<Word>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => collect_words(group.stream(), words),
            TokenTree::Ident(ident) => {
                let next = match tokens.peek() {
                    Some(TokenTree::Punct(punct)) => Some(punct.as_char()),
                    _ => None,
                };
                words.push(Word { text: ident.to_string(), line: start_line(ident.span()), next });
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn start_line(span: Span) -> usize {
    span.start().line
}

/// Rule `unsafe`: only where kernels need it, macros included.
fn unsafe_code(file: &File, words: &[Word]) -> Vec<Violation> {
    if UNSAFE_ALLOWED.iter().any(|p| file.path.starts_with(p)) || file.path.ends_with(UNSAFE_TEST) {
        return Vec::new();
    }
    let places = words.iter().filter(|w| w.text == "unsafe");
    let violation = |w: &Word| {
        let message = format!("`unsafe` outside {}", UNSAFE_ALLOWED.join(" and "));
        file.violation(w.line, "unsafe", message, "use a safe form or move it into a kernel")
    };
    places.map(violation).collect()
}

/// Rule `unfinished`: no placeholder and no debug output.
fn unfinished(file: &File, words: &[Word]) -> Vec<Violation> {
    let places = words.iter().filter(|w| w.next == Some('!') && MACROS_REFUSED.contains(&w.text.as_str()));
    let violation = |w: &Word| {
        file.violation(w.line, "unfinished", format!("{}! left in", w.text), "finish or remove it")
    };
    places.map(violation).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        check(&file(path, text)).into_iter().map(|v| (v.rule, v.line)).collect()
    }

    #[test]
    fn a_documented_small_file_passes() {
        assert_eq!(rules("crates/x/src/a.rs", "//! About a.\n\nfn f() {}\n"), []);
    }

    #[test]
    fn line_one_is_a_module_doc() {
        assert_eq!(rules("a.rs", "fn f() {}\n"), [("module-doc", 1)]);
        assert_eq!(rules("a.rs", "\n//! Late.\n"), [("module-doc", 1)]);
        assert_eq!(rules("a.rs", "//!\n//! Late.\n"), [("module-doc", 1)]);
    }

    #[test]
    fn files_have_a_largest_size() {
        let lines = |n: usize| format!("//! Doc.\n{}", "// x\n".repeat(n - 1));
        assert_eq!(rules("a.rs", &lines(FILE_LINES_MAX)), []);
        assert_eq!(rules("a.rs", &lines(FILE_LINES_MAX + 1)), [("file-size", FILE_LINES_MAX + 1)]);
    }

    #[test]
    fn functions_have_a_largest_size_wherever_they_stand() {
        let body = |n: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(n - 2));
        assert_eq!(rules("a.rs", &format!("//! D.\n{}", body(FUNCTION_LINES_MAX))), []);
        let long = body(FUNCTION_LINES_MAX + 1);
        assert_eq!(
            rules("a.rs", &format!("//! D.\n/// Doc.\n#[inline]\npub {long}")),
            [("function-size", 4)]
        );
        for outer in ["impl T", "trait T", "mod m", "fn o()"] {
            let found = rules("a.rs", &format!("//! D.\n{outer} {{\n{long}\n}}"));
            assert!(found.contains(&("function-size", 3)), "{outer}: {found:?}");
        }
    }

    #[test]
    fn no_mod_rs_but_for_shared_test_code() {
        assert_eq!(rules("crates/x/src/a/mod.rs", "//! A.\n"), [("mod-rs", 1)]);
        assert_eq!(rules("crates/x/tests/common/mod.rs", "//! A.\n"), []);
    }

    #[test]
    fn unsafe_stays_in_kernels() {
        let text = "//! A.\nfn f() {\n    unsafe { g() }\n}\n";
        assert_eq!(rules("crates/cpu/src/executor.rs", text), [("unsafe", 3)]);
        assert_eq!(rules("crates/cpu/src/kernels/conv2d.rs", text), []);
        assert_eq!(rules("crates/gpu/src/buffer.rs", text), []);
        assert_eq!(rules("crates/wire/tests/allocation.rs", text), []);
        assert_eq!(rules("a.rs", "//! A.\nunsafe impl Send for X {}\n"), [("unsafe", 2)]);
        assert_eq!(rules("a.rs", "//! A.\nm! { unsafe { g() } }\n"), [("unsafe", 2)]);
        assert_eq!(rules("a.rs", "//! unsafe\n#![deny(unsafe_code)]\n// unsafe\n"), []);
    }

    #[test]
    fn placeholders_are_refused() {
        for name in MACROS_REFUSED {
            assert_eq!(rules("a.rs", &format!("//! A.\nfn f() {{ {name}!() }}\n")), [("unfinished", 2)]);
        }
        assert_eq!(rules("a.rs", "//! A.\nfn f(todo: bool) -> bool { !todo }\n"), []);
    }

    #[test]
    fn what_does_not_parse_is_said() {
        assert_eq!(rules("a.rs", "//! A.\nfn {\n"), [("source", 1)]);
    }
}
