//! Which part of the cells is whose: `2/5`, or what the engine says that runs this.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of several parts, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl Shard {
    /// Returns part `index` of `of`, if there is such a one.
    #[must_use]
    pub fn new(index: u32, of: u32) -> Option<Self> {
        (1..=of).contains(&index).then_some(Self { index, of })
    }

    /// Which, from 1.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    #[must_use]
    pub fn of(self) -> u32 {
        self.of
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// `--shard` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// This one.
    One(Shard),
    /// The one that the engine's variables name.
    Auto,
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let number = |text: &str| text.parse::<u32>().ok();
        let shard = text.split_once('/').and_then(|(index, of)| Shard::new(number(index)?, number(of)?));
        shard.map(Self::One).ok_or_else(|| "expected a part of several, such as `2/5`, or `auto`".into())
    }
}

/// The variable that says how many shards there are, where the engine does not. What kbuild writes for engines sets it.
pub const SHARDS: &str = "KBUILD_SHARDS";
/// The variable that says which of them this is, from 1, where the engine has none for that.
pub const SHARD: &str = "KBUILD_SHARD";

/// Returns the shard that the variables of the environment name.
///
/// GitLab counts from 1 (`CI_NODE_INDEX`, `CI_NODE_TOTAL`; docs.gitlab.com, "Predefined CI/CD variables"), Kubernetes from 0
/// (`JOB_COMPLETION_INDEX` of an Indexed Job; kubernetes.io, "Jobs"), and Slurm from wherever the array begins
/// (`SLURM_ARRAY_TASK_ID`, `_MIN`, `_MAX`, `_COUNT`; sbatch(1)), which is 0 in what kbuild writes for it.
///
/// # Errors
/// There is none, or it is none of so many.
pub fn of_engine(env: &BTreeMap<String, String>) -> Result<Shard, String> {
    let number = |name: &str| env.get(name).and_then(|text| text.trim().parse::<u32>().ok());
    let known: [(&str, u32, Option<u32>); 4] = [
        (SHARD, 0, None),
        ("CI_NODE_INDEX", 0, number("CI_NODE_TOTAL")),
        ("SLURM_ARRAY_TASK_ID", 1, None),
        ("JOB_COMPLETION_INDEX", 1, None),
    ];
    for (name, first, total) in known {
        let Some(index) = number(name) else { continue };
        // An array of which one task alone is submitted again has another size.
        let (index, of) = match (number(SHARDS), total) {
            (Some(of), _) | (None, Some(of)) => (u64::from(index) + u64::from(first), of),
            (None, None) if name == SLURM => of_array(index, &number)?,
            (None, None) => return Err(format!("`{name}` is {index}, but `{SHARDS}` does not say of how many")),
        };
        let shard = u32::try_from(index).ok().and_then(|index| Shard::new(index, of));
        return shard.ok_or_else(|| format!("`{name}` names shard {index}, and there are {of} shards"));
    }
    let names = known.map(|(name, ..)| name).join(", ");
    Err(format!("no engine says which shard this is: none of {names} is set to a number"))
}

/// The variable with the index of a task of a Slurm array.
const SLURM: &str = "SLURM_ARRAY_TASK_ID";

/// Returns which task this is of a Slurm array that nobody said the size of, from 1, and of how many: each of them must be there.
fn of_array(id: u32, number: &dyn Fn(&str) -> Option<u32>) -> Result<(u64, u32), String> {
    let least = number("SLURM_ARRAY_TASK_MIN").unwrap_or(0);
    let most = number("SLURM_ARRAY_TASK_MAX").ok_or_else(|| {
        format!("`{SLURM}` is {id}, but neither `SLURM_ARRAY_TASK_MAX` nor `{SHARDS}` says of how many")
    })?;
    let of = most.saturating_sub(least).saturating_add(1);
    match number("SLURM_ARRAY_TASK_COUNT") {
        Some(count) if count != of => Err(format!(
            "the array has {count} tasks from {least} to {most}: set `{SHARDS}` to how many shards there are"
        )),
        _ => Ok((u64::from(id.saturating_sub(least)) + 1, of)),
    }
}

/// Who ran a cell, as far as the engine's variables tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Runner {
    /// Such as `GitLab`.
    pub engine: String,
    /// The job's number or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Where its log is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// Returns who runs this; `None` where no engine that is known does.
