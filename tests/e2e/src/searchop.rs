use std::{
    io::Write,
    process::{Command, Stdio},
};

/// What a call of the command line printed, and its exit code.
#[derive(Debug)]
pub struct Printed {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `searchop` (the one on PATH, or `SEARCHOP_BIN`) in a namespace, as a user would.
pub fn searchop(namespace: &str, args: &[&str]) -> Printed {
    searchop_with_input(namespace, args, "")
}

/// The same with something on its standard input.
pub fn searchop_with_input(namespace: &str, args: &[&str], input: &str) -> Printed {
    let program = std::env::var("SEARCHOP_BIN").unwrap_or_else(|_| "searchop".to_owned());
    let mut child = Command::new(&program)
        .args(args)
        .args(["--namespace", namespace])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    // Who does not read it may have ended already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Printed {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
