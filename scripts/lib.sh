# shellcheck shell=bash
# What the scripts share: what they need, and installing it. Source it; it sets
# $repo, the top of the source tree.
#
#   need GROUP...   the packages of these groups, installed in one go if missing
#   need_rust       cargo, clippy and rustfmt, as new as Cargo.toml wants
#   build_static    a kbuild that starts on any Linux of this architecture
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

# rust: to compile kbuild. toy, kernel: to build a kernel that is none, and one
# that is. boot: to start it. test: what the tests use beside these.
declare -A debian=(
    [rust]="gcc libc6-dev"
    [toy]="rpm bzip2 cpio gcc libc6-dev make patch perl xz-utils"
    [kernel]="bc bison flex kmod libelf-dev libssl-dev linux-source-6.1"
    [boot]="qemu-system-x86 busybox-static"
    [test]="gnupg"
    [container]="buildah debootstrap"
)
declare -A el=(
    [rust]="gcc glibc-devel"
    [toy]="rpm-build bzip2 cpio gcc glibc-devel make patch perl xz"
    [kernel]="bc bison flex kmod elfutils-libelf-devel openssl-devel"
    [boot]="qemu-kvm"
    [test]="gnupg2"
)

need() {
    local group package listed=() missing=()
    if command -v apt-get > /dev/null; then
        for group in "$@"; do listed+=(${debian[$group]}); done
        for package in "${listed[@]}"; do
            [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null) = installed ]] || missing+=("$package")
        done
        install_missing "apt-get -o DPkg::Lock::Timeout=300 update" \
            "apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends"
    elif command -v dnf > /dev/null; then
        elsewhere "$@"
        for group in "$@"; do listed+=(${el[$group]-}); done
        for package in "${listed[@]}"; do
            rpm -q --quiet --whatprovides "$package" || missing+=("$package")
        done
        install_missing "" "dnf -y install"
    else
        for group in "$@"; do listed+=(${debian[$group]}); done
        echo "neither apt nor dnf is here: taking it that what Debian calls ${listed[*]} is installed" >&2
    fi
}

# What an EL system has no package of.
elsewhere() {
    local qemu=/usr/libexec/qemu-kvm
    case " $* " in *" kernel "*)
        [[ -r ${LINUX_SOURCE-} ]] || fail 4 "Linux's source is a package on Debian only (linux-source-6.1):" \
            "set LINUX_SOURCE=/path/to/linux-6.1.tar.xz"
    esac
    case " $* " in *" boot "*)
        command -v busybox > /dev/null || fail 4 "a statically linked busybox is not among EL's packages: put one on PATH"
        command -v qemu-system-x86_64 > /dev/null || export KBUILD_QEMU_SYSTEM_X86_64=${KBUILD_QEMU_SYSTEM_X86_64-$qemu}
    esac
    case " $* " in *" container "*)
        fail 4 "debootstrap makes Debian systems: this is for Debian only"
    esac
}

# Runs "$1" and "$2 $missing" as root, or says what root should run.
install_missing() {
    local as_root=() commands
    ((${#missing[@]})) || return 0
    commands="${1:+$1 && }$2 ${missing[*]}"
    if ((EUID)); then
        if sudo -n true 2> /dev/null || { [[ -t 0 ]] && command -v sudo > /dev/null; }; then
            as_root=(sudo)
        else
            fail 4 $'packages are missing; as root, run\n    '"$commands"
        fi
    fi
    step "installing ${missing[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive sh -c "$commands" || fail 4 "could not be installed: ${missing[*]}"
}

need_rust() {
    local wanted home=${CARGO_HOME:-$HOME/.cargo}
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$repo/Cargo.toml")
    rust_is_new || PATH=$home/bin:$PATH
    rust_is_new || install_rust
    rust_is_new || fail 4 "cargo $wanted or newer is needed: https://rustup.rs installs it"
}

rust_is_new() {
    local have
    have=$(cargo --version 2> /dev/null | cut -d ' ' -f 2) && printf '%s\n' "$wanted" "$have" | sort -CV
}

install_rust() {
    local url=https://sh.rustup.rs options="--profile minimal --component clippy --component rustfmt" script
    step "installing Rust: curl -sSf $url | sh -s -- -y $options"
    if command -v rustup > /dev/null; then
        # shellcheck disable=SC2086 # several options
        rustup toolchain install stable $options && export RUSTUP_TOOLCHAIN=stable
        return
    fi
    command -v curl > /dev/null || fail 4 "curl is missing: run that command where it is, or install Rust in another way"
    script=$(curl --proto '=https' --tlsv1.2 -sSf "$url") || fail 4 "$url cannot be had: install Rust in another way"
    # shellcheck disable=SC2086 # several options
    sh -s -- -y --no-modify-path $options <<< "$script"
}

# Everything that has C in it links statically, and of glibc only the lookup of
# accounts would load anything at run time: see nsswitch.conf in Containerfile.
build_static() {
    local target
    target=$(rustc -vV | sed -n 's/^host: //p')
    (cd "$repo" && RUSTFLAGS='-C target-feature=+crt-static' \
        cargo build --release --locked --target "$target" --target-dir "${CARGO_TARGET_DIR:-target}" >&2)
    (cd "$repo" && realpath "${CARGO_TARGET_DIR:-target}/$target/release/kbuild")
}
