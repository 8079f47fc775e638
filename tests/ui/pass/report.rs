//! `report` takes every usual type of error, and the function keeps its own.

#![deny(warnings)]

use std::borrow::Cow;
use std::error::Error;
use std::io;

use offspring::{Call, Report, child_task};

#[child_task(report)]
fn io_error(path: String) -> io::Result<String> {
    std::fs::read_to_string(path)
}

#[child_task(report)]
fn text(x: u8) -> Result<u8, String> {
    x.checked_add(1).ok_or_else(|| "too big".to_owned())
}

#[child_task(report)]
fn static_text(x: u8) -> Result<u8, &'static str> {
    x.checked_add(1).ok_or("too big")
}

#[child_task(report)]
fn cow(x: u8) -> Result<u8, Cow<'static, str>> {
    x.checked_add(1).ok_or("too big".into())
}

#[child_task(report)]
fn boxed(text: String) -> Result<u8, Box<dyn Error>> {
    Ok(text.parse()?)
}

#[child_task(report)]
fn boxed_and_send(text: String) -> Result<u8, Box<dyn Error + Send + Sync>> {
    Ok(text.parse()?)
}

#[child_task(report)]
fn reported(text: String) -> Result<u8, Report> {
    text.parse().map_err(|error| Report::new(&error))
}

#[child_task(report)]
fn infallible() -> Result<(), std::convert::Infallible> {
    Ok(())
}

fn main() {
    let _: [Call<Result<u8, Report>>; 6] = [
        text::call(1),
        static_text::call(1),
        cow::call(1),
        boxed::call("1".to_owned()),
        boxed_and_send::call("1".to_owned()),
        reported::call("1".to_owned()),
    ];
    let _: Call<Result<String, Report>> = io_error::call("/".to_owned());
    let _: Call<Result<(), Report>> = infallible::call();
    let _: io::Result<String> = io_error("/".to_owned());
}
