//! The report as a Markdown page.

use std::fmt::Write;

use super::text::ratio;
use super::{SECTIONS, Section, metg};
use crate::Results;
use crate::measure::Measured;
use crate::targets::{self, Verdict};

const INTRODUCTION: &str = "\
# Benchmarks

<!-- Written by `bench`; see the end of the page. -->

What the operations of offspring cost, beside what the kernel asks for them (the *floor*) and what others take (the
*peers*).
";

const METHOD: &str = "\
## How it is measured

Each contender is a process of its own, which does the operation some times over when it is its turn, and checks every
answer. The turns go round, A B C A B C, after one round that does not count, so that whatever else the machine does
falls on all alike. A number is the median of its rounds; *spread* is from their first to their third quartile. A ratio
says how many times the other's cost ours is, for a rate or a share as for a time: less than 1 is less than the other.

Ratios within a row can be compared with those of another machine; the numbers cannot.
";

/// Returns the whole page.
pub(super) fn page(results: &Results) -> String {
    let mut page = INTRODUCTION.to_owned();
    page += &machine(results);
    page += &verdicts(results);
    page += METHOD;
    for section in &SECTIONS {
        page += &part(section, results);
    }
    page += &notes(results);
    page += &repetition(results);
    page
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let python = machine.python.as_deref().unwrap_or("no Python");
    format!(
        "\nMeasured on {} processors ({}), {} GiB of memory, {}, {python}; the load before it was {}.{}\n",
        machine.processors,
        machine.processor,
        machine.memory_gib,
        machine.kernel,
        machine.load,
        if results.is_quick { " This was a quick run, of few rounds." } else { "" },
    )
}

fn verdicts(results: &Results) -> String {
    let verdicts: Vec<Verdict> = targets::ALL.iter().filter_map(|target| target.verdict(results)).collect();
    let reached = verdicts.iter().filter(|verdict| verdict.is_reached).count();
    let mut text = format!("\n## Targets\n\n{reached} of {} are reached.\n\n", verdicts.len());
    text += "| row | target | measured | |\n| --- | --- | --- | --- |\n";
    for Verdict { row, aim, measured, is_reached } in &verdicts {
        let verdict = if *is_reached { "reached" } else { "**missed**" };
        line(&mut text, &format!("| `{row}` | {aim} | {measured} | {verdict} |"));
    }
    text + "\n"
}

fn part(section: &Section, results: &Results) -> String {
    let rows: Vec<&Measured> = results.rows.iter().filter(|row| row.id.starts_with(section.prefix)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("\n## {}\n\n{}\n\n", section.title, section.about);
    line(&mut text, &format!("![{}](benchmarks/{})\n", section.title, section.picture_name()));
    text += "| row | who | median | spread | rounds | offspring to it |\n| --- | --- | --: | --: | --: | --: |\n";
    rows.iter().for_each(|row| contenders(&mut text, row));
    text + &metg::markdown(&rows)
}

fn contenders(text: &mut String, row: &Measured) {
    for (index, (name, value)) in row.everybody().into_iter().enumerate() {
        let id = if index == 0 { format!("`{}`", row.id) } else { String::new() };
        let is_floor = row.floor_name.as_deref() == Some(name);
        let role = if is_floor { " (floor)" } else { "" };
        let spread = row.spread.get(name);
        let range = spread.map_or(String::new(), |s| format!("{} – {}", row.unit.show(s.low), row.unit.show(s.high)));
        let rounds = spread.map_or(0, |spread| spread.rounds);
        let relation = if index == 0 { String::new() } else { ratio(row.ratio_to(Some(value))) };
        line(text, &format!("| {id} | {name}{role} | {} | {range} | {rounds} | {relation} |", row.unit.show(value)));
    }
}

fn notes(results: &Results) -> String {
    let notes: Vec<&String> = results.rows.iter().flat_map(|row| &row.notes).collect();
    if notes.is_empty() {
        return String::new();
    }
    let mut text = "\n## Without a number\n\n".to_owned();
    notes.iter().for_each(|note| line(&mut text, &format!("- {note}")));
    text
}

fn repetition(results: &Results) -> String {
    let quick = if results.is_quick { " --quick" } else { "" };
    format!(
        "\n## To repeat it\n\n```sh\n\
        cargo run --release --manifest-path bench/Cargo.toml -- --report docs{quick}\n```\n\n\
        It takes a Rust toolchain, and Python 3 for Python's part, with joblib for joblib's. `--quick` takes a minute \
        at most, `--json` prints the numbers, a word such as `roundtrip` measures only the rows that have it in their \
        ids, and `--report docs --from FILE` writes this page from numbers that were printed before.\n"
    )
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes all");
}
