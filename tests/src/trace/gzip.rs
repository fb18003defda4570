//! Gzip, as logs are packed: streams one after the other, and zeros behind the last, as `gzip` itself reads them.

use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

/// What a gzip stream begins with.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What is wrong with a packed log. Bytes are those of the packed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin as a gzip stream does.
    NotGzip,
    /// It ends within a stream, after so many bytes.
    Truncated(u64),
    /// A stream is damaged, seen after so many bytes.
    Damaged(u64),
    /// Behind the end of a stream, after so many bytes, comes what is neither another one nor zeros.
    Trailing(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGzip => f.write_str("this is no gzip stream, although the name ends in .gz"),
            Self::Truncated(at) => write!(f, "the gzip stream is truncated: it breaks off after {at} bytes"),
            Self::Damaged(at) => write!(f, "the gzip stream is damaged, at or before byte {at}"),
            Self::Trailing(at) => {
                write!(
                    f,
                    "the gzip stream ends after {at} bytes, and the bytes that follow are no gzip stream"
                )
            }
        }
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::new(ErrorKind::InvalidData, fault)
    }
}

/// The contents of gzip streams.
pub(super) struct Gunzip<R> {
    /// `None` once the end or an error has been seen.
    stream: Option<GzDecoder<Counted<R>>>,
    /// Where the last whole stream ended; 0 within the first.
    last_end: u64,
    /// Bytes of the stream that came out.
    unpacked: u64,
}

impl<R: BufRead> Gunzip<R> {
    pub(super) fn new(bytes: R) -> io::Result<Self> {
        let mut bytes = Counted { bytes, count: 0 };
        match bytes.peek()? {
            Some(first) if first != MAGIC[0] => Err(Fault::NotGzip.into()),
            _ => Ok(Self { stream: Some(GzDecoder::new(bytes)), last_end: 0, unpacked: 0 }),
        }
    }

    /// What an error of the decoder means.
    fn fault(&self, error: io::Error, at: u64) -> io::Error {
        // The decoder names what it does not know by this kind, be it header, data or checksum.
        let fault = match error.kind() {
            ErrorKind::UnexpectedEof => Fault::Truncated(at),
            ErrorKind::InvalidInput | ErrorKind::InvalidData => match (self.has_header(), self.last_end) {
                (true, _) => Fault::Damaged(at),
                (false, 0) => Fault::NotGzip,
                (false, end) => Fault::Trailing(end),
            },
            _ => return error,
        };
        fault.into()
    }

    fn has_header(&self) -> bool {
        self.unpacked > 0 || self.stream.as_ref().is_some_and(|stream| stream.header().is_some())
    }

    /// Goes to the next stream; `None` if there is none.
    fn next_stream(&mut self) -> io::Result<Option<GzDecoder<Counted<R>>>> {
        let Some(stream) = self.stream.take() else { return Ok(None) };
        let mut bytes = stream.into_inner();
        (self.last_end, self.unpacked) = (bytes.count, 0);
        bytes.skip_zeros()?;
        match bytes.peek()? {
            None => Ok(None),
            Some(first) if first != MAGIC[0] => Err(Fault::Trailing(self.last_end).into()),
            Some(_) => Ok(Some(GzDecoder::new(bytes))),
        }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while let Some(stream) = &mut self.stream {
            match stream.read(into) {
                Ok(0) => self.stream = self.next_stream()?,
                Ok(count) => {
                    self.unpacked += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    let at = stream.get_ref().count;
                    let fault = self.fault(error, at);
                    self.stream = None;
                    return Err(fault);
                }
            }
        }
        Ok(0)
    }
}

/// Bytes, and how many of them were read.
struct Counted<R> {
    bytes: R,
    count: u64,
}

impl<R: BufRead> Counted<R> {
    /// The next byte, which stays; `None` at the end.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.fill_buf()?.first().copied())
    }

    /// Passes over zeros, with which tapes and disks fill up.
    fn skip_zeros(&mut self) -> io::Result<()> {
        loop {
            let next = self.fill_buf()?;
            let zeros = next.iter().take_while(|&&byte| byte == 0).count();
            if zeros == 0 {
                return Ok(());
            }
            self.consume(zeros);
        }
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(into)?;
        self.count += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.bytes.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.bytes.consume(count);
        self.count += count as u64;
    }
}
