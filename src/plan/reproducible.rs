//! What makes two builds of the same the same, byte for byte: the time, the host and the user that they write down.

use std::path::Path;

use jiff::Timestamp;

use super::layout::text;

/// Whom packages and kernels name as the one who built them, wherever and by whomever they were built.
const BUILDER: &str = "kbuild";

/// Returns rpm's own part: the build host, and times that come from `SOURCE_DATE_EPOCH` (rpm 4.14 and later;
/// `build_mtime_policy` is the name since 4.20). Older versions do not know these macros and write host and time down.
pub(super) fn defines() -> [(&'static str, String); 4] {
    [
        ("_buildhost", BUILDER.into()),
        ("use_source_date_epoch_as_buildtime", "1".into()),
        ("clamp_mtime_to_source_date_epoch", "1".into()),
        ("build_mtime_policy", "clamp_to_source_date_epoch".into()),
    ]
}

/// Returns the environment for sources of that time (seconds since 1970) that are compiled below `build`.
///
/// The kernel's own names are in its Documentation/kbuild/kbuild.txt since Linux 2.6.39; older kernels ask `date`,
/// `whoami` and `hostname` in `scripts/mkcompile_h`.
pub(super) fn environment(epoch: u64, version: &str, build: &Path) -> Vec<(&'static str, String)> {
    let time = i64::try_from(epoch).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let mut environment = vec![
        ("SOURCE_DATE_EPOCH", epoch.to_string()),
        ("KBUILD_BUILD_TIMESTAMP", time.unwrap_or_default().strftime("%a %b %e %H:%M:%S UTC %Y").to_string()),
        ("KBUILD_BUILD_USER", BUILDER.into()),
        ("KBUILD_BUILD_HOST", BUILDER.into()),
        ("KBUILD_BUILD_VERSION", "1".into()),
        // `gzip -c9 < Module.symvers`, as the specs of el5 to el9 have it, keeps the file's time. Newer versions of gzip
        // (1.12) do as they are told here, but say that they do not like to be told so.
        ("GZIP", "-n".into()),
    ];
    if is_mapped(version) {
        let map = format!("-fdebug-prefix-map={}=/usr/src/debug", text(build));
        environment.extend([("HOSTCFLAGS", map.clone()), ("EXTRA_CFLAGS", map)]);
    }
    environment
}

/// Whether a kernel takes flags for the programs of its own from the environment: objtool, whose debugging information is in
/// kernel-devel, has `HOSTCFLAGS` since Linux 4.19 (Makefile, `KBUILD_HOSTCFLAGS`) and for its library `EXTRA_CFLAGS`
/// (tools/lib/subcmd/Makefile). Kernels of el5 would give the latter to everything, and its gcc knows no such option.
fn is_mapped(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) >= (4, 19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_gets_the_time_as_date_would_print_it() {
        let environment = environment(1_342_008_000, "2.6.32", Path::new("/w/BUILD"));
        assert_eq!(environment[0], ("SOURCE_DATE_EPOCH", "1342008000".into()));
        assert_eq!(environment[1], ("KBUILD_BUILD_TIMESTAMP", "Wed Jul 11 12:00:00 UTC 2012".into()));
    }
    #[test]
    fn paths_are_mapped_for_kernels_that_take_it() {
        let flags = |version: &str| {
            let environment = environment(0, version, Path::new("/w/BUILD"));
            environment
                .into_iter()
                .filter(|(name, _)| name.ends_with("CFLAGS"))
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
        };
        for old in ["2.6.18", "2.6.32", "3.10.0", "4.18.0", "kernel"] {
            assert_eq!(flags(old), [""; 0], "{old}");
        }
        for new in ["4.19.1", "5.14.0", "6.1.192", "6.12"] {
            assert_eq!(flags(new), ["-fdebug-prefix-map=/w/BUILD=/usr/src/debug"; 2], "{new}");
        }
    }
}
