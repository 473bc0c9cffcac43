//! Tests of the comparison: what each route says of kernels of all eras, from recipes alone.

use super::*;
use crate::plan::resolve;
use crate::recipe::builtin;
use crate::rpm::nvr::Nvr;

fn named(release: &str) -> (Choice, Nvr) {
    let wanted = resolve::wanted(release, &builtin::all().unwrap()).unwrap();
    (Choice::certain(wanted.recipe, "test".into()), wanted.nvr)
}

fn unread() -> TreeFacts {
    TreeFacts { range: None, kind: None }
}

fn facts(release: &str, kind: Option<Kind>) -> Facts {
    let (choice, nvr) = named(release);
    let tree = TreeFacts { kind, ..unread() };
    let parameter = parameter(&choice, Subject::Named(&nvr), &tree);
    Facts { parameter, ipvs: Ipvs::Module { by: "test".into() }, beyond: Vec::new() }
}

#[track_caller]
fn taken(facts: &Facts) -> Route {
    settle(None, &compare(facts)).unwrap()
}

#[test]
fn the_parameter_is_there_from_the_release_that_brought_it() {
    for (release, route) in [
        ("2.6.18-308.13.1.el5", Route::Module),
        ("2.6.32-71.el6", Route::Module),
        ("2.6.32-358.23.2.el6", Route::Module),
        ("2.6.32-431.el6", Route::Param),
        ("2.6.32-431.29.2.el6", Route::Param),
        ("2.6.32-1000.el6", Route::Param),
        ("3.10.0-123.el7", Route::Param),
        ("4.18.0-80.el8", Route::Param),
        ("6.12.0-211.37.1.el10_2", Route::Param),
        ("kernel-lt-6.1.59-1.el9.elrepo", Route::Param),
        ("kernel-uek-2.6.39-400.el6uek", Route::Module),
        ("kernel-uek-5.15.0-206.153.7.el9uek", Route::Param),
    ] {
        assert_eq!(taken(&facts(release, None)), route, "{release}");
    }
}

#[test]
fn the_kernels_own_sources_count_more_than_the_recipe() {
    assert_eq!(taken(&facts("2.6.32-220.el6", Some(Kind::Parameter))), Route::Param);
    assert_eq!(taken(&facts("3.10.0-1160.el7", Some(Kind::CompileTime))), Route::Module);
}

#[test]
fn of_a_family_that_was_detected_only_its_sources_are_believed() {
    let (mut choice, nvr) = named("3.10.0-1160.el7");
    choice.assumed = vec!["like el7".into()];
    assert!(!parameter(&choice, Subject::Named(&nvr), &unread()).works());
    let tree = TreeFacts { kind: Some(Kind::Parameter), ..unread() };
    assert!(parameter(&choice, Subject::Named(&nvr), &tree).works());
}

#[test]
fn what_only_a_kernel_can_meet_is_never_met_by_a_parameter() {
    let facts = Facts { beyond: vec!["--set"], ..facts("3.10.0-1160.el7", None) };
    assert_eq!(taken(&facts), Route::Kernel);
    let error = settle(Some(Route::Param), &compare(&facts)).unwrap_err();
    assert!(error.to_string().contains("--set asks for more than the table"), "{error}");
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn a_built_in_ipvs_takes_a_reboot() {
    let facts = Facts { ipvs: Ipvs::BuiltIn { by: "test".into() }, ..facts("3.10.0-1160.el7", None) };
    let routes = compare(&facts);
    assert_eq!(taken(&facts), Route::Param);
    assert_eq!(routes[0].takes, Takes::Reboot);
    assert_eq!(routes[0].signed, Signed::Everything);
    assert!(!routes[1].verdict.works());
}

#[test]
fn a_cheaper_route_is_mentioned_and_a_dearer_one_is_not() {
    let routes = compare(&facts("2.6.32-431.el6", None));
    let line = cheaper(Route::Kernel, &routes).unwrap();
    assert!(
        line.starts_with("`--route param` would do: el6 has the parameter conn_tab_bits since 2.6.32-431.el6"),
        "{line}"
    );
    assert_eq!(cheaper(Route::Param, &routes), None);
    let old = compare(&facts("2.6.32-220.el6", None));
    assert!(cheaper(Route::Kernel, &old).unwrap().starts_with("`--route module` would do: IPVS is a module"));
    assert_eq!(cheaper(Route::Module, &old), None);
}

#[test]
fn a_refusal_names_the_cheapest_route_that_works() {
    let error = settle(Some(Route::Param), &compare(&facts("2.6.32-220.13.1.el6", None))).unwrap_err();
    assert!(matches!(error, Error::Fails { route: Route::Param, instead: Some(Route::Module), .. }), "{error:?}");
    assert!(error.to_string().contains("since 2.6.32-431.el6"), "{error}");
}
