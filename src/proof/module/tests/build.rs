//! Makes the modules that the tests read, by the compiler or the assembler.

use std::path::Path;

/// One module, compiled from C or assembled.
#[derive(Debug, Clone)]
#[must_use]
pub(super) struct Source {
    text: String,
    language: &'static str,
    flags: Vec<String>,
    strip: Option<&'static str>,
    type_: &'static str,
}

impl Source {
    /// C for the kernel, 64-bit, optimised; variables stay in their order.
    pub(super) fn c(text: impl Into<String>) -> Self {
        let flags = [
            "-O2",
            "-m64",
            "-ffreestanding",
            "-fno-pic",
            "-mcmodel=kernel",
            "-fno-stack-protector",
            "-fno-toplevel-reorder",
            "-w",
        ];
        let flags = flags.map(str::to_owned).to_vec();
        Self { text: text.into(), language: "c", flags, strip: None, type_: "-c" }
    }

    /// Assembly, 64-bit.
    pub(super) fn assembly(text: impl Into<String>) -> Self {
        Self { language: "assembler", flags: vec!["-m64".to_owned()], ..Self::c(text) }
    }

    /// For 32-bit x86, called as Linux calls.
    pub(super) fn i686(mut self) -> Self {
        self.flags.retain(|flag| flag != "-m64" && flag != "-mcmodel=kernel");
        self.flags(&["-m32", "-mregparm=3"])
    }

    pub(super) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// Passes the result through `strip`.
    pub(super) fn strip(mut self, option: &'static str) -> Self {
        self.strip = Some(option);
        self
    }

    /// A shared library instead of an object file.
    pub(super) fn library(mut self) -> Self {
        self.flags.retain(|flag| flag != "-fno-pic" && flag != "-mcmodel=kernel");
        self.type_ = "-shared";
        self.flags(&["-fPIC", "-nostdlib"])
    }

    #[track_caller]
    pub(super) fn build(&self) -> Vec<u8> {
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("source");
        let object = scratch.path().join("ip_vs.ko");
        fs_err::write(&source, &self.text).unwrap();
        let mut arguments = self.flags.clone();
        arguments.extend(["-x", self.language, self.type_, "-o", "ip_vs.ko", "source"].map(str::to_owned));
        run("gcc", &arguments, scratch.path());
        if let Some(option) = self.strip {
            run("strip", &[option.to_owned(), "ip_vs.ko".to_owned()], scratch.path());
        }
        fs_err::read(&object).unwrap()
    }
}

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a compiler for test objects, not a child of kbuild")]
fn run(program: &str, arguments: &[String], directory: &Path) {
    let output = std::process::Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed by this test: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}:\n{}", String::from_utf8_lossy(&output.stderr));
}

/// What every module of ours says about itself.
pub(super) const HEAD: &str = r#"
    #define IN(name) __attribute__((section(name), used))
    #define INFO(n, text) static const char info_##n[] IN(".modinfo") __attribute__((aligned(1))) = text
    INFO(name, "name=ip_vs");
    INFO(license, "license=GPL");
"#;

/// The forms that an entry of `__param` has had.
pub(super) const LAYOUTS: [(&str, &str); 3] = [
    (
        "2.6.32",
        "struct kernel_param { const char *name; unsigned short perm, flags; int (*set)(void), (*get)(void); void *arg; };
         #define PARAM(n, variable) { n, 0444, 0, param_set_int, param_get_int, &variable }",
    ),
    (
        "3.10",
        "struct kernel_param { const char *name; const void *ops; unsigned short perm; short level; void *arg; };
         #define PARAM(n, variable) { n, &param_ops_int, 0444, -1, &variable }",
    ),
    (
        "4.2",
        "struct kernel_param { const char *name; const void *mod, *ops; unsigned short perm; signed char level;
                               unsigned char flags; void *arg; };
         #define PARAM(n, variable) { n, &__this_module, &param_ops_int, 0444, -1, 0, &variable }",
    ),
];

/// A module with the parameter between two others.
pub(super) fn parameter(layout: &str, variable: &str) -> String {
    format!(
        r#"{HEAD}
        INFO(parm, "parm=conn_tab_bits:Set connections' hash size");
        INFO(parmtype, "parmtype=conn_tab_bits:int");
        struct {{ int state; void *list[2]; char name[56]; }} __this_module IN(".gnu.linkonce.this_module") = {{ .name = "ip_vs" }};
        extern int param_set_int(void), param_get_int(void);
        extern const char param_ops_int;
        {layout}
        static int before = 3;
        {variable};
        static int after = 5;
        static const struct kernel_param params[] IN("__param") =
            {{ PARAM("before", before), PARAM("conn_tab_bits", ip_vs_conn_tab_bits), PARAM("after", after) }};
        int read_them(void) {{ return before + ip_vs_conn_tab_bits + after; }}"#
    )
}

/// A module with a compiled-in size, in the manner of 2.6.32.
pub(super) fn compile_time(bits: u32) -> String {
    format!(
        r#"{HEAD}
        #define SIZE (1 << {bits})
        #define INIT __attribute__((section(".init.text")))
        typedef unsigned long size_t;
        void *vmalloc(size_t), vfree(void *), *kmem_cache_create(const char *, size_t, size_t, size_t, void *);
        int printk(const char *, ...);
        struct list_head {{ struct list_head *next, *prev; }};
        static struct list_head *table;
        static void *cache;
        INIT int ip_vs_conn_init(void)
        {{
            int i;
            table = vmalloc(SIZE * sizeof(struct list_head));
            if (!table) return -12;
            cache = kmem_cache_create("ip_vs_conn", 264, 0, 0x2000, 0);
            if (!cache) {{ vfree(table); return -12; }}
            printk("IPVS: Connection hash table configured (size=%d, memory=%ldKbytes)\n",
                   SIZE, (long)(SIZE * sizeof(struct list_head)) / 1024);
            for (i = 0; i < SIZE; i++) table[i].next = table[i].prev = &table[i];
            return 0;
        }}
        struct list_head *lookup(unsigned hash) {{ return &table[hash & (SIZE - 1)]; }}"#
    )
}
