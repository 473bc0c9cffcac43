//! `kbuild size`: the numbers that people know from the field, lists of connections, pictures, refusals.

use serde_json::Value;
use std::fmt::Write;

use crate::support::kbuild::Outcome;
use crate::support::sandbox::Sandbox;

const SAMPLE: &str = "5:16,4:126,3:980,2:5614,1:20900";
const HEADING: &str = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires\n";

#[track_caller]
fn size(sandbox: &Sandbox, args: &[&str]) -> Outcome {
    sandbox.kbuild().arg("size").args(args).exits(0)
}

#[track_caller]
fn answer(sandbox: &Sandbox, args: &[&str]) -> Value {
    let outcome = sandbox.kbuild().args(["size", "--format", "json"]).args(args).exits(0);
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"))
}

/// Returns the row of this many bits.
#[track_caller]
fn row(answer: &Value, bits: u8) -> &Value {
    answer["sizing"]["rows"].as_array().unwrap().iter().find(|row| row["bits"] == bits).unwrap()
}

/// The words of the line of this many bits in the table for people.
#[track_caller]
fn line(outcome: &Outcome, bits: u8) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut lines = outcome.stdout.lines().map(words).filter(|words| words.len() > 8);
    lines.find(|words| words[0] == bits.to_string()).unwrap_or_else(|| panic!("no line for {bits}\n{outcome}"))
}

#[test]
fn the_sample_of_a_real_site() {
    let sandbox = Sandbox::new();
    let outcome = size(&sandbox, &["--chains", SAMPLE, "--bits", "16"]);
    outcome.prints("connections  35652: ").prints("recommended  2^16 = 65536 buckets");
    let line = line(&outcome, 16).join(" ");
    assert!(line.contains(" 0.544 1.272 58.0% 5 45122 1.266 57.8%"), "{line}");
}

#[test]
fn the_rule_of_thumb_and_what_memory_it_takes() {
    let sandbox = Sandbox::new();
    let outcome = size(&sandbox, &["--rate", "200", "--lifetime", "200"]);
    outcome
        .prints("connections  40000: 200 per second, each for 200 s\n")
        .prints("nearest      2^15 = 32768 buckets\n")
        .prints("not below    2^16 = 65536 buckets\n")
        .prints("recommended  2^16 = 65536 buckets: a bucket for every connection")
        .prints("uniform hashing is assumed")
        .prints("the table is not a limit");
    assert!(line(&outcome, 15).ends_with(&["nearest".to_owned()]), "{outcome}");
    size(&sandbox, &["--rate", "200", "--lifetime", "3m 20s"]).prints("connections  40000: ");
    size(&sandbox, &["--connections", "40000"]).prints("connections  40000: as given\n");

    let million = size(&sandbox, &["--connections", "1048576"]);
    let words = line(&million, 20).join(" ");
    assert!(words.contains("20 1048576 16384 KiB 192.0 MiB 208.0 MiB 1.000 1.500"), "{words}");
    let hlist = size(&sandbox, &["--connections", "1048576", "--kernel", "3.10.0-514.26.2.el7.x86_64"]);
    let words = line(&hlist, 20).join(" ");
    assert!(words.contains("20 1048576 8192 KiB 384.0 MiB"), "{words}");
    let narrow = answer(&sandbox, &["--connections", "1048576", "--arch", "i686"]);
    assert_eq!(
        (narrow["costs"]["bucket-bytes"].as_u64(), narrow["costs"]["entry-bytes"].as_u64()),
        (Some(8), Some(128))
    );
}

#[test]
fn what_memory_carries() {
    let sandbox = Sandbox::new();
    size(&sandbox, &["--memory", "4GiB", "--lifetime", "120"])
        .prints("memory       4.0 GiB carry 20648881 connections with a bucket each, 172074 new ones per second\n");
    let own = ["--memory", "4GiB", "--bucket-bytes", "8", "--entry-bytes", "320"];
    size(&sandbox, &own).prints("carry 13094412 connections").prints("320 B for a connection (as given)");
    // As a limit.
    let limited = size(&sandbox, &["--connections", "1048576", "--memory", "207MiB"]);
    limited.prints("recommended  2^19 = 524288 buckets: a larger table does not fit");
    assert!(line(&limited, 20).join(" ").ends_with("not below, too large for the memory"), "{limited}");
    let refused = sandbox.kbuild().args(["size", "--connections", "1048576", "--memory", "192MiB"]).refused(3);
    refused.says("201326592 bytes of entries").says("hint: 967916 connections fit");
}

