//! `autoconf.h` with options taken out.

/// Options that differ between kernels that are otherwise the same: the table, and what holds the release.
///
/// `BUILD_SALT` is set to the release by the specs of el8 and later (kernel.spec, `CONFIG_BUILD_SALT="%{KVERREL}"`; the option is
/// in init/Kconfig since Linux 4.18), `LOCALVERSION` by some that build upstream's kernel.
pub const VARYING: [&str; 3] = ["CONFIG_IP_VS_TAB_BITS", "CONFIG_BUILD_SALT", "CONFIG_LOCALVERSION"];

/// Returns `autoconf.h` without comments and without the lines of [`VARYING`], and with a poison for their names in front.
///
/// `#pragma GCC poison` (gcc 3.0 and later, clang) makes it an error to write a name in any way but in a comment, in a string,
/// or in a part that is skipped: in `#ifdef`, in a macro's body, or put together by `##`. Macros that were defined before may use
/// it; so it stands first, and whoever calls it makes sure that no `-D` names one. The comments of `autoconf.h` hold the
/// kernel's release (scripts/kconfig/confdata.c), and, until Linux 2.6.39, the time.
#[must_use]
pub fn hide(text: &str) -> String {
    let mut hidden = format!("#pragma GCC poison {}\n", VARYING.join(" "));
    let kept = text.lines().filter(|line| {
        let mut words = line.split_ascii_whitespace();
        words.next() == Some("#define") && !words.next().is_some_and(|name| VARYING.contains(&name))
    });
    for line in kept {
        hidden.push_str(line);
        hidden.push('\n');
    }
    hidden
}

/// Whether a text has the name of a varying option in it.
#[must_use]
pub fn names_any(text: &[u8]) -> bool {
    VARYING.iter().any(|name| memchr::memmem::find(text, name.as_bytes()).is_some())
}

/// Whether there is something in such a header that [`hide`] would not understand: anything but comments and `#define`s.
///
/// kconfig writes nothing else (`conf_write_autoconf` in scripts/kconfig/confdata.c), but somebody's spec may.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let mut comment = false;
    text.lines().all(|line| {
        let line = line.trim();
        if comment {
            comment = !line.ends_with("*/");
            return true;
        }
        if line.starts_with("/*") {
            comment = !line.ends_with("*/");
            return true;
        }
        line.is_empty()
            || (line.starts_with("#define ") && !line.ends_with('\\'))
            || line.starts_with("//")
            || line.starts_with("#undef ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "/*\n * Automatically generated C config: don't edit\n * Linux kernel version: 2.6.32-220.el6.x86_64\n \
        * Tue Jul 10 12:00:00 2012\n */\n#define AUTOCONF_INCLUDED\n#define CONFIG_IP_VS 1\n\
        #define CONFIG_IP_VS_TAB_BITS 12\n#define CONFIG_IP_VS_TAB_BITS_MORE 1\n#undef CONFIG_X\n";
    const NEW: &str = "/*\n *\n * Automatically generated file; DO NOT EDIT.\n * Linux/x86 6.1.192-1.el6.x86_64 Kernel \
        Configuration\n *\n */\n#define CONFIG_BUILD_SALT \"4.18.0-1.el8\"\n#define CONFIG_IP_VS_MODULE 1\n";

    #[test]
    fn only_what_varies_is_taken_out() {
        let poison = "#pragma GCC poison CONFIG_IP_VS_TAB_BITS CONFIG_BUILD_SALT CONFIG_LOCALVERSION\n";
        assert_eq!(
            hide(OLD),
            format!(
                "{poison}#define AUTOCONF_INCLUDED\n#define CONFIG_IP_VS 1\n#define CONFIG_IP_VS_TAB_BITS_MORE 1\n"
            )
        );
        assert_eq!(hide(NEW), format!("{poison}#define CONFIG_IP_VS_MODULE 1\n"));
        let other = OLD.replace("BITS 12", "BITS 20").replace("-220.el6", "-220.el6.ipvs_20bit");
        assert_eq!(hide(&other), hide(OLD));
        assert_ne!(hide(&OLD.replace("IP_VS 1", "IP_VS 0")), hide(OLD));
    }

    #[test]
    fn what_is_not_kconfigs_is_noticed() {
        assert!(is_plain(OLD) && is_plain(NEW) && is_plain(""));
        for other in ["#if X\n#define CONFIG_A 1\n#endif\n", "#include \"more.h\"\n", "int x;\n", "#define A \\\n 1\n"]
        {
            assert!(!is_plain(other), "{other}");
            assert!(!is_plain(&format!("{NEW}{other}")), "{other}");
        }
    }

    #[test]
    fn names_are_seen_anywhere() {
        assert!(names_any(b"int x = CONFIG_IP_VS_TAB_BITS;") && names_any(b"CONFIG_LOCALVERSION_AUTO"));
        assert!(!names_any(b"CONFIG_IP_VS_TAB"));
    }
}
