//! Each fault, shown with an echo server.

use super::*;

/// Answers every byte with itself, and ends when its client does.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

fn proxy(seed: u64) -> Proxy {
    Proxy::start(echo(), seed).unwrap()
}

fn client(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

#[track_caller]
fn echoes(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, bytes);
}

/// What still arrives within a moment, and how it ended.
fn rest(stream: &mut TcpStream, patience: Duration) -> (Vec<u8>, Option<ErrorKind>) {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut all = Vec::new();
    let error = stream.read_to_end(&mut all).err().map(|error| error.kind());
    (all, error)
}

#[test]
fn it_forwards_both_ways_and_counts() {
    let proxy = proxy(1);
    let mut stream = client(&proxy);
    let bytes: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
    for piece in bytes.chunks(10_000) {
        echoes(&mut stream, piece);
    }
    assert_eq!((proxy.accepted(), proxy.open()), (1, 1));
    // Bytes are counted once they are written, and the last ones may have been read before.
    let until = Instant::now() + Duration::from_secs(20);
    let counts = || [Direction::Up, Direction::Down].map(|direction| proxy.forwarded(direction));
    while counts() != [1_000_000; 2] && Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(counts(), [1_000_000; 2]);
    // The client's end reaches the server, and the server's comes back.
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream, Duration::from_secs(20)), (Vec::new(), None));
}

#[test]
fn latency_is_added_in_one_direction_and_taken_away() {
    let proxy = proxy(1);
    let mut stream = client(&proxy);
    echoes(&mut stream, b"warm");
    let base = Duration::from_millis(300);
    proxy.set(
        Direction::Down,
        Fault::Latency {
            base,
            jitter: Duration::ZERO,
        },
    );
    let began = Instant::now();
    stream.write_all(b"slow").unwrap();
    while proxy.forwarded(Direction::Up) < 8 {
        std::thread::yield_now();
    }
    let up = began.elapsed();
    let mut back = [0; 4];
    stream.read_exact(&mut back).unwrap();
    assert!(
        began.elapsed() >= base && up < began.elapsed(),
        "{up:?} {:?}",
        began.elapsed()
    );
    proxy.heal();
    let began = Instant::now();
    echoes(&mut stream, b"fast");
    assert!(began.elapsed() < base, "{:?}", began.elapsed());
}

#[test]
fn a_cut_lets_through_exactly_so_many_bytes() {
    let proxy = proxy(1);
    let mut stream = client(&proxy);
    echoes(&mut stream, b"before the fault");
    proxy.set(Direction::Down, Fault::CutAfter(5));
    stream.write_all(b"0123456789").unwrap();
    assert_eq!(rest(&mut stream, Duration::from_secs(20)).0, b"01234");
    // A new connection counts for itself; a healed one counts no more.
    let mut second = client(&proxy);
    second.write_all(b"abcdefghij").unwrap();
    assert_eq!(rest(&mut second, Duration::from_secs(20)).0, b"abcde");
    proxy.heal();
    echoes(&mut client(&proxy), b"0123456789");
}

#[test]
fn chance_is_the_seeds() {
    let cuts = |seed| {
        let proxy = proxy(seed);
        proxy.set(Direction::Down, Fault::CutWithin(4000));
        let all = (0..4).map(|_| {
            let mut stream = client(&proxy);
            stream.write_all(&[7; 4000]).unwrap();
            rest(&mut stream, Duration::from_secs(20)).0.len()
        });
        all.collect::<Vec<_>>()
    };
    let first = cuts(42);
    assert_eq!(first, cuts(42));
    assert_ne!(first, cuts(43));
    assert!(
        first.iter().any(|cut| *cut != first[0]),
        "each connection has its own: {first:?}"
    );
}

#[test]
fn a_black_hole_swallows_and_a_new_connection_works_after_healing() {
    let proxy = proxy(1);
    let mut stream = client(&proxy);
    echoes(&mut stream, b"before");
    let before = proxy.forwarded(Direction::Up);
    proxy.set(Direction::Up, Fault::BlackHole);
    stream.write_all(b"gone").unwrap();
    let (got, error) = rest(&mut stream, Duration::from_millis(200));
    assert!(
        got.is_empty() && error.is_some_and(|kind| waits(&kind.into())),
        "{got:?} {error:?}"
    );
    assert_eq!(proxy.forwarded(Direction::Up), before);
    proxy.heal();
    echoes(&mut stream, b"after");
}

#[test]
fn a_black_hole_accepts_without_a_target() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = Proxy::start(nobody, 1).unwrap();
    proxy.set_both(Fault::BlackHole);
    let mut stream = client(&proxy);
    stream.write_all(b"hello").unwrap();
    let (_, error) = rest(&mut stream, Duration::from_millis(200));
    assert!(error.is_some_and(|kind| waits(&kind.into())), "{error:?}");
    // Healed there is no excuse any more.
    proxy.heal();
    assert_eq!(
        rest(&mut stream, Duration::from_secs(20)).1,
        Some(ErrorKind::ConnectionReset)
    );
    proxy.retarget(echo());
    echoes(&mut client(&proxy), b"hello");
}

#[test]
fn a_reset_is_a_reset() {
    let proxy = proxy(1);
    let mut stream = client(&proxy);
    echoes(&mut stream, b"before");
    proxy.reset();
    let (_, error) = rest(&mut stream, Duration::from_secs(20));
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
    echoes(&mut client(&proxy), b"a new one works");
}

#[test]
fn refused_means_nobody_listens_and_old_connections_stay() {
    let proxy = proxy(1);
    let mut old = client(&proxy);
    echoes(&mut old, b"before");
    proxy.refuse();
    let error = TcpStream::connect(proxy.address()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    echoes(&mut old, b"still");
    proxy.heal();
    echoes(&mut client(&proxy), b"again");
}

#[test]
fn half_closed_one_way_goes_on_the_other_way() {
    let proxy = proxy(1);
    let mut stream = client(&proxy);
    echoes(&mut stream, b"before");
    proxy.half_close(Direction::Down);
    assert_eq!(rest(&mut stream, Duration::from_secs(20)), (Vec::new(), None));
    let before = proxy.forwarded(Direction::Up);
    stream.write_all(b"up still works").unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while proxy.forwarded(Direction::Up) < before + 14 {
        assert!(Instant::now() < end, "nothing goes up any more");
        std::thread::yield_now();
    }
}

#[test]
fn dropping_it_ends_everything() {
    let proxy = proxy(1);
    let address = proxy.address();
    let mut stream = client(&proxy);
    echoes(&mut stream, b"before");
    drop(proxy);
    assert_eq!(
        rest(&mut stream, Duration::from_secs(20)).1,
        Some(ErrorKind::ConnectionReset)
    );
    assert_eq!(
        TcpStream::connect(address).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
}
