//! Work that nobody waits for at a keyboard: the scheduling policy and the nice value of what builds.

use thread_priority::unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy};
use thread_priority::{ThreadPriority, ThreadPriorityValue, thread_native_id};

/// Starts something as batch work (`SCHED_BATCH`, sched(7)), with this added to the nice value; returns what `start` does.
///
/// A child has the policy and the nice value of the thread that starts it, both of which are a thread's own on Linux. So
/// that thread is one for this alone, and kbuild itself stays as it is.
pub(super) fn start<T: Send>(nice: u8, start: impl FnOnce() -> std::io::Result<T> + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let starter = scope.spawn(|| {
            let now = rustix::process::getpriority_process(None).unwrap_or_default();
            let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
            // Where a container forbids it, it builds all the same.
            if let Some(lower) = priority(now.saturating_add(nice.into())) {
                let _ = set_thread_priority_and_policy(thread_native_id(), lower, policy);
            }
            start()
        });
        starter.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread that starts it failed")))
    })
}

/// Returns a nice value as the crate counts: 0 is nice 19, 99 is nice -20, and what lies between is cut off to whole numbers
/// (`ThreadPriority::to_posix` of thread-priority 3.1). The middle of what gives a nice value is taken.
fn priority(nice: i32) -> Option<ThreadPriority> {
    let above_least = nice.clamp(-20, 19) + 20;
    let value = (99 - (99 * (2 * above_least + 1) + 39) / 78).max(0);
    ThreadPriorityValue::try_from(u8::try_from(value).ok()?).ok().map(ThreadPriority::Crossplatform)
}

#[cfg(test)]
mod tests {
    use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy};

    use super::*;

    #[test]
    fn every_nice_value_comes_out_as_it_is() {
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
        for nice in -20..=19 {
            assert_eq!(priority(nice).unwrap().to_posix(policy).unwrap(), nice);
        }
        assert_eq!(priority(40).unwrap().to_posix(policy).unwrap(), 19);
    }
}
