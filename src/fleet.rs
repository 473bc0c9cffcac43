//! Many kernels from one file: releases × bits × architectures × routes, each of them a cell that is one call of
//! `kbuild ipvs`.
//!
//! Nothing here runs a cell or schedules one: engines that people already have do that, by what [`engine`] writes for them. A cell
//! can be run anywhere, in any order and again; what came of it is in a directory of its name.

pub mod cell;
pub mod cost;
pub mod engine;
pub mod file;
pub mod inputs;
mod keys;
pub mod order;
pub mod record;
pub mod report;
pub mod shard;
pub mod show;
mod skip;
pub mod state;

pub use cell::Cell;
pub use file::Fleet;
pub use order::in_order;
pub use record::Record;
pub use shard::Shard;
pub use state::State;
