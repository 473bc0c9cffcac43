//! An `ip_vs.ko` made on the spot: with the parameter, or with the size compiled in.

use std::process::Command;

/// Which kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// `conn_tab_bits` with this default.
    Parameter(u8),
    /// 2^bits buckets of 16 bytes.
    CompileTime(u8),
}

/// Returns the module.
#[track_caller]
pub(crate) fn ip_vs(kind: Kind) -> Vec<u8> {
    let code = match kind {
        Kind::Parameter(bits) => format!(
            r#"static const char info[] IN(".modinfo") = "name=ip_vs\0parmtype=conn_tab_bits:int";
            int ip_vs_conn_tab_bits = {bits};"#
        ),
        Kind::CompileTime(bits) => format!(
            r#"static const char info[] IN(".modinfo") = "name=ip_vs\0license=GPL";
            void *vmalloc(unsigned long), *table;
            __attribute__((section(".init.text"))) int ip_vs_conn_init(void)
            {{ table = vmalloc((1ul << {bits}) * 16); return table ? 0 : -12; }}"#
        ),
    };
    let dir = tempfile::tempdir().unwrap();
    let source = "#define IN(name) __attribute__((section(name), used))\n".to_owned() + &code + "\n";
    fs_err::write(dir.path().join("ip_vs.c"), source).unwrap();
    let output = Command::new("gcc")
        .args(["-O2", "-ffreestanding", "-fno-pic", "-mcmodel=kernel", "-fno-stack-protector", "-w", "-c"])
        .args(["-o", "ip_vs.ko", "ip_vs.c"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs_err::read(dir.path().join("ip_vs.ko")).unwrap()
}
