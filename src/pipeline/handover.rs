//! Between root, who started kbuild, and the process that builds as another user: one socket.
//!
//! Root sends the plan and the source package, and never touches the other user's files. The building process sends
//! back events and results as frames: a line of JSON, followed by the bytes of a result where there are some. Root
//! writes the results, so that they belong to it, and never starts anything that could be influenced by them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::manner::Manner;
use super::out::Out;
use super::{Error, Workplace, run};
use crate::event::{Event, Reporter};
use crate::explain::Cause;
use crate::plan::Plan;
use crate::plan::request::Input;
use crate::plan::signing::Handed;
use crate::sys::files;
use crate::sys::signal::Cancel;

/// The longest line of JSON that is accepted.
const LONGEST: u64 = 64 << 20;

/// What root sends first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Order {
    plan: Plan,
    manner: Manner,
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum Frame {
    Event {
        event: Event,
    },
    /// Followed by `size` bytes.
    File {
        name: String,
        size: u64,
    },
    Done {
        manifest: Box<Manifest>,
    },
    Failed {
        message: String,
        hint: Option<String>,
        exit_code: u8,
        cause: Option<Box<Cause>>,
    },
}

/// Whether nothing could be sent because the other side has ended, which then says why; else what was to be sent cannot be read.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn lost(source: io::Error) -> Error {
    Error::io("the connection to the building process was lost", source)
}

fn send(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    stream.flush()
}

fn receive<T: for<'a> Deserialize<'a>>(stream: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    if stream.take(LONGEST).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// Sends so many bytes of a file: all that there were when it was read first.
fn send_file(writer: &mut impl Write, path: &Path, size: u64) -> io::Result<()> {
    if io::copy(&mut fs_err::File::open(path)?.take(size), writer)? == size {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("`{}` is shorter than it was", path.display())))
}

fn unread(source: io::Error) -> Error {
    Error::io("a package that is to be used cannot be handed over", source)
}

/// Root's side: sends the plan and the source package (`srpm`, if the plan has one) and the packages beside it, then takes events and results until the other side is done.
///
/// # Errors
/// The building process failed, with its own words, or the connection was lost.
pub fn order(
    stream: UnixStream,
    plan: &Plan,
    manner: &Manner,
    srpm: &Path,
    inputs: &[Input],
    reporter: &dyn Reporter,
    out: &mut dyn Out,
) -> Result<Manifest, Error> {
    let mut writer = stream.try_clone().map_err(lost)?;
    let source = plan.source.iter().map(|source| (srpm, source.size));
    let inputs = inputs.iter().map(|input| (input.path.as_path(), input.size));
    let keys = handed(plan).iter().map(|Handed { from, .. }| (from.path.as_path(), from.size));
    let sent = send(&mut writer, &Order { plan: plan.clone(), manner: manner.clone() })
        .and_then(|()| source.chain(inputs).chain(keys).try_for_each(|(path, size)| send_file(&mut writer, path, size)))
        .and_then(|()| writer.flush());
    if let Err(error) = &sent
        && !is_refusal(error)
    {
        // Whoever waits for the rest would wait for ever, and so would we for an answer.
        let _ = stream.shutdown(Shutdown::Both);
    }
    let mut reader = BufReader::with_capacity(256 * 1024, stream);
    loop {
        match receive(&mut reader).map_err(lost)? {
            Some(Frame::Event { event }) => reporter.report(&event),
            Some(Frame::File { name, size }) => {
                let mut content = (&mut reader).take(size);
                out.put(&name, size, &mut content).map_err(|source| Error::io("a result cannot be written", source))?;
            }
            Some(Frame::Done { manifest }) => return Ok(*manifest),
            Some(Frame::Failed { message, hint, exit_code, cause }) => {
                return Err(Error::Reported { message, hint, exit_code, cause });
            }
            None => {
                sent.map_err(|error| if is_refusal(&error) { lost(error) } else { unread(error) })?;
                return Err(Error::Worker { how: "it closed its connection".into(), killed: false });
            }
        }
    }
}

