//! Work that is done by as many threads as there are processors.

/// Asks the same of each and returns the answers in the order of the questions; there is none where a thread failed.
pub fn at_once<T: Sync, A: Send>(all: &[T], ask: &(dyn Fn(&T) -> A + Sync)) -> Vec<Option<A>> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let ask_some =
            |first: usize| scope.spawn(move || all.iter().skip(first).step_by(threads).map(ask).collect::<Vec<A>>());
        let begun: Vec<_> = (0..threads).map(ask_some).collect();
        let mut answers: Vec<_> =
            begun.into_iter().map(|thread| thread.join().unwrap_or_default().into_iter()).collect();
        (0..all.len()).map(|place| answers.get_mut(place % threads).and_then(Iterator::next)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stand_where_their_questions_did() {
        let all: Vec<usize> = (0..1001).collect();
        let answers = at_once(&all, &|number| number * 2);
        assert_eq!(answers.into_iter().flatten().collect::<Vec<_>>(), (0..1001).map(|n| n * 2).collect::<Vec<_>>());
        assert!(at_once(&[] as &[usize], &|number| *number).is_empty());
    }
}