#[must_use]
pub fn runner(env: &BTreeMap<String, String>) -> Option<Runner> {
    let of = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
    let runner = |engine: &str, job, url, node| Some(Runner { engine: engine.into(), job, url, node });
    if of("GITLAB_CI").is_some() {
        return runner("GitLab", of("CI_JOB_ID"), of("CI_JOB_URL"), of("CI_RUNNER_DESCRIPTION"));
    }
    if of("GITHUB_ACTIONS").is_some() {
        let url = match (of("GITHUB_SERVER_URL"), of("GITHUB_REPOSITORY"), of("GITHUB_RUN_ID")) {
            (Some(server), Some(repository), Some(id)) => Some(format!("{server}/{repository}/actions/runs/{id}")),
            _ => None,
        };
        return runner("GitHub Actions", of("GITHUB_RUN_ID"), url, of("RUNNER_NAME"));
    }
    if let Some(job) = of("SLURM_JOB_ID") {
        let job = match (of("SLURM_ARRAY_JOB_ID"), of("SLURM_ARRAY_TASK_ID")) {
            (Some(array), Some(task)) => format!("{array}_{task}"),
            _ => job,
        };
        return runner("Slurm", Some(job), None, of("SLURMD_NODENAME"));
    }
    of("KUBERNETES_SERVICE_HOST")?;
    runner("Kubernetes", of("JOB_NAME"), None, of("HOSTNAME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(text: &str) -> BTreeMap<String, String> {
        text.split_whitespace().map(|word| word.split_once('=').unwrap()).map(|(a, b)| (a.into(), b.into())).collect()
    }

    #[test]
    fn shards_are_read_and_refused() {
        let shard = |index, of| Asked::One(Shard::new(index, of).unwrap());
        assert_eq!("2/5".parse(), Ok(shard(2, 5)));
        assert_eq!("auto".parse(), Ok(Asked::Auto));
        for wrong in ["", "2", "0/5", "6/5", "a/b", "1/0", "-1/5", "1/5/9"] {
            assert!(wrong.parse::<Asked>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_engine_says_it_in_its_own_way() {
        for (text, expected) in [
            ("CI_NODE_INDEX=2 CI_NODE_TOTAL=5", "2/5"),
            ("SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_MAX=4", "1/5"),
            // One task of six that is started again by itself.
            ("SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_MAX=3 KBUILD_SHARDS=6", "4/6"),
            // An array of the user's own.
            ("SLURM_ARRAY_TASK_ID=5 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=5 SLURM_ARRAY_TASK_COUNT=5", "5/5"),
            ("JOB_COMPLETION_INDEX=4 KBUILD_SHARDS=5", "5/5"),
            ("KBUILD_SHARD=1 KBUILD_SHARDS=1", "1/1"),
        ] {
            assert_eq!(of_engine(&env(text)).unwrap().to_string(), expected, "{text}");
        }
        for (text, said) in [
            ("", "no engine says"),
            ("JOB_COMPLETION_INDEX=0", "does not say of how many"),
            ("KBUILD_SHARD=6 KBUILD_SHARDS=5", "there are 5 shards"),
            ("SLURM_ARRAY_TASK_ID=4294967295 KBUILD_SHARDS=5", "there are 5 shards"),
            ("SLURM_ARRAY_TASK_ID=3", "says of how many"),
            (
                "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=5 SLURM_ARRAY_TASK_COUNT=3",
                "has 3 tasks from 1 to 5",
            ),
            ("KBUILD_SHARD=x KBUILD_SHARDS=5", "no engine says"),
        ] {
            let why = of_engine(&env(text)).unwrap_err();
            assert!(why.contains(said), "{text}: {why}");
        }
    }

    #[test]
    fn who_runs_a_cell_is_known_by_its_variables() {
        let engine = |text: &str| runner(&env(text)).map(|runner| (runner.engine, runner.job, runner.url, runner.node));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(engine("HOME=/"), None);
        let gitlab = engine("GITLAB_CI=true CI_JOB_ID=7 CI_JOB_URL=https://g/7 CI_RUNNER_DESCRIPTION=r");
        assert_eq!(gitlab, Some(("GitLab".into(), some("7"), some("https://g/7"), some("r"))));
        let slurm = engine("SLURM_JOB_ID=12 SLURM_ARRAY_JOB_ID=10 SLURM_ARRAY_TASK_ID=2 SLURMD_NODENAME=n1");
        assert_eq!(slurm, Some(("Slurm".into(), some("10_2"), None, some("n1"))));
        let github =
            "GITHUB_ACTIONS=true GITHUB_SERVER_URL=https://h GITHUB_REPOSITORY=o/r GITHUB_RUN_ID=9 RUNNER_NAME=x";
        assert_eq!(
            engine(github),
            Some(("GitHub Actions".into(), some("9"), some("https://h/o/r/actions/runs/9"), some("x")))
        );
        let kubernetes = engine("KUBERNETES_SERVICE_HOST=10.0.0.1 HOSTNAME=pod-1");
        assert_eq!(kubernetes, Some(("Kubernetes".into(), None, None, some("pod-1"))));
    }
}
