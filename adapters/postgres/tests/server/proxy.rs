//! A proxy on 127.0.0.1, whose connections can be cut, or fall silent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    to: u16,
    open: Mutex<Vec<TcpStream>>,
    is_silent: AtomicBool,
    is_over: AtomicBool,
}

impl Proxy {
    /// A proxy to this port of 127.0.0.1.
    pub(crate) fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, is_silent, is_over) = Default::default();
        let shared = Arc::new(Shared { to, open, is_silent, is_over });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.is_over.load(Ordering::Relaxed) {
                    return;
                }
                accepting.accept(client);
            }
        });
        Self { port, shared }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections. New ones are accepted.
    pub(crate) fn cut(&self) -> usize {
        let open = std::mem::take(&mut *self.shared.open.lock().unwrap());
        open.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        open.len()
    }

    /// Whether the proxy keeps what it gets, in connections that stay open.
    pub(crate) fn set_silent(&self, is_silent: bool) {
        self.shared.is_silent.store(is_silent, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.cut();
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, client: TcpStream) {
        // If there is no server, the client's connection is closed.
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.to)) else { return };
        let mut open = self.open.lock().unwrap();
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (Ok(mut from), Ok(mut to), Ok(kept)) = (from.try_clone(), to.try_clone(), from.try_clone())
            else {
                return;
            };
            drop(to.set_nodelay(true));
            open.push(kept);
            let shared = self.clone();
            std::thread::spawn(move || {
                shared.forward(&mut from, &mut to);
                drop(from.shutdown(Shutdown::Both));
                drop(to.shutdown(Shutdown::Both));
            });
        }
    }

    fn forward(&self, from: &mut TcpStream, to: &mut TcpStream) {
        let mut bytes = [0; 16_384];
        while let Ok(some @ 1..) = from.read(&mut bytes) {
            while self.is_silent.load(Ordering::Relaxed) && !self.is_over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
            if to.write_all(bytes.get(..some).unwrap_or_default()).is_err() {
                return;
            }
        }
    }
}
