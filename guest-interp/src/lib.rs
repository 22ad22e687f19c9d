//! The portable module's own library: its command line, its files, its self test.

pub mod args;
pub mod files;
pub mod selftest;
