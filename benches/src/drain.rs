//! The end of a ranker under load: who asks is answered, until the end.

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

use crate::{
    Failure,
    client::{self, Connection},
    figures::figure,
    fixture::Fixture,
    process::{RANKER_CPU, Service},
    requests::{self, Request},
};

const DRAIN: Duration = Duration::from_secs(5);
/// Traffic before the signal.
const BEFORE: Duration = Duration::from_secs(2);
/// By then after the signal, a load balancer has sent every client elsewhere.
const MOVED: Duration = Duration::from_secs(4);
/// Clients that keep their connection, and as many that open one for every request.
const CLIENTS: usize = 4;
/// A request that begins before the port closes and ends after it.
const LAST_BYTE: Duration = Duration::from_secs(6);

#[derive(Default)]
struct Seen {
    answered: AtomicU64,
    failed: AtomicU64,
}

pub fn run(fixture: &Fixture) -> Result<(), Failure> {
    let option = format!("--drain-seconds={}", DRAIN.as_secs());
    let mut service = Service::ranker(fixture, Some(RANKER_CPU), &[&option])?;
    let searches = requests::draw(500, 100, &fixture.queries, &fixture.ids);
    let bytes: Arc<[Vec<u8>]> = searches.iter().map(Request::bytes).collect();
    let seen = Arc::<Seen>::default();
    let (off, exit) = client::runtime()?.block_on(async {
        let stop = Instant::now() + BEFORE + MOVED;
        let mut clients = JoinSet::new();
        for number in 0..2 * CLIENTS {
            let (bytes, seen) = (Arc::clone(&bytes), Arc::clone(&seen));
            let address = service.address;
            clients.spawn(async move {
                let keeps = number % 2 == 0;
                while Instant::now() < stop {
                    visit(address, (&bytes, stop), keeps, &seen).await;
                }
            });
        }
        let mut killer = killer(service.pid())?;
        sleep(BEFORE).await;
        let signalled = Instant::now();
        killer.stdin.take().ok_or("no pipe")?.write_all(b"\n")?;
        let metrics = service.metrics.ok_or("a ranker has a metrics port")?;
        let off = loop {
            let status =
                tokio::task::spawn_blocking(move || client::get(metrics, "/readyz")).await?;
            if status? == 503 {
                break signalled.elapsed();
            }
        };
        killer.wait()?;
        let late = tokio::spawn(late_body(service.address, signalled));
        while clients.join_next().await.is_some() {}
        match late.await? {
            Ok(200) => seen.answered.fetch_add(1, Ordering::Relaxed),
            _ => seen.failed.fetch_add(1, Ordering::Relaxed),
        };
        let exit = loop {
            if let Some(status) = service.ended()? {
                break (signalled.elapsed(), status);
            }
            sleep(Duration::from_millis(5)).await;
        };
        Ok::<_, Failure>((off, exit))
    })?;
    figure(
        "drain.answered",
        seen.answered.load(Ordering::Relaxed) as f64,
        "requests",
    );
    figure(
        "drain.failed",
        seen.failed.load(Ordering::Relaxed) as f64,
        "requests",
    );
    figure("drain.readyz_off_ms", off.as_secs_f64() * 1e3, "ms");
    figure("drain.exit_s", exit.0.as_secs_f64(), "s");
    figure("drain.exit_code", exit.1.code().unwrap_or(-1).into(), "");
    Ok(())
}

/// Sends SIGTERM once it reads a line: starting it would take longer than what is measured.
fn killer(pid: u32) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", &format!("read -r line && kill -TERM {pid}")])
        .stdin(Stdio::piped())
        .spawn()
}

/// One connection: a single request, or requests until the server asks to close.
async fn visit(
    address: std::net::SocketAddr,
    (bytes, stop): (&[Vec<u8>], Instant),
    keeps: bool,
    seen: &Seen,
) {
    let Ok(mut connection) = Connection::open(address).await else {
        seen.failed.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let mut number = 0;
    while Instant::now() < stop {
        let answer = connection.exchange(&bytes[number % bytes.len()]).await;
        number += 1;
        let counter = match &answer {
            Ok(answer) if answer.status == 200 => &seen.answered,
            _ => &seen.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if !keeps || answer.map_or(true, |answer| answer.close) {
            return;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// Begins a request shortly before the port closes and sends its last byte after; returns the
/// status.
async fn late_body(address: std::net::SocketAddr, signalled: Instant) -> std::io::Result<u16> {
    let until = |moment: Duration| moment.saturating_sub(signalled.elapsed());
    sleep(until(DRAIN - Duration::from_millis(500))).await;
    let request = requests::http(br#"{"query":"shoes","products":[{"id":"1"}]}"#);
    let (last, first) = request.split_last().expect("a request is not empty");
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(first).await?;
    sleep(until(LAST_BYTE)).await;
    stream.write_all(&[*last]).await?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    let status = std::str::from_utf8(&start[9..]).unwrap_or_default();
    status.parse().map_err(std::io::Error::other)
}
