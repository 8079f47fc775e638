//! A program of `docs/guide/errors.md`.

include!(concat!(env!("OUT_DIR"), "/endings.rs"));
