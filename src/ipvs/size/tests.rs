//! Sizes, with the numbers that people know from the field.

use proptest::prelude::*;

use super::chains::{Chains, in_order};
use super::era::{Release, Word, guide, of};
use super::*;

/// As the operators' guide counts on a 64-bit machine.
fn as_the_guide_counts() -> Costs {
    let era = guide();
    Costs {
        bucket_bytes: era.bucket.on(Word::Bits64),
        entry_bytes: era.entry.on(Word::Bits64),
        range: era.range(Word::Bits64),
    }
}

fn demand(connections: u64) -> Demand {
    Demand { connections, spread: Spread::Uniform, memory: None, lifetime: None }
}

fn bits(bits: u8) -> Bits {
    bits.try_into().unwrap()
}

#[track_caller]
fn row_of(sizing: &Sizing, bits: u8) -> &Row {
    sizing.rows.iter().find(|row| row.bits.get() == bits).unwrap()
}

/// Three digits behind the point, as they are printed.
fn thousandths(number: f64) -> String {
    format!("{number:.3}")
}

#[test]
fn the_sample_of_a_real_site_and_what_theory_says_of_it() {
    let chains: Chains = "5:16,4:126,3:980,2:5614,1:20900".parse().unwrap();
    let sample = Demand { spread: Spread::Counted(bits(16), chains), ..demand(35_652) };
    let sizing = size(&sample, as_the_guide_counts()).unwrap();
    let row = row_of(&sizing, 16);
    let actual = row.actual.as_ref().unwrap();
    assert_eq!((actual.look_ups, actual.longest), (45_122, 5));
    assert_eq!(thousandths(actual.look_up), "1.266");
    assert_eq!(thousandths(row.look_up), "1.272");
    // 65 536 buckets, 27 636 of them used; e^(-35652/65536) of them would be empty.
    assert_eq!((thousandths(actual.empty), thousandths(row.empty)), ("0.578".into(), "0.580".into()));
    assert_eq!(thousandths(row.chain), "0.544");
    // Nothing is known of other sizes.
    assert!(sizing.rows.iter().all(|row| row.actual.is_none() || row.bits.get() == 16));
    assert_eq!(sizing.advice.bits, bits(16));
}

#[test]
fn the_rule_of_thumb() {
    // 200 connections per second that stay for 200 seconds.
    assert_eq!(connections(200.0, 200.0), 40_000);
    let advice = size(&demand(40_000), as_the_guide_counts()).unwrap().advice;
    assert_eq!((advice.nearest.buckets(), advice.not_below.buckets()), (32_768, 65_536));
    assert_eq!((advice.bits, advice.why), (bits(16), Why::NotBelow));
}

#[test]
fn memory_of_tables_and_entries() {
    let sizing = size(&demand(1 << 20), as_the_guide_counts()).unwrap();
    let row = row_of(&sizing, 20);
    assert_eq!(row.table_bytes, 16_384 << 10);
    assert_eq!(row.table_bytes + row.entry_bytes, 208 << 20);
    let hlist = Costs { bucket_bytes: 8, ..as_the_guide_counts() };
    assert_eq!(row_of(&size(&demand(1), hlist).unwrap(), 20).table_bytes, 8192 << 10);
    let release: Release = "3.10.0-514.26.2.el7".parse().unwrap();
    assert_eq!(of(&release).bucket.on(Word::Bits64), hlist.bucket_bytes);
    let narrow = (guide().bucket.on(Word::Bits32), guide().entry.on(Word::Bits32));
    assert_eq!(narrow, (8, 128));
}

#[test]
fn what_memory_carries() {
    let room = room(4 << 30, as_the_guide_counts(), Some(120.0));
    assert_eq!(room.connections, 20_648_881);
    assert_eq!(format!("{:.0}", room.rate.unwrap()), "172074");
}

