//! Clients that send slowly, on purpose or not, and what they cost the others.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    Failure,
    client::{self, Pace},
    figures::{figure, note_load, percentile},
    fixture::Fixture,
    process::{RANKER_CPU, Service},
    requests::{self, Request},
};

const SLOW: usize = 500;
/// A good client's requests, while the slow ones are there.
const GOOD_RATE: f64 = 200.0;
const GOOD: Duration = Duration::from_secs(12);
/// The ranker gives up on a slow client after ten seconds; this is after it.
const PATIENCE: Duration = Duration::from_secs(40);
/// Bodies of this size, as large as is allowed …
const LARGE: usize = 8 << 20;
/// … from so many clients at once.
const LARGE_BODIES: usize = 64;
/// How long they hold back the last byte.
const HELD_BACK: Duration = Duration::from_secs(3);

pub fn run(fixture: &Fixture) -> Result<(), Failure> {
    let service = Service::ranker(fixture, Some(RANKER_CPU), &[])?;
    let searches = requests::draw(500, 100, &fixture.queries, &fixture.ids);
    let bytes: Arc<[Vec<u8>]> = searches.iter().map(Request::bytes).collect();
    note_load();
    client::runtime()?.block_on(async {
        let address = service.address;
        good(address, &bytes).await?;
        let alone = good(address, &bytes).await?;
        figure("slow.p99_alone_ms", alone, "ms");

        let heads = spawn(SLOW, |number| half_a_head(address, number % 2 == 0));
        let beside = good(address, &bytes).await?;
        let closed = longest(heads, |_| true).await?;
        figure("slowloris.connections", SLOW as f64, "");
        figure("slowloris.closed_s", closed.as_secs_f64(), "s");
        figure("slowloris.p99_ratio", beside / alone, "");

        let bodies = spawn(SLOW, |_| drip_a_body(address));
        let beside = good(address, &bytes).await?;
        let ended = longest(bodies, |status| *status == 408).await?;
        figure("slow_bodies.connections", SLOW as f64, "");
        figure("slow_bodies.refused_s", ended.as_secs_f64(), "s");
        figure("slow_bodies.p99_ratio", beside / alone, "");
        large_bodies(&service).await
    })?;
    note_load();
    Ok(())
}

/// p99 of a good client, in milliseconds. All its requests must be ranked.
async fn good(address: SocketAddr, bytes: &Arc<[Vec<u8>]>) -> Result<f64, Failure> {
    let pace = Pace {
        rate: GOOD_RATE,
        length: GOOD,
        connections: 16,
    };
    let open = client::open(address, &pace, bytes).await?;
    let (failed, shed) = (open.failed, open.shed.len());
    if failed + shed > 0 {
        return Err(format!("a good client: {failed} failed, {shed} refused").into());
    }
    if open.unsent > 0 {
        println!(
            "{} requests of a good client found no connection free: the machine is too busy",
            open.unsent
        );
    }
    Ok(percentile(&open.accepted, 0.99))
}

/// How long each took, with what it saw.
type Ended<T> = JoinSet<io::Result<(Duration, T)>>;

fn spawn<T: Send + 'static, F>(count: usize, client: impl Fn(usize) -> F) -> Ended<T>
where
    F: Future<Output = io::Result<(Duration, T)>> + Send + 'static,
{
    let mut clients = JoinSet::new();
    for number in 0..count {
        clients.spawn(client(number));
    }
    clients
}

/// The longest time of all of them; each must have seen what it should.
async fn longest<T: 'static>(
    mut clients: Ended<T>,
    right: impl Fn(&T) -> bool,
) -> Result<Duration, Failure> {
    let mut longest = Duration::ZERO;
    while let Some(ended) = clients.join_next().await {
        let (took, seen) = ended??;
        if !right(&seen) {
            return Err("a slow client saw another answer than it should".into());
        }
        longest = longest.max(took);
    }
    Ok(longest)
}

/// Begins a head and never ends it; silent, or with a byte a second.
async fn half_a_head(address: SocketAddr, silent: bool) -> io::Result<(Duration, ())> {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"POST /rank HTTP/1.1\r\nhost: ranker\r\nx-slow: ")
        .await?;
    let (mut read, mut write) = stream.split();
    let drip = async {
        while !silent && write.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut rest = Vec::new();
    tokio::select! {
        // Closed or reset: both end the connection.
        _ = timeout(PATIENCE, read.read_to_end(&mut rest)) => {}
        () = drip => {}
    }
    Ok((begin.elapsed(), ()))
}

/// Announces a body and sends a byte a second; returns the status.
async fn drip_a_body(address: SocketAddr) -> io::Result<(Duration, u16)> {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&head(1000)).await?;
    let (mut read, mut write) = stream.split();
    let drip = async {
        while write.write_all(b" ").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        status = status(&mut read) => Ok((begin.elapsed(), status?)),
        () = drip => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn head(length: usize) -> Vec<u8> {
    format!(
        "POST /rank HTTP/1.1\r\nhost: ranker\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes()
}

async fn status(read: &mut (impl AsyncRead + Unpin)) -> io::Result<u16> {
    let mut start = [0; 12];
    timeout(PATIENCE, read.read_exact(&mut start)).await??;
    std::str::from_utf8(&start[9..])
        .ok()
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| io::Error::other("no status"))
}

/// More and larger bodies at once than may be in memory.
async fn large_bodies(service: &Service) -> Result<(), Failure> {
    let before = service.resident_mib()?;
    let address = service.address;
    let mut clients = spawn(LARGE_BODIES, |_| large_body(address));
    let mut most = before;
    let mut statuses = Vec::new();
    while statuses.len() < LARGE_BODIES {
        most = most.max(service.resident_mib()?);
        if let Ok(Some(ended)) = timeout(Duration::from_millis(50), clients.join_next()).await {
            statuses.push(ended?.map_or(0, |(_, status)| status));
        }
    }
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count() as f64;
    figure(
        "large_bodies.sent_mib",
        ((LARGE_BODIES * LARGE) >> 20) as f64,
        "MiB",
    );
    figure("large_bodies.memory_mib", most - before, "MiB");
    figure("large_bodies.ranked", count(200), "requests");
    figure("large_bodies.refused", count(503), "requests");
    // Where the machine is too slow to send them in the time that a request has.
    figure("large_bodies.late", count(408), "requests");
    figure("large_bodies.failed", count(0), "requests");
    Ok(())
}

/// A small request in a large body whose last byte comes late.
async fn large_body(address: SocketAddr) -> io::Result<(Duration, u16)> {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    let mut body = br#"{"query":"shoes","products":[{"id":"1"}]"#.to_vec();
    body.resize(LARGE - 1, b' ');
    stream.write_all(&head(LARGE)).await?;
    // Who is refused early may still send, and must not lose the answer over it.
    if stream.write_all(&body).await.is_ok() {
        sleep(HELD_BACK).await;
        let _ = stream.write_all(b"}").await;
    }
    let status = status(&mut stream).await?;
    Ok((begin.elapsed(), status))
}