#[test]
fn every_kernel_has_its_own_buckets_hash_and_range() {
    let sandbox = Sandbox::new();
    for (kernel, bucket, entry, rows, from) in [
        ("2.6.18-308.13.1.el5", 16, 192, 13, "recipe el5"),
        ("2.6.32-220.13.1.el6.x86_64", 16, 320, 13, "recipe el6"),
        ("2.6.32-220.13.1.el6.i686", 8, 192, 13, "Kconfig of this version"),
        ("5.14.0-284.11.1.el9_2.x86_64", 8, 320, 13, "recipe el9"),
        ("6.12.0-211.37.1.el10_2", 8, 320, 20, "recipe el10"),
        ("6.6.9", 8, 320, 20, "Kconfig of this version"),
    ] {
        let answer = answer(&sandbox, &["--connections", "40000", "--kernel", kernel]);
        assert_eq!(answer["costs"]["bucket-bytes"], bucket, "{kernel}");
        assert_eq!(answer["costs"]["entry-bytes"], entry, "{kernel}");
        assert_eq!(answer["sizing"]["rows"].as_array().unwrap().len(), rows, "{kernel}");
        assert_eq!(answer["kernel"]["range-from"], from, "{kernel}");
        assert_eq!(row(&answer, 16)["table-bytes"], bucket << 16, "{kernel}");
    }
    let running = fs_err::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let answer = answer(&sandbox, &["--connections", "1", "--kernel", "running"]);
    assert_eq!(answer["kernel"]["release"], running.trim());
    size(&sandbox, &["--connections", "40000", "--kernel", "7.1.0"]).prints("conn_tab_bits is the maximum");
}

/// A list of connections of both kinds, from which the chains follow.
fn list() -> String {
    let mut text = HEADING.to_owned();
    for number in 0..20_000_u32 {
        let (client, port) = (0x0a00_0000 + number / 3, 1024 + number % 60_000);
        writeln!(text, "TCP {client:08X} {port:04X} C0A80001 0050 C0A80101 0050 ESTABLISHED     899").unwrap();
        let host = format!("2001:0db8:0000:0000:0000:0000:{:04x}:{:04x}", number >> 16, number & 0xffff);
        writeln!(
            text,
            "UDP {host} {port:04X} 2001:0db8:0000:0000:0000:0000:0000:0002 0035 \
             2001:0db8:0000:0000:0000:0000:0000:0003 0035 UDP             299"
        )
        .unwrap();
    }
    text
}

#[test]
fn a_directors_own_list() {
    let sandbox = Sandbox::new();
    let path = sandbox.input("ip_vs_conn", list());
    let path = path.to_str().unwrap();
    for kernel in ["2.6.32-220.13.1.el6", "3.10.0-514.26.2.el7", "5.14.0-284.11.1.el9_2"] {
        let answer = answer(&sandbox, &["--from", path, "--kernel", kernel]);
        assert_eq!(answer["sizing"]["connections"], 40_000);
        assert_eq!(answer["hashing"]["kind"], "computed");
        for bits in 8..=20 {
            let row = row(&answer, bits);
            let (expected, actual) = (row["look-up"].as_f64().unwrap(), row["actual"]["look-up"].as_f64().unwrap());
            assert!((actual / expected - 1.0).abs() < 0.02, "{kernel} {bits}: {actual} for {expected}");
            let chains = row["actual"]["chains"].as_object().unwrap();
            let sum: u64 = chains.iter().map(|(length, n)| length.parse::<u64>().unwrap() * n.as_u64().unwrap()).sum();
            assert_eq!(sum, 40_000, "{kernel} {bits}");
        }
    }
    let outcome = size(&sandbox, &["--from", path, "--kernel", "2.6.32-220.13.1.el6"]);
    outcome.prints("jhash (lookup2) of each connection").prints("seed 0x").prints("real look-up");
    let without = size(&sandbox, &["--from", path]);
    without.prints("uniform hashing is assumed: name the director's kernel");
    let keyed = size(&sandbox, &["--from", path, "--kernel", "7.1.0"]);
    keyed.prints("uniform hashing is assumed: siphash");
}

#[test]
fn a_list_from_standard_input() {
    let sandbox = Sandbox::new();
    let path = sandbox.input("ip_vs_conn", list());
    let cat = format!("exec \"$@\" < {}", path.display());
    let kbuild = sandbox.kbuild().through(&["sh", "-c", &cat, "sh"]);
    kbuild.args(["size", "--from", "-"]).exits(0).prints("connections  40000: in `standard input`");
}

#[test]
fn a_line_that_is_no_connection_is_named() {
    let sandbox = Sandbox::new();
    let refused = |name: &str, text: &str| {
        let path = sandbox.input(name, text);
        sandbox.kbuild().args(["size", "--from"]).arg(&path).refused(3)
    };
    let cut = format!("{HEADING}TCP 0AFA0032 9EED 0AD20321 0FBA 0AD20328 0FBA FIN_WAIT 55\nTCP 0AFA0032 9EED 0AD2");
    refused("cut", &cut)
        .says("in/cut`, line 3: expected the virtual address, found `0AD2`")
        .says("hint: copy the whole");
    refused("empty", "").says("in/empty`, line 1: expected a protocol");
    refused("listing", "IPVS connection entries\npro expire state source virtual destination\n")
        .says("hint: this is what ipvsadm");
    sandbox.kbuild().args(["size", "--from", "/no/such/list"]).refused(3).says("/no/such/list");
    sandbox.kbuild().args(["size", "--from", "/dev/zero"]).refused(3).says("line 1");
    // Only the heading: a director without connections.
    let idle = sandbox.input("idle", HEADING);
    size(&sandbox, &["--from", idle.to_str().unwrap()]).prints("connections  0: ").prints("2^12");
}

