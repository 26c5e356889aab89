//! A client that costs little: it shares two cores with what it measures. One thread, requests that
//! are bytes already, and of an answer only what is needed to tell where it ends.

use std::{
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
};

use crate::{Failure, catalogue::Draw};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one request brought.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: bool,
    /// The server will close the connection.
    pub close: bool,
}

/// A kept-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    head: usize,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 << 10),
            head: 0,
        })
    }

    /// Sends a whole request and reads the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((answer, head, length)) = parse(&self.buffer)? {
                while self.buffer.len() < head + length {
                    if self.stream.read_buf(&mut self.buffer).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                self.head = head;
                return Ok(answer);
            }
        }
    }

    /// The body of the last answer.
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.head..]
    }
}

/// Status and lengths of head and body, once the head is complete.
fn parse(bytes: &[u8]) -> io::Result<Option<(Answer, usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .ok_or_else(|| io::Error::other("no status"))?;
    let mut answer = Answer {
        status,
        retry_after: false,
        close: false,
    };
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().map_err(io::Error::other)?;
        } else if name.eq_ignore_ascii_case("retry-after") {
            answer.retry_after = true;
        } else if name.eq_ignore_ascii_case("connection") {
            answer.close = value.eq_ignore_ascii_case("close");
        }
    }
    Ok(Some((answer, end + 4, length)))
}

/// The status of a `GET` on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = std::net::TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: ranker\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    match parse(&bytes)? {
        Some((answer, ..)) => Ok(answer.status),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The body of one answer with status 200.
pub fn ask(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>, Failure> {
    runtime()?.block_on(async {
        let mut connection = Connection::open(address).await?;
        let answer = connection.exchange(request).await?;
        match answer.status {
            200 => Ok(connection.body().to_vec()),
            status => Err(format!(
                "status {status}: {}",
                String::from_utf8_lossy(connection.body())
            )
            .into()),
        }
    })
}

/// One thread: what it does not use is the server's.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// What a closed loop brought: each connection asks again as soon as it is answered.
pub struct Closed {
    pub latencies: Vec<Duration>,
    pub elapsed: Duration,
}

/// Asks all of `requests`, in order, over so many connections. Fails at the first answer that is not
/// a ranking.
pub fn closed(
    address: SocketAddr,
    connections: usize,
    requests: &Arc<[Vec<u8>]>,
) -> Result<Closed, Failure> {
    runtime()?.block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let begin = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            let (requests, next) = (Arc::clone(requests), Arc::clone(&next));
            clients.spawn(async move {
                let mut latencies = Vec::with_capacity(requests.len());
                let mut connection = Connection::open(address).await?;
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let sent = Instant::now();
                    let answer = connection.exchange(request).await?;
                    if answer.status != 200 {
                        return Err(io::Error::other(format!("status {}", answer.status)));
                    }
                    latencies.push(sent.elapsed());
                }
                Ok(latencies)
            });
        }
        let mut latencies = Vec::new();
        while let Some(ended) = clients.join_next().await {
            latencies.extend(ended??);
        }
        Ok(Closed {
            latencies,
            elapsed: begin.elapsed(),
        })
    })
}

/// An open loop: requests come at their own pace, whether earlier ones are answered or not.
pub struct Pace {
    /// Requests a second, on average; the gaps are those of a Poisson process.
    pub rate: f64,
    pub length: Duration,
    /// Requests that may be on their way at the same time.
    pub connections: usize,
}

/// What an open loop brought. Latencies count from the moment a request was due.
#[derive(Default)]
pub struct Open {
    pub accepted: Vec<Duration>,
    pub shed: Vec<Duration>,
    /// Refusals that did not say when to come back.
    pub without_retry_after: usize,
    /// Other statuses, broken connections.
    pub failed: usize,
    /// Requests that found no connection free.
    pub unsent: usize,
    /// How late requests were sent: what this program adds itself.
    pub lag: Vec<Duration>,
    pub elapsed: Duration,
}

impl Open {
    /// Rankings a second.
    pub fn goodput(&self) -> f64 {
        self.accepted.len() as f64 / self.elapsed.as_secs_f64()
    }

    fn note(&mut self, latency: Duration, answer: io::Result<Answer>) {
        match answer {
            Ok(Answer { status: 200, .. }) => self.accepted.push(latency),
            Ok(Answer {
                status: 503,
                retry_after,
                ..
            }) => {
                self.shed.push(latency);
                self.without_retry_after += usize::from(!retry_after);
            }
            Ok(_) | Err(_) => self.failed += 1,
        }
    }
}

/// A request's number, and when it is due.
type Due = (usize, Instant);

/// What the connections of an open loop share.
struct Shared {
    address: SocketAddr,
    requests: Arc<[Vec<u8>]>,
    idle: Mutex<Vec<mpsc::Sender<Due>>>,
    seen: Mutex<Open>,
}

/// Asks `requests`, over and over, at this pace.
pub async fn open(
    address: SocketAddr,
    pace: &Pace,
    requests: &Arc<[Vec<u8>]>,
) -> Result<Open, Failure> {
    let shared = Arc::new(Shared {
        address,
        requests: Arc::clone(requests),
        idle: Mutex::default(),
        seen: Mutex::default(),
    });
    let mut clients = JoinSet::new();
    for _ in 0..pace.connections {
        let connection = Connection::open(address).await?;
        let (send, due) = mpsc::channel(1);
        lock(&shared.idle).push(send.clone());
        clients.spawn(work(Arc::clone(&shared), connection, (send, due)));
    }
    let begin = Instant::now();
    let mut draw = Draw::new(3);
    let mut due = begin;
    for number in 0.. {
        due += Duration::from_secs_f64(-(1.0 - draw.unit()).ln() / pace.rate);
        if due > begin + pace.length {
            break;
        }
        wait_until(due).await;
        match lock(&shared.idle).pop() {
            Some(client) => client.try_send((number, due))?,
            None => lock(&shared.seen).unsent += 1,
        }
    }
    let elapsed = begin.elapsed();
    let end = Instant::now() + PATIENCE;
    while lock(&shared.idle).len() < pace.connections && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut seen = std::mem::take(&mut *lock(&shared.seen));
    seen.failed += pace.connections - lock(&shared.idle).len();
    seen.elapsed = elapsed;
    Ok(seen)
}

/// The timer is exact to a millisecond; the rest is waited for at work.
async fn wait_until(due: Instant) {
    const TIMER: Duration = Duration::from_millis(2);
    let left = due.saturating_duration_since(Instant::now());
    if left > TIMER {
        tokio::time::sleep(left - TIMER).await;
    }
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

async fn work(
    shared: Arc<Shared>,
    mut connection: Connection,
    (own, mut due): (mpsc::Sender<Due>, mpsc::Receiver<Due>),
) -> io::Result<()> {
    while let Some((number, due)) = due.recv().await {
        let lag = due.elapsed();
        let request = &shared.requests[number % shared.requests.len()];
        let answer = connection.exchange(request).await;
        let latency = due.elapsed();
        let reopen = answer.as_ref().map_or(true, |answer| answer.close);
        {
            let mut seen = lock(&shared.seen);
            seen.lag.push(lag);
            seen.note(latency, answer);
        }
        if reopen {
            connection = Connection::open(shared.address).await?;
        }
        lock(&shared.idle).push(own.clone());
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}
