//! A program of `docs/guide/logging.md`.

include!(concat!(env!("OUT_DIR"), "/log_lines.rs"));
