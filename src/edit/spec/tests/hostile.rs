//! Texts that nobody wrote: nothing but the marker's line changes, and every evaluation ends.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn only_the_markers_line_changes(
        tail in proptest::collection::vec(any::<u8>(), 0..400),
        above in "(#[ -~]{0,30}\n){0,5}",
        marker in "#[ \t]{0,2}(% ?)?(define|global)[ \t]{1,2}buildid( \\.[a-z0-9]{1,6})?[ \t]{0,2}",
        carriage in any::<bool>(),
    ) {
        let end = if carriage { "\r\n" } else { "\n" };
        let mut spec = format!("{above}{marker}{end}Name: kernel\nVersion: 1.0\nRelease: 1%{{?buildid}}\n%changelog\n").into_bytes();
        spec.extend_from_slice(&tail);
        let texts = texts(spec);
        let release = run(&texts).release;
        prop_assume!(release.is_some());
        let header = nvr("1.0", &release.unwrap());
        if let Ok(carried) = find(&texts, &header) {
            applied(&texts, &header, &carried);
        }
    }

    #[test]
    fn no_text_makes_the_evaluation_fail_or_hang(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just(b"%define a %{b}%{?c:%{a}}\n".to_vec()),
                Just(b"%global b() %{expand:%%define c %1}%*%#%{-x}\n".to_vec()),
                Just(b"%if 0%{?a} && (%{b} || v\"1\" > \"%{c}\"\n".to_vec()),
                Just(b"%[1 ? %{a} : \"%(x)\"]\n".to_vec()),
                Just(b"%else\n%endif\n%elifarch x\n".to_vec()),
                Just(b"%include %{_sourcedir}/kernel.spec\n".to_vec()),
                Just(b"%undefine a\n%bcond_with x\n%{lua:rpm.define('b c')}\n".to_vec()),
                Just(b"Release: %{a}%{?buildid}\n# %define buildid .a\n".to_vec()),
                Just(b"%{".to_vec()),
                Just(b"}\\\n".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..40),
                "[%{}()\\[\\]?!:a-c\"\\\\ \n-]{0,30}".prop_map(String::into_bytes),
            ],
            0..12,
        ),
    ) {
        let started = Instant::now();
        let texts = texts(pieces.concat());
        let found = run(&texts);
        let _ = found.value("a");
        let _ = find(&texts, &nvr("1.0", "1"));
        prop_assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn what_would_grow_without_bounds_ends() {
    let doubling: String =
        (1..60).fold(String::new(), |all, n| all + &format!("%define a{n} %{{a{m}}}%{{a{m}}}\n", m = n - 1));
    for hostile in [
        "%define a %{a}%{a}\n%{a}\n".to_owned(),
        "%define a %{b}\n%define b %{a}\nRelease: %{a}\n".to_owned(),
        format!("%define a0 x\n{doubling}Release: %{{a59}}\n"),
        "%{".repeat(200_000),
        format!("{}{}", "%{".repeat(100_000), "}".repeat(100_000)),
        format!("%if {}1\n", "(".repeat(200_000)),
        format!("%if {}1\n", "!".repeat(200_000)),
        format!("%[{}1]\n", "(".repeat(200_000)),
        "%include %{_sourcedir}/kernel.spec\n%include %{_sourcedir}/kernel.spec\n".to_owned(),
        "%if 1\n".repeat(200_000),
        "\\\n".repeat(200_000),
        format!("%define f() %{{?1:%f %1}}\n%f x\n{}", "%define a 1\n".repeat(20_000)),
        "%define a b\n%a".repeat(50_000),
        format!("%define p(x:) %{{-x*}}%*\n{}", "%p -x a b c\n".repeat(20_000)),
        "%{?a:".repeat(100_000) + &"}".repeat(100_000),
    ] {
        let started = Instant::now();
        let found = run(&texts(hostile.clone()));
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}: {:.60}", started.elapsed(), hostile);
        assert!(found.release.is_none() || found.unknown.is_empty());
    }
}
