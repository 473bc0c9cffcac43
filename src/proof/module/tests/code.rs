//! Compiled-in sizes: compiled by the compiler, and written down instruction by instruction.

use super::super::{Error, Kind, inspect};
use super::build::{HEAD, Source, compile_time};
use super::{is, read, refused};

#[test]
fn every_compiled_in_size_is_read() {
    for bits in 8..=20 {
        let source = Source::c(compile_time(bits));
        is(&source, Kind::CompileTime, bits);
        is(&source.i686(), Kind::CompileTime, bits);
    }
    for flags in [
        &["-O1"][..],
        &["-Os"],
        &["-O3"],
        &["-fno-omit-frame-pointer"],
        &["-ftoplevel-reorder"],
        &["-pg"],
        &["-g"],
        &["-fno-schedule-insns2"],
        &["-mcmodel=small", "-fPIE"],
    ] {
        let source = Source::c(compile_time(20)).flags(flags);
        is(&source, Kind::CompileTime, 20);
        is(&source.clone().strip("--strip-debug"), Kind::CompileTime, 20);
        is(&source.clone().strip("--strip-unneeded"), Kind::CompileTime, 20);
        if flags.len() == 1 {
            is(&source.i686(), Kind::CompileTime, 20);
        }
    }
}

#[test]
fn evidence_of_a_compiled_in_size_names_the_call() {
    let finding = read(&Source::c(compile_time(20)));
    assert_eq!(finding.bucket, Some(16));
    let (before, after) = finding.evidence.split_once(" at +0x").unwrap();
    assert_eq!(before, "`ip_vs_conn_init` passes 0x1000000 to `vmalloc`");
    let (at, after) = after.split_once(" (.init.text+0x").unwrap();
    assert_eq!(after, format!("{at}), which is 16 · 2^20; prints 1048576 entries"));

    let finding = read(&Source::c(compile_time(12)).i686());
    assert_eq!(finding.bucket, Some(8));
    assert!(
        finding.evidence.ends_with("which is 8 · 2^12; 8 bytes for each bucket are assumed"),
        "{}",
        finding.evidence
    );
}

#[test]
fn the_function_may_be_anywhere() {
    let text = compile_time(20).replace(".init.text", ".text");
    let finding = read(&Source::c(text));
    assert!(finding.evidence.contains("(.text+0x"), "{}", finding.evidence);
    let text = compile_time(20).replace(".init.text", ".text.unlikely");
    is(&Source::c(text), Kind::CompileTime, 20);
}

#[test]
fn the_function_may_be_inlined() {
    let inlined = compile_time(20)
        .replace("INIT int ip_vs_conn_init", "static inline __attribute__((always_inline)) int ip_vs_conn_init");
    let entry = "int first(void), second(void); INIT int init_module(void)
        { int error = first(); if (error) return error; error = ip_vs_conn_init(); if (error) return error; return second(); }";
    let finding = read(&Source::c(format!("{inlined} {entry}")));
    assert_eq!(finding.bits, 20);
    assert!(finding.evidence.starts_with("`init_module` passes 0x1000000 "), "{}", finding.evidence);

    // As the kernel names it: a local function, and the entry as its other name.
    let named = entry.replace("INIT int init_module", "INIT static int ip_vs_init")
        + "int init_module(void) __attribute__((alias(\"ip_vs_init\")));";
    let source = Source::c(format!("{inlined} {named}"));
    assert!(read(&source).evidence.starts_with("`ip_vs_init` passes "), "{}", read(&source).evidence);
    assert!(read(&source.strip("--strip-unneeded")).evidence.starts_with("`init_module` passes "));

    let elsewhere = entry.replace("init_module", "helper");
    is(&Source::c(format!("{inlined} {elsewhere}")), Kind::CompileTime, 20);
    let hidden = entry.replace("INIT int init_module", "INIT __attribute__((used)) static int helper");
    let finding = read(&Source::c(format!("{inlined} {hidden}")).strip("--strip-unneeded"));
    assert!(finding.evidence.starts_with("code without a symbol passes 0x1000000 "), "{}", finding.evidence);
    // Outside of the initial code it need not be the table.
    let late = elsewhere.replace("INIT int", "int");
    let no_table =
        "no table: neither a parameter `conn_tab_bits` nor a call of `vmalloc` in `ip_vs_conn_init` or `init_module`";
    assert_eq!(refused(&Source::c(format!("{inlined} {late}"))), no_table);
}

