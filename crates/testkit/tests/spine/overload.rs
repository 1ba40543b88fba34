//! Too much at once: refused with a time to come back, and it passes.

use held::Held;
use tidegate_testkit::{Estate, TestServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

mod held {
    //! Uploads that never end, until they are dropped.

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    pub struct Held(#[expect(dead_code, reason = "held open")] TcpStream);

    impl Held {
        /// Begins an upload, and knows that it is in when the server asks for its body.
        pub async fn begin(address: std::net::SocketAddr, token: &str) -> Held {
            let mut stream = TcpStream::connect(address).await.expect("the server listens");
            let head = format!(
                "POST /api/v1/artifacts?component=shop&version=1.0&format=file HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\
                 expect: 100-continue\r\nauthorization: Bearer {token}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.expect("it is taken");
            let mut answer = [0; 25];
            stream.read_exact(&mut answer).await.expect("an answer");
            assert_eq!(answer.as_slice(), b"HTTP/1.1 100 Continue\r\n\r\n");
            Held(stream)
        }
    }
}

/// As many as `overload.rs` of the server lets in.
const UPLOADS_MAX: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_uploads_are_asked_to_come_back_and_nobody_else_suffers() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let estate = Estate::define(&server.admin, 1).await;
    let mut held = Vec::new();
    for _ in 0..UPLOADS_MAX {
        held.push(Held::begin(server.running.address, &server.admin.token).await);
    }
    let upload = || {
        let request = server.admin.request(reqwest::Method::POST, "/artifacts?component=shop&version=2.0&format=file");
        server.admin.send(request.body("x"))
    };
    let answer = upload().await;
    assert!(answer.problem().starts_with("503 overloaded"), "{}", answer.problem());
    assert_eq!(answer.headers["retry-after"], "2");
    server.admin.get("/whoami").await.good();
    drop(held);
    // Once the held ones are gone there is room again.
    while !upload().await.status.is_success() {
        tokio::task::yield_now().await;
    }
    estate.bring("1.0").await;
    server.running.stop().await;
}

const CONNECTIONS: usize = 400;
/// Bytes of memory that a connection which waits for its next request may take.
const CONNECTION_BYTES_MAX: usize = 64 << 10;

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_waits_takes_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let connect = async || {
        let mut stream = TcpStream::connect(server.running.address).await.expect("the server listens");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is taken");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(answer.as_slice(), b"HTTP/1.1 200");
        stream
    };
    // What the first ones take stays with the process.
    drop([connect().await, connect().await, connect().await]);
    let before = resident_bytes();
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        held.push(connect().await);
    }
    let each = resident_bytes().saturating_sub(before) / CONNECTIONS;
    println!("{each} bytes for each of {CONNECTIONS} connections");
    assert!(each < CONNECTION_BYTES_MAX, "{each} bytes for each connection");
    drop(held);
    server.running.stop().await;
}
