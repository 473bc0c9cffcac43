//! Whether a server is there.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Whether a server at `host:port` answers a question, each step of it within the time given: with anything.
#[must_use]
pub fn answers(address: &str, question: &[u8], patience: Duration) -> bool {
    let Ok(addresses) = address.to_socket_addrs() else { return false };
    addresses.into_iter().any(|address| {
        let Ok(mut stream) = TcpStream::connect_timeout(&address, patience) else { return false };
        let timed = stream.set_read_timeout(Some(patience)).and_then(|()| stream.set_write_timeout(Some(patience)));
        let asked = timed.and_then(|()| stream.write_all(question));
        asked.is_ok() && stream.read(&mut [0; 1]).is_ok_and(|read| read > 0)
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_who_answers_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let patience = Duration::from_millis(200);
        // The kernel accepts, and nobody reads.
        assert!(!answers(&address, b"PING\r\n", patience));
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.write_all(b"+PONG\r\n");
            }
        });
        assert!(answers(&address, b"PING\r\n", Duration::from_secs(5)));
        server.join().unwrap();
        assert!(!answers(&address, b"PING\r\n", patience));
        assert!(!answers("no such host", b"", patience));
    }
}
