//! The order of imports in the runtime, by the paths that its source names, in whatever form.
//!
//! A path counts whether it stands in a `use`, a signature, an expression or a macro; whether it begins with `crate`,
//! `super` or `self`; and whatever a `use` calls it. Documentation and tests do not count.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::source::{Source, none, sources};

/// The rooms from top to bottom. A room may use the rooms below it, and none above.
#[rustfmt::skip]
const ROOMS: [&str; 14] = [
    "pool", "process", "start", "child", "this_process", "task",
    "ipc::channel", "ipc::sync", "ipc::shm", "ipc::fd", "ipc::reactor", "ipc::wire", "ipc::codec", "sys",
];

/// `ipc::spin` stands beside the rooms of `ipc`, and uses none.
const BESIDE: [&str; 1] = ["ipc::spin"];

/// The entries to the crate, above all rooms.
const ENTRANCES: [&str; 3] = ["lib", "guard", "private"];

/// All rooms may use these. Of the rooms, they use `sys` alone.
const SHARED: [&str; 3] = ["error", "report", "platform"];

/// A module by its path from the root, as `["pool", "driver", "leader"]`.
type Path = Vec<String>;

struct Module {
    path: Path,
    source: Source,
}

/// A use of a module: the path as it was resolved, and the line.
struct Use {
    path: Path,
    line: usize,
    /// A `pub use`, by which a parent shows what a child has.
    is_reexport: bool,
}

/// The modules of the runtime. `sys/linux/fd.rs` is the module `sys::fd`: the folder says for which systems it is.
fn modules() -> Vec<Module> {
    sources("runtime/src").into_iter().map(|source| Module { path: module_path(&source), source }).collect()
}

fn module_path(source: &Source) -> Path {
    let parts = source.path.with_extension("");
    let mut path: Path = parts.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    path.pop_if(|last| last == "mod");
    if path.first().is_some_and(|room| room == "sys")
        && path.get(1).is_some_and(|part| part == "linux" || part == "unix")
    {
        path.remove(1);
    }
    path
}

fn is_test(module: &Module) -> bool {
    module.path.iter().any(|part| part == "tests")
}

/// The paths in a source that begin at the root or at a parent.
fn uses(module: &Module) -> Vec<Use> {
    let stream: TokenStream =
        module.source.text.parse().unwrap_or_else(|error| panic!("{}: {error}", module.source.at(0)));
    let mut found = Vec::new();
    walk(stream, &module.path, false, &mut found);
    found
}

/// Collects the paths of `stream`, which is code of the module `here`.
fn walk(stream: TokenStream, here: &Path, is_reexport: bool, found: &mut Vec<Use>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut index = 0;
    let mut in_reexport = is_reexport;
    while index < tokens.len() {
        match &tokens[index] {
            // `#[cfg(test)] mod …` and the documentation: the attribute, and behind `cfg(test)` the item too.
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                index += attribute(&tokens[index..]);
            }
            TokenTree::Ident(word) if word == "mod" && is_inline_module(&tokens[index..]) => {
                let name = tokens[index + 1].to_string();
                let TokenTree::Group(body) = &tokens[index + 2] else { unreachable!("looked at") };
                let mut inner = here.clone();
                inner.push(name);
                walk(body.stream(), &inner, false, found);
                index += 3;
            }
            TokenTree::Ident(word) if ["crate", "super", "self"].iter().any(|root| word == root) => {
                let is_macro_path = index > 0 && is_punct(&tokens[index - 1], '$');
                let line = word.span().start().line;
                let end = path_at(&tokens[index..], here, line, in_reexport, found, is_macro_path);
                index += end.max(1);
            }
            TokenTree::Ident(word) if word == "use" => {
                in_reexport = index > 0 && is_visibility(&tokens[index - 1]);
                index += 1;
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                in_reexport = is_reexport;
                index += 1;
            }
            TokenTree::Group(group) => {
                walk(group.stream(), here, in_reexport, found);
                index += 1;
            }
            _ => index += 1,
        }
    }
}

