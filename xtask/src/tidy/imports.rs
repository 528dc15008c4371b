//! Reads the imports between the modules of a crate from its source.
//!
//! A module is a file or folder directly below `src/`. Items under `#[cfg(test)]` do not count. Paths are read from the tokens, so that a
//! path inside a macro call counts too, and so does a path in a docstring: its reader follows the link. A name that `lib.rs` re-exports
//! counts as an import of the module that it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;

/// Module -> imported module -> one file with the import.
pub(super) type Graph = BTreeMap<String, BTreeMap<String, PathBuf>>;

/// Reads the modules of the crate whose source folder is `source`.
pub(super) fn read(source: &Path) -> Result<Graph> {
    let mut files = Vec::new();
    collect(source, source, &mut files)?;
    let modules: BTreeSet<String> = files.iter().filter_map(|file| file.module.first().cloned()).collect();
    let roots = files.iter().filter(|file| file.module.is_empty());
    let exports = roots.flat_map(|file| exports(&file.tokens)).collect();
    let mut graph: Graph = modules.iter().map(|module| (module.clone(), BTreeMap::new())).collect();
    for file in &files {
        let Some(from) = file.module.first() else { continue };
        for to in targets(file, &modules, &exports) {
            if to != *from {
                graph.entry(from.clone()).or_default().entry(to).or_insert_with(|| file.path.clone());
            }
        }
    }
    Ok(graph)
}

struct SourceFile {
    path: PathBuf,
    /// The path of the module, outermost name first; empty for the crate's root.
    module: Vec<String>,
    tokens: TokenStream,
}

fn collect(source: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            collect(source, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(parse(source, &path)?);
        }
    }
    Ok(())
}

fn parse(source: &Path, path: &Path) -> Result<SourceFile> {
    let text = std::fs::read_to_string(path)?;
    let file = syn::parse_file(&text).with_context(|| format!("cannot parse {}", path.display()))?;
    let items = file.items.iter().filter(|item| !is_test(item));
    let inside = path.strip_prefix(source)?.with_extension("");
    let module: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let is_root = matches!(&module[..], [only] if only == "lib" || only == "main");
    Ok(SourceFile {
        path: path.to_owned(),
        module: if is_root { Vec::new() } else { module },
        tokens: items.map(ToTokens::to_token_stream).collect(),
    })
}

/// Whether an item exists in tests only.
fn is_test(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        _ => return false,
    };
    let is_test = |attribute: &syn::Attribute| {
        attribute.path().is_ident("cfg") && attribute.to_token_stream().to_string().contains("test")
    };
    attributes.iter().any(is_test)
}

/// The names that the crate's root re-exports, each with its module.
fn exports(root: &TokenStream) -> BTreeMap<String, String> {
    let Ok(file) = syn::parse2::<syn::File>(root.clone()) else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    for item in file.items {
        let syn::Item::Use(item) = item else { continue };
        let syn::UseTree::Path(path) = item.tree else { continue };
        let module = path.ident.to_string();
        leaves(&path.tree, &mut |name| {
            found.insert(name, module.clone());
        });
    }
    found
}

fn leaves(tree: &syn::UseTree, found: &mut impl FnMut(String)) {
    match tree {
        syn::UseTree::Path(path) => leaves(&path.tree, found),
        syn::UseTree::Name(name) => found(name.ident.to_string()),
        syn::UseTree::Rename(rename) => found(rename.rename.to_string()),
        syn::UseTree::Glob(_) => {}
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, found)),
    }
}

/// The modules in a file's paths from the crate's root.
fn targets(file: &SourceFile, modules: &BTreeSet<String>, exports: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    root_names(&file.tokens, file.module.len(), &mut names);
    let module = |name: String| if modules.contains(&name) { Some(name) } else { exports.get(&name).cloned() };
    names.into_iter().filter_map(module).collect()
}

