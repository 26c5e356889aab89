use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use kube::Client;

use crate::{chart, proxy::Proxy, wait::eventually};

/// The operator as a process of this machine, talking to the API server through a [`Proxy`].
pub struct Operator {
    child: Arc<Mutex<Child>>,
    pub proxy: Proxy,
    arguments: Vec<String>,
    kubeconfig: PathBuf,
}

impl Operator {
    /// Starts the operator that `SEARCHOP_OPERATOR_BIN` names for one namespace, with the rights that
    /// the chart would give it there.
    pub async fn start(client: Client, namespace: &str, arguments: &[&str]) -> Self {
        let proxy = Proxy::start(client, &chart::grant(namespace)).await;
        let kubeconfig =
            std::env::temp_dir().join(format!("{namespace}-{}.kubeconfig", proxy.port));
        std::fs::write(&kubeconfig, kubeconfig_for(proxy.port)).unwrap();
        let mut all = vec![
            "run".to_owned(),
            "--trainer-image=searchop/trainer:dev".to_owned(),
            "--ranker-image=searchop/ranker:dev".to_owned(),
            "--image-pull-policy=Never".to_owned(),
            "--metrics-listen=127.0.0.1:0".to_owned(),
            format!("--namespace={namespace}"),
            format!("--lease-namespace={namespace}"),
        ];
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let child = Arc::new(Mutex::new(spawn(&all, &kubeconfig)));
        let this = Self {
            child,
            proxy,
            arguments: all,
            kubeconfig,
        };
        let target = this.child.clone();
        this.proxy.set_kill(move || {
            let _ = target.lock().unwrap().kill();
        });
        this
    }

    /// Starts it again after it was killed.
    pub fn restart(&self) {
        self.kill();
        *self.child.lock().unwrap() = spawn(&self.arguments, &self.kubeconfig);
    }

    /// SIGKILL: it cannot give anything back.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// SIGTERM, and the exit code.
    pub async fn stop(&self) -> Option<i32> {
        let pid = i32::try_from(self.child.lock().unwrap().id()).unwrap();
        // SAFETY: a signal to a child that has not been waited for.
        #[allow(unsafe_code)]
        unsafe {
            libc::kill(pid, libc::SIGTERM);
        }
        eventually("operator stops", Duration::from_secs(20), || async {
            match self.child.lock().unwrap().try_wait() {
                Ok(Some(status)) => Ok(status.code()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    pub fn running(&self) -> bool {
        matches!(self.child.lock().unwrap().try_wait(), Ok(None))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

fn spawn(arguments: &[String], kubeconfig: &PathBuf) -> Child {
    let program =
        std::env::var("SEARCHOP_OPERATOR_BIN").expect("SEARCHOP_OPERATOR_BIN names the operator");
    let name = kubeconfig.with_extension("log");
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(logs().join(name.file_name().unwrap()))
        .unwrap();
    Command::new(&program)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not start: {error}"))
}

/// Where the cluster keeps its logs, so that they go when it goes.
fn logs() -> PathBuf {
    std::env::var_os("SEARCHOP_LOGS").map_or_else(std::env::temp_dir, PathBuf::from)
}

fn kubeconfig_for(port: u16) -> String {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "proxy",
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        "clusters": [{"name": "proxy", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "proxy", "user": {}}]
    })
    .to_string()
}
