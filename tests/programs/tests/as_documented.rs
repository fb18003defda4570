//! Each program runs as its documentation says, and says what it should. (The webhook deliverer does not end by itself; see
//! `sigterm.rs`.)

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context;

/// What a program says that is given these arguments and this input.
fn run(program: &str, args: &[&str], input: &str) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    anyhow::ensure!(output.status.success(), "{program}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// An empty folder, which is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("plimsoll-{name}-{}", std::process::id()));
        fs::create_dir(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn archive() -> anyhow::Result<()> {
    let (folder, lines) = (Folder::new("archive")?, "oslo 1 -3.5\noslo 2 -4\nrome 1 warm\n");
    let file = folder.path("readings.sqlite");
    let said = run(env!("CARGO_BIN_EXE_archive"), &[&file], lines)?;
    assert!(said.starts_with("Written { readings: 2, rejected: 1,"), "{said}");
    let again = run(env!("CARGO_BIN_EXE_archive"), &[&file], lines)?;
    assert!(again.ends_with("after 3 lines that were there\n"), "{again}");
    Ok(())
}

#[test]
fn durable() -> anyhow::Result<()> {
    let (folder, program) = (Folder::new("durable")?, env!("CARGO_BIN_EXE_durable"));
    let source = format!("redb:{}", folder.path("jobs.redb"));
    assert_eq!(run(program, &["put", "--source", &source, "200"], "")?, "200 jobs put in\n");
    let said = run(program, &["work", "--source", &source, "--until-empty"], "")?;
    assert_eq!(said, "198 done, 20 tried again, 2 dead, 0 not confirmed\n");
    let dead = run(program, &["dead", "--source", &source], "")?;
    assert_eq!(
        dead,
        "guest 13: failed, \"nobody greets guest 13\"\nguest 113: failed, \"nobody greets guest 113\"\n"
    );
    Ok(())
}

#[test]
fn game() -> anyhow::Result<()> {
    let said = run(env!("CARGO_BIN_EXE_game"), &["600", "7"], "")?;
    assert!(said.contains("the busiest frame looked at 500 cells"), "{said}");
    assert_eq!(said, run(env!("CARGO_BIN_EXE_game"), &["600", "7"], "")?);
    Ok(())
}

#[test]
fn own_executor() -> anyhow::Result<()> {
    let said = run(env!("CARGO_BIN_EXE_own_executor"), &[], "")?;
    let cups = "a cup of tea and a cup of coffee\nfrom another thread: a cup of espresso\n";
    assert_eq!(said, format!("{cups}4 attempts for 3 cups\n"));
    Ok(())
}

#[test]
fn own_host_test() -> anyhow::Result<()> {
    let said = run(env!("CARGO_BIN_EXE_own_host_test"), &["100"], "")?;
    assert!(said.starts_with("100 episodes, no complaints\n"), "{said}");
    assert_eq!(said.matches("found by seed").count(), 4);
    Ok(())
}

#[test]
fn prices() -> anyhow::Result<()> {
    let said = run(env!("CARGO_BIN_EXE_prices"), &[], "")?;
    assert_eq!(said.matches("MSFT is at").count(), 5);
    assert!(said.contains("100 have asked for RARE, and all were told the quotes {"), "{said}");
    Ok(())
}

#[test]
fn thread_per_core() -> anyhow::Result<()> {
    let said = run(env!("CARGO_BIN_EXE_thread_per_core"), &["3", "5000"], "")?;
    assert_eq!(said.matches(" moved, ").count(), 3);
    assert!(said.ends_with("5000 transfers, all accounts balance\n"), "{said}");
    Ok(())
}

#[test]
fn thumbnails() -> anyhow::Result<()> {
    let folder = Folder::new("thumbnails")?;
    let said = run(env!("CARGO_BIN_EXE_thumbnails"), &[&folder.path(""), "60"], "")?;
    assert!(said.starts_with("59 thumbnails in "), "{said}");
    assert_eq!(fs::read_dir(&folder.0)?.count(), 59);
    Ok(())
}
