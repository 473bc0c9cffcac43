//! The plan as text, for people.

use std::fmt;

use super::routes::{Comparison, Route, Verdict};
use super::signing::{Make, Signing};
use super::step::{self, FileEdit, Gate, Moment, PatchRun, Refresh, Tree};
use super::{Plan, Step};
use crate::command::Command;
use crate::edit::config::Setting;
use crate::rpm::trust::{PinnedBy, Signature};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.route {
            Route::Kernel | Route::Tree => writeln!(f, "kernel    {} (uname -r: {})", self.nvr, self.uname_r)?,
            Route::Param | Route::Module => {
                writeln!(f, "package   {}", self.nvr)?;
                writeln!(f, "kernel    the distribution's {}", self.uname_r)?;
            }
        }
        writeln!(f, "table     {} bits, {} buckets", self.bits, self.bits.buckets())?;
        if !self.mode.compiles() {
            writeln!(f, "makes     a source package with the edits, for others to build")?;
        }
        self.show_routes(f)?;
        if let Some(source) = &self.source {
            writeln!(f, "source    {} ({} bytes, sha256 {})", source.file, source.size, source.sha256)?;
            writeln!(f, "signed    {}", Signed(&source.signature))?;
        }
        if let Some(module) = &self.module {
            let devel = &module.devel;
            match &devel.sha256 {
                Some(sha256) => writeln!(f, "devel     {} (sha256 {sha256})", devel.name)?,
                None => writeln!(f, "devel     {}", devel.name)?,
            }
            if let Some(signature) = &devel.signature {
                writeln!(f, "signed    {}", Signed(signature))?;
            }
        }
        writeln!(f, "recipe    {} ({})", self.recipe.name, self.recipe.why)?;
        for assumed in &self.recipe.assumed {
            writeln!(f, "assumed   {assumed}")?;
        }
        writeln!(f, "set in    {}", self.recipe.way)?;
        if let Some(release) = &self.release {
            let how = if release.evaluated {
                "the spec, evaluated"
            } else {
                "the recipe's word: the spec could not be evaluated"
            };
            writeln!(f, "release   {} ({how}; {})", self.nvr.release, release.carrier)?;
            if let Some(dist) = &release.dist {
                writeln!(f, "dist      {dist} (the source package's: this spec takes the building host's)")?;
            }
        }
        let range = match self.source.as_ref().and_then(|source| source.tree.range.as_ref()) {
            Some((range, file)) => format!("{range} ({file} of this kernel)"),
            None => format!("from recipe {}", self.recipe.name),
        };
        writeln!(f, "range     {range}")?;
        let uid = self.user.uid.map_or("to be created".to_owned(), |uid| format!("uid {uid}"));
        writeln!(f, "built as  {} ({uid})", self.user.name)?;
        writeln!(f, "runs as   batch work (SCHED_BATCH), nice {}", self.nice())?;
        writeln!(f, "work      {}", self.layout.work.display())?;
        if let Some(signing) = &self.signing {
            show_signing(f, signing)?;
        }
        writeln!(f, "out       {}", self.layout.out.display())?;
        for command in &self.prepare {
            writeln!(f, "\nfirst, as root\n  {command}")?;
        }
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(f, "\n{}. {}", index + 1, step.stage())?;
            self.step(f, step)?;
        }
        if let Some(install) = &self.install {
            writeln!(
                f,
                "\nat last, as whoever started kbuild, {} goes below {}",
                install.archive,
                install.root.display()
            )?;
            install.commands.iter().try_for_each(|command| show_command(f, command, false))?;
        }
        for (kind, lines) in [("note", &self.notes), ("warning", &self.warnings)] {
            for line in lines {
                writeln!(f, "\n{kind}: {line}")?;
            }
        }
        Ok(())
    }
}

