# shellcheck shell=bash
# What the scripts share: what they need, and installing it. Source it; it sets
# $repo, the top of the source tree.
#
#   need GROUP...   the packages of these groups, installed in one go if missing
#   need_rust       cargo, as new as Cargo.toml wants
#   need_validators what judges what kbuild writes for others, from PyPI; sets $validators
#   need_engines    what runs pipelines of GitLab, from npm; sets $engines
#   counts WORD...  whether each is a whole number above zero, as numbers of runs are
#   build_static    a kbuild that starts on any Linux of this architecture
#   is_static       whether a program is one
#
# What is missing and cannot be installed ends the script with exit code 4, as
# kbuild itself does when the host is not ready.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

step() { printf '\n==> %s\n' "$*"; }
fail() {
    local code=$1
    shift
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit "$code"
}

counts() {
    local word
    for word in "$@"; do
        [[ $word =~ ^[1-9][0-9]{0,5}$ ]] || { echo "${0##*/}: expected a whole number above zero, found \`$word\`" >&2 && return 1; }
    done
}

# rust: to compile kbuild. toy, kernel: to build a kernel that is none, and one
# that is. boot: to start it. engines: what runs a fleet. test, container, bare,
# package, curl, bench, git, npm: what these scripts use besides.
# shellcheck disable=SC2034 # lacking takes them by name
declare -A debian=(
    [rust]="gcc libc6-dev"
    [toy]="rpm bzip2 cpio gcc libc6-dev make patch perl xz-utils"
    [kernel]="bc bison flex kmod libelf-dev libssl-dev openssl linux-headers-amd64 linux-image-amd64"
    [boot]="qemu-system-x86 busybox-static"
    [test]="ccache chromium createrepo-c distcc dnf faketime gnupg gnupg1 kmod nginx-light openssl python3-venv redis-server rpmlint shellcheck"
    [container]="buildah debootstrap"
    [bare]="debootstrap"
    [package]="groff-base"
    [curl]="curl ca-certificates"
    [bench]="time"
    [cache]="ccache"
    [engines]="munge rsync slurm-wlm"
    [git]="git"
    [npm]="nodejs npm"
)
[[ ${LINUX_SOURCE-} ]] || debian[kernel]+=" linux-source-6.1"
# shellcheck disable=SC2034
declare -A el=(
    [rust]="gcc glibc-devel"
    [toy]="rpm-build bzip2 cpio gcc glibc-devel make patch perl xz"
    [kernel]="bc bison flex kmod elfutils-libelf-devel openssl openssl-devel"
    [boot]="qemu-kvm"
    [test]="createrepo_c gnupg2 kmod nginx openssl python3-pip redis rpm-sign rpmlint"
    [curl]="curl"
    [bench]="time"
    [cache]="ccache"
    [engines]="rsync"
    [git]="git"
    [npm]="nodejs npm"
)

need() {
    if command -v apt-get > /dev/null; then
        local apt="apt-get -q -o DPkg::Lock::Timeout=300"
        as_root "$apt update && $apt install -y --no-install-recommends" "$(lacking debian "$@")"
    elif command -v dnf > /dev/null; then
        not_in_el "$@"
        as_root "dnf -y install" "$(lacking el "$@")"
    else
        echo "neither apt nor dnf is here: looking for nothing, installing nothing" >&2
    fi
}

# The packages of the groups after the system's name that are not installed.
lacking() {
    local group package found=
    local -n packages=$1
    for package in $(for group in "${@:2}"; do echo "${packages[$group]-}"; done); do
        [[ " $found " = *" $package "* ]] || "has_$1" "$package" || found+=" $package"
    done
    echo "${found# }"
}

has_debian() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null) = installed ]]; }
has_el() { rpm -q --quiet --whatprovides "$1"; }

# Runs "COMMAND PACKAGES" if there are PACKAGES, or says that root should.
as_root() {
    local sudo=()
    [[ $2 ]] || return 0
    if ((EUID)); then
        sudo -n true 2> /dev/null || { [[ -t 0 ]] && command -v sudo > /dev/null; } ||
            fail 4 $'packages are missing; as root, run\n    '"$1 $2"
        sudo=(sudo)
    fi
    step "installing $2"
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive sh -c "$1 $2" || fail 4 "cannot install $2"
}

