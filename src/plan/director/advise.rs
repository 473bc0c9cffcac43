//! The one next step.

use serde::Serialize;

use super::{Director, Presence, Seen};
use crate::ipvs::bits::Bits;
use crate::ipvs::size;
use crate::plan::running::Running;
use crate::recipe::Recipe;

/// The file that gets the option.
const FILE: &str = "/etc/modprobe.d/ipvs-conn-tab-bits.conf";

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Advice {
    /// The table that it should have; `None` if nothing tells what it carries.
    pub recommended: Option<size::Advice>,
    /// The one next step.
    pub next: Next,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Next {
    /// The command, ready to be run by root in a shell; `None` if there is nothing to run.
    pub command: Option<String>,
    /// Why this one.
    pub why: String,
    /// What else is to be known before or after it.
    pub notes: Vec<String>,
}

impl Next {
    fn nothing(why: impl Into<String>) -> Self {
        Self { command: None, why: why.into(), notes: Vec::new() }
    }

    fn run(command: impl Into<String>, why: impl Into<String>) -> Self {
        Self { command: Some(command.into()), why: why.into(), notes: Vec::new() }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// Whether the size is a parameter, and who says so.
enum Parameter {
    Yes(String),
    No(String),
    Unknown,
}

/// Decides what a director needs next to have the recommended table.
#[must_use]
pub fn advise(director: &Director, recipes: &[Recipe], recommended: Option<size::Advice>) -> Advice {
    let running = director.release.as_ref().map(|release| Running::of(recipes, release));
    let next = match (&running, recommended) {
        (None, _) => Next::nothing(
            "the release of the running kernel is not known: run kbuild host on the director itself, or give --root a \
             tree that has proc/sys/kernel/osrelease",
        ),
        (_, None) => Next::nothing(
            "nothing tells how many connections this director carries: run kbuild host again while it works, or with \
             --connections and the number that you expect",
        ),
        (Some(running), Some(recommended)) => next(director, running, recommended),
    };
    let next = match &director.container {
        Some(sign) if next.command.is_some() => next.note(format!(
            "this is a container ({sign}): the kernel is the host's, so the command is for the host, and connections are \
             those of this network namespace"
        )),
        _ => next,
    };
    Advice { recommended, next }
}

fn next(director: &Director, running: &Running<'_>, recommended: size::Advice) -> Next {
    let bits = recommended.bits;
    let parameter = parameter(director, running);
    if let Some(Seen { is: table, by }) = table(director)
        && table >= bits
    {
        let also = if table > bits { "; a larger table only takes more memory" } else { "" };
        return Next::nothing(format!("nothing need be done: {by} {table} bits, {bits} are enough{also}"));
    }
    if let Presence::Absent { by } = &director.ipvs {
        return absent(running, bits, by);
    }
    let configured = director.configured.as_ref();
    match (parameter, &director.ipvs) {
        (Parameter::Yes(by), Presence::BuiltIn { .. }) => built_in(bits, configured, &by),
        (Parameter::Yes(by), Presence::Module { .. } | Presence::Unknown | Presence::Absent { .. }) => {
            by_parameter(director, bits, configured, &by, running)
        }
        (Parameter::No(by), presence) => by_build(running, bits, presence, configured, &by),
        (Parameter::Unknown, _) => Next::nothing(format!(
            "nothing here tells whether {} has the parameter conn_tab_bits, and no recipe knows it: run kbuild host where \
             the files of this kernel are, or give --root a tree that has them",
            running.release
        )),
    }
}

/// The table that is there; where IPVS is not loaded, the one that it would make, if that is known.
fn table(director: &Director) -> Option<Seen<Bits>> {
    if director.loaded == Some(false) {
        let configured =
            director.configured.as_ref().filter(|_| director.parameter.as_ref().is_some_and(|seen| seen.is));
        let configured = configured.map(|seen| (seen.is.parse(), format!("{} sets", seen.by)));
        return match (configured, &director.built) {
            (Some((Ok(bits), by)), _) => Some(Seen::by(bits, by)),
            // What cannot be a size is to be replaced.
            (Some((Err(_), _)), _) | (None, None) => None,
            (None, Some(built)) => Some(Seen::by(built.is, format!("ip_vs is not loaded, and {} makes", built.by))),
        };
    }
    // A parameter that can be seen is the largest that the table gets; otherwise the table itself tells.
    let seen = director.buckets.as_ref().and_then(|seen| Bits::from_buckets(seen.is));
    director.value.or(seen).map(|bits| Seen::by(bits, "the table has"))
}

fn parameter(director: &Director, running: &Running<'_>) -> Parameter {
    match (&director.parameter, running.has_parameter(), running.recipe) {
        (Some(Seen { is: true, by }), ..) => Parameter::Yes(format!("the parameter conn_tab_bits is there ({by})")),
        (Some(Seen { is: false, by }), ..) => Parameter::No(format!("there is no parameter conn_tab_bits ({by})")),
        (None, Some(has), Some(recipe)) => {
            let since = recipe.option.parameter_since.as_deref();
            let known = since.map_or_else(|| "never had it".to_owned(), |since| format!("has it since {since}"));
            let known = format!("{} {known}", recipe.name);
            if has {
                Parameter::Yes(format!("the parameter conn_tab_bits should be there: {known}"))
            } else {
                Parameter::No(format!("there can be no parameter conn_tab_bits: {known}"))
            }
        }
        _ => Parameter::Unknown,
    }
}

/// Nothing need be built: the option, or a reload if it is set already.
fn by_parameter(
    director: &Director,
    bits: Bits,
    configured: Option<&Seen<String>>,
    by: &str,
    running: &Running<'_>,
) -> Next {
    let loaded = director.loaded == Some(true);
    let set = configured.and_then(|seen| seen.is.parse::<Bits>().ok());
    let when = "the table gets its size when ip_vs is loaded: at the next boot, or after `modprobe -r` of it and of all \
                that uses it, which ends all connections";
    let next = match configured {
        Some(seen) if loaded && set.is_some_and(|set| set >= bits) => {
            let names = director.users.iter().map(String::as_str).chain(["ip_vs"]).collect::<Vec<_>>().join(" ");
            return Next::run(
                format!("ipvsadm -C && modprobe -r {names} && modprobe ip_vs"),
                format!("{by}, and {} sets {} bits, but ip_vs was loaded before that", seen.by, seen.is),
            )
            .note(
                "this ends all connections and forgets the services, which must be set up again (ipvsadm -S saves them): \
                 a reboot does the same",
            );
        }
        Some(seen) => match seen.by.strip_prefix("/").and_then(|file| file.rsplit_once(':')) {
            Some((file, _)) => Next::run(
                format!("sed -i 's/conn_tab_bits=[^ ]*/conn_tab_bits={bits}/' /{file}"),
                format!("{by}: nothing need be built; {} sets {} now", seen.by, seen.is),
            ),
            None => Next::run(argument(bits), format!("{by}: nothing need be built; {} sets {}", seen.by, seen.is)),
        },
        None => Next::run(line(bits), format!("{by}: nothing need be built")),
    };
    let next = if loaded { next.note(when) } else { next };
    match running.recipe {
        Some(_) => next.note(format!(
            "for a fleet, `kbuild ipvs --bits {bits} --release {} --route param` makes a package of it",
            running.release
        )),
        None => next,
    }
}

/// The line that sets the option.
fn line(bits: Bits) -> String {
    format!("echo 'options ip_vs conn_tab_bits={bits}' > {FILE}")
}

/// The kernel's command line, set for all kernels; it stands over modprobe's files.
fn argument(bits: Bits) -> String {
    format!("grubby --update-kernel=ALL --args=ip_vs.conn_tab_bits={bits}")
}

/// Nothing need be built: the kernel's command line.
fn built_in(bits: Bits, configured: Option<&Seen<String>>, by: &str) -> Next {
    let set = configured.and_then(|seen| seen.is.parse::<Bits>().ok());
    let next = Next::run(
        argument(bits),
        format!("{by} and IPVS is built in: nothing need be built, the kernel's command line sets it"),
    )
    .note("it counts from the next boot on; without grubby, add the argument to the boot loader's own configuration");
    match (configured, set) {
        (Some(seen), Some(set)) if set >= bits => next.note(format!(
            "{} sets {set} bits already, but the table has fewer: for a kernel with IPVS built in, only its command line counts",
            seen.by
        )),
        _ => next,
    }
}

/// Something must be built.
fn by_build(
    running: &Running<'_>,
    bits: Bits,
    presence: &Presence,
    configured: Option<&Seen<String>>,
    by: &str,
) -> Next {
    let Running { recipe, release } = running;
    if recipe.is_none() {
        return Next::nothing(format!(
            "{by}, and no recipe knows {release}: give kbuild its source package, `kbuild ipvs --bits {bits} --srpm FILE`"
        ));
    }
    let next = match presence {
        Presence::Module { .. } => Next::run(
            format!("kbuild ipvs --bits {bits} --release {release} --route module"),
            format!("{by}, so the size is compiled in; IPVS is a module, so ip_vs.ko alone is built anew"),
        )
        .note(format!(
            "`kbuild ipvs --bits {bits} --release {release} --route kernel` makes all of the kernel's packages instead"
        )),
        _ => Next::run(
            format!("kbuild ipvs --bits {bits} --release {release} --route kernel"),
            format!("{by}, so the size is compiled in"),
        ),
    };
    match configured {
        Some(seen) => next.note(format!(
            "take the option out of {} first: a kernel without the parameter refuses to load ip_vs with it",
            seen.by
        )),
        None => next,
    }
}

/// There is no IPVS.
fn absent(running: &Running<'_>, bits: Bits, by: &str) -> Next {
    let Running { recipe, release } = running;
    let Some(recipe) = recipe else {
        return Next::nothing(format!(
            "this kernel has no IPVS ({by}), and no recipe knows {release}: take a kernel that has it"
        ));
    };
    let main = recipe.release.names.first().map_or("kernel", String::as_str);
    let packages = recipe.packages.module.iter().map(|name| name.replace("{name}", main));
    let packages: Vec<String> = packages.filter(|name| !name.contains("debug") && !name.contains("-rt")).collect();
    Next::run(
        format!("kbuild ipvs --bits {bits} --release {release} --route kernel"),
        format!("this kernel has no IPVS ({by}); the packages that kbuild makes of this release have it"),
    )
    .note(format!(
        "if the distribution's own package with ip_vs.ko ({}) is only missing, install it for {release} and run kbuild \
         host again",
        packages.join(" or ")
    ))
}
