//! The only place with effects on the machine: processes, files, users, signals, locks, the clock.
//!
//! Decides nothing: what to run, where and as whom comes from a plan.

mod batch;
pub mod clock;
pub mod entropy;
pub mod exchange;
pub mod exec;
pub mod files;
pub mod http;
pub mod lock;
pub mod net;
pub mod pressure;
pub mod probe;
pub mod processes;
pub mod signal;
pub mod stamp;
pub mod stand_in;
pub mod survey;
pub mod threads;
pub mod tree;
pub mod user;
