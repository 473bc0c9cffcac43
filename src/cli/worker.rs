//! The building half of `kbuild ipvs` when root started it: runs as the building user, talks to root over its stdin.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::Output;
use crate::error::Error;
use crate::pipeline::handover;
use crate::sys::signal::Cancel;
use crate::sys::user;

/// The one argument with which root starts it; no subcommand that anybody would be offered.
pub(super) const NAME: &str = "worker";

pub(super) fn run() -> Result<Output, Error> {
    let host = |source| Error::Host { what: "this is started by `kbuild ipvs`, not by hand".into(), source };
    if user::me().uid == 0 {
        return Err(host(io::Error::other("it runs as root")));
    }
    let cancel = Cancel::install().map_err(host)?;
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().map_err(host)?);
    stream.peer_addr().map_err(host)?;
    handover::obey(stream, &cancel)?;
    Ok(Output::text(String::new()))
}
