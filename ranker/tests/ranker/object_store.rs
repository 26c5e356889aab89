//! The reading half of S3, over a folder: enough of the protocol for the client that the ranker uses.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A server that answers 503 to the first requests and then has what is in `folder`, as `bucket`.
pub struct ObjectStore {
    pub address: SocketAddr,
    pub requests: Arc<AtomicUsize>,
}

impl ObjectStore {
    pub fn start(folder: &Path, unavailable: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (folder, count) = (folder.to_owned(), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let up = count.fetch_add(1, Ordering::Relaxed) >= unavailable;
                answer(stream, up.then_some(&folder));
            }
        });
        Self { address, requests }
    }
}

fn answer(mut stream: TcpStream, folder: Option<&PathBuf>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let signed = lines
        .take_while(|line| !line.is_empty())
        .any(|line| line.starts_with("authorization: AWS4"));
    let key = first
        .strip_prefix("GET /bucket/")
        .and_then(|rest| rest.split(' ').next());
    let found = match (folder, key) {
        (None, _) => Err("503 Service Unavailable"),
        (Some(_), _) if !signed => Err("403 Forbidden"),
        (Some(folder), Some(key)) => fs::read(folder.join(key)).map_err(|_| "404 Not Found"),
        (Some(_), None) => Err("405 Method Not Allowed"),
    };
    let (status, body) = found.map_or_else(|status| (status, Vec::new()), |body| ("200 OK", body));
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\netag: \"1\"\r\n\
         last-modified: Sun, 01 Mar 2026 00:00:00 GMT\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body));
}