#[test]
fn other_allocations_do_not_count() {
    let other =
        "void *other(void) { return vmalloc(16 << 9); } INIT void *init_other(void) { return vmalloc(16 << 10); }";
    is(&Source::c(compile_time(20) + other), Kind::CompileTime, 20);
    let zeroed = compile_time(20).replace("vmalloc(", "vzalloc(");
    assert!(matches!(
        inspect(&Source::c(zeroed + other.replace("vzalloc", "vmalloc").as_str()).build()),
        Err(Error::NoTable)
    ));
}

#[test]
fn several_allocations_are_ambiguous() {
    let two = |first: &str| {
        let call = format!("extern void *extra; extra = vmalloc({first}); table = vmalloc(");
        Source::c(compile_time(20).replace("table = vmalloc(", &call))
    };
    for (first, text) in
        [("16 << 12", "passes 0x10000 to"), ("__builtin_strlen((char *)&i)", "passes an unknown size to")]
    {
        let error = inspect(&two(first).build()).unwrap_err();
        assert!(error.is_not_checked());
        let error = error.to_string();
        assert!(error.starts_with("the table is one of 2: `ip_vs_conn_init` passes "), "{error}");
        assert!(error.contains(text) && error.contains("passes 0x1000000 to"), "{error}");
    }
    // The same size twice, or a size that no table has, leaves one.
    is(&two("16 << 20"), Kind::CompileTime, 20);
    is(&two("5000"), Kind::CompileTime, 20);
}

#[test]
fn the_size_that_is_printed_must_be_the_one_allocated() {
    let wrong = compile_time(20).replace("vmalloc(SIZE", "vmalloc(SIZE / 256");
    let error = refused(&Source::c(wrong));
    assert!(error.starts_with("`ip_vs_conn_init` passes 0x10000 to `vmalloc` at +0x"), "{error}");
    assert!(error.ends_with("), but prints that the table has 1048576 entries"), "{error}");
    // Other messages do not count.
    let other = compile_time(20)
        .replace("printk(\"IPVS", "printk(\"\", 8, 16); printk(\"\", 4096, 4096); printk(\"\", 192, 3); printk(\"IPVS");
    is(&Source::c(other), Kind::CompileTime, 20);
}

#[test]
fn a_changed_constant_is_seen() {
    let silent = compile_time(12).replace("printk(\"", "puts(\"");
    let mut elf = Source::c(silent).build();
    let load = [0xbf, 0x00, 0x00, 0x01, 0x00];
    let places: Vec<_> = (0..elf.len() - load.len()).filter(|at| elf[*at..].starts_with(&load)).collect();
    assert_eq!(places.len(), 1, "mov $0x10000,%edi");
    for bits in 1..=27_u32 {
        elf[places[0] + 1..places[0] + 5].copy_from_slice(&(16_u32 << bits).to_le_bytes());
        assert_eq!(inspect(&elf).unwrap().bits, bits);
    }
    elf[places[0] + 1..places[0] + 5].copy_from_slice(&(16_u32 << 12 | 1).to_le_bytes());
    assert!(matches!(inspect(&elf), Err(Error::NotATable { .. })));
}

/// What the reader makes of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Bits(u32),
    Unknown,
    NotATable,
}

