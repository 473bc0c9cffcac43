//! Follows constants through the registers of a piece of x86 code, up to its calls; the only user of `iced-x86`.
//!
//! Must never report a value that the register need not have: where another way leads in, everything is forgotten, and
//! an instruction that is not understood makes unknown what it writes.

use std::collections::BTreeSet;
use std::ops::Range;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};

/// How code is encoded and called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// 32-bit x86 as Linux uses it, with the first arguments in registers.
    Bits32,
    /// 64-bit x86.
    Bits64,
}

/// A section of code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) mode: Mode,
    pub(super) bytes: &'a [u8],
    /// Offsets of the fields that are filled in when the module is loaded.
    pub(super) relocated: &'a BTreeSet<u64>,
}

/// A direct call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Offset of the instruction in its section.
    pub(super) at: u64,
    /// Offset of the field that says what is called.
    pub(super) field: u64,
    /// The first three arguments, as far as they are known.
    pub(super) arguments: [Option<u64>; 3],
}

impl Text<'_> {
    /// The calls within a range of the section, which must begin at an instruction. `entries` are the offsets to which
    /// control may come from elsewhere; the jumps within the range are found here.
    pub(super) fn calls(&self, range: Range<u64>, entries: &BTreeSet<u64>) -> Vec<Call> {
        let mut entries = entries.clone();
        entries.extend(self.targets(range.clone()));
        let mut registers = Registers::unknown(self.mode);
        let mut info = InstructionInfoFactory::new();
        let mut calls = Vec::new();
        for instruction in self.decode(range) {
            let at = instruction.ip();
            if entries.contains(&at) {
                registers.forget();
            }
            match instruction.flow_control() {
                FlowControl::Next => {
                    registers.step(&instruction, self.is_relocated(&instruction), &mut info);
                }
                FlowControl::ConditionalBranch => {}
                FlowControl::Call | FlowControl::IndirectCall => {
                    if matches!(instruction.code(), Code::Call_rel32_32 | Code::Call_rel32_64) {
                        let field = instruction.next_ip() - 4;
                        calls.push(Call { at, field, arguments: registers.arguments() });
                    }
                    registers.call();
                }
                // What follows is reached from elsewhere, if at all; so is what follows bytes that are no instruction.
                _ => registers.forget(),
            }
            // An entry within the instruction means that decoding is out of step with the code.
            if entries.range(at..instruction.next_ip()).any(|entry| *entry != at) {
                registers.forget();
            }
        }
        calls
    }

    /// Where the jumps within a range lead, as far as they stay in the section.
    pub(super) fn targets(&self, range: Range<u64>) -> BTreeSet<u64> {
        self.decode(range)
            .filter(|instruction| {
                matches!(
                    instruction.flow_control(),
                    FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch | FlowControl::XbeginXabortXend
                )
            })
            .filter(|instruction| !self.is_relocated(instruction))
            .map(|instruction| instruction.near_branch_target())
            .collect()
    }

    fn decode(&self, range: Range<u64>) -> impl Iterator<Item = Instruction> {
        let bitness = match self.mode {
            Mode::Bits32 => 32,
            Mode::Bits64 => 64,
        };
        let offsets = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let bytes = offsets.and_then(|(start, end)| self.bytes.get(start..end)).unwrap_or_default();
        Decoder::with_ip(bitness, bytes, range.start, DecoderOptions::NONE).into_iter()
    }

    fn is_relocated(&self, instruction: &Instruction) -> bool {
        self.relocated.range(instruction.ip()..instruction.next_ip()).next().is_some()
    }
}

/// What is known of the sixteen general registers, by number.
#[derive(Debug, Clone)]
struct Registers {
    mode: Mode,
    values: [Option<u64>; 16],
}

impl Registers {
    fn unknown(mode: Mode) -> Self {
        Self { mode, values: [None; 16] }
    }

    fn forget(&mut self) {
        self.values = [None; 16];
    }

