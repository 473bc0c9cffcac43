//! What is known of the IPVS connection table: sizes, ranges, and what a kernel's own sources say about it. Pure.

pub mod bits;
pub mod module;
pub mod present;
pub mod setting;
pub mod size;
pub mod sources;
