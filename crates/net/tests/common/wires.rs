//! Things that stand between a site and its coordinator: a line that breaks, a proxy, an impostor.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses its own part")]

use fovea_net::tls::{Credentials, server_config};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A line to a port. Counts what goes up, and cuts each connection after its share of bytes.
pub struct Line {
    pub port: u16,
    pub up: Arc<AtomicUsize>,
    pub connections: Arc<AtomicUsize>,
    cuts: Arc<Mutex<Vec<usize>>>,
}

impl Line {
    /// `cuts`: after how many bytes upwards the next connections break, one after the other; later ones hold.
    pub fn to(target: u16, cuts: &[usize]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, up) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let (connections, cuts) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(cuts.to_vec())));
        let (counter, count, shares) = (Arc::clone(&up), Arc::clone(&connections), Arc::clone(&cuts));
        std::thread::spawn(move || {
            for inner in listener.incoming() {
                let Ok(inner) = inner else { return };
                count.fetch_add(1, Ordering::SeqCst);
                let share = shares.lock().unwrap().pop().unwrap_or(usize::MAX);
                let Ok(outer) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                relay(inner, outer, share, &counter);
            }
        });
        Line { port, up, connections, cuts }
    }

    /// Breaks the next connections as well.
    pub fn cut(&self, cuts: &[usize]) {
        self.cuts.lock().unwrap().extend_from_slice(cuts);
    }
}

fn relay(inner: TcpStream, outer: TcpStream, mut share: usize, up: &Arc<AtomicUsize>) {
    let (mut from, mut to) = (inner.try_clone().unwrap(), outer.try_clone().unwrap());
    let up = Arc::clone(up);
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let n = n.min(share);
            share -= n;
            up.fetch_add(n, Ordering::SeqCst);
            if to.write_all(&buffer[..n]).is_err() || share == 0 {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
    let (mut from, mut to) = (outer, inner);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}

/// A proxy that understands CONNECT and nothing else; the requests it got.
pub fn proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for inner in listener.incoming() {
            let mut inner = inner.unwrap();
            let request = head(&mut inner);
            let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
            log.lock().unwrap().push(request.lines().next().unwrap_or_default().to_owned());
            let Ok(outer) = TcpStream::connect(&target) else { continue };
            inner.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            relay(inner, outer, usize::MAX, &Arc::default());
        }
    });
    (port, asked)
}

/// Reads up to the empty line.
fn head(stream: &mut impl Read) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

/// A TLS server that answers everything with the same text.
pub fn impostor(credentials: &Credentials, answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, config) = (listener.local_addr().unwrap().port(), server_config(credentials).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::StreamOwned::new(connection, stream.unwrap());
            let head = head(&mut tls).to_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|l| l.split('\r').next());
            let mut body = vec![0; length.map_or(0, |l| l.parse().unwrap())];
            let _ = tls.read_exact(&mut body);
            let _ = tls.write_all(answer.as_bytes());
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    });
    port
}
