//! kbuild turns a distribution kernel's source package into verified, installable kernel packages with the IPVS
//! connection-table size that was asked for.
//!
//! Everything is decided before anything is done, every decision is data, every effect has one home, and every
//! failure says where it was, what was expected, and what to do:
//!
//! ```text
//! argv ──cli──▶ Request ┐
//! recipes/*.toml ▶ Recipe ┼─plan─▶ Plan (steps) ─pipeline─▶ stages ─▶ packages + manifest.json
//! source package ▶ Source ┤          │                        │
//! sys::probe ────▶ Host  ┘     `kbuild plan` prints it     events ─▶ cli::render
//! ```
//!
//! The rooms, each importing only from those below it: [`cli`], [`fleet`], [`repository`], [`pipeline`], [`proof`], [`provenance`], [`compare`], [`plan`],
//! [`explain`], [`compiler`], [`recipe`], [`edit`], [`ipvs`], [`rpm`], [`sys`]; under them all the vocabulary: [`command`], [`digest`], [`event`],
//! [`mod@nearest`], [`times`].
//! `provenance`, `compare`, `plan`, `explain`, `compiler`, `recipe`, `edit` and `ipvs` are pure. ARCHITECTURE.md has the map.

pub mod cli;
pub mod command;
pub mod compare;
pub mod compiler;
pub mod digest;
pub mod edit;
pub mod error;
pub mod event;
pub mod explain;
pub mod fleet;
pub mod ipvs;
pub mod nearest;
pub mod pipeline;
pub mod plan;
pub mod proof;
pub mod provenance;
pub mod recipe;
pub mod repository;
pub mod rpm;
pub mod sys;
pub mod times;

pub use cli::run;