/// A function of these instructions, `;` between them, up to a return.
fn function(body: &str) -> Source {
    let info = r#".section .modinfo,"a"; .asciz "name=ip_vs"; .data; cell: .quad 0"#;
    let head = r#".section .init.text,"ax",@progbits; .globl ip_vs_conn_init; .type ip_vs_conn_init,@function"#;
    Source::assembly(format!(
        "{info}\n{head}\nip_vs_conn_init: {body}; ret\n.size ip_vs_conn_init, .-ip_vs_conn_init\n"
    ))
}

#[track_caller]
fn reads(source: &Source, expected: Read) {
    let found = match inspect(&source.build()) {
        Ok(finding) => Read::Bits(finding.bits),
        Err(Error::UnknownConstant { .. }) => Read::Unknown,
        Err(Error::NotATable { .. }) => Read::NotATable,
        Err(error) => panic!("{error}: {source:?}"),
    };
    assert_eq!(found, expected, "{source:?}");
}

/// What becomes of a constant on a straight way to the call.
const FOLLOWED: &[(&str, Read)] = &[
    ("mov $0x1000000,%edi; call vmalloc", Read::Bits(20)),
    ("mov $0x1000000,%rdi; call vmalloc", Read::Bits(20)),
    ("movabs $0x1000000,%rdi; call vmalloc", Read::Bits(20)),
    ("movabs $0x800000000,%rdi; call vmalloc", Read::Bits(31)),
    ("mov $0x1000000,%edi; call vmalloc@PLT", Read::Bits(20)),
    ("mov $0x1000000,%eax; mov %eax,%edi; call vmalloc", Read::Bits(20)),
    ("mov $0x1000000,%r12; mov %r12,%rdi; call vmalloc", Read::Bits(20)),
    // Through a call only in a register that functions keep.
    ("mov $0x1000000,%ebx; call other; mov %ebx,%edi; call vmalloc", Read::Bits(20)),
    ("mov $0x1000000,%r15d; call *%rax; mov %r15,%rdi; call vmalloc", Read::Bits(20)),
    ("mov $0x1000000,%esi; call other; mov %esi,%edi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%r11d; call *%rax; mov %r11,%rdi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; call other; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; syscall; call vmalloc", Read::Unknown),
    // Other instructions in between.
    (
        "mov $0x1000000,%edi; mov %rax,cell(%rip); movl $5,(%rsi); xor %eax,%eax; push %rbx; nop; call vmalloc",
        Read::Bits(20),
    ),
    ("mov $0x1000000,%edi; test %rdi,%rdi; cmp $3,%edi; movq %rdi,%xmm0; call vmalloc", Read::Bits(20)),
    ("mov $0x1000000,%edi; test %eax,%eax; je 9f; call vmalloc; 9:", Read::Bits(20)),
    // Arithmetic.
    ("mov $1,%edi; shl $24,%rdi; call vmalloc", Read::Bits(20)),
    ("mov $1,%edi; shl $24,%edi; call vmalloc", Read::Bits(20)),
    ("mov $0x800000,%edi; shl %rdi; call vmalloc", Read::Bits(20)),
    ("xor %edi,%edi; add $0x1000000,%rdi; call vmalloc", Read::Bits(20)),
    ("sub %rdi,%rdi; or $0x1000000,%edi; call vmalloc", Read::Bits(20)),
    ("mov $0x1000010,%edi; sub $0x10,%edi; call vmalloc", Read::Bits(20)),
    ("mov $0x1ffffff,%edi; and $-0x1000000,%edi; call vmalloc", Read::Bits(20)),
    ("mov $-0xff000000,%rdi; mov %edi,%edi; call vmalloc", Read::Bits(20)),
    ("xor %eax,%eax; lea 0x1000000(%rax),%edi; call vmalloc", Read::Bits(20)),
    ("mov $0x100000,%eax; lea (,%rax,8),%rdi; add %rdi,%rdi; call vmalloc", Read::Bits(20)),
    ("mov $0x800000,%eax; lea (%rax,%rax,1),%rdi; call vmalloc", Read::Bits(20)),
    ("mov $0x100000,%esi; mov %rsi,%rdi; shl $4,%rdi; call vmalloc", Read::Bits(20)),
    ("mov $0x1000000,%edi; or $0x1000000,%edi; call vmalloc", Read::Bits(20)),
    ("movabs $0x101000000,%rax; mov %eax,%edi; call vmalloc", Read::Bits(20)),
    // Everything else that writes makes unknown.
    ("xor %eax,%edi; add $0x1000000,%edi; call vmalloc", Read::Unknown),
    ("mov $1,%edi; mov $24,%ecx; shl %cl,%edi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; shl $32,%edi; call vmalloc", Read::Unknown),
    ("mov $-1,%eax; lea 0x1000001(%eax),%rdi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; shl %cl,%edi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; mov $0,%di; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; mov %al,%dil; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; mov (%rsi),%edi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; pop %rdi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; cmove %eax,%edi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; xchg %rdi,%rax; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; xchg %rax,%rdi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; rep stosq; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; cmpxchg %rdi,(%rsi); call vmalloc", Read::Bits(20)),
    ("mov $0x1000000,%edi; imul %rax,%rdi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; add %rax,%rdi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; lea (%rdi,%rax),%rdi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%eax; mul %rcx; mov %rax,%rdi; call vmalloc", Read::Unknown),
    ("call vmalloc", Read::Unknown),
    // What is filled in when the module is loaded is no constant.
    ("mov $cell,%rdi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; lea cell(%rip),%rdi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; add $cell,%rdi; call vmalloc", Read::Unknown),
    // Constants that are no table.
    ("mov $5000,%edi; call vmalloc", Read::NotATable),
    ("mov $0x1800000,%edi; call vmalloc", Read::NotATable),
    ("xor %edi,%edi; call vmalloc", Read::NotATable),
    ("mov $16,%edi; call vmalloc", Read::NotATable),
    ("movabs $0x1000000000,%rdi; call vmalloc", Read::NotATable),
];

