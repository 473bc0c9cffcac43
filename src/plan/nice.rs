//! How much a build yields to others on the machine: what `--nice` adds to the commands of a plan.

use super::Plan;
use super::step::{Signing, Step};
use crate::command::Command;

impl Plan {
    /// Returns the same plan with every command that may take long run at this nice value, added to kbuild's own.
    #[must_use]
    pub(super) fn at_nice(mut self, nice: u8) -> Self {
        for step in &mut self.steps {
            for command in commands(step) {
                command.nice = nice;
            }
        }
        self
    }

    /// The nice value that is added for what builds.
    #[must_use]
    pub fn nice(&self) -> u8 {
        let mut steps = self.steps.clone();
        steps.iter_mut().flat_map(commands).map(|command| command.nice).max().unwrap_or_default()
    }
}

/// The commands of a step that may take long.
fn commands(step: &mut Step) -> Vec<&mut Command> {
    match step {
        Step::Build { command, .. } | Step::Pack { command, .. } | Step::Package { command, .. } => vec![command],
        Step::Compile(what) => {
            let sign = what.sign.as_mut().map(|sign| match sign {
                Signing::SignFile { command } | Signing::Openssl { command, .. } => command,
            });
            [&mut what.make, &mut what.strip].into_iter().chain(sign).collect()
        }
        Step::Tree(tree) => {
            let compile = tree.compile.iter_mut().flat_map(|compile| compile.commands.iter_mut());
            let refresh = tree.refresh.iter_mut().map(|refresh| &mut refresh.make);
            tree.clean.iter_mut().chain(refresh).chain(compile).collect()
        }
        // QEMU's own limit of time does not know of others on the machine.
        Step::Boot { .. }
        | Step::Verify { .. }
        | Step::Unpack { .. }
        | Step::Edit { .. }
        | Step::ProveSetting { .. }
        | Step::ProveSources { .. }
        | Step::Prove { .. }
        | Step::Lay { .. }
        | Step::Patch { .. }
        | Step::Collect { .. } => Vec::new(),
    }
}
