//! The `kbuild` command: see the library for everything.

fn main() -> std::process::ExitCode {
    kbuild::run(std::env::args_os())
}