#[test]
fn constants_are_followed_through_registers() {
    for (body, expected) in FOLLOWED {
        reads(&function(body), *expected);
    }
}

/// What becomes of it where another way leads in or out.
const MET: &[(&str, Read)] = &[
    ("mov $0x1000000,%edi; 1: call vmalloc; test %eax,%eax; je 1b", Read::Unknown),
    ("je 1f; mov $0x1000000,%edi; jmp 2f; 1: mov $0x10000,%edi; 2: call vmalloc", Read::Unknown),
    ("je 1f; mov $0x1000000,%edi; 1: call vmalloc", Read::Unknown),
    ("mov $0x1000000,%ebx; 1: call other; dec %eax; jne 1b; mov %ebx,%edi; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; jmp *%rax; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; ret; call vmalloc", Read::Unknown),
    ("mov $0x1000000,%edi; ud2; call vmalloc", Read::Unknown),
    ("je 1f; nop; 1: mov $0x1000000,%edi; call vmalloc", Read::Bits(20)),
    ("1: call other; dec %eax; jne 1b; mov $0x1000000,%edi; call vmalloc", Read::Bits(20)),
    // From elsewhere: split-off code, fix-ups, tables of jumps, another function.
    ("mov $0x1000000,%edi; 1: call vmalloc; .pushsection .text.unlikely,\"ax\"; jmp 1b; .popsection", Read::Unknown),
    ("mov $0x1000000,%edi; 1: call vmalloc; .pushsection .fixup,\"ax\"; je 1b; .popsection", Read::Unknown),
    ("mov $0x1000000,%edi; 1: call vmalloc; .pushsection .rodata,\"a\"; .quad 1b; .popsection", Read::Unknown),
    ("mov $0x1000000,%edi; 1: call vmalloc; .pushsection __ex_table,\"a\"; .quad 0, 1b; .popsection", Read::Unknown),
    (
        "mov $0x1000000,%edi; 1: call vmalloc; ret; .size ip_vs_conn_init, .-ip_vs_conn_init; other: jmp 1b",
        Read::Unknown,
    ),
    // A way in in the middle of an instruction: the code is not what it seems.
    ("1: mov $0x1000000,%edi; call vmalloc; je 1b+1", Read::Unknown),
    ("mov $0x1000000,%edi; .byte 0x48; 1: mov %eax,%ebx; call vmalloc; je 1b", Read::Unknown),
    // Bytes that are no instruction.
    ("mov $0x1000000,%edi; .byte 0x06; call vmalloc", Read::Unknown),
];

