//! How IPVS is there: config, modules, `ip_vs.ko` itself.

use super::bits;
use super::files::Look;
use crate::edit::config;
use crate::ipvs::bits::{Bits, MODULE, OPTION};
use crate::plan::director::{Director, Presence, Seen};
use crate::proof::module;
use crate::rpm::decompress;

/// The largest module and config that are taken.
const LARGEST: u64 = 256 << 20;
/// The parameter.
const PARAMETER: &str = "conn_tab_bits";
/// The endings of a module's file (`CONFIG_MODULE_COMPRESS_*`).
const ENDINGS: [&str; 4] = [".ko", ".ko.gz", ".ko.xz", ".ko.zst"];
/// Where `ip_vs.ko` may be below the modules of a kernel, where `modules.dep` does not tell: depmod's default order on EL,
/// `search updates extra built-in weak-updates`.
const PLACES: [&str; 8] = [
    "updates",
    "extra",
    "extra/ip_vs",
    "kernel/net/netfilter/ipvs",
    "kernel/net/ipv4/ipvs",
    "weak-updates",
    "weak-updates/ip_vs",
    "weak-updates/extra/ip_vs",
];

/// Finds out how IPVS is there, whether it works, and what it was built with.
pub(super) fn look(look: &mut Look<'_>, director: &mut Director) {
    let dir = director.release.as_ref().map(|release| format!("lib/modules/{release}"));
    let config = config_of(look, director);
    let answer = |symbol: &str| config.as_ref().and_then(|(_, text)| config::value(text, symbol));
    let (ipvs, tab_bits) = (answer(MODULE), answer(OPTION));
    let by_config = config.as_ref().map(|(path, _)| format!("/{path}")).unwrap_or_default();

    let running = running(look);
    director.loaded = running.loaded;
    director.users = running.users;
    director.module = dir.as_deref().and_then(|dir| module_of(look, dir));
    let listed = dir.as_ref().map(|dir| format!("{dir}/modules.builtin"));
    let built_in = listed.filter(|path| look.text(path).is_some_and(|text| text.lines().any(is_ip_vs)));

    director.ipvs = if ipvs.as_deref() == Some("y") {
        Presence::BuiltIn { by: format!("{MODULE}=y in {by_config}") }
    } else if let Some(path) = &built_in {
        Presence::BuiltIn { by: format!("/{path}") }
    } else if let Some(by) = &running.built_in {
        Presence::BuiltIn { by: by.clone() }
    } else if let Some(path) = &director.module {
        Presence::Module { by: format!("/{path}") }
    } else if let Some(by) = &running.module {
        Presence::Module { by: by.clone() }
    } else if ipvs.as_deref() == Some("n") || (config.is_some() && ipvs.is_none()) {
        Presence::Absent { by: format!("{MODULE} is not set in {by_config}") }
    } else if let Some(dir) = dir.as_deref().filter(|dir| look.has(dir)) {
        Presence::Absent { by: format!("no ip_vs.ko below /{dir}") }
    } else if ipvs.as_deref() == Some("m") {
        // The kernel's files are elsewhere, and with them the module.
        Presence::Module { by: format!("{MODULE}=m in {by_config}") }
    } else {
        Presence::Unknown
    };
    if matches!(director.ipvs, Presence::BuiltIn { .. }) {
        director.loaded = Some(true);
        director.module = None;
    }

    let of_module = director.module.clone().and_then(|path| inspect(look, &path));
    director.parameter = parameter(look, director, dir.as_deref(), of_module.as_ref());
    director.built = of_module.and_then(|seen| seen.bits).or_else(|| {
        let bits = bits(&tab_bits?)?;
        Some(Seen::by(bits, by_config))
    });
}

/// The config of the kernel that runs: its path and its text.
fn config_of(look: &mut Look<'_>, director: &Director) -> Option<(String, Vec<u8>)> {
    let release = director.release.as_ref().map(ToString::to_string);
    let of_release = release.iter().flat_map(|release| {
        ["boot/config-{}", "lib/modules/{}/config", "usr/lib/modules/{}/config", "lib/modules/{}/build/.config"]
            .map(|path| path.replace("{}", release))
    });
    let paths: Vec<String> = std::iter::once("proc/config.gz".to_owned()).chain(of_release).collect();
    paths.into_iter().find_map(|path| {
        let bytes = look.bytes(&path)?;
        match decompress::bytes(bytes.as_slice(), LARGEST) {
            Ok(text) if config::is_config(&text) => Some((path, text)),
            Ok(_) => {
                look.unread.push(format!("`/{path}` is no kernel's config"));
                None
            }
            Err(error) => {
                look.unread.push(format!("`/{path}`: {error}"));
                None
            }
        }
    })
}

/// What the running kernel says.
struct Running {
    loaded: Option<bool>,
    users: Vec<String>,
    module: Option<String>,
    built_in: Option<String>,
}

