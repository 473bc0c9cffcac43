//! Other hosts that compile: only those whose compiler makes the same object.

use std::path::Path;

use super::{Error, Record, failed, missing, path};
use crate::command::Command;
use crate::compiler::Settings;
use crate::event::Reporter;
use crate::plan::Layout;
use crate::plan::layout::text;
use crate::sys::{exec, files, probe};

/// What each host compiles before it is trusted with a kernel: its object has the compiler's version in it (`.comment`), and
/// some code.
const TRIAL: &str = "\
#define N(n) int f##n(int *a, int b) { for (int i = 0; i < b; i++) a[i] = a[i] * n + (b ? a[i] / b : i); return a[n] % 7; }
N(1) N(3) N(12)
struct s { long a[9]; char b; };
long g(struct s *s, double d) { return s->a[s->b & 7] + (long)(d * 3.7); }
";
/// How the trial is compiled. Without debugging information, which says of each object whether distcc had preprocessed it.
const FLAGS: [&str; 3] = ["-O2", "-Wall", "-c"];

/// Lets the hosts join that compile the trial as the compiler here does. The others are left out, and named.
pub(super) fn join(
    layout: &Layout,
    command: &Command,
    gcc: &Path,
    hosts: &[String],
    settings: &mut Settings,
    record: &mut Record,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    let distcc = probe::find(path(command), "distcc").ok_or_else(|| missing("distcc"))?;
    let dir = layout.compilers().join("trial");
    let state = layout.home().join(".distcc");
    for dir in [&dir, &state] {
        fs_err::create_dir_all(dir).map_err(failed)?;
    }
    fs_err::write(dir.join("trial.c"), TRIAL).map_err(failed)?;
    let compile = |program: &Path, first: Option<&Path>, env: &[(&str, &str)]| {
        let object = dir.join("trial.o");
        let mut compile = Command::new(program)
            .args(first.map(text))
            .args(FLAGS)
            .args(["trial.c", "-o", "trial.o"])
            .with_env(command.env.clone())
            .in_dir(&dir);
        compile.env.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        exec::read(&compile).map_err(|error| crate::error::chain(&error))?;
        let digest = files::sha256(&object).map_err(|error| error.to_string())?;
        fs_err::remove_file(&object).map_err(|error| error.to_string())?;
        Ok::<_, String>(digest)
    };
    let here = compile(gcc, None, &[]).map_err(|error| failed(std::io::Error::other(error)))?;
    let state = text(&state);
    for host in hosts {
        let env = [("DISTCC_HOSTS", host.as_str()), ("DISTCC_FALLBACK", "0"), ("DISTCC_DIR", &state)];
        match compile(&distcc, Some(gcc), &env) {
            Ok(there) if there == here => record.hosts.push(host.clone()),
            Ok(_) => {
                reporter.warn(format!("{host} does not compile: its compiler makes another object than the one here"));
            }
            Err(why) => reporter.warn(format!("{host} does not compile: {why}")),
        }
    }
    files::remove_tree(&dir).map_err(failed)?;
    if record.hosts.is_empty() {
        reporter.note("no other host compiles".into());
        return Ok(());
    }
    reporter.note(format!("{} compile, too", record.hosts.join(", ")));
    settings.hosts = vec![
        ("DISTCC_HOSTS".into(), record.hosts.join(" ")),
        ("DISTCC_DIR".into(), state),
        // What a host refuses or loses is compiled here.
        ("DISTCC_FALLBACK".into(), "1".into()),
    ];
    settings.distcc = Some(distcc);
    Ok(())
}
