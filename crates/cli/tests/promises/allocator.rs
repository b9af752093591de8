//! A server starts once more to have an allocator with few arenas, and is the same process after it.
use crate::harness::{
    PROGRAM,
    server::{Server, Start},
};
use std::{ffi::OsString, os::unix::ffi::OsStrExt, os::unix::ffi::OsStringExt, path::Path};

/// What glibc reads as a process begins.
const ARENAS: &str = "MALLOC_ARENA_MAX";
/// What loads programs, where there is one.
const LOADERS: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];

/// The texts of `cmdline` or `environ`.
fn texts(server: &Server, name: &str) -> Vec<OsString> {
    let bytes = std::fs::read(format!("/proc/{}/{name}", server.process_id())).unwrap();
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    let texts = bytes.split(|byte| *byte == 0);
    texts
        .map(|text| OsString::from_vec(text.to_vec()))
        .collect()
}

/// What the process has found in its surroundings as it began.
fn arenas(server: &Server) -> Option<String> {
    let variables = texts(server, "environ");
    let found = variables.iter().find_map(|variable| {
        let value = variable.as_bytes().strip_prefix(ARENAS.as_bytes())?;
        value.strip_prefix(b"=")
    });
    found.map(|value| String::from_utf8_lossy(value).into_owned())
}

#[test]
fn a_server_is_the_same_process_with_the_same_arguments_and_few_arenas() {
    let folder = tempfile::tempdir().unwrap();
    // No text in any encoding.
    let port_file = folder
        .path()
        .join(OsString::from_vec(b"port \xff\xfe\n".to_vec()));
    let mut start = Start::in_folder(folder.path());
    start.arguments = vec!["--port-file".into(), port_file.clone().into()];
    let server = Server::start(&start);
    let is_gnu = cfg!(target_env = "gnu");
    assert_eq!(arenas(&server), is_gnu.then(|| "2".to_owned()));
    let mut expected: Vec<OsString> = [PROGRAM, "serve", "--listen", &start.listen, "--data-dir"]
        .map(OsString::from)
        .into();
    expected.extend([
        start.data.clone().into(),
        "--key-file".into(),
        folder.path().join("main.key").into(),
    ]);
    expected.extend(start.arguments.clone());
    // `process_id` is that of the process that the test has started.
    assert_eq!(texts(&server, "cmdline"), expected);
    let address = std::fs::read_to_string(&port_file).unwrap();
    assert_eq!(address.trim(), server.address());
    assert!(!server.said().contains("arenas"), "{}", server.said());
    server.stop();
}

#[test]
fn a_number_of_arenas_that_was_chosen_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut start = Start::in_folder(folder.path());
    start.environment = vec![(ARENAS, "3".to_owned())];
    let server = Server::start(&start);
    assert_eq!(arenas(&server).as_deref(), Some("3"));
}

#[test]
fn a_server_that_was_started_through_the_loader_goes_on_without() {
    let Some(loader) = LOADERS.into_iter().find(|path| Path::new(path).exists()) else {
        let is_expected = cfg!(all(
            target_os = "linux",
            target_env = "gnu",
            any(target_arch = "x86_64", target_arch = "aarch64")
        ));
        assert!(!is_expected, "none of {LOADERS:?} is there");
        eprintln!("NOT TESTED: a start through the loader, of which it is not known where it is");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut start = Start::in_folder(folder.path());
    start.through = vec![loader.into()];
    let server = Server::start(&start);
    assert_eq!(server.get("/api/v1/streams").status, 200);
    assert_eq!(arenas(&server), None);
    assert_eq!(texts(&server, "cmdline")[..2], [loader, PROGRAM]);
    let said = server.stop();
    let is_said =
        said.contains("the allocator has many arenas") && said.contains("started through");
    assert!(is_said, "{said}");
}