#[test]
fn constants_are_forgotten_where_ways_meet() {
    for (body, expected) in MET {
        reads(&function(body), *expected);
    }
}

#[test]
fn other_ways_to_reach_vmalloc_are_not_followed() {
    for body in [
        "mov $0x1000000,%edi; jmp vmalloc",
        "mov $0x1000000,%edi; mov $vmalloc,%rax; call *%rax",
        "mov $0x1000000,%edi; call *vmalloc@GOTPCREL(%rip)",
    ] {
        let error = refused(&function(body));
        assert!(error.starts_with("`ip_vs_conn_init` passes an unknown size to `vmalloc` at +0x"), "{error}");
    }
}

#[test]
fn the_first_argument_of_32_bit_code_is_in_eax() {
    let cases = [
        ("mov $0x800000,%eax; call vmalloc", Read::Bits(20)),
        ("mov $0x800000,%ebx; call other; mov %ebx,%eax; call vmalloc", Read::Bits(20)),
        ("mov $0x800000,%ecx; call other; mov %ecx,%eax; call vmalloc", Read::Unknown),
        ("mov $0x800000,%edi; call vmalloc", Read::Unknown),
        ("mov $cell,%eax; call vmalloc", Read::Unknown),
        ("mov $0x100000,%edx; lea (,%edx,8),%eax; call vmalloc", Read::Bits(20)),
        ("mov $0x800000,%eax; 1: call vmalloc; .pushsection .text.unlikely,\"ax\"; jmp 1b; .popsection", Read::Unknown),
    ];
    for (body, expected) in cases {
        reads(&function(body).i686(), expected);
    }
}

#[test]
fn functions_without_a_size_end_where_the_next_begins() {
    let module = Source::assembly(
        r#"
        .section .modinfo,"a"; .asciz "name=ip_vs"
        .section .init.text,"ax",@progbits
        .type before,@function;          before:          mov $0x10000,%edi;   call vmalloc; ret
        .type ip_vs_conn_init,@function; ip_vs_conn_init: mov $0x1000000,%edi; call vmalloc; ret
        .type after,@function;           after:           mov $0x20000,%edi;   call vmalloc; ret
        "#,
    );
    assert_eq!(
        read(&module).evidence,
        "`ip_vs_conn_init` passes 0x1000000 to `vmalloc` at +0x5 (.init.text+0x10), which is 16 · 2^20; \
         16 bytes for each bucket are assumed"
    );
}

#[test]
fn a_function_that_was_split_is_still_the_function() {
    for name in ["ip_vs_conn_init.part.0", "ip_vs_conn_init.isra.3", "ip_vs_conn_init.constprop.0.isra.1"] {
        let text = compile_time(19).replace(
            "INIT int ip_vs_conn_init(void)",
            &format!("INIT int split(void) asm(\"{name}\"); INIT int split(void)"),
        );
        let other = "INIT void *init_module(void) { return vmalloc(4096); }";
        let finding = read(&Source::c(text + other));
        assert_eq!(finding.bits, 19);
        assert!(finding.evidence.starts_with(&format!("`{name}` passes ")), "{}", finding.evidence);
    }
    // The name of another function.
    let text =
        format!("{HEAD} void *vmalloc(unsigned long); void *ip_vs_conn_initial(void) {{ return vmalloc(4096); }}");
    assert!(matches!(inspect(&Source::c(text).build()), Err(Error::NoTable)));
}
