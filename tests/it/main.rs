//! The integration tests: kbuild as its users start it, on the toy kernel, with real rpmbuild and real accounts.
//!
//! One module per topic. What needs root or a program that may be missing is skipped aloud, or fails where
//! `KBUILD_REQUIRE_ALL=1` says that everything must run.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests may fail loudly, start programs and look at the environment"
)]

mod build;
mod cache;
mod chaos;
mod cli;
mod compilers;
mod container;
mod diff;
mod doctor;
mod examples;
mod explain;
mod failures;
mod families;
mod fetch;
mod fleet;
mod fleet_engines;
mod fleet_report;
mod gate;
mod guide;
mod host;
mod hostile;
mod in_memory;
mod install;
mod interrupt;
mod module;
mod packaging;
mod param;
mod plan;
mod preflight;
mod privilege;
mod provenance;
mod real_kernel;
mod recipes;
mod refusals;
mod repository;
mod reproducible;
mod resume;
mod signature;
mod signature_kinds;
mod signing;
mod size;
mod soundness;
mod spec_variants;
mod srpm;
mod static_binary;
mod support;
mod tampered;
mod tidy;
mod times;
mod tree;
mod verify;
mod watchdog;
