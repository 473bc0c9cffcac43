//! PEM, and what is no key; whole keys and certificates are judged in `tests/it/signing.rs`.

use super::*;

#[test]
fn blocks_are_found_between_remarks_and_only_whole() {
    let text = b"Bag Attributes\n-----BEGIN CERTIFICATE-----  \r\nAAAA\r\n-----END CERTIFICATE-----\r\n\
        -----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n-----BEGIN X-----\nCCCC\n";
    let found: Vec<_> = blocks(text).into_iter().map(|block| (block.label, block.text)).collect();
    let expected = [
        ("CERTIFICATE", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("PRIVATE KEY", "-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n"),
    ];
    assert_eq!(found, expected.map(|(label, text)| (label, text.to_owned())));
    assert!(blocks(&[0x30, 0x82, 0xff]).is_empty());
}

#[test]
fn what_is_no_key_is_named_by_what_it_is() {
    let error = |text: &str| read_key(Text { file: "k", bytes: text.as_bytes() }).unwrap_err().to_string();
    let block = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    assert!(error("").contains("`k` is no private key in PEM") && error("").ends_with("found none"), "{}", error(""));
    assert!(error(&block("PUBLIC KEY", "AAAA")).ends_with("found `PUBLIC KEY`"));
    assert!(error(&block("ENCRYPTED PRIVATE KEY", "AAAA")).contains("is encrypted"));
    assert!(error(&block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\n\nAAAA")).contains("is encrypted"));
    assert!(error(&block("EC PRIVATE KEY", "AAAA")).contains("has an EC PRIVATE KEY, expected an RSA key"));
    assert!(error(&block("PRIVATE KEY", "AAAA")).contains("the private key in `k` cannot be read"));
}
