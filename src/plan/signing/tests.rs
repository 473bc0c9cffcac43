//! What configurations say of the key, as data.

use super::*;

fn says(texts: &[(&str, &str)], set: &[&str]) -> Configured {
    let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let set: Vec<Setting> = set.iter().map(|setting| setting.parse().unwrap()).collect();
    configured(&texts, "x86_64", &set)
}

#[test]
fn the_build_makes_a_key_where_modules_are_signed_and_none_is_named() {
    assert_eq!(says(&[("config-generic", "CONFIG_MODULES=y\n")], &[]), Configured::Not);
    assert_eq!(says(&[("config-generic", "# CONFIG_MODULE_SIG is not set\n")], &[]), Configured::Not);
    for key in ["", "CONFIG_MODULE_SIG_KEY=\"\"\n", "CONFIG_MODULE_SIG_KEY=\"certs/signing_key.pem\"\n"] {
        let text = format!("CONFIG_MODULE_SIG=y\n{key}# CONFIG_MODULE_SIG_KEY_TYPE_ECDSA is not set\n");
        assert_eq!(says(&[("config-generic", &text)], &[]), Configured::Makes, "{key}");
    }
    let named = "CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_KEY=\"pkcs11:object=fleet\"\n";
    let (file, key) = ("config-generic".to_owned(), "pkcs11:object=fleet".to_owned());
    assert_eq!(says(&[("config-generic", named)], &[]), Configured::Own { file: file.clone(), key });
    let curve = "CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_KEY_TYPE_ECDSA=y\n";
    assert_eq!(says(&[("config-generic", curve)], &[]), Configured::Curve { file });
}

#[test]
fn set_outweighs_the_files_and_other_architectures_do_not_count() {
    let texts = [
        ("kernel-s390x.config", "CONFIG_MODULE_SIG=y\n"),
        ("kernel-x86_64.config", "# CONFIG_MODULE_SIG is not set\n"),
    ];
    assert_eq!(says(&texts, &[]), Configured::Not);
    assert_eq!(says(&texts, &["CONFIG_MODULE_SIG=y"]), Configured::Makes);
    assert_eq!(says(&texts[..1], &[]), Configured::Makes);
    assert_eq!(says(&texts[..1], &["CONFIG_MODULE_SIG=n"]), Configured::Not);
}

#[test]
fn versions() {
    assert!(at_least("3.10.0", X509_SINCE) && !at_least("2.6.32", X509_SINCE) && !at_least("3.6.11", X509_SINCE));
    assert!(at_least("4.18.0", PKCS7_SINCE) && !at_least("3.10.0", PKCS7_SINCE) && !at_least("4.2", PKCS7_SINCE));
}
