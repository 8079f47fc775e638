//! Compares expansions with the files `golden/*.rs`. Golden files are reviewed like code.
//!
//! `UPDATE_GOLDEN=1 cargo test -p offspring-macros` writes the golden files anew.

use std::path::PathBuf;
use std::{env, fs};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;
use syn::{File, Item};

use crate::expand;

#[test]
fn task() {
    let item = quote! {
        /// Adds.
        pub fn add(a: u32, mut b: u32) -> u32 {
            b += a;
            b
        }
    };
    golden("task", expand::child_task(quote!(), item));
}

#[test]
fn task_without_anything() {
    golden(
        "task_without_anything",
        expand::child_task(
            quote!(),
            quote!(
                fn nothing() {}
            ),
        ),
    );
}

#[test]
fn task_with_every_argument() {
    let args = quote! {
        name = "resize", handle = ResizeTask, idempotent, start_method = "forkserver", timeout = "2.5s",
        crate = crate::prelude::offspring,
    };
    let item = quote! {
        #[cfg(unix)]
        #[deprecated]
        #[expect(unused_variables, reason = "for the test")]
        pub(crate) const fn r#match((width, height): (u32, u32), _: bool, argument_2: Vec<u8>) {}
    };
    golden("task_with_every_argument", expand::child_task(args, item));
}

#[test]
fn task_with_types_to_ask_about() {
    let item = quote! {
        fn paint(image: Image, others: (u8, Vec<Mutex<u64>>), fd: Fd<File>) -> Result<Vec<io::Lines>, TooBig> {
            paint_all(image, others, fd)
        }
    };
    golden("task_with_types_to_ask_about", expand::child_task(quote!(), item));
}

#[test]
fn task_with_report() {
    let item = quote! {
        fn read(path: PathBuf) -> io::Result<String> {
            fs::read_to_string(path)
        }
    };
    golden("task_with_report", expand::child_task(quote!(report), item));
}

#[test]
fn faulty_task() {
    let item = quote! {
        fn longest<'a, T>(texts: &'a [T], default: &'a str) -> &'a str
        where
            T: AsRef<str>,
        {
            texts.iter().map(T::as_ref).max_by_key(|text| text.len()).unwrap_or(default)
        }
    };
    golden("faulty_task", expand::child_task(quote!(timeout = "5"), item));
}

#[test]
fn misplaced_task() {
    golden(
        "misplaced_task",
        expand::child_task(
            quote!(),
            quote!(
                pub struct Options;
            ),
        ),
    );
}

#[test]
fn main() {
    let item = quote! {
        /// Starts here.
        #[tokio::main]
        async fn main() -> anyhow::Result<()> {
            Ok(())
        }
    };
    golden("main", expand::process_main(quote!(start_method = "spawn"), item));
}

#[test]
fn faulty_main() {
    golden(
        "faulty_main",
        expand::process_main(
            quote!(),
            quote!(
                async fn main() {}
            ),
        ),
    );
}

#[test]
fn hooks() {
    let preload = expand::preload(
        quote!(),
        quote!(
            fn load() -> io::Result<()> {
                Ok(())
            }
        ),
    );
    let after_fork = expand::after_fork(
        quote!(),
        quote!(
            fn reseed() {}
        ),
    );
    golden("hooks", quote!(#preload #after_fork));
}

#[test]
fn the_body_may_be_half_typed() {
    let item = quote!(fn draft(x: u32) -> u32 { let y = x. });
    let expansion = expand::child_task(quote!(), item).to_string();
    assert!(expansion.contains("let y = x ."), "{expansion}");
    assert!(!expansion.contains("compile_error"), "{expansion}");
}

#[test]
fn a_report_is_for_the_error_of_the_task_alone() {
    let message = |item| expand::child_task(quote!(), item).to_string();
    let own = message(quote!(
        fn read() -> Result<Vec<u8>, Box<dyn Error>> {}
    ));
    assert!(own.contains("send a report of it"), "{own}");
    let inner = [
        quote!(
            fn read() -> Vec<Result<u8, io::Error>> {}
        ),
        quote!(
            fn read() -> Result<Vec<io::Result<u8>>, String> {}
        ),
        quote!(
            fn read() -> (u8, Result<u8, anyhow::Error>) {}
        ),
    ];
    for message in inner.map(message) {
        assert!(message.contains("use `Result<_, offspring::Report>` here"), "{message}");
    }
}

#[test]
fn the_body_may_come_from_a_macro() {
    let body = TokenTree::Group(Group::new(Delimiter::None, quote!({ 1 })));
    let expansion = expand::child_task(quote!(), quote!(fn one() -> u8 #body)).to_string();
    assert!(!expansion.contains("compile_error"), "{expansion}");
}

#[test]
fn the_fingerprint_tells_signatures_apart() {
    let variants = [
        fingerprint(
            &quote!(),
            quote!(
                fn f(a: u8) -> Result<u8, String> {}
            ),
        ),
        fingerprint(
            &quote!(report),
            quote!(
                fn f(a: u8) -> Result<u8, String> {}
            ),
        ),
        fingerprint(
            &quote!(),
            quote!(
                fn f(a: u16) -> Result<u8, String> {}
            ),
        ),
    ];
    assert!(variants[0] != variants[1] && variants[0] != variants[2], "{variants:?}");
    let renamed = fingerprint(
        &quote!(name = "g"),
        quote!(
            pub fn g(other: u8) -> Result<u8, String> {}
        ),
    );
    assert_eq!(renamed, variants[0]);
}

fn fingerprint(args: &TokenStream, item: TokenStream) -> String {
    let expansion = expand::child_task(args.clone(), item).to_string();
    let (_, rest) = expansion.split_once("fingerprint : ").expect("an entry has a fingerprint");
    rest.split_whitespace().next().unwrap_or_default().to_owned()
}

/// Returns an item and the items of the attribute `beside`.
fn expanded(mut item: Item) -> Vec<Item> {
    let mut beside = Vec::new();
    if let Item::Struct(item) = &mut item {
        for attr in
            item.attrs.extract_if(.., |attr| attr.path().segments.last().is_some_and(|last| last.ident == "beside"))
        {
            let list = attr.meta.require_list().expect("the attribute has items");
            beside.extend(list.parse_args::<File>().expect("its argument is a list of items").items);
        }
    }
    std::iter::once(item).chain(beside).collect()
}

fn golden(name: &str, expansion: TokenStream) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{name}.rs"));
    let mut file: File = syn::parse2(expansion).expect("an expansion is a list of items");
    file.items = file.items.into_iter().flat_map(expanded).collect();
    let printed = prettyplease::unparse(&file);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &printed).expect("the golden files can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(printed, expected, "{} differs; if it should, run again with UPDATE_GOLDEN=1", path.display());
}