/// The names after the crate's root in paths: `crate::a`, `crate::{a, b::c}`, or the number of `super::` that leads to the root from
/// `depth` modules below it.
fn root_names(tokens: &TokenStream, depth: usize, names: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        if let TokenTree::Group(group) = &tokens[at] {
            root_names(&group.stream(), depth, names);
        }
        if let (TokenTree::Literal(text), true) = (&tokens[at], is_doc(&tokens[..at])) {
            names_in_doc(&text.to_string(), depth, names);
        }
        let is_start = at == 0 || !is_separator(&tokens, at - 1);
        let after = match &tokens[at] {
            TokenTree::Ident(ident) if is_start && ident == "crate" => Some(at + 1),
            TokenTree::Ident(ident) if is_start && ident == "super" => after_supers(&tokens, at, depth),
            _ => None,
        };
        if let Some(after) = after {
            first_names(&tokens, after, names);
        }
        at += 1;
    }
}

/// Whether the token after `before` is the text of a docstring, which the parser gives as `doc = "text"`.
fn is_doc(before: &[TokenTree]) -> bool {
    matches!(before, [TokenTree::Ident(name), TokenTree::Punct(_)] if name == "doc")
}

/// Adds the same names from the paths of a docstring, in links and in code.
fn names_in_doc(text: &str, depth: usize, names: &mut BTreeSet<String>) {
    let is_path = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ':');
    let words = text.split(|letter| !is_path(letter)).filter(|word| word.contains("::"));
    for path in words.filter_map(|word| word.trim_matches(':').parse::<TokenStream>().ok()) {
        root_names(&path, depth, names);
    }
}

/// The position after `depth` times `super`; `None` if the path has fewer or more.
fn after_supers(tokens: &[TokenTree], at: usize, depth: usize) -> Option<usize> {
    let is_super = |at: usize| matches!(tokens.get(at), Some(TokenTree::Ident(ident)) if ident == "super");
    let count = (0..=depth).take_while(|index| is_super(at + 3 * index)).count();
    (count == depth).then_some(at + 3 * (count - 1) + 1)
}

/// Adds the first name, or the first names of a group, after the `::` at `at`.
fn first_names(tokens: &[TokenTree], at: usize, names: &mut BTreeSet<String>) {
    match tokens.get(at + 2) {
        Some(TokenTree::Ident(ident)) => {
            names.insert(ident.to_string());
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let mut is_first = true;
            for token in group.stream() {
                match token {
                    TokenTree::Ident(ident) if is_first => {
                        names.insert(ident.to_string());
                        is_first = false;
                    }
                    TokenTree::Punct(punct) if punct.as_char() == ',' => is_first = true,
                    _ => is_first = false,
                }
            }
        }
        _ => {}
    }
}

/// Whether the token is the last of a `::`.
fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon = |at: usize| matches!(&tokens[at], TokenTree::Punct(punct) if punct.as_char() == ':');
    at >= 1 && is_colon(at) && is_colon(at - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(depth: usize, text: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        root_names(&text.parse().expect("tokens"), depth, &mut found);
        found.into_iter().collect()
    }

    #[test]
    fn paths_from_the_root_are_found() {
        assert_eq!(names(1, "use crate::a::B;"), ["a"]);
        assert_eq!(names(1, "use crate::{a::{B, C}, d, e as f};"), ["a", "d", "e"]);
        assert_eq!(names(1, "fn f(x: &super::a::B) -> crate::c::D {}"), ["a", "c"]);
        assert_eq!(names(2, "use super::inner; use super::super::outer::X;"), ["outer"]);
        assert_eq!(names(1, "matches!(x, crate::a::B(_))"), ["a"]);
        assert_eq!(names(1, "use other::crate_name::x; pub(crate) fn f() {}"), [""; 0]);
        assert_eq!(names(1, "/// As [`a`](crate::a::B::c), not \"b\"; `super::d::E`.\nfn f() {}"), ["a", "d"]);
        assert_eq!(names(1, "//! It is `other::crate_name`, see crate::a."), ["a"]);
    }
}
