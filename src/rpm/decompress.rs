//! Compressed files recognised by their first bytes: modules (`.ko.xz`, `.ko.zst`, `.ko.gz`) and source tarballs.

use std::io::{self, BufRead, BufReader, Read};

/// Returns a reader of the decompressed bytes; what is not compressed passes unchanged.
///
/// # Errors
/// The first bytes could not be read, or the decoder could not be set up.
pub fn reader<'a>(input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut input = BufReader::with_capacity(256 * 1024, input);
    let start = input.fill_buf()?;
    Ok(if start.starts_with(b"\xfd7zXZ\0") {
        Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(input))
    } else if start.starts_with(b"\x1f\x8b") {
        Box::new(flate2::bufread::MultiGzDecoder::new(input))
    } else if start.starts_with(b"\x28\xb5\x2f\xfd") {
        Box::new(zstd::stream::read::Decoder::with_buffer(input)?)
    } else if start.starts_with(b"BZh") {
        Box::new(bzip2::bufread::MultiBzDecoder::new(input))
    } else {
        Box::new(input)
    })
}

/// Returns the decompressed bytes, at most `limit` of them.
///
/// # Errors
/// The data is damaged, or there is more than `limit`.
pub fn bytes(input: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = reader(input)?.take(limit + 1).read_to_end(&mut bytes)?;
    if read as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn every_compression_is_recognised() {
        let text = b"CONFIG_IP_VS_TAB_BITS=20\n".repeat(100);
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&text).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&text).unwrap();
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz.write_all(&text).unwrap();
        let forms = [
            text.clone(),
            xz.finish().unwrap(),
            gz.finish().unwrap(),
            bz.finish().unwrap(),
            zstd::encode_all(text.as_slice(), 1).unwrap(),
        ];
        for form in forms {
            assert_eq!(bytes(form.as_slice(), 1 << 20).unwrap(), text);
            assert!(bytes(form.as_slice(), 99).is_err());
        }
    }
}
