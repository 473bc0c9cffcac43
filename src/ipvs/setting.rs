//! Where the parameter `conn_tab_bits` is set, and to what: files of modprobe.d and the kernel's command line.
//!
//! A later setting counts more than an earlier one: modprobe hands all of them to the kernel, which takes the last
//! (kernel/params.c, every version).

/// The module, as it calls itself.
const MODULE: &str = "ip_vs";
/// Its parameter.
const PARAMETER: &str = "conn_tab_bits";

/// One setting of the parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its line, from 1; of a line that is continued the first one.
    pub line: usize,
    /// What it is set to, as it stands there.
    pub value: String,
}

/// Returns the settings in a file of modprobe.d, in order (modprobe.d(5)): `options ip_vs conn_tab_bits=20`, where `-` is
/// as good as `_`, a backslash continues a line, and `#` begins one that is a comment.
#[must_use]
pub fn in_modprobe_d(text: &str) -> Vec<Setting> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        let mut line = first.to_owned();
        while let Some(begun) = line.strip_suffix('\\') {
            let next = lines.next().map_or("", |(_, next)| next);
            line = format!("{begun} {next}");
        }
        let mut words = line.split_whitespace();
        if words.next() == Some("options") && words.next().is_some_and(|module| same(module, MODULE)) {
            let values = words.filter_map(|word| word.split_once('=')).filter(|(name, _)| same(name, PARAMETER));
            found.extend(values.map(|(_, value)| Setting { line: index + 1, value: value.to_owned() }));
        }
    }
    found
}

/// Returns the settings that a shell script has grubby put on the kernel's command line (`grubby --args=…`), in order.
#[must_use]
pub fn by_grubby(script: &str) -> Vec<Setting> {
    let mut found = Vec::new();
    for (index, line) in script.lines().enumerate() {
        let words = shlex::split(line).unwrap_or_default();
        for command in words.split(|word| ["||", "&&", "|", ";"].contains(&word.as_str())) {
            let Some((program, words)) = command.split_first() else { continue };
            if program.rsplit('/').next() != Some("grubby") {
                continue;
            }
            let arguments =
                words.iter().filter_map(|word| word.strip_prefix("--args=")).flat_map(str::split_whitespace);
            for (name, value) in arguments.filter_map(|argument| argument.split_once('=')) {
                if name.split_once('.').is_some_and(|(module, name)| same(module, MODULE) && same(name, PARAMETER)) {
                    found.push(Setting { line: index + 1, value: value.to_owned() });
                }
            }
        }
    }
    found
}

/// Whether two names are the same to the kernel, which takes `-` for `_` in names of modules and parameters.
fn same(one: &str, other: &str) -> bool {
    one.replace('-', "_") == other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(settings: Vec<Setting>) -> Vec<(usize, String)> {
        settings.into_iter().map(|setting| (setting.line, setting.value)).collect()
    }

    #[test]
    fn modprobe_d_is_read_as_modprobe_reads_it() {
        let text = "# options ip_vs conn_tab_bits=8\n\noptions ip_vs conn_tab_bits=18\n\
                    \toptions  ip-vs \\\n  debug_level=1 conn-tab-bits=20\noptions ip_vs_sh conn_tab_bits=9\n\
                    alias ip_vs conn_tab_bits=9\noptions ip_vs conn_tab_bits\n";
        assert_eq!(values(in_modprobe_d(text)), [(3, "18".to_owned()), (4, "20".to_owned())]);
        assert_eq!(in_modprobe_d("options ip_vs conn_tab_bits=20 \\"), [Setting { line: 1, value: "20".into() }]);
        assert_eq!(in_modprobe_d(""), []);
    }

    #[test]
    fn what_grubby_adds_counts_and_what_it_removes_does_not() {
        let script = "grubby --update-kernel=ALL --remove-args=ip_vs.conn_tab_bits=18\n\
                      grubby --update-kernel=ALL --args=\"ip_vs.conn_tab_bits=20\" || echo --args=ip_vs.conn_tab_bits=9\n\
                      echo --args=ip_vs.conn_tab_bits=8\n";
        let found = values(by_grubby(script));
        assert_eq!(found, [(2, "20".to_owned())]);
        let several = values(by_grubby("/sbin/grubby --args='quiet ip-vs.conn-tab-bits=19' --update-kernel=ALL"));
        assert_eq!(several, [(1, "19".to_owned())]);
        assert!(by_grubby("grubby --args=ip_vs_sh.conn_tab_bits=20\n").is_empty());
    }
}