impl Plan {
    /// The routes, a line each, with a mark before the one that is taken.
    fn show_routes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, each) in self.routes.iter().enumerate() {
            let Comparison { route, verdict, cost, takes, signed } = each;
            let head = if index == 0 { "routes" } else { "" };
            let mark = if *route == self.route { '*' } else { ' ' };
            match verdict {
                Verdict::Works { why } => {
                    writeln!(f, "{head:8}{mark} {route:6}  works: {why}")?;
                    writeln!(f, "{:18}{cost}, {takes}, {signed}", "")?;
                }
                Verdict::Fails { why } => writeln!(f, "{head:8}{mark} {route:6}  does not work: {why}")?,
            }
        }
        Ok(())
    }

    fn show_tree(&self, f: &mut fmt::Formatter<'_>, tree: &Tree) -> fmt::Result {
        let config = tree.config.as_ref().map_or("the one that %prep resolved", |config| &config.origin);
        writeln!(f, "  tree           {}", tree.dir.display())?;
        writeln!(f, "  EXTRAVERSION   {}", tree.extraversion)?;
        writeln!(f, "  .config        {config}, with `{}` on its first line", tree.platform)?;
        writeln!(f, "  it says        {}", settings(&tree.expected))?;
        if let Some(Refresh { make, targets }) = &tree.refresh {
            writeln!(f, "  brought up to date by the first of {} that the tree has", targets.join(", "))?;
            show_command(f, make, false)?;
        }
        if let Some(clean) = &tree.clean {
            writeln!(f, "  before it is configured")?;
            show_command(f, clean, false)?;
        }
        if let Some(compile) = &tree.compile {
            writeln!(f, "  compiled by {}", self.user.name)?;
            compile.commands.iter().try_for_each(|command| show_command(f, command, false))?;
            writeln!(f, "  ip_vs.ko holds {}", compile.bits)?;
            writeln!(f, "  archive        {}", compile.archive)?;
        }
        Ok(())
    }

    fn step(&self, f: &mut fmt::Formatter<'_>, step: &Step) -> fmt::Result {
        match step {
            Step::Verify { srpm, .. } => writeln!(f, "  {} has the digests above", srpm.display()),
            Step::Unpack { spec, .. } => {
                writeln!(f, "  pristine copy  {}", self.layout.pristine().display())?;
                writeln!(f, "  {spec:13}  {}", self.layout.spec(spec).display())?;
                writeln!(f, "  all else       {}", self.layout.sources().display())
            }
            Step::Edit { edits } => edits.iter().try_for_each(|edit| show_edit(f, edit)),
            Step::Build { query, command, gate, .. } => {
                if let Some(query) = query {
                    writeln!(f, "  packages promised by")?;
                    show_command(f, query, false)?;
                }
                writeln!(f, "  run as {}", self.user.name)?;
                show_command(f, command, true)?;
                show_gate(f, gate)
            }
            Step::Lay { devel, tree, files } => {
                writeln!(f, "  kernel-devel   {}", devel.tree().display())?;
                writeln!(f, "  IPVS           {} files, to {}", files.len(), tree.display())
            }
            Step::Patch { patches, same, .. } => {
                for PatchRun { patch, command, .. } in patches {
                    writeln!(f, "  {} ({}) changes {}", patch.name, patch.by, patch.changes.join(", "))?;
                    show_command(f, command, false)?;
                }
                same.iter().try_for_each(|same| writeln!(f, "  {} must be that of {}", same.path, same.of))
            }
            Step::Compile(what) => {
                if let Some(gcc) = what.gcc.as_ref().filter(|_| !what.any_compiler) {
                    writeln!(f, "  gcc            as that of the kernel, {gcc}")?;
                }
                writeln!(f, "  run as {}", self.user.name)?;
                show_command(f, &what.make, true)?;
                show_command(f, &what.strip, false)?;
                match &what.sign {
                    Some(step::Signing::SignFile { command } | step::Signing::Openssl { command, .. }) => {
                        show_command(f, command, false)?;
                    }
                    None => {}
                }
                writeln!(f, "  ip_vs.ko holds {}, and fits {}", what.bits, what.uname_r)
            }
            Step::Package { files, copies, command } => {
                copies.iter().try_for_each(|(from, to)| writeln!(f, "  {} from {}", to.display(), from.display()))?;
                for file in files {
                    writeln!(f, "  {}", file.path.display())?;
                    file.text.lines().try_for_each(|line| writeln!(f, "    | {line}"))?;
                }
                writeln!(f, "  run as {}", self.user.name)?;
                show_command(f, command, true)
            }
            Step::Pack { query, command, .. } => {
                if let Some(query) = query {
                    writeln!(f, "  packages promised by")?;
                    show_command(f, query, false)?;
                }
                writeln!(f, "  run as {}", self.user.name)?;
                show_command(f, command, true)
            }
            Step::ProveSources { original, planned } => {
                let files: Vec<_> = planned.iter().map(|each| each.file.as_str()).collect();
                writeln!(f, "  as planned     {}", files.join(" "))?;
                writeln!(f, "  all else       as in {}", original.display())
            }
            Step::ProveSetting { required, bits } => {
                writeln!(f, "  required       {}", required.join(" "))?;
                writeln!(f, "  they set       conn_tab_bits={bits}")
            }
            Step::Prove { required, expected, bits, .. } => {
                let required = if required.is_empty() { "what the spec promises".into() } else { required.join(" ") };
                writeln!(f, "  required       {required}")?;
                if !expected.is_empty() {
                    writeln!(f, "  configs say    {}", settings(expected))?;
                }
                writeln!(f, "  ip_vs.ko holds {bits}")
            }
            Step::Boot { qemu, bits, limit, .. } => {
                writeln!(f, "  {} (no KVM), at most {limit} s, must say size={}", qemu.display(), bits.buckets())
            }
            Step::Tree(tree) => self.show_tree(f, tree),
            Step::Collect { instructions, .. } if !instructions.more.submissions.is_empty() => {
                writeln!(f, "  logs, checksums, and how to have it built:")?;
                let commands = instructions.more.submissions.iter().flat_map(|each| &each.commands);
                commands.into_iter().try_for_each(|command| writeln!(f, "    {command}"))
            }
            Step::Collect { install, update, .. } => {
                if install.is_empty() && update.is_empty() {
                    writeln!(f, "  logs, checksums, and how to go on")?;
                }
                for (how, packages) in [("-i", install), ("-U", update)].iter().filter(|(_, list)| !list.is_empty()) {
                    writeln!(f, "  rpm {how}         {}", packages.join(" "))?;
                }
                Ok(())
            }
        }
    }
}