fn running(look: &mut Look<'_>) -> Running {
    const MODULES: &str = "proc/modules";
    const OBJECT: &str = "sys/module/ip_vs";
    let modules = look.text(MODULES);
    // name size references users state address
    let line = modules.as_ref().and_then(|text| {
        let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.find(|words| words.first() == Some(&"ip_vs"))
    });
    let users = line
        .as_ref()
        .and_then(|words| words.get(3))
        .map(|users| users.split(',').filter(|user| !user.is_empty() && *user != "-").map(str::to_owned).collect());
    // A module has a count of its users; what is built in has only its parameters there (since 2.6.21 and before).
    let object = look.has(OBJECT);
    let counted = object && (look.has(&format!("{OBJECT}/refcnt")) || look.has(&format!("{OBJECT}/initstate")));
    let module = if line.is_some() { Some(format!("/{MODULES}")) } else { counted.then(|| format!("/{OBJECT}")) };
    let works = look.has("proc/net/ip_vs");
    let built_in = match (&module, object, works && modules.is_some()) {
        (Some(_), ..) | (None, false, false) => None,
        (None, true, _) => Some(format!("/{OBJECT} is of no module")),
        (None, false, true) => Some(format!("/proc/net/ip_vs is there, and no ip_vs in /{MODULES}")),
    };
    let loaded = match (&module, &built_in) {
        (None, None) => (modules.is_some() || works).then_some(works),
        _ => Some(true),
    };
    Running { loaded, users: users.unwrap_or_default(), module, built_in }
}

/// Whether a path is that of `ip_vs.ko`, compressed or not.
fn is_ip_vs(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.strip_prefix("ip_vs").is_some_and(|ending| ENDINGS.contains(&ending))
}

/// The `ip_vs.ko` that modprobe would load.
fn module_of(look: &mut Look<'_>, dir: &str) -> Option<String> {
    let dep = look.text(&format!("{dir}/modules.dep"));
    let named = dep.as_deref().unwrap_or_default().lines().filter_map(|line| line.split(':').next());
    let named = named.filter(|path| is_ip_vs(path)).map(|path| match path.strip_prefix('/') {
        // depmod of el5 writes whole paths.
        Some(whole) => whole.to_owned(),
        None => format!("{dir}/{path}"),
    });
    let known = PLACES.iter().flat_map(|place| ENDINGS.map(|ending| format!("{dir}/{place}/ip_vs{ending}")));
    let paths: Vec<String> = named.chain(known).collect();
    paths.into_iter().find(|path| look.has(path))
}

/// What `ip_vs.ko` says.
struct OfModule {
    parameter: Seen<bool>,
    bits: Option<Seen<Bits>>,
}

fn inspect(look: &mut Look<'_>, path: &str) -> Option<OfModule> {
    let bytes = look.bytes(path)?;
    let read = decompress::bytes(bytes.as_slice(), LARGEST).map_err(|error| error.to_string()).and_then(|elf| {
        let info = module::modinfo(&elf).map_err(|error| error.to_string())?;
        Ok((info.has_parameter(PARAMETER), module::inspect(&elf)))
    });
    match read {
        Ok((has, found)) => {
            // Code that cannot be followed says nothing of the size, and all the same what parameters there are.
            let bits = found.ok().and_then(|found| Bits::try_from(u8::try_from(found.bits).ok()?).ok());
            Some(OfModule {
                parameter: Seen::by(has, format!("/{path}")),
                bits: bits.map(|bits| Seen::by(bits, format!("/{path}"))),
            })
        }
        Err(error) => {
            look.unread.push(format!("`/{path}`: {error}"));
            None
        }
    }
}

/// Whether there is a parameter: what works now says most, then what would be loaded.
fn parameter(
    look: &mut Look<'_>,
    director: &Director,
    dir: Option<&str>,
    of_module: Option<&OfModule>,
) -> Option<Seen<bool>> {
    const PARAMETERS: &str = "sys/module/ip_vs/parameters";
    let shown = format!("{PARAMETERS}/{PARAMETER}");
    if look.has(&shown) {
        return Some(Seen::by(true, format!("/{shown}")));
    }
    if let Some(found) = of_module {
        return Some(found.parameter.clone());
    }
    // Since 5.2, what is built in declares its parameters in a file.
    let declared = dir.map(|dir| format!("{dir}/modules.builtin.modinfo"));
    let of_builtin = declared.and_then(|path| Some((look.bytes(&path)?, path)));
    if let (Presence::BuiltIn { .. }, Some((bytes, path))) = (&director.ipvs, of_builtin) {
        let text = String::from_utf8_lossy(&bytes);
        let has = text.split('\0').any(|entry| entry.starts_with(&format!("ip_vs.parm={PARAMETER}:")));
        return Some(Seen::by(has, format!("/{path}")));
    }
    // All parameters of what is loaded are shown, if they have a mode; this one is 0444 in every kernel that has it.
    let loaded = director.loaded == Some(true) && look.has("sys/module/ip_vs");
    loaded.then(|| Seen::by(false, format!("no /{shown}")))
}