    fn arguments(&self) -> [Option<u64>; 3] {
        match self.mode {
            Mode::Bits32 => [Register::EAX, Register::EDX, Register::ECX],
            Mode::Bits64 => [Register::RDI, Register::RSI, Register::RDX],
        }
        .map(|register| self.get(register))
    }

    /// Forgets what a function may change.
    fn call(&mut self) {
        let kept: &[Register] = match self.mode {
            Mode::Bits32 => &[Register::EBX, Register::EBP, Register::ESI, Register::EDI],
            Mode::Bits64 => &[Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15],
        };
        let kept: Vec<_> = kept.iter().map(|register| (*register, self.get(*register))).collect();
        self.forget();
        for (register, value) in kept {
            self.set(register, value);
        }
    }

    /// Carries out an instruction that does not jump. A field that is filled in later makes its result unknown.
    fn step(&mut self, instruction: &Instruction, relocated: bool, info: &mut InstructionInfoFactory) {
        let result = if relocated { None } else { self.result(instruction) };
        for used in info.info(instruction).used_registers() {
            if !matches!(used.access(), OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess) {
                self.set(used.register(), None);
            }
        }
        if let Some((register, value)) = result {
            self.set(register, Some(value));
        }
    }

    /// The register that an instruction writes and its value, if both are understood.
    fn result(&self, instruction: &Instruction) -> Option<(Register, u64)> {
        let register = (instruction.op0_kind() == OpKind::Register).then(|| instruction.op0_register())?;
        let mask = match register {
            _ if register.is_gpr64() => u64::MAX,
            _ if register.is_gpr32() => u64::from(u32::MAX),
            _ => return None,
        };
        let second = || match instruction.op1_kind() {
            OpKind::Register => self.get(instruction.op1_register()),
            _ => instruction.try_immediate(1).ok(),
        };
        let first = || self.get(register);
        let itself = instruction.op1_kind() == OpKind::Register && instruction.op1_register() == register;
        let value = match instruction.mnemonic() {
            Mnemonic::Mov => second()?,
            Mnemonic::Xor | Mnemonic::Sub if itself => 0,
            Mnemonic::Add => first()?.wrapping_add(second()?),
            Mnemonic::Sub => first()?.wrapping_sub(second()?),
            Mnemonic::Or => first()? | second()?,
            Mnemonic::And => first()? & second()?,
            // A processor takes a larger count modulo the register's size.
            Mnemonic::Shl => first()? << second().filter(|count| *count < 32)?,
            Mnemonic::Lea => self.address(instruction)?,
            _ => return None,
        };
        Some((register, value & mask))
    }

    /// The address that an instruction computes.
    fn address(&self, instruction: &Instruction) -> Option<u64> {
        let whole = match self.mode {
            Mode::Bits32 => 4,
            Mode::Bits64 => 8,
        };
        let part = |register: Register| match register {
            Register::None => Some(0),
            // A shorter address is cut off, which is not followed.
            _ if register.size() == whole => self.get(register),
            _ => None,
        };
        let scaled = part(instruction.memory_index())?.wrapping_mul(u64::from(instruction.memory_index_scale()));
        let base = part(instruction.memory_base())?;
        Some(base.wrapping_add(scaled).wrapping_add(instruction.memory_displacement64()))
    }

    /// The value of a whole register; its lower half is for the caller to cut off.
    fn get(&self, register: Register) -> Option<u64> {
        let whole = register.is_gpr32() || register.is_gpr64();
        *self.values.get(slot(register).filter(|_| whole)?)?
    }

    /// Sets the whole of a register, also if only a part is named.
    fn set(&mut self, register: Register, value: Option<u64>) {
        if let Some(entry) = slot(register).and_then(|slot| self.values.get_mut(slot)) {
            *entry = value;
        }
    }
}

fn slot(register: Register) -> Option<usize> {
    register.is_gpr().then(|| register.full_register().number())
}