/// The building side: receives the plan and the source package, runs the plan, and sends back what happens.
///
/// # Errors
/// The connection was lost. A failure of the build itself is sent, not returned; the exit code is.
pub fn obey(stream: UnixStream, cancel: &Cancel) -> Result<u8, Error> {
    let mut reader = BufReader::with_capacity(256 * 1024, stream.try_clone().map_err(lost)?);
    let order: Option<Order> = receive(&mut reader).map_err(lost)?;
    let Some(Order { plan, manner }) = order else {
        return Err(Error::Worker { how: "no plan came".into(), killed: false });
    };
    let wire = Wire { stream: Mutex::new(stream) };
    let outcome = Workplace::enter(&plan, &manner, &wire).and_then(|workplace| {
        take_source(&plan, &mut reader)?;
        let cancel = cancel.clone();
        end_with_root(reader, cancel.clone());
        run(&plan, &manner, &workplace, &wire, &cancel, &mut &wire)
    });
    let (frame, code) = match outcome {
        Ok(manifest) => (Frame::Done { manifest: Box::new(manifest) }, 0),
        Err(error) => {
            let (hint, exit_code) = (error.hint(), error.exit_code());
            let cause = error.cause().cloned().map(Box::new);
            (Frame::Failed { message: crate::error::chain(&error), hint, exit_code, cause }, exit_code)
        }
    };
    // If root is gone, nobody is left to tell.
    let _ = wire.send(&frame);
    Ok(code)
}

/// Ends the work when the other end of the socket is gone: root was killed, and nobody is left to take the results.
fn end_with_root(mut reader: impl Read + Send + 'static, cancel: Cancel) {
    std::thread::spawn(move || {
        // Root sends nothing more: this returns when the connection ends.
        let _ = reader.read(&mut [0]);
        cancel.hang_up();
    });
}

/// Writes the source package that comes through the socket, if there is one, where the plan expects it, and the packages
/// that are used beside it.
fn take_source(plan: &Plan, reader: &mut impl Read) -> Result<(), Error> {
    let failed = |source| Error::io("a package that is to be used cannot be stored", source);
    let source = plan.source.iter().map(|source| (plan.layout.srpm(&source.file), source.size));
    let inputs = plan.inputs.iter().map(|input| (plan.layout.input(&input.file()), input.size));
    let open = source.chain(inputs).map(|(target, size)| (target, size, 0o644));
    let secret = handed(plan).iter().map(|Handed { from, to }| (to.clone(), from.size, 0o600));
    for (target, size, mode) in open.chain(secret) {
        fs_err::create_dir_all(target.parent().unwrap_or(&target)).map_err(failed)?;
        let (stored, _) = files::replace(&target, &mut (&mut *reader).take(size), mode).map_err(failed)?;
        if stored != size {
            return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, "it came to us cut off")));
        }
    }
    Ok(())
}

/// The key to sign modules with, if the user gave one.
fn handed(plan: &Plan) -> &[Handed] {
    plan.signing.as_ref().map_or(&[], |signing| &signing.handed)
}

/// The building side's end of the socket, as the place for events and for results.
#[derive(Debug)]
struct Wire {
    stream: Mutex<UnixStream>,
}

impl Wire {
    fn send(&self, frame: &Frame) -> io::Result<()> {
        send(&mut *self.stream.lock().unwrap_or_else(PoisonError::into_inner), frame)
    }
}

impl Reporter for Wire {
    fn report(&self, event: &Event) {
        // If root is gone, the next result that is sent says so.
        let _ = self.send(&Frame::Event { event: event.clone() });
    }
}

impl Out for &Wire {
    fn put(&mut self, name: &str, size: u64, input: &mut dyn Read) -> io::Result<(u64, String)> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        send(&mut *stream, &Frame::File { name: name.to_owned(), size })?;
        let mut input = files::Hashed::new(input.take(size));
        if io::copy(&mut input, &mut *stream)? != size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("`{name}` was cut off")));
        }
        stream.flush()?;
        Ok(input.finish())
    }
}
