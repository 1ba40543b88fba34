//! Too much at once: refused with a time to come back, and it passes.

use held::Held;
use tidegate_testkit::{Estate, TestServer};

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
