//! The public documentation: every type, trait, function, method and attribute has an example.

use std::collections::BTreeSet;

use syn::{Attribute, Expr, ExprLit, ImplItem, Item, Lit, Meta, Type, UseTree, Visibility};

use crate::source::{Source, none, sources};

/// Returns the names that a file re-exports by `pub use`.
fn reexported(file: &syn::File) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for item in &file.items {
        if let Item::Use(item) = item
            && is_public(&item.vis)
        {
            leaves(&item.tree, &mut names);
        }
    }
    names
}

fn leaves(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, names),
        UseTree::Name(name) => drop(names.insert(name.ident.to_string())),
        UseTree::Rename(rename) => drop(names.insert(rename.rename.to_string())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, names)),
        UseTree::Glob(_) => {}
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn documentation(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        match &attribute.meta {
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => text.push_str(&line.value()),
                // A page that is included.
                _ => text.push_str("```"),
            },
            Meta::List(list) if list.tokens.to_string().contains("hidden") => text.push_str("```hidden"),
            _ => {}
        }
        text.push('\n');
    }
    text
}

fn has_example(attributes: &[Attribute]) -> bool {
    documentation(attributes).contains("```")
}

/// Returns the public items of a file without an example: types, traits and functions of these names, and methods of
/// the types.
fn without_example(source: &Source, names: &BTreeSet<String>) -> Vec<String> {
    let file = syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path.display()));
    let mut found = Vec::new();
    let mut check = |name: String, attributes: &[Attribute]| {
        if !has_example(attributes) {
            found.push(format!("{}: {name}", source.path.display()));
        }
    };
    for item in &file.items {
        let (name, visibility, attributes) = match item {
            Item::Struct(item) => (&item.ident, &item.vis, &item.attrs),
            Item::Enum(item) => (&item.ident, &item.vis, &item.attrs),
            Item::Trait(item) => (&item.ident, &item.vis, &item.attrs),
            Item::Type(item) => (&item.ident, &item.vis, &item.attrs),
            Item::Fn(item) => (&item.sig.ident, &item.vis, &item.attrs),
            Item::Impl(block) if block.trait_.is_none() => {
                let Some(name) = type_name(&block.self_ty).filter(|name| names.contains(name)) else { continue };
                for inner in &block.items {
                    if let ImplItem::Fn(method) = inner
                        && is_public(&method.vis)
                    {
                        check(format!("{name}::{}", method.sig.ident), &method.attrs);
                    }
                }
                continue;
            }
            _ => continue,
        };
        if is_public(visibility) && names.contains(&name.to_string()) {
            check(name.to_string(), attributes);
        }
    }
    found
}

fn type_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    }
}

#[test]
fn every_public_item_has_an_example() {
    let sources = sources("runtime/src");
    let parsed = |path: &str| {
        let source = sources.iter().find(|source| source.path.ends_with(path)).expect("the file is there");
        syn::parse_file(&source.text).expect("it is Rust")
    };
    let mut names = reexported(&parsed("lib.rs"));
    for module in ["ipc/shm/mod.rs", "ipc/sync/mod.rs"] {
        names.extend(reexported(&parsed(module)));
    }
    assert!(names.contains("Process") && names.contains("Mutex") && names.contains("wait"), "{names:?}");
    // The format of values is reached by generated code and benchmarks alone.
    let is_shown = |source: &&Source| !source.path.starts_with("private.rs") && !source.path.starts_with("ipc/codec");
    let shown = sources.iter().filter(is_shown);
    none("public items without an example", shown.flat_map(|source| without_example(source, &names)).collect());
}

#[test]
fn every_attribute_has_an_example() {
    let sources = sources("macros/src");
    let source = sources.iter().find(|source| source.path.ends_with("lib.rs")).expect("the file is there");
    let file = syn::parse_file(&source.text).expect("it is Rust");
    let is_macro = |attribute: &Attribute| attribute.path().is_ident("proc_macro_attribute");
    let macros = file.items.iter().filter_map(|item| match item {
        Item::Fn(function) if function.attrs.iter().any(is_macro) => Some(function),
        _ => None,
    });
    let silent = macros.filter(|function| !has_example(&function.attrs)).map(|function| function.sig.ident.to_string());
    none("attributes without an example", silent.collect());
}

#[test]
fn a_missing_example_is_seen() {
    let text = "
        /// Says it all.
        pub struct Thing;
        impl Thing {
            /// ```
            /// ```
            pub fn shown(&self) {}
            /// Not shown.
            pub fn silent(&self) {}
            fn private(&self) {}
        }
        /// Not exported.
        pub struct Other;
        /// ```
        /// ```
        pub fn function() {}
    ";
    let source = Source { path: "thing.rs".into(), text: text.to_owned() };
    let names = ["Thing", "function"].map(str::to_owned).into();
    assert_eq!(without_example(&source, &names), ["thing.rs: Thing", "thing.rs: Thing::silent"]);
}
