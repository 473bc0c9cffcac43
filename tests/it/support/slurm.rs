//! Slurm on this machine: a controller and several nodes, on loopback, as children of the test.
//!
//! They run in the foreground: a daemon that is nobody's child stays a zombie here long after it has ended.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::sandbox::Sandbox;
use super::{missing, wait_until, which};

/// How long an array of toys may take.
const LONG: Duration = Duration::from_mins(4);

/// A running Slurm.
#[derive(Debug)]
pub(crate) struct Slurm {
    dir: PathBuf,
    env: BTreeMap<String, String>,
    /// In the order in which they are ended.
    daemons: Vec<Child>,
}

impl Slurm {
    /// Whether all of it is there; like [`super::require`].
    #[must_use]
    pub(crate) fn require() -> bool {
        let programs = ["munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel"];
        let lacking: Vec<&str> = programs.into_iter().filter(|program| program_path(program).is_none()).collect();
        lacking.is_empty() || missing(&format!("Slurm ({})", lacking.join(", ")))
    }

    /// Starts it with so many nodes; jobs get this environment.
    pub(crate) fn start(sandbox: &Sandbox, env: &BTreeMap<String, String>, nodes: u16) -> Self {
        let dir = sandbox.path().join("slurm");
        for name in ["state", "log", "run", "etc", "spool"] {
            fs_err::create_dir_all(dir.join(name)).unwrap();
        }
        let conf = dir.join("etc/slurm.conf");
        fs_err::write(&conf, configuration(&dir, nodes)).unwrap();
        let mut env = env.clone();
        env.insert("SLURM_CONF".into(), conf.display().to_string());
        let mut slurm = Self { dir, env, daemons: Vec::new() };

        let key = slurm.dir.join("etc/munge.key");
        let mut random = vec![0; 128];
        std::io::Read::read_exact(&mut fs_err::File::open("/dev/urandom").unwrap(), &mut random).unwrap();
        fs_err::write(&key, random).unwrap();
        fs_err::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let socket = slurm.dir.join("run/munge.socket");
        let options = [
            ("key-file", key.clone()),
            ("socket", socket.clone()),
            ("pid-file", slurm.dir.join("run/munged.pid")),
            ("log-file", slurm.dir.join("log/munged.log")),
            ("seed-file", slurm.dir.join("run/munged.seed")),
        ];
        let options = options.map(|(name, path)| format!("--{name}={}", path.display()));
        slurm.daemon("munged", &[&["--foreground".to_owned(), "--force".to_owned()], &options[..]].concat());
        wait_until("munged listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        slurm.daemon("slurmctld", &["-D".into(), "-c".into()]);
        for node in 0..nodes {
            slurm.daemon("slurmd", &["-D".into(), "-N".into(), format!("n{node}")]);
        }
        let idle = || {
            let output = slurm.command("sinfo").args(["-h", "-N", "-t", "idle", "-o", "%N"]).output().unwrap();
            String::from_utf8_lossy(&output.stdout).lines().count()
        };
        wait_until("all nodes are idle", || idle() >= usize::from(nodes));
        slurm
    }

    fn daemon(&mut self, name: &str, args: &[String]) {
        let log =
            fs_err::File::create(self.dir.join("log").join(format!("{name}-{}.out", self.daemons.len()))).unwrap();
        let mut command = self.command(program_path(name).unwrap());
        command.args(args).stdout(log.into_file()).stderr(Stdio::null());
        self.daemons.insert(0, command.spawn().unwrap());
    }

    /// A program in the environment of Slurm's users.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.env).stdin(Stdio::null());
        command
    }

