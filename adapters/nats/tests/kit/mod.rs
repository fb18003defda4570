//! A NATS server of a test's own, on loopback, and a proxy before it.

#![allow(dead_code, reason = "each test and example uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests")]

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use plimsoll_nats::{Options, Queue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// A server, which is stopped when this is dropped.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    child: Option<Child>,
    is_mounted: bool,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// `None` where there is none to be had. Says so.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let found = Command::new("nats-server").arg("--version").stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            // Past the capture of the test's output.
            drop(writeln!(std::io::stderr(), "SKIPPED: {test}, for there is no nats-server here"));
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { folder, port: free_port(), child: None, is_mounted: false };
        server.run("");
        Some(server)
    }

    /// One that asks for a password.
    pub(crate) fn with_password(test: &str) -> Option<Self> {
        let mut server = Self::start(test)?;
        server.kill();
        server.run("authorization { user: app, password: secret }\n");
        Some(server)
    }

    /// One whose disk has so few megabytes. `None` also where no file system can be mounted.
    pub(crate) fn on_a_small_disk(test: &str, megabytes: u32) -> Option<Self> {
        let mut server = Self::start(test)?;
        server.kill();
        let store = server.store();
        std::fs::remove_dir_all(&store).unwrap();
        std::fs::create_dir(&store).unwrap();
        let size = format!("size={megabytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "plimsoll"]).arg(store).output();
        if !mount.is_ok_and(|mount| mount.status.success()) {
            drop(writeln!(std::io::stderr(), "SKIPPED: {test}, for no file system can be mounted here"));
            return None;
        }
        server.is_mounted = true;
        server.run("");
        Some(server)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn run(&mut self, more: &str) {
        let config = self.folder.path().join("config");
        let mut file = std::fs::File::create(&config).unwrap();
        let store = self.store();
        write!(file, "host: 127.0.0.1\nport: {}\njetstream {{ store_dir: {store:?} }}\n{more}", self.port)
            .unwrap();
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let server =
            Command::new("nats-server").arg("-c").arg(&config).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(server.unwrap());
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&self) {
        let started = Instant::now();
        let is_ready = || {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            log.contains("Server is ready")
        };
        while !is_ready() {
            assert!(started.elapsed() < Duration::from_secs(20), "the server does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn restart(&mut self) {
        self.run("");
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn queue(&self, options: Options) -> Queue {
        Queue::connect(&self.url(), options).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if self.is_mounted {
            drop(Command::new("umount").arg("-l").arg(self.store()).status());
        }
    }
}

const OPEN: u8 = 0;
const SILENT: u8 = 1;

/// Forwards connections, until it cuts them or goes silent.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<AtomicU8>,
    cut: watch::Sender<u64>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, (cut, cuts)) = (Arc::new(AtomicU8::new(OPEN)), watch::channel(0));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = tokio::net::TcpStream::connect(("127.0.0.1", to)).await else { continue };
                let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                for (from, to) in [(from_near, to_far), (from_far, to_near)] {
                    let (state, mut cuts) = (shared.clone(), cuts.clone());
                    cuts.mark_unchanged();
                    tokio::spawn(async move {
                        tokio::select! {
                            () = forward(from, to, &state) => {}
                            _ = cuts.changed() => {}
                        }
                    });
                }
            }
        });
        Self { port, state, cut }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Swallows what it should forward.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.state.store(if silent { SILENT } else { OPEN }, Ordering::Relaxed);
    }
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    state: &AtomicU8,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        if state.load(Ordering::Relaxed) == SILENT {
            continue;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
