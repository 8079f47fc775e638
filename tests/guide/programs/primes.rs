//! A program of `README.md`.

include!(concat!(env!("OUT_DIR"), "/primes.rs"));
