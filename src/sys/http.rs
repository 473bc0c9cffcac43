//! HTTP: one request at a time, whole files or their rest. The only user of ureq.
//!
//! TLS is rustls with the system's certificates; proxies come from the environment (`https_proxy`, `no_proxy`).

use std::io::Read;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(20);
/// How many redirects are followed.
const REDIRECTS: u32 = 8;

/// A client that gives up on a server that is silent for too long.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
}

/// What a server sent.
#[expect(missing_debug_implementations, reason = "a body cannot be shown")]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// Where the body begins in the whole file: 0, or what was asked for with status 206.
    pub start: u64,
    /// The size of the whole file, if the server says it.
    pub total: Option<u64>,
    /// What tells this version of the file from others: a strong `ETag`, or else `Last-Modified`.
    pub version: Option<String>,
    /// How the body is packed, if it is.
    pub encoding: Option<String>,
    /// The body.
    pub body: Box<dyn Read>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Error {
    /// In words.
    pub why: String,
    /// Whether the same request may succeed later.
    pub transient: bool,
}

impl Client {
    /// Returns a client that waits at most `silence` for the next byte.
    #[must_use]
    pub fn new(silence: Duration) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(REDIRECTS)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(silence))
            .timeout_per_read(Some(silence))
            .user_agent(concat!("kbuild/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .build();
        Self { agent: Agent::new_with_config(config) }
    }

    /// Asks for a file, from `start` on if it still is the given version.
    ///
    /// # Errors
    /// No response came; statuses of all kinds are responses.
    pub fn get(&self, url: &str, start: u64, version: Option<&str>) -> Result<Response, Error> {
        let mut request = self.agent.get(url);
        if let Some(version) = version.filter(|_| start > 0) {
            request = request.header("Range", format!("bytes={start}-")).header("If-Range", version);
        }
        let response = request.call().map_err(|error| {
            let transient = !matches!(
                error,
                ureq::Error::BadUri(_)
                    | ureq::Error::TooManyRedirects
                    | ureq::Error::RedirectFailed
                    | ureq::Error::Http(_)
            );
            Error { why: error.to_string(), transient }
        })?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let length = header("content-length").and_then(|text| text.parse::<u64>().ok());
        let range = header("content-range").as_deref().and_then(content_range);
        let strong = header("etag").filter(|tag| tag.starts_with('"'));
        let status = response.status().as_u16();
        let (start, total) = match (status, range) {
            (206, Some((start, total))) => (start, total),
            (416, Some((_, total))) => (0, total),
            _ => (0, length),
        };
        let version = strong.or_else(|| header("last-modified"));
        let encoding = header("content-encoding").filter(|name| name != "identity");
        let body = Box::new(response.into_body().into_with_config().limit(u64::MAX).reader());
        Ok(Response { status, start, total, version, encoding, body })
    }
}

/// Reads `bytes 100-199/200` or `bytes */200`: where the part begins, and the size of the whole.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = if range == "*" { 0 } else { range.split_once('-')?.0.parse().ok()? };
    Some((start, total.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range("bytes 100-199/200"), Some((100, Some(200))));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, None)));
        assert_eq!(content_range("bytes */200"), Some((0, Some(200))));
        assert_eq!(content_range("items 1-2/3"), None);
    }
}
