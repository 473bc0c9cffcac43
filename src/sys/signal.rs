//! INT, TERM and HUP as a token that long work looks at: the first asks it to stop, the second to stop at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Whether, and by which signal, the work was asked to stop. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    signal: Arc<AtomicI32>,
    count: Arc<AtomicU32>,
}

impl Cancel {
    /// Installs the handlers and returns the token that they set.
    ///
    /// # Errors
    /// The operating system refused to install a handler.
    pub fn install() -> io::Result<Self> {
        let cancel = Self::default();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let shared = cancel.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                shared.raise(signal);
            }
        })?;
        Ok(cancel)
    }

    /// Records a signal, as the handler does.
    pub fn raise(&self, signal: i32) {
        self.signal.store(signal, Ordering::SeqCst);
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// Records that whoever this works for is gone, as a terminal does when it is closed.
    pub fn hang_up(&self) {
        self.raise(SIGHUP);
    }

    /// Returns the last signal, if one came.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        (self.count() > 0).then(|| self.signal.load(Ordering::SeqCst))
    }

    /// Returns how many signals came.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }
}
