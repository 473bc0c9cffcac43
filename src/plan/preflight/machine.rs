//! What a machine is: system, container, accounts, programs, memory, entropy, Secure Boot.

use super::{Finding, MEGABYTE, PROGRAMS, Ready, Subject, Survey, USER, Weight, genkey, megabytes, room};

/// Below this, gpg of el5 and el6 waits for more when it makes a key.
const ENOUGH_ENTROPY: u32 = 1000;

/// The system, and the container that it is.
pub(super) fn host(survey: &Survey) -> Finding {
    let name = survey.distribution.as_deref().unwrap_or("a system that does not say its name");
    let within = survey.container.as_ref().map(|container| match &container.image {
        Some(image) => format!(", in a container ({}, image {image})", container.kind),
        None => format!(", in a container ({})", container.kind),
    });
    Finding::new(Weight::Fine, "host", format!("{name}{}", within.unwrap_or_default()), None)
}

/// Who builds, and what is wrong with that.
pub(super) fn people(survey: &Survey, ready: &Ready) -> Vec<Finding> {
    if !ready.user.is_empty() {
        return ready.user.clone();
    }
    let people = &survey.people;
    if people.me.is_empty() {
        return Vec::new();
    }
    if !people.known {
        // OpenShift gives each project numbers of its own, which are in no image's /etc/passwd.
        let found = format!(
            "uid {} has no entry in /etc/passwd, as in OpenShift: it can build, but programs that ask for its name (git, \
             ssh) complain",
            people.uid
        );
        return vec![Finding::new(Weight::Note, USER, found, None)];
    }
    let found = match (people.me == people.builder, people.to_be_made) {
        (true, _) => format!("`{}` builds", people.me),
        (false, false) => format!("`{}`; `{}` builds", people.me, people.builder),
        (false, true) => format!("`{}`; `{}`, which is made for it, builds", people.me, people.builder),
    };
    vec![Finding::new(Weight::Fine, USER, found, None)]
}

/// Versions of programs.
pub(super) fn programs(survey: &Survey) -> Finding {
    let list: Vec<_> = survey.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let found = if list.is_empty() { "none of a build's".into() } else { list.join(", ") };
    Finding::new(Weight::Fine, PROGRAMS, found, None)
}

/// Memory for all jobs.
pub(super) fn memory(survey: &Survey, subject: &Subject<'_>) -> Option<Finding> {
    let memory = survey.memory.filter(|_| subject.is_kernel())?;
    let (each, how) = room::memory_of_a_job(survey, subject);
    let needed = u64::from(survey.jobs).saturating_mul(each);
    let jobs = survey.jobs;
    let found = format!("{} for {jobs} jobs, about {} needed ({how})", megabytes(memory), megabytes(needed));
    let fits = (memory / each.max(1)).clamp(1, u64::from(jobs.max(1)));
    Some(if memory < needed {
        Finding::new(Weight::Risk, "memory", found, Some(format!("--jobs {fits}")))
    } else {
        Finding::new(Weight::Fine, "memory", found, None)
    })
}

/// Kernels up to el6 make a key for their modules with gpg, which waits for entropy.
pub(super) fn entropy(survey: &Survey, subject: &Subject<'_>) -> Option<Finding> {
    let entropy = survey.entropy.filter(|entropy| subject.is_kernel() && *entropy < ENOUGH_ENTROPY)?;
    genkey(subject)?;
    let found = format!("{entropy} bits of entropy: gpg waits for more when it makes the key that signs the modules");
    Some(Finding::new(Weight::Risk, "entropy", found, Some("rngd -r /dev/urandom".into())))
}

/// A note where the machine starts signed kernels only.
pub(super) fn secure_boot(survey: &Survey) -> Option<Finding> {
    let found = "Secure Boot is on: kernels and modules that the distribution has not signed do not start on such a \
                 machine unless their key is enrolled there";
    survey.secure_boot?.then(|| Finding::new(Weight::Note, "secure boot", found.into(), None))
}

/// One job takes this at the least, in bytes: less was measured only where nothing was compiled.
pub(super) const LEAST_OF_A_JOB: u64 = 50 * MEGABYTE;