/// How many tokens an attribute takes, with its item if that is for tests alone.
fn attribute(tokens: &[TokenTree]) -> usize {
    let body = tokens.iter().take(3).position(|token| matches!(token, TokenTree::Group(_)));
    let Some(body) = body else { return 1 };
    let text = tokens[body].to_string().replace(' ', "");
    if !text.contains("cfg(test)") && !text.contains("cfg(all(test") {
        return body + 1;
    }
    // Up to the item's end: a semicolon, or a group in braces.
    let rest = &tokens[body + 1..];
    let end = rest.iter().position(|token| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    });
    body + 1 + end.map_or(rest.len(), |end| end + 1)
}

fn is_inline_module(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [_, TokenTree::Ident(_), TokenTree::Group(body), ..] if body.delimiter() == Delimiter::Brace)
}

fn is_visibility(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(word) => word == "pub",
        // The group of `pub(crate)`.
        TokenTree::Group(group) => group.delimiter() == Delimiter::Parenthesis,
        _ => false,
    }
}

fn is_punct(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

/// Reads a path with its groups in braces; how many tokens it takes.
fn path_at(
    tokens: &[TokenTree],
    here: &Path,
    line: usize,
    is_reexport: bool,
    found: &mut Vec<Use>,
    is_macro_path: bool,
) -> usize {
    let mut path = here.clone();
    let mut index = 0;
    loop {
        match &tokens[index] {
            TokenTree::Ident(word) if word == "crate" => path.clear(),
            TokenTree::Ident(word) if word == "super" => drop(path.pop()),
            TokenTree::Ident(word) if word == "self" => {}
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Group(group) => {
                list(group.stream(), &path, line, is_reexport, found);
                return index + 1;
            }
            _ => return index + 1,
        }
        let has_more =
            tokens.len() > index + 3 && is_punct(&tokens[index + 1], ':') && is_punct(&tokens[index + 2], ':');
        if !has_more {
            break;
        }
        index += 3;
    }
    // `self` alone is a value; `$crate` is the user's.
    if index > 0 && !is_macro_path {
        found.push(Use { path, line, is_reexport });
    }
    index + 1
}

/// Reads the items of `{a::b, c, self}` behind a path.
fn list(stream: TokenStream, base: &Path, line: usize, is_reexport: bool, found: &mut Vec<Use>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for item in tokens.split(|token| is_punct(token, ',')).filter(|item| !item.is_empty()) {
        let mut path = base.clone();
        let mut is_open = false;
        for token in item {
            match token {
                TokenTree::Ident(word) if word == "as" => break,
                TokenTree::Ident(word) if word == "self" => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => {
                    list(group.stream(), &path, line, is_reexport, found);
                    is_open = true;
                }
                _ => {}
            }
        }
        if !is_open {
            found.push(Use { path, line, is_reexport });
        }
    }
}

/// The module that a path leads into: the longest beginning that is one.
fn target(path: &Path, known: &BTreeSet<Path>) -> Path {
    (0..=path.len()).rev().map(|length| path[..length].to_vec()).find(|start| known.contains(start)).unwrap_or_default()
}

/// `ipc::channel` of `ipc::channel::sender`; else the first part.
fn room(path: &Path) -> String {
    match path.as_slice() {
        [ipc, inner, ..] if ipc == "ipc" => format!("ipc::{inner}"),
        [first, ..] => first.clone(),
        [] => "lib".to_owned(),
    }
}

fn known(modules: &[Module]) -> BTreeSet<Path> {
    modules.iter().map(|module| module.path.clone()).collect()
}

#[test]
fn imports_point_down() {
    let modules = modules();
    let known = known(&modules);
    let mut offences = Vec::new();
    for module in modules.iter().filter(|module| !is_test(module)) {
        let own = room(&module.path);
        if ENTRANCES.contains(&&*own) || own == "ipc" {
            continue;
        }
        for used in uses(module) {
            let other = room(&target(&used.path, &known));
            if !may_use(&own, &other) {
                let path = used.path.join("::");
                offences.push(format!("{}: `{own}` uses `{path}` of `{other}`", module.source.at(used.line)));
            }
        }
    }
    none("imports against the order", offences);
}

/// Whether a room may use another. The root is none: what it re-exports has a room of its own.
fn may_use(own: &str, other: &str) -> bool {
    let place = |room: &str| ROOMS.iter().position(|known| *known == room);
    match (place(own), place(other)) {
        _ if own == other || SHARED.contains(&other) => true,
        _ if SHARED.contains(&own) => other == "sys",
        (Some(_), None) => BESIDE.contains(&other),
        (Some(own), Some(other)) => own < other,
        _ => false,
    }
}

#[test]
fn every_module_has_a_room() {
    let is_known = |room: &str| {
        ROOMS.contains(&room) || BESIDE.contains(&room) || ENTRANCES.contains(&room) || SHARED.contains(&room)
    };
    let rooms: BTreeSet<String> = modules().iter().map(|module| room(&module.path)).collect();
    let strangers = rooms.into_iter().filter(|room| room != "ipc" && !is_known(room)).collect();
    none("modules that the order of imports does not know", strangers);
}

/// The children of each folder, and which of them uses which.
fn edges(modules: &[Module]) -> BTreeMap<Path, BTreeMap<String, BTreeMap<String, String>>> {
    let known = known(modules);
    let mut edges: BTreeMap<Path, BTreeMap<String, BTreeMap<String, String>>> = BTreeMap::new();
    for module in modules.iter().filter(|module| !is_test(module) && !module.path.is_empty()) {
        for used in uses(module).into_iter().filter(|used| !used.is_reexport) {
            let target = target(&used.path, &known);
            let shared = module.path.iter().zip(&target).take_while(|(one, other)| one == other).count();
            // From a child of the folder that both are in, to another child, or to the folder's own file.
            let child = |path: &Path| path.get(shared).cloned().unwrap_or_else(|| "mod".to_owned());
            let (from, to) = (child(&module.path), child(&target));
            if from != to && shared > 0 {
                let at = format!("{} names {}", module.source.at(used.line), used.path.join("::"));
                edges
                    .entry(module.path[..shared].to_vec())
                    .or_default()
                    .entry(from)
                    .or_default()
                    .entry(to)
                    .or_insert(at);
            }
        }
    }
    edges
}

#[test]
fn no_folder_has_a_circle() {
    let mut circles = Vec::new();
    for (folder, edges) in edges(&modules()) {
        for start in edges.keys() {
            if let Some(circle) = circle_through(start, &edges) {
                circles.push(format!("{}: {}", folder.join("::"), circle.join("\n    ")));
            }
        }
    }
    none("modules that use each other", circles);
}

/// The arrows from a module back to itself, by a shortest way, if there is one. Reported once, at its first module.
fn circle_through(start: &String, edges: &BTreeMap<String, BTreeMap<String, String>>) -> Option<Vec<String>> {
    let mut ways = std::collections::VecDeque::from([(start, Vec::new())]);
    let mut seen = BTreeSet::new();
    while let Some((at, way)) = ways.pop_front() {
        for (next, why) in edges.get(at).into_iter().flatten().filter(|(next, _)| *next >= start) {
            let way: Vec<String> = way.iter().cloned().chain([format!("{at} → {next}: {why}")]).collect();
            if next == start {
                return Some(way);
            }
            if seen.insert(next) {
                ways.push_back((next, way));
            }
        }
    }
    None
}

#[test]
fn paths_of_every_form_are_seen() {
    let text = "
        use crate::Pool as _;
        use super::super::pool as _;
        use crate::{ipc::{fd, wire::{frame::{self, Body}}}, sys};
        pub(crate) use self::inner::Inner;
        /// [`crate::process`] is documentation.
        fn f(x: crate::start::X) { println!(\"{}\", super::kind::Y); let z = self.z; vec![$crate::a::b] }
        #[cfg(test)] mod tests { use crate::child; }
        mod deeper { use super::super::codec; }
    ";
    let module = Module {
        path: ["ipc", "wire", "frame"].map(str::to_owned).to_vec(),
        source: Source { path: "ipc/wire/frame.rs".into(), text: text.to_owned() },
    };
    let found: Vec<String> = uses(&module).iter().map(|used| used.path.join("::")).collect();
    #[rustfmt::skip]
    let expected = [
        "Pool", "ipc::pool", "ipc::fd", "ipc::wire::frame", "ipc::wire::frame::Body", "sys",
        "ipc::wire::frame::inner::Inner", "start::X", "ipc::wire::kind::Y", "ipc::wire::codec",
    ];
    assert_eq!(found, expected);
    assert_eq!(uses(&module)[0].line, 2);
    assert!(!may_use("ipc::wire", "lib") && !may_use("ipc::wire", "pool") && may_use("pool", "ipc::wire"));
}