#[test]
fn wrong_arguments() {
    let sandbox = Sandbox::new();
    let cases: [(&[&str], &str); 22] = [
        (&["--connections", "0"], "0 is not in 1.."),
        (&["--connections", "many"], "invalid digit"),
        (&["--connections", "10", "--chains", "1:1", "--bits", "8"], "cannot be used with"),
        (&["--connections", "10", "--from", "x"], "cannot be used with"),
        (&["--rate", "200"], "--lifetime"),
        (&["--rate", "0", "--lifetime", "1"], "connections per second"),
        (&["--rate", "NaN", "--lifetime", "1"], "connections per second"),
        (&["--rate", "1", "--lifetime", "-5"], ""),
        (&["--rate", "1", "--lifetime", "soon"], "seconds such as 200"),
        (&["--lifetime", "200"], "--rate or with --memory"),
        (&["--connections", "1", "--lifetime", "200"], "--rate or with --memory"),
        (&["--chains", "5:16"], "--bits"),
        (&["--chains", "5;16", "--bits", "16"], "LENGTH:BUCKETS"),
        (&["--chains", "0:16", "--bits", "16"], "empty buckets follow"),
        (&["--bits", "16"], "--chains"),
        (&["--memory", "lots"], "a size such as"),
        (&["--connections", "1", "--kernel", "el6"], "a kernel's release"),
        (&["--connections", "1", "--arch", "vax"], "an architecture"),
        (&["--connections", "1", "--bucket-bytes", "0"], "0 is not in 1.."),
        (&["--connections", "1", "--entry-bytes", "many"], "invalid digit"),
        (&["--connections", "1", "--plot", "curve.pdf"], ".svg or .png"),
        (&["--connections", "1", "--plot", "curve"], ".svg or .png"),
    ];
    for (args, complaint) in cases {
        sandbox.kbuild().arg("size").args(args).refused(2).says(complaint);
    }
    let refused = sandbox.kbuild().args(["size", "--chains", "1:257", "--bits", "8"]).refused(3);
    refused.says("257 chains are more than the 256 buckets").says("hint: ");
    if !std::path::Path::new("/proc/net/ip_vs_conn").exists() {
        sandbox.kbuild().arg("size").refused(2).says("how many connections?").says("/proc/net/ip_vs_conn");
    }
    sandbox
        .kbuild()
        .args(["size", "--connections", "1", "--plot", "/no/such/dir/x.svg"])
        .refused(4)
        .says("/no/such/dir");
}

#[test]
fn the_help_says_that_the_table_is_no_limit() {
    let sandbox = Sandbox::new();
    let help = sandbox.kbuild().args(["size", "--help"]).exits(0);
    let words = help.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["The table is not a limit on connections.", "no connection is refused", "conn_lfactor", "fixed seed"] {
        assert!(words.contains(part), "{part}\n{help}");
    }
}

#[test]
fn pictures_need_no_fonts_of_the_machine() {
    let sandbox = Sandbox::new();
    let list = sandbox.input("ip_vs_conn", list());
    let (svg, png) = (sandbox.path().join("in/curve.svg"), sandbox.path().join("in/curve.png"));
    for path in [&svg, &png] {
        let args = ["--from", list.to_str().unwrap(), "--kernel", "2.6.32-220.13.1.el6", "--plot"];
        sandbox.kbuild().arg("size").args(args).arg(path).env("FONTCONFIG_FILE", "/dev/null").exits(0);
    }
    let text = fs_err::read_to_string(svg).unwrap();
    for part in
        ["<svg ", "IPVS connection table for 40000 connections", "recommended: 16 bits", "these connections", "</svg>"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let decoder = png::Decoder::new(std::io::BufReader::new(fs_err::File::open(png).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (960, 600));
    let dark = |from: u32, to: u32| {
        let row = |y: u32| &pixels[(y * 960 * 3) as usize..((y + 1) * 960 * 3) as usize];
        (from..to)
            .map(|y| row(y).chunks(3).filter(|pixel| pixel.iter().all(|value| *value < 80)).count())
            .sum::<usize>()
    };
    // Words above the curve and below it.
    assert!(dark(16, 40) > 300, "{}", dark(16, 40));
    assert!(dark(565, 590) > 100, "{}", dark(565, 590));
}
