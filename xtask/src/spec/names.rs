//! Names of items and tests in the crates' sources.

use crate::tidy::File;
use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use syn::ext::IdentExt;

/// What one source file defines.
#[derive(Default)]
struct Defined {
    /// Items, and members as `Item::member`.
    items: Vec<String>,
    tests: Vec<String>,
}

/// Sources, parsed when first asked for.
pub struct Names<'a> {
    files: &'a [File],
    parsed: BTreeMap<String, Option<Defined>>,
}

impl<'a> Names<'a> {
    /// Names of the given tree.
    pub fn new(files: &'a [File]) -> Self {
        Self { files, parsed: BTreeMap::new() }
    }

    /// Whether `crate::module::Item` or `crate::module::Item::member` is defined.
    pub fn is_code(&mut self, name: &str) -> bool {
        let parts: Vec<&str> = name.split("::").collect();
        let Some((krate, rest)) = parts.split_first() else { return false };
        // The last part or the last two name the item; what is before them names modules.
        (1..=2).filter(|&tail| tail <= rest.len()).any(|tail| {
            let (modules, item) = rest.split_at(rest.len() - tail);
            let item = item.join("::");
            let sources = sources(krate, modules);
            sources.iter().any(|path| self.file(path).is_some_and(|d| d.items.contains(&item)))
        })
    }

    /// Whether `crate::file::function` is a test in `tests/` or in a source's module of unit tests.
    pub fn is_test(&mut self, name: &str) -> bool {
        let parts: Vec<&str> = name.split("::").collect();
        let [krate, modules @ .., test] = &parts[..] else { return false };
        let mut paths = sources(krate, modules);
        paths.push(format!("crates/{krate}/tests/{}.rs", modules.join("/")));
        paths.iter().any(|path| self.file(path).is_some_and(|d| d.tests.iter().any(|t| t == test)))
    }

    fn file(&mut self, path: &str) -> Option<&Defined> {
        match self.parsed.entry(path.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut().as_ref(),
            Entry::Vacant(entry) => {
                let text = self.files.iter().find(|f| f.path == path).and_then(File::text);
                let syntax = text.and_then(|text| syn::parse_file(text).ok());
                entry.insert(syntax.map(|syntax| defined(&syntax.items))).as_ref()
            }
        }
    }
}

fn sources(krate: &str, modules: &[&str]) -> Vec<String> {
    if modules.is_empty() {
        return vec![format!("crates/{krate}/src/lib.rs")];
    }
    vec![format!("crates/{krate}/src/{}.rs", modules.join("/"))]
}

fn defined(items: &[syn::Item]) -> Defined {
    let mut found = Defined::default();
    collect(items, &mut found);
    found
}

fn collect(items: &[syn::Item], found: &mut Defined) {
    for item in items {
        match item {
            syn::Item::Fn(function) => {
                let name = function.sig.ident.unraw().to_string();
                if function.attrs.iter().any(|a| a.path().is_ident("test")) {
                    found.tests.push(name);
                } else {
                    found.items.push(name);
                }
            }
            syn::Item::Struct(item) => found.items.push(item.ident.to_string()),
            syn::Item::Const(item) => found.items.push(item.ident.to_string()),
            syn::Item::Static(item) => found.items.push(item.ident.to_string()),
            syn::Item::Type(item) => found.items.push(item.ident.to_string()),
            syn::Item::Enum(item) => {
                found.items.push(item.ident.to_string());
                let variants = item.variants.iter().map(|v| format!("{}::{}", item.ident, v.ident));
                found.items.extend(variants);
            }
            syn::Item::Trait(item) => {
                found.items.push(item.ident.to_string());
                for member in &item.items {
                    if let syn::TraitItem::Fn(function) = member {
                        found.items.push(format!("{}::{}", item.ident, function.sig.ident));
                    }
                }
            }
            syn::Item::Impl(block) => members(block, found),
            syn::Item::Mod(module) => {
                if let Some((_, items)) = &module.content {
                    collect(items, found);
                }
            }
            syn::Item::Macro(call) => tests_in(call.mac.tokens.clone(), &mut found.tests),
            _ => {}
        }
    }
}

fn members(block: &syn::ItemImpl, found: &mut Defined) {
    let syn::Type::Path(path) = &*block.self_ty else { return };
    let Some(owner) = path.path.segments.last() else { return };
    for member in &block.items {
        let name = match member {
            syn::ImplItem::Fn(function) => &function.sig.ident,
            syn::ImplItem::Const(constant) => &constant.ident,
            _ => continue,
        };
        found.items.push(format!("{}::{name}", owner.ident));
    }
}

/// `#[test] fn name` inside a macro such as `proptest!`, other attributes between them allowed.
fn tests_in(tokens: TokenStream, found: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |tree: &TokenTree, text: &str| tree.to_string() == text;
    let mut marked = false;
    for (at, tree) in tokens.iter().enumerate() {
        match tree {
            TokenTree::Group(group) if at > 0 && is(&tokens[at - 1], "#") => {
                marked |= group.stream().to_string() == "test";
            }
            TokenTree::Ident(word) if *word == "fn" => {
                if let (true, Some(TokenTree::Ident(name))) = (marked, tokens.get(at + 1)) {
                    found.push(name.to_string());
                }
                marked = false;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests_of(text: &str) -> Vec<String> {
        defined(&syn::parse_file(text).unwrap().items).tests
    }

    #[test]
    fn only_marked_functions_are_tests() {
        assert_eq!(tests_of("#[test]\n#[ignore]\nfn a() {}\nfn b() {}\n// #[test] fn c() {}\n"), ["a"]);
        let text =
            "proptest! {\n #![config(1)]\n #[test]\n #[ignore]\n fn a(x in 0..1) { f(x) }\n fn b() {}\n}\n";
        assert_eq!(tests_of(text), ["a"]);
    }

    #[test]
    fn members_belong_to_their_type() {
        let text = "enum Way { In, Out }\ntrait T { fn t(); }\nimpl Way { const N: u8 = 1; fn go() {} }\nstatic S: u8 = 1;\n";
        let items = defined(&syn::parse_file(text).unwrap().items).items;
        assert_eq!(items, ["Way", "Way::In", "Way::Out", "T", "T::t", "Way::N", "Way::go", "S"]);
    }
}
