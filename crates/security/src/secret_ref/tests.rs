use super::*;

#[test]
fn plain_text_is_refused_without_repeating_it() {
    for text in ["sk-very-secret", "env:sk-very-secret", "env:", "file:", "vault:x", ""] {
        let error = text.parse::<SecretRef>().unwrap_err().to_string();
        assert!(!error.contains("very-secret"), "{error}");
        assert!(error.contains("`env:NAME` or `file:PATH`"));
    }
}

#[test]
fn a_file_is_read_without_its_last_line_end() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter2\r\n").unwrap();
    let reference: SecretRef = format!("file:{}", file.path().display()).parse().unwrap();
    assert_eq!(reference.resolve().unwrap().expose(), "hunter2");
}

#[test]
fn an_empty_or_missing_secret_is_an_error_that_names_its_place() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let empty = SecretRef::File(file.path().to_owned()).resolve().unwrap_err();
    assert!(empty.to_string().contains(&file.path().display().to_string()));
    let missing = SecretRef::Env("GROUNDCREW_NOT_SET_ANYWHERE".into()).resolve().unwrap_err();
    assert!(missing.to_string().contains("`GROUNDCREW_NOT_SET_ANYWHERE`"));
}

#[test]
fn an_environment_variable_is_read() {
    let reference: SecretRef = "env:CARGO_PKG_NAME".parse().unwrap();
    assert_eq!(reference.resolve().unwrap().expose(), "security");
    assert_eq!(serde_json::to_string(&reference).unwrap(), r#""env:CARGO_PKG_NAME""#);
}
