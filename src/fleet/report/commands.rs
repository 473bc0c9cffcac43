//! The commands of INSTALL.md that install and that roll back, as they stand there: nothing is added to them.

use serde::{Deserialize, Serialize};

/// With what a line begins that installs packages.
const INSTALLS: [&str; 6] = ["rpm -U", "rpm -i", "rpm -F", "dnf install", "dnf -y install", "yum install"];
/// With what a line begins that takes them away.
const REMOVES: [&str; 4] = ["rpm -e", "dnf remove", "dnf -y remove", "yum remove"];

/// Commands for a shell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Commands {
    /// From the first block of the instructions to the last one that installs something.
    pub install: Vec<String>,
    /// The blocks that remove something.
    pub roll_back: Vec<String>,
}

/// Takes them out of installation instructions: Markdown, with commands in blocks that are indented or fenced.
#[must_use]
pub fn of(instructions: &str) -> Commands {
    let (roll_back, mut install): (Vec<String>, Vec<String>) =
        blocks(instructions).into_iter().partition(|block| has(block, &REMOVES));
    let number = install.iter().rposition(|block| has(block, &INSTALLS)).map_or(0, |last| last + 1);
    install.truncate(number);
    Commands { install, roll_back }
}

fn has(block: &str, beginnings: &[&str]) -> bool {
    block.lines().any(|line| beginnings.iter().any(|beginning| line.trim_start().starts_with(beginning)))
}

/// Returns the blocks of code of a Markdown text.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<Vec<&str>> = vec![Vec::new()];
    let mut is_fenced = false;
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        let code = match (is_fence, is_fenced) {
            (true, _) => None,
            (false, true) => Some(line),
            (false, false) => line.strip_prefix("    "),
        };
        match (code, blocks.last_mut()) {
            (Some(code), Some(block)) => block.push(code),
            _ => blocks.push(Vec::new()),
        }
    }
    blocks.into_iter().filter(|block| !block.is_empty()).map(|block| block.join("\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Route;
    use crate::plan::instructions::{Values, built_in, render};

    fn of_route(route: Route) -> Commands {
        let template = built_in(route, crate::plan::request::Mode::Bb);
        let values = Values {
            kernel: "kernel-ipvs".into(),
            nvr: "kernel-1-1.el6".into(),
            update: vec!["kernel-firmware-1-1.el6.noarch.rpm".into()],
            install: vec!["kernel-1-1.el6.x86_64.rpm".into(), "kernel-devel-1-1.el6.x86_64.rpm".into()],
            ..Values::default()
        };
        of(&render(template.name, template.text, &values).unwrap())
    }

    #[test]
    fn the_commands_are_those_of_the_instructions() {
        let kernel = of_route(Route::Kernel);
        assert_eq!(
            kernel.install,
            [
                "sha256sum -c SHA256SUMS",
                "rpm -U --oldpackage \\\n    kernel-firmware-1-1.el6.noarch.rpm",
                "rpm -i \\\n    kernel-1-1.el6.x86_64.rpm \\\n    kernel-devel-1-1.el6.x86_64.rpm",
            ]
        );
        assert_eq!(kernel.roll_back, ["grubby --set-default=/boot/vmlinuz-EARLIER && reboot\nrpm -e kernel-1-1.el6"]);
        assert_eq!(of_route(Route::Module).roll_back, ["rpm -e kernel-1-1.el6"]);
        let param = of_route(Route::Param);
        assert_eq!(param.roll_back, ["rpm -e kernel-ipvs"]);
        assert_eq!(param.install.len(), 2);
    }

    #[test]
    fn fenced_blocks_of_other_templates_are_found_too() {
        let commands =
            of("Do\n```sh\ndnf install ./a.rpm\n\nreboot\n```\nand\n\n```\nls\n```\nor ```\n    dnf remove a\n");
        assert_eq!(commands.install, ["dnf install ./a.rpm\n\nreboot"]);
        assert_eq!(of("Nothing.\n\n    ls\n"), Commands::default());
        assert_eq!(of("    yum remove a\n").roll_back, ["yum remove a"]);
    }
}
