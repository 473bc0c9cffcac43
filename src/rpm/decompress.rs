//! Compressed files recognised by their first bytes: modules (`.ko.xz`, `.ko.zst`, `.ko.gz`) and source tarballs.

use std::io::{self, BufReader, Cursor, Read};

use liblzma::stream::{CONCATENATED, IGNORE_CHECK, Stream};

/// As many bytes as the longest mark at the beginning of a compressed file has (xz).
const LONGEST_MAGIC: u64 = 6;
/// How much memory an xz file may make its reader take, in bytes. `xz -9` takes 65 MiB.
const MOST_MEMORY: u64 = 256 << 20;

/// Returns a reader of the decompressed bytes; what is not compressed passes unchanged.
///
/// # Errors
/// The first bytes could not be read, or the decoder could not be set up.
pub fn reader<'a>(input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    with_flags(input, CONCATENATED)
}

/// As [`reader`], of bytes whose digest the caller checks: what xz files have to check themselves is not looked at. Over the 1.3 GB of
/// Linux 6.1 that takes a fifth of all the time.
///
/// # Errors
/// As those of [`reader`].
pub fn reader_of_checked<'a>(input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    with_flags(input, CONCATENATED | IGNORE_CHECK)
}

fn with_flags<'a>(input: impl Read + 'a, flags: u32) -> io::Result<Box<dyn Read + 'a>> {
    let mut input = input;
    // One read may give fewer bytes than there are: at the end of a block of an outer compression, say.
    let mut start = Vec::new();
    input.by_ref().take(LONGEST_MAGIC).read_to_end(&mut start)?;
    let input = BufReader::with_capacity(256 * 1024, Cursor::new(start.clone()).chain(input));
    Ok(if start.starts_with(b"\xfd7zXZ\0") {
        let stream = Stream::new_auto_decoder(MOST_MEMORY, flags).map_err(io::Error::other)?;
        Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
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

    /// Gives one byte at a time, as a stream may.
    struct OneByOne<'a>(&'a [u8]);

    impl Read for OneByOne<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let one = buffer.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }

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
            assert_eq!(bytes(OneByOne(&form), 1 << 20).unwrap(), text);
        }
    }

    #[test]
    fn the_check_of_an_xz_file_counts_unless_a_digest_does() {
        let text = b"obj-$(CONFIG_IP_VS) += ip_vs.o\n".repeat(100);
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&text).unwrap();
        let mut xz = xz.finish().unwrap();
        // The footer has the index's size in units of four bytes less one, four bytes in (xz-file-format, 2.1.2.2); the check is before the index.
        let footer = xz.len() - 12;
        let words = u32::from_le_bytes(xz[footer + 4..footer + 8].try_into().unwrap());
        let index = footer - (words as usize + 1) * 4;
        xz[index - 1] ^= 1;
        let error = bytes(xz.as_slice(), 1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        let mut read = Vec::new();
        reader_of_checked(xz.as_slice()).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, text);
        // What is no xz file any more is one for neither.
        xz[index - 12] ^= 1;
        assert!(reader_of_checked(xz.as_slice()).unwrap().read_to_end(&mut read).is_err());
    }
}
