//! A PostgreSQL server of a test's own: a cluster in a temporary folder, on a free port of 127.0.0.1, stopped when it is dropped.

#![allow(dead_code, reason = "each test and example uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests")]

pub(crate) mod proxy;

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The superuser, who needs no password.
pub(crate) const OWNER: &str = "owner";
/// A role that needs its password, which is its name.
pub(crate) const LOCKED: &str = "locked";

pub(crate) struct Server {
    folder: tempfile::TempDir,
    is_mounted: bool,
    programs: PathBuf,
    /// Who runs the server: it refuses to be run by root.
    user: Option<String>,
    port: u16,
    process: Mutex<Option<Child>>,
}

impl Server {
    /// Makes a cluster and starts it. `None`, after a line that says so, if PostgreSQL is not installed here.
    pub(crate) fn start(test: &str) -> Option<Self> {
        Self::start_on(test, None)
    }

    /// One whose disk has so few megabytes. `None` also where no file system can be mounted.
    pub(crate) fn on_a_small_disk(test: &str, megabytes: u32) -> Option<Self> {
        Self::start_on(test, Some(megabytes))
    }

    fn start_on(test: &str, megabytes: Option<u32>) -> Option<Self> {
        match Self::try_start(megabytes) {
            Ok(server) => Some(server),
            Err(why) => {
                // Past the capture of the test's output.
                drop(writeln!(std::io::stderr(), "SKIPPED: {test}, for {why}"));
                None
            }
        }
    }

    fn try_start(megabytes: Option<u32>) -> Result<Self, String> {
        let programs =
            programs().ok_or("there is no initdb in /usr/lib/postgresql/*/bin, and none in the PATH")?;
        let user = unprivileged_user()?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        if let Some(megabytes) = megabytes {
            let size = format!("size={megabytes}m");
            run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "plimsoll"]).arg(folder.path()))?;
        }
        if let Some(user) = &user {
            run(Command::new("chown").arg(user).arg(folder.path()))?;
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.map_err(|error| error.to_string())?.port();
        let (process, is_mounted) = (Mutex::new(None), megabytes.is_some());
        let server = Self { folder, is_mounted, programs, user, port, process };
        let data = server.data();
        let settings =
            ["--username", OWNER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"];
        run(server.command("initdb").args(settings).arg("--pgdata").arg(&data))?;
        let access =
            format!("host all {LOCKED} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n");
        std::fs::write(data.join("pg_hba.conf"), access).map_err(|error| error.to_string())?;
        server.up()?;
        Ok(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of PostgreSQL's, to be run by who may.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = match &self.user {
            // It becomes the program, so that its process is ours.
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Starts the server, and returns when it accepts connections. It goes on from what is on disk.
    pub(crate) fn up(&self) -> Result<(), String> {
        let log =
            File::options().create(true).append(true).open(self.log()).map_err(|error| error.to_string())?;
        let started = Instant::now();
        loop {
            let settings = [
                format!("port={}", self.port),
                "listen_addresses=127.0.0.1".to_owned(),
                "unix_socket_directories=".to_owned(),
                "fsync=on".to_owned(),
                "max_connections=60".to_owned(),
            ];
            let mut command = self.command("postgres");
            command.arg("-D").arg(self.data());
            for setting in &settings {
                command.args(["-c", setting]);
            }
            let errors = log.try_clone().map_err(|error| error.to_string())?;
            let child =
                command.stdout(Stdio::null()).stderr(errors).spawn().map_err(|error| error.to_string())?;
            if self.is_up(child) {
                return Ok(());
            }
            // What is left of the one before may have to end first.
            if started.elapsed() > Duration::from_secs(30) {
                return Err(format!(
                    "the server does not start: {}",
                    std::fs::read_to_string(self.log()).unwrap_or_default()
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the server accepts connections, or has ended.
    fn is_up(&self, mut child: Child) -> bool {
        loop {
            if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            let pid_file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            let is_ready = pid_file.lines().next() == Some(&child.id().to_string())
                && pid_file.lines().nth(7).is_some_and(|state| state.trim() == "ready");
            if is_ready && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                *self.process.lock().unwrap() = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends all its processes with SIGKILL, as a power cut would.
    pub(crate) fn kill(&self) {
        let Some(mut child) = self.process.lock().unwrap().take() else { return };
        let children = children(child.id());
        drop(child.kill());
        drop(child.wait());
        for process in children {
            drop(Command::new("kill").args(["-9", &process.to_string()]).stderr(Stdio::null()).status());
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// A connection string for the superuser.
    pub(crate) fn config(&self) -> String {
        config(self.port)
    }

    /// The CPU time of its processes so far, as long as those that it has now are there.
    pub(crate) fn cpu(&self) -> Duration {
        let process = self.process.lock().unwrap().as_ref().map(Child::id);
        process
            .map_or(Duration::ZERO, |process| children(process).into_iter().chain([process]).map(cpu).sum())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if self.is_mounted {
            drop(Command::new("umount").arg("-l").arg(self.folder.path()).status());
        }
    }
}

/// A connection string for the superuser, by this port.
pub(crate) fn config(port: u16) -> String {
    format!("host=127.0.0.1 port={port} user={OWNER} dbname=postgres")
}

/// Where PostgreSQL's programs are: the latest ones.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.splice(0..0, std::env::split_paths(&path));
    found.into_iter().rev().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// A user to run the server, if this one is root.
fn unprivileged_user() -> Result<Option<String>, String> {
    if id(&["-u"])? != "0" {
        return Ok(None);
    }
    let user = id(&["-u", "postgres"]).or_else(|_| id(&["-u", "nobody"]));
    user.map(Some).map_err(|_| "there is no user but root".to_owned())
}

fn id(arguments: &[&str]) -> Result<String, String> {
    run(Command::new("id").args(arguments)).map(|output| output.trim().to_owned())
}

/// The processes that this one has started.
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").ok().into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|process| parent_of(*process) == Some(parent)).collect()
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// The CPU time of a process, and of those that it has waited for.
pub(crate) fn cpu(process: u32) -> Duration {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"))
        .unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    // User and system time, its own and theirs, in hundredths of a second.
    Duration::from_millis((11..15).map(ticks).sum::<u64>() * 10)
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}
