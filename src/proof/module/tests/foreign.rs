//! Modules for machines without a compiler here, written down byte by byte.

/// The sections' names, each between two NULs.
const STRINGS: &[u8] = b"\0.modinfo\0.rodata\0.data\0__param\0.rela__param\0.symtab\0.strtab\0";

/// A 64-bit machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Foreign {
    pub(super) machine: u16,
    pub(super) big: bool,
    /// The type of a relocation that fills in a whole address.
    pub(super) absolute: u64,
}

/// A section: name, type, contents, link, info, size of an entry.
type Section = (&'static str, u64, Vec<u8>, u64, u64, u64);

impl Foreign {
    /// A module with the parameter in the form of 4.2 and no symbol for the variable, or without a parameter.
    pub(super) fn module(self, bits: Option<u32>) -> Vec<u8> {
        let rodata = b"unrelated\0conn_tab_bits\0".to_vec();
        let data = self.fields(&[(7, 4), (bits.unwrap_or(0).into(), 4), (9, 4)]);
        let rela = |at, symbol: u64, addend| self.fields(&[(at, 8), (symbol << 32 | self.absolute, 8), (addend, 8)]);
        let relocations = match bits {
            Some(_) => [rela(0, 1, 10), rela(32, 2, 4)].concat(),
            None => Vec::new(),
        };
        let none = vec![0; 24];
        let symbols = [none, self.section_symbol(2), self.section_symbol(3)].concat();
        self.file(vec![
            (".modinfo", 1, b"name=ip_vs\0".to_vec(), 0, 0, 0),
            (".rodata", 1, rodata, 0, 0, 0),
            (".data", 1, data, 0, 0, 0),
            ("__param", 1, vec![0; 40], 0, 0, 0),
            (".rela__param", 4, relocations, 6, 4, 24),
            (".symtab", 2, symbols, 7, 3, 24),
            (".strtab", 3, STRINGS.to_vec(), 0, 0, 0),
        ])
    }

    /// Numbers of so many bytes each, in the machine's byte order.
    fn fields(self, numbers: &[(u64, usize)]) -> Vec<u8> {
        let field = |(value, bytes): &(u64, usize)| {
            let (big, little) = (value.to_be_bytes(), value.to_le_bytes());
            let field = if self.big { &big[8 - bytes..] } else { &little[..*bytes] };
            field.to_vec()
        };
        numbers.iter().flat_map(field).collect()
    }

    fn section_symbol(self, section: u64) -> Vec<u8> {
        self.fields(&[(0, 4), (3, 1), (0, 1), (section, 2), (0, 8), (0, 8)])
    }

    fn file(self, sections: Vec<Section>) -> Vec<u8> {
        let (count, strings) = (sections.len() as u64 + 1, sections.len() as u64);
        let mut body = Vec::new();
        let mut headers = vec![0; 64];
        for (name, kind, contents, link, info, entry) in sections {
            body.resize(body.len().next_multiple_of(8), 0);
            let (at, size) = (64 + body.len() as u64, contents.len() as u64);
            headers.extend(self.fields(&[(string(name), 4), (kind, 4), (2, 8), (0, 8), (at, 8)]));
            headers.extend(self.fields(&[(size, 8), (link, 4), (info, 4), (8, 8), (entry, 8)]));
            body.extend(contents);
        }
        let order = if self.big { 2 } else { 1 };
        let mut elf = vec![0x7f, b'E', b'L', b'F', 2, order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let table = 64 + body.len() as u64;
        elf.extend(self.fields(&[(1, 2), (self.machine.into(), 2), (1, 4), (0, 8), (0, 8)]));
        elf.extend(self.fields(&[(table, 8), (0, 4), (64, 2), (0, 2), (0, 2)]));
        elf.extend(self.fields(&[(64, 2), (count, 2), (strings, 2)]));
        [elf, body, headers].concat()
    }
}

fn string(name: &str) -> u64 {
    let name = format!("\0{name}\0").into_bytes();
    let at = STRINGS.windows(name.len()).position(|window| window == name);
    at.unwrap() as u64 + 1
}
