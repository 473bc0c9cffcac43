//! Source and binary packages: headers, signatures, payloads as streams, names. The only user of the rpm crate.

pub mod binary;
pub mod decompress;
mod digest;
pub mod facts;
mod headers;
mod integrity;
pub mod nvr;
pub mod openpgp;
pub mod source;
pub mod tree;
pub mod trust;