#[test]
fn memory_is_a_limit() {
    let costs = as_the_guide_counts();
    let with = |memory: u64| size(&Demand { memory: Some(memory), ..demand(1 << 20) }, costs);
    let whole = with(208 << 20).unwrap();
    assert_eq!((whole.advice.bits, whole.advice.why), (bits(20), Why::NotBelow));
    let less = with((208 << 20) - 1).unwrap();
    assert_eq!((less.advice.bits, less.advice.why), (bits(19), Why::Memory));
    assert_eq!(row_of(&less, 20).fits, Some(false));
    assert_eq!(row_of(&less, 19).fits, Some(true));
    let entries = 192 << 20;
    assert_eq!(with(entries + 4096).unwrap().advice.bits, bits(8));
    let error = with(entries + 4095).unwrap_err();
    assert_eq!(
        error,
        Error::NoRoom { connections: 1 << 20, memory: entries + 4095, entries, table: 4096, fit: 967_935 }
    );
    assert!(error.hint().contains("967935 connections fit"), "{}", error.hint());
}

#[test]
fn the_range_is_kept_and_the_default_is_the_least() {
    let advice = |connections: u64, max: u8| {
        let costs = Costs { range: Range { min: 8, max }, ..as_the_guide_counts() };
        let advice = size(&demand(connections), costs).unwrap().advice;
        (advice.bits.get(), advice.why)
    };
    assert_eq!(advice(0, 20), (12, Why::Default));
    assert_eq!(advice(4096, 20), (12, Why::Default));
    assert_eq!(advice(4097, 20), (13, Why::NotBelow));
    assert_eq!(advice(1 << 20, 20), (20, Why::NotBelow));
    assert_eq!(advice((1 << 20) + 1, 20), (20, Why::Largest));
    assert_eq!(advice((1 << 20) + 1, 27), (21, Why::NotBelow));
    assert_eq!(advice(chains::MOST, 27), (27, Why::Largest));
}

#[test]
fn nearest_and_not_below() {
    for (connections, near, above) in [
        (0, 1, 1),
        (1, 1, 1),
        (2, 1, 1),
        (3, 2, 2),
        (5, 2, 3),
        (32_768, 15, 15),
        (35_652, 15, 16),
        (40_000, 15, 16),
        (49_151, 15, 16),
        (49_152, 16, 16),
        (65_536, 16, 16),
        (u64::MAX, 31, 31),
    ] {
        assert_eq!((nearest(connections).get(), not_below(connections).get()), (near, above), "{connections}");
    }
}

#[test]
fn chains_that_do_not_fit_their_table() {
    let counted = Spread::Counted(bits(8), "1:257".parse().unwrap());
    let error = size(&Demand { spread: counted, ..demand(257) }, as_the_guide_counts()).unwrap_err();
    assert_eq!(error.to_string(), "257 chains are more than the 256 buckets of a table of 8 bits");
}

#[test]
fn real_addresses_spread_as_theory_says() {
    // 40 000 clients of a few networks with rising ports: what uniform hashing must cope with.
    let keys = (0..40_000_u32).map(|number| connections::Key {
        protocol: 6,
        client: std::net::IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number / 7)),
        port: u16::try_from(1024 + number % 60_000).unwrap(),
    });
    let keys: Vec<_> = keys.collect();
    for hash in [hash::Hash::Lookup2, hash::Hash::Lookup3, hash::Hash::Lookup3Length] {
        let hashes = in_order(keys.iter().filter_map(|key| hash.of(key)));
        let demand = Demand { spread: Spread::Hashed(hashes), ..demand(40_000) };
        for row in size(&demand, as_the_guide_counts()).unwrap().rows {
            let actual = row.actual.unwrap();
            let off = (actual.look_up - row.look_up).abs() / row.look_up;
            assert!(off < 0.03, "{hash:?} {}: {} for {}", row.bits, actual.look_up, row.look_up);
            assert!((actual.empty - row.empty).abs() < 0.02, "{hash:?} {}", row.bits);
        }
    }
}

proptest! {
    #[test]
    fn more_bits_never_cost_more_look_ups(connections in 0_u64..=chains::MOST) {
        let sizing = size(&demand(connections), as_the_guide_counts()).unwrap();
        prop_assert!(sizing.rows.is_sorted_by(|less, more| less.look_up >= more.look_up && less.empty <= more.empty));
        prop_assert!(sizing.rows.iter().all(|row| (0.0..=1.0).contains(&row.empty) && row.look_up >= 1.0));
        prop_assert!(sizing.advice.nearest <= sizing.advice.not_below);
    }
}
