//! `kbuild fleet report`.

use std::path::Path;

use crate::cli::{Edge, Output};
use crate::error::Error;
use crate::fleet::Fleet;

pub(super) fn run(_edge: &Edge, _fleet: &Fleet, _to: Option<&Path>) -> Result<Output, Error> {
    Err(Error::Usage("not yet".into()))
}