    /// Runs a program, which must succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> String {
        self.run_in(Path::new("/"), program, args)
    }

    /// The same in a directory.
    #[track_caller]
    pub(crate) fn run_in(&self, dir: &Path, program: &str, args: &[&str]) -> String {
        let output = self.command(program).args(args).current_dir(dir).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {said}\n{}", self.logs());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until a job, or all tasks of an array, have ended: state and exit code of each by its index, 0 for a job without.
    #[track_caller]
    pub(crate) fn ended(&self, job: &str) -> BTreeMap<usize, (String, String)> {
        let started = Instant::now();
        loop {
            let shown = self.run("scontrol", &["show", "job", "--oneliner", job]);
            let mut tasks = BTreeMap::new();
            for line in shown.lines().filter(|line| !line.trim().is_empty()) {
                let fields: BTreeMap<&str, &str> =
                    line.split_whitespace().filter_map(|word| word.split_once('=')).collect();
                let index = fields.get("ArrayTaskId").copied().unwrap_or("0");
                // Tasks that have not begun stand together as `0-5`.
                let state = if index.parse::<usize>().is_ok() { fields["JobState"] } else { "PENDING" };
                tasks.insert(index.parse().unwrap_or(usize::MAX), (state.to_owned(), fields["ExitCode"].to_owned()));
            }
            let open = ["PENDING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED", "CONFIGURING"];
            if !tasks.is_empty() && tasks.values().all(|(state, _)| !open.iter().any(|open| state.contains(open))) {
                return tasks;
            }
            assert!(started.elapsed() < LONG, "job {job} has not ended: {shown}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn logs(&self) -> String {
        let mut text = String::new();
        for entry in fs_err::read_dir(self.dir.join("log")).unwrap().flatten() {
            let log = fs_err::read_to_string(entry.path()).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            write!(text, "--- {}\n{}\n", entry.path().display(), last.join("\n")).unwrap();
        }
        text
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        // A job outlives the node's daemon that started it.
        let _ = self.command("scancel").args(["--state=RUNNING"]).output();
        let _ = self.command("scancel").args(["--state=PENDING"]).output();
        for daemon in &mut self.daemons {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(daemon.id()).unwrap());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            let started = Instant::now();
            while daemon.try_wait().is_ok_and(|ended| ended.is_none()) {
                if started.elapsed() > Duration::from_secs(5) {
                    let _ = daemon.kill();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Finds a program, where root's are, too.
fn program_path(name: &str) -> Option<PathBuf> {
    which(name).or_else(|| Some(Path::new("/usr/sbin").join(name)).filter(|path| path.is_file()))
}

/// The configuration: everything below one directory and on loopback.
fn configuration(dir: &Path, nodes: u16) -> String {
    let host = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim().split('.').next().unwrap();
    let port = free_ports(nodes + 1);
    let (first, last) = (port + 1, port + nodes);
    let d = dir.display();
    format!(
        "ClusterName=kbuildtest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits until its credential has expired; less than 5 is not taken.
AuthInfo=socket={d}/run/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={d}/state
SlurmdSpoolDir={d}/spool/%n
SlurmctldPidFile={d}/run/slurmctld.pid
SlurmdPidFile={d}/run/slurmd-%n.pid
SlurmctldLogFile={d}/log/slurmctld.log
SlurmdLogFile={d}/log/slurmd-%n.log
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=10
KillWait=20
MinJobAge=3600
JobRequeue=1
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
MailProg=/bin/true
NodeName=n[0-{}] NodeHostname={host} NodeAddr=127.0.0.1 Port={first}-{last} CPUs=1 RealMemory=1000 State=UNKNOWN
PartitionName=kb Nodes=n[0-{}] Default=YES MaxTime=INFINITE State=UP
",
        nodes - 1,
        nodes - 1,
    )
}

/// So many ports in a row that were free a moment ago.
fn free_ports(count: u16) -> u16 {
    for _ in 0..100 {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let others = (1..count).map(|next| TcpListener::bind(("127.0.0.1", port.checked_add(next)?)).ok());
        if others.collect::<Option<Vec<_>>>().is_some() {
            return port;
        }
    }
    panic!("no {count} free ports in a row")
}
