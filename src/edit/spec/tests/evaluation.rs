//! What texts expand to, as rpm 4.18 has it.

use super::{cases, *};

/// Evaluates a spec whose release is this, with these lines above.
#[track_caller]
fn release(above: &str, release: &str) -> Option<String> {
    run(&texts(format!("{above}Name: kernel\nVersion: 1.0\nRelease: {release}\n%description\n"))).release
}

#[track_caller]
fn case(above: &str, text: &str, expected: &str) {
    assert_eq!(release(above, text).as_deref(), Some(expected), "{above}{text}");
}

#[test]
fn macros_expand_as_in_rpm() {
    for (above, text, expected) in cases::MACROS {
        case(above, text, expected);
    }
}

#[test]
fn conditions_choose_as_in_rpm() {
    for (lines, expected) in cases::CONDITIONS {
        case(lines, "%{?rr}", expected);
    }
}

#[test]
fn what_is_unknown_stays_unknown() {
    for lines in [
        "%if %(test -e x)\n%define rr 1\n%else\n%define rr 2\n%endif\n",
        "%if \"%{_vendor}\" == \"x\"\n%define rr 1\n%endif\n%{!?rr:%define rr 2}\n",
        "%define rr 1\n%if %(test -e x)\n%undefine rr\n%endif\n",
        "%define rr %(echo 1)\n",
        "%define rr 1%{lua:print(1)}\n",
        "%define rr 1\n%{lua:rpm.define('rr 2')}\n",
        "%define rr 1\n%{lua:local n = 'rr'; rpm.define(n .. ' 2')}\n",
        "%define rr 1\n%{load:/x}\n",
        "%define rr 1\n%include %{_sourcedir}/elsewhere.inc\n",
        "%define rr 1\n%include /etc/elsewhere.inc\n",
        "%define rr 1%{getenv:HOME}\n",
        "%define rr 1%{unheard_of}\n",
        "%if el6 == el6\n%define rr 1\n%endif\n",
        "%if %{unheard_of}\n%bcond_with rr\n%endif\n%global rr %{?with_rr}1\n",
        "%define rr 1\n%if 1\n%elif 1\n%else\n%if %(x)\n%else\n%endif\n%endif\n%if %(x)\n%elif 1\n%define rr 2\n%endif\n",
    ] {
        let found = run(&texts(format!("{lines}Name: kernel\nVersion: 1.0\nRelease: %{{rr}}\n%description\n")));
        assert_eq!(found.release, None, "{lines}");
        assert_eq!((found.name.is_some(), found.version.is_some()), (!found.expander.lost, !found.expander.lost));
        assert!(!found.unknown.is_empty() || lines.contains("unheard_of"), "{lines}");
    }
    // What does not reach the release does no harm.
    for lines in [
        "%if %(test -e x)\n%define other 1\n%endif\n%define rr 1\n",
        "%define other %(echo 1)\n%define rr 1\n",
        "%{lua:print(1)}\n%define rr 1\n",
        "%define rr 1\n%{?unheard_of}\n%unheard_of a b\n",
        "%if 0\n%if %(x)\n%define rr 2\n%endif\n%include /x\n%endif\n%define rr 1\n",
        "%if 1 || %{unheard_of}\n%define other 2\n%endif\n%define rr 1\n",
    ] {
        assert_eq!(release(lines, "%{rr}").as_deref(), Some("1"), "{lines}");
    }
    // A tag that is perhaps there.
    let perhaps = "Name: kernel\nVersion: 1.0\nRelease: 1\n%if %(x)\nRelease: 2\n%endif\n%description\n";
    assert_eq!(run(&texts(perhaps)).release, None);
}

#[test]
fn notes_name_their_line() {
    let found = run(&texts("%define aa 1\n\n%if \"%(echo x)\"\n%endif\n% define bb\nName: kernel\n"));
    let notes: Vec<_> = found.unknown.iter().map(|note| (note.line, note.what, note.text.as_str())).collect();
    assert_eq!(
        notes,
        [
            (3, What::Shell, "echo x"),
            (3, What::Condition, "%if \"\0\""),
            (5, What::Refused, "a line that is no tag: % define bb"),
        ]
    );
}

#[test]
fn what_rpm_refuses_is_told() {
    for lines in [
        "% define buildid .local\n",
        "word\n",
        " Summary: x\n",
        "%endif\n",
        "%else\n",
        "%if 1\n%else\n%else\n%endif\n",
        "%{unclosed\n",
        "%define aa\n",
        "%define 1a 1\n",
        "%define define 1\n",
        "%{error:no}\n",
        "Release: 7\n",
        "Summary:\n",
        "%undefine\n",
    ] {
        let found = run(&texts(format!("{lines}Name: kernel\nVersion: 1.0\nRelease: 1\n%description\n")));
        assert!(found.refused(), "{lines}{:?}", found.unknown);
    }
}

#[test]
fn the_command_line_comes_first_and_the_spec_goes_over_it() {
    let mut context = Context::new("x86_64");
    context.defines.insert("dist".to_owned(), ".cli".to_owned());
    context.defines.insert("other".to_owned(), "1".to_owned());
    context.with.push("firmware".to_owned());
    context.without.push("debug".to_owned());
    let spec = "%define dist .el6\n%define with_firmware %{?_with_firmware: 1} %{?!_with_firmware: 0}\n\
                %define with_debug %{?_without_debug: 0} %{?!_without_debug: 1}\n%bcond_with firmware\n\
                Name: kernel\nVersion: 1.0\nRelease: %{?other}%{?dist}\n%description\n%define late 1\n";
    let texts = texts(spec);
    let found = evaluate(&Sources::new("kernel.spec", &texts), &context);
    assert_eq!(found.release.as_deref(), Some("1.el6"));
    assert_eq!(found.value("dist").as_deref(), Some(".el6"));
    assert_eq!(found.value("with_debug").as_deref(), Some(" 0 "));
    assert_eq!(found.value("_with_firmware").as_deref(), Some("--with-firmware"));
    assert_eq!(found.value("release").as_deref(), Some("1.el6"));
    assert_eq!(found.value("NAME").as_deref(), Some("kernel"));
    assert_eq!(found.value("late"), None);
    assert_eq!(found.value("unheard_of"), None);
    assert_eq!(found.release_tag, Some(Place { file: "kernel.spec".to_owned(), line: 7 }));
}

#[test]
fn definitions_of_buildid_are_listed_as_they_are_carried_out() {
    let spec = "%if 0\n%define buildid .no\n%endif\n# %define buildid .a\n%global buildid %{buildid}.b\n%undefine buildid\n\
                Name: kernel\nVersion: 1.0\nRelease: 1\n%description\n";
    let found = run(&texts(spec));
    let list: Vec<_> = found.buildid.iter().map(|each| (each.line, each.keyword, each.value.as_str())).collect();
    let expected = [(4, Keyword::Define, ".a"), (5, Keyword::Global, "%{buildid}.b"), (6, Keyword::Undefine, "")];
    assert_eq!(list, expected);
    assert!(!found.consults_buildid);
    // A value made at once remembers that it looked.
    let spec = "%global rel 1%{?buildid}\nName: kernel\nVersion: 1.0\nRelease: %{rel}\n%description\n";
    assert!(run(&texts(spec)).consults_buildid);
}