# Says all that EL has no package of, and where qemu is hidden.
not_in_el() {
    local without=
    if [[ " $* " = *" kernel "* && ! -r ${LINUX_SOURCE-} ]]; then
        without+=$'\n    Linux itself (linux-source-6.1): set LINUX_SOURCE=/path/to/linux-6.1.N.tar.xz'
    fi
    if [[ " $* " = *" test "* ]]; then
        { command -v ccache && command -v distccd; } > /dev/null || without+=$'\n    ccache and distcc: they are in EPEL'
        command -v gpg1 > /dev/null || without+=$'\n    gnupg1, which makes signatures of version 3: it is in EPEL'
        command -v chromium > /dev/null || without+=$'\n    Chromium, as `chromium` on PATH: it is in EPEL'
    fi
    if [[ " $* " = *" engines "* ]]; then
        { command -v munged && command -v slurmctld && command -v slurmd; } > /dev/null ||
            without+=$'\n    Slurm and munge: they are in EPEL'
    fi
    if [[ " $* " = *" boot "* ]]; then
        command -v busybox > /dev/null || without+=$'\n    a statically linked busybox: put one on PATH'
        command -v qemu-system-x86_64 > /dev/null || export KBUILD_QEMU_SYSTEM_X86_64=/usr/libexec/qemu-kvm
    fi
    [[ " $* " != *" container "* && " $* " != *" bare "* ]] || without+=$'\n    debootstrap and a Debian mirror: run this on Debian'
    [[ ! $without ]] || fail 4 "these are packages on Debian only:$without"
}

need_rust() {
    local wanted
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$repo/Cargo.toml")
    rust_is_new || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    rust_is_new || install_rust
    rust_is_new || fail 4 "cargo $wanted or newer is needed: see https://rustup.rs"
}

rust_is_new() {
    local have
    have=$(cargo --version 2> /dev/null | cut -d ' ' -f 2)
    [[ $have ]] && printf '%s\n' "$wanted" "$have" | sort -CV
}

install_rust() {
    local url=https://sh.rustup.rs options=(--profile minimal --component clippy --component rustfmt) script
    if command -v rustup > /dev/null; then
        step "installing Rust: rustup toolchain install stable ${options[*]}"
        rustup toolchain install stable "${options[@]}" || fail 4 "no newer Rust can be had: cargo $wanted is needed"
        export RUSTUP_TOOLCHAIN=stable
        return
    fi
    step "installing Rust: curl --proto =https --tlsv1.2 -sSf $url | sh -s -- -y --no-modify-path ${options[*]}"
    command -v curl > /dev/null || need curl
    script=$(curl --proto '=https' --tlsv1.2 -sSf "$url") ||
        fail 4 "$url cannot be had: install cargo $wanted or newer in another way"
    sh -s -- -y --no-modify-path "${options[@]}" <<< "$script"
}

# A virtual environment with what tests/validators.txt lists. Without it the
# tests that need it leave themselves out, or fail where all must run.
need_validators() {
    local list=$repo/tests/validators.txt
    # shellcheck disable=SC2034 # for whoever sources this
    validators=${CARGO_TARGET_DIR:-$repo/target}/validators
    ! cmp -s "$list" "$validators/installed.txt" || return 0
    step "installing validators of what is written for others"
    { python3 -m venv --clear "$validators" && "$validators/bin/pip" install --quiet --requirement "$list" &&
        cp "$list" "$validators/installed.txt"; } ||
        echo "the validators cannot be had: some tests will miss them" >&2
}

# gitlab-ci-local, which runs pipelines of GitLab with a shell. 4.74 and later
# want Node 22. Without it the tests that need it leave themselves out, or fail
# where all must run.
need_engines() {
    local package=gitlab-ci-local@4.72.0 groups=() program
    # shellcheck disable=SC2034 # for whoever sources this
    engines=${CARGO_TARGET_DIR:-$repo/target}/engines
    for program in git npm; do
        command -v "$program" > /dev/null || groups+=("$program")
    done
    ((${#groups[@]} == 0)) || need "${groups[@]}"
    [[ $(cat "$engines/installed.txt" 2> /dev/null) != "$package" ]] || return 0
    step "installing $package"
    { npm install --no-audit --no-fund --loglevel=error --prefix "$engines" "$package" &&
        echo "$package" > "$engines/installed.txt"; } ||
        echo "$package cannot be had: some tests will miss it" >&2
}

# Prints the path of a kbuild without shared libraries, of a profile (release).
# What glibc would load while it runs is in src/sys/lookup.c. With --target,
# build scripts and macros stay as they are: they have to load each other.
build_static() {
    local profile=${1:-release} host triple target=${CARGO_TARGET_DIR:-$repo/target} dir
    host=$(rustc -vV | sed -n 's/^host: //p')
    triple=${host%-gnu*}-musl
    has_musl "$triple" || triple=$host
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --profile "$profile" --locked --bin kbuild --target "$triple" \
        --manifest-path "$repo/Cargo.toml" --target-dir "$target" >&2
    dir=$profile
    [[ $profile != dev ]] || dir=debug
    echo "$target/$triple/$dir/kbuild"
}

# musl has no idea of how new a kernel must be, and needs a compiler of its own.
has_musl() {
    rustup target list --installed 2> /dev/null | grep -qx "$1" && command -v musl-gcc > /dev/null
}

# What Debian calls an architecture that Rust calls otherwise.
dpkg_arch() {
    case $1 in
        x86_64-*) echo amd64 ;;
        aarch64-*) echo arm64 ;;
        powerpc64le-*) echo ppc64el ;;
        *) echo "${1%%-*}" ;;
    esac
}

is_static() {
    # Nothing in it names a loader; ldd would say so in two ways, and start it.
    ! readelf --program-headers "$1" | grep -q INTERP
}
