use std::{
    env, fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// Trainer and ranker belong to other crates: where the environment says, else on PATH.
pub fn programs() -> Option<(PathBuf, PathBuf)> {
    let path = env::var_os("PATH").unwrap_or_default();
    let find = |name: &str, program: &str| {
        let named = env::var_os(name).map(PathBuf::from);
        let mut places = env::split_paths(&path).map(|folder| folder.join(program));
        named.or_else(|| places.find(|file| file.is_file()))
    };
    let trainer = find("SEARCHOP_TRAINER_BIN", "searchop-trainer");
    let ranker = find("SEARCHOP_RANKER_BIN", "searchop-ranker");
    if trainer.is_none() || ranker.is_none() {
        eprintln!(
            "SKIPPED: name the built programs in SEARCHOP_TRAINER_BIN and SEARCHOP_RANKER_BIN"
        );
    }
    trainer.zip(ranker)
}

/// A folder with a manifest and, while it runs, `searchop local up`.
pub struct Shop {
    dir: tempfile::TempDir,
    programs: (PathBuf, PathBuf),
    up: Option<Child>,
}

impl Shop {
    pub fn new(programs: (PathBuf, PathBuf)) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            programs,
            up: None,
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn manifest(&self) -> PathBuf {
        self.path().join("model.yaml")
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// A ranker of the test's own, which may spoil things and then becomes the real one.
    pub fn wrap_ranker(&mut self, script: &str) {
        let wrapper = self.path().join("ranker.sh");
        let text = format!(
            "#!/bin/sh\n{script}\nexec {} \"$@\"\n",
            self.programs.1.display()
        );
        fs::write(&wrapper, text).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        self.programs.1 = wrapper;
    }

    /// The settings that the scenarios vary.
    pub fn write(&self, iterations: u32, threshold: &str) {
        self.write_text(&Self::text(iterations, threshold));
    }

    pub fn text(iterations: u32, threshold: &str) -> String {
        format!(
            "apiVersion: searchop.io/v1alpha1\nkind: RankingModel\nmetadata: {{name: small}}\nspec:\n  \
             data: {{synthetic: {{products: 500, events: 20000}}}}\n  \
             training: {{parameters: {{numIterations: {iterations}}}}}\n  \
             evaluation: {{gates: [{{name: floor, metric: NDCG, threshold: \"{threshold}\"}}]}}\n  \
             serving: {{featureLog: {{sampleShare: \"1\", uri: pvc://records/features}}}}\n  \
             artifacts: {{uri: pvc://models/small}}\n"
        )
    }

    pub fn write_text(&self, text: &str) {
        // As editors do it: another file takes the name.
        let new = self.path().join("model.yaml.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.manifest()).unwrap();
    }

    pub fn up(&mut self) {
        let (trainer, ranker) = &self.programs;
        let log = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path().join("up.log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_searchop"))
            .args(["local", "up", "--listen", "127.0.0.1:0", "-f"])
            .arg(self.manifest())
            .arg("--dir")
            .arg(self.state())
            .arg("--trainer")
            .arg(trainer)
            .arg("--ranker")
            .arg(ranker)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.up = Some(child);
    }

    /// `searchop local VERB`.
    pub fn verb(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_searchop"));
        command
            .arg("local")
            .args(args)
            .arg("--dir")
            .arg(self.state())
            .output()
            .unwrap()
    }

    pub fn model(&self) -> Value {
        let text = fs::read(self.state().join("model.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub fn schedule(&self, name: &str) -> Value {
        let file = self.state().join(format!("schedules/{name}.json"));
        serde_json::from_slice(&fs::read(file).unwrap_or_default()).unwrap_or_default()
    }

    pub fn condition(&self, kind: &str) -> Value {
        let model = self.model();
        let conditions = model["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        conditions
            .into_iter()
            .find(|condition| condition["type"] == kind)
            .unwrap_or_default()
    }

    /// Where requests go, once the state says so.
    pub fn address(&self) -> SocketAddr {
        self.until("an address", || {
            let model = self.model();
            model["status"]["url"]
                .as_str()?
                .strip_prefix("http://")?
                .parse()
                .ok()
        })
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("up.log")).unwrap_or_default()
    }

    /// Waits for `found`, and shows the log where it does not come.
    pub fn until<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(value) = found() {
                return value;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "no {what} in {PATIENCE:?}\n{}\n{:#}",
                self.log(),
                self.model()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end of `up`.
    pub fn ended(&mut self) -> ExitStatus {
        let status = self.up.as_mut().unwrap().wait().unwrap();
        self.up = None;
        status
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.up.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Processes that were started for this folder: its path is in their command or environment.
    pub fn processes(&self) -> Vec<String> {
        let place = self.state().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let read = |name| fs::read(entry.path().join(name)).unwrap_or_default();
            let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            let environment = String::from_utf8_lossy(&read("environ")).into_owned();
            if command.contains(&place) || environment.contains(&place) {
                found.push(format!("{}: {command}", entry.file_name().display()));
            }
        }
        found
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(mut up) = self.up.take() {
            self.verb(&["down", "--timeout", "20s"]);
            let _ = up.kill();
            let _ = up.wait();
        }
    }
}