fn show_signing(f: &mut fmt::Formatter<'_>, signing: &Signing) -> fmt::Result {
    let Signing { key, certificate, handed, make, .. } = signing;
    let from = handed.first().map_or(key, |key| &key.from.path).display();
    match (certificate, make) {
        (Some(certificate), _) => writeln!(f, "sign key  {from} ({certificate})"),
        (None, Some(Make { command, .. })) => {
            writeln!(f, "sign key  {from} (made once, kept for later builds in this work directory)")?;
            show_command(f, command, false)
        }
        (None, None) => writeln!(f, "sign key  {from}"),
    }
}

fn show_edit(f: &mut fmt::Formatter<'_>, edit: &FileEdit) -> fmt::Result {
    writeln!(f, "  {}", edit.path.display())?;
    for change in &edit.changes {
        if let Some(before) = &change.before {
            writeln!(f, "    {:>5} - {before}", change.line)?;
        }
        writeln!(f, "    {:>5} + {}", change.line, change.after)?;
    }
    Ok(())
}

fn show_command(f: &mut fmt::Formatter<'_>, command: &Command, environment: bool) -> fmt::Result {
    writeln!(f, "    {command}")?;
    if environment {
        writeln!(f, "  in {}, with this environment and no other", command.cwd.display())?;
        for (name, value) in &command.env {
            writeln!(f, "    {name}={}", crate::command::quote(value))?;
        }
    }
    Ok(())
}

fn show_gate(f: &mut fmt::Formatter<'_>, gate: &Gate) -> fmt::Result {
    if gate.moment == Moment::AtTheEnd {
        writeln!(f, "  it ends after %prep")?;
    }
    writeln!(f, "  after %prep, BUILD/{} must say {}", gate.resolved.join(" or "), settings(&gate.expected))
}

fn settings(settings: &[Setting]) -> String {
    settings.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A signature's verdict in words.
struct Signed<'a>(&'a Signature);

impl fmt::Display for Signed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Signature::Good { key, signer, pinned, pinned_by, algorithm, weak } => {
                let by = match pinned_by {
                    PinnedBy::Recipe => "the recipe",
                    PinnedBy::User => "you",
                };
                write!(f, "by {signer} with {algorithm}")?;
                if let Some(weak) = weak {
                    write!(f, " (weak: {weak})")?;
                }
                write!(f, "\nkey       {pinned}, pinned by {by}, from {key}")
            }
            Signature::Unsigned => f.write_str("by nobody"),
            Signature::NoKey { signer } => write!(f, "by {signer}, not checked: no key"),
            Signature::NotPinned { signer, key, fingerprint } => {
                write!(f, "by {signer}, whose key {fingerprint} (from {key}) nobody pins")
            }
            Signature::Bad { why } => write!(f, "wrongly: {why}"),
        }
    }
}
